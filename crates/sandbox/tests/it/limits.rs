//! Memory, CPU, processes, descriptors, and freezing.

use std::time::{Duration, Instant};

use lambent_core::ports::sandbox::{ExitHow, Limits};

use crate::support::{LIMITS, Lab, once, read_until};

#[tokio::test]
async fn a_program_over_its_memory_is_ended_and_the_reason_is_told() {
    let Some(lab) = Lab::full().await else { return };
    let limits = Limits { memory_mb: 128, ..LIMITS };
    let script = "
blocks = []
while True:
    blocks.append(bytearray(b'x') * (1 << 20))
";
    let ended = lab.run_with(&["/usr/bin/python3", "-S", "-c", script], limits, vec![]).await;
    assert_eq!(ended.exit.how, ExitHow::Signal(9));
    assert!(ended.exit.out_of_memory);
}

#[tokio::test]
async fn a_child_over_the_memory_is_told_of_as_well() {
    let Some(lab) = Lab::full().await else { return };
    let limits = Limits { memory_mb: 128, ..LIMITS };
    let script = "/usr/bin/python3 -S -c 'x = bytearray(b\"x\") * (300 << 20)'; echo $?; exit 3";
    let ended = lab.run_with(&["/bin/sh", "-c", script], limits, vec![]).await;
    assert!(ended.exit.out_of_memory);
    assert_eq!(ended.exit.how, ExitHow::Code(3), "{}", ended.output);
    assert!(ended.output.contains("137"), "{}", ended.output);
}

#[tokio::test]
async fn memory_within_the_limit_is_given_and_measured() {
    let Some(lab) = Lab::full().await else { return };
    let script = "x = bytearray(b'x') * (100 << 20); print('held', flush=True); import time; time.sleep(60)";
    let running = lab.start(&["/usr/bin/python3", "-S", "-c", script], LIMITS, vec![]).await;
    read_until(&running.output, "held").await;
    let peak = running.environment.memory_peak_bytes();
    assert!((100 << 20..=256 << 20).contains(&peak), "{peak}");
    running.environment.kill().await;
    assert!(running.environment.memory_peak_bytes() >= peak, "the number outlives the sandbox");
}

#[tokio::test]
async fn the_cpu_share_is_kept() {
    let Some(lab) = Lab::full().await else { return };
    let limits = Limits { cpu_millis: 200, ..LIMITS };
    let script = "
import time
began, used = time.monotonic(), time.process_time()
while time.monotonic() - began < 2:
    pass
print((time.process_time() - used) / (time.monotonic() - began))
";
    let ended = lab.run_with(&["/usr/bin/python3", "-S", "-c", script], limits, vec![]).await;
    let share: f64 = ended.text().parse().unwrap();
    // A loaded machine may give less.
    assert!(share < 0.26, "{share}");
}

#[tokio::test]
async fn the_cpu_share_can_be_changed() {
    let Some(lab) = Lab::full().await else { return };
    let limits = Limits { cpu_millis: 50, ..LIMITS };
    let script = "
import time, sys
sys.stdin.read()
print('go', flush=True)
while True:
    pass
";
    let running = lab.start(&["/usr/bin/python3", "-S", "-c", script], limits, vec![]).await;
    read_until(&running.output, "go").await;
    let slow = cpu_time(&running.environment.label(), Duration::from_secs(1)).await;
    running.environment.set_cpu_millis(800).unwrap();
    // A loaded machine may give less for a while.
    let running = &running;
    once("three times as much", || async move {
        cpu_time(&running.environment.label(), Duration::from_secs(1)).await > 3 * slow
    })
    .await;
    running.environment.kill().await;
}

#[tokio::test]
async fn a_frozen_sandbox_uses_no_cpu() {
    let Some(lab) = Lab::full().await else { return };
    let running = lab
        .start(&["/bin/sh", "-c", "echo go; while :; do :; done & while :; do :; done"], LIMITS, vec![])
        .await;
    read_until(&running.output, "go").await;
    let init = &running.environment.label();
    let runs = || async move { cpu_time(init, Duration::from_millis(300)).await > Duration::ZERO };
    once("it runs", runs).await;
    running.environment.freeze().unwrap();
    // The last ticks may still be on their way.
    once("half a second of nothing", || async move {
        cpu_time(init, Duration::from_millis(500)).await == Duration::ZERO
    })
    .await;
    running.environment.thaw().unwrap();
    once("it runs again", runs).await;
    running.environment.kill().await;
}

#[tokio::test]
async fn a_frozen_sandbox_is_killed_as_fast_as_any_other() {
    let Some(lab) = Lab::full().await else { return };
    let lab = &lab;
    once("a kill within a second", || async move {
        let running = lab.start(&["/bin/sleep", "60"], LIMITS, vec![]).await;
        running.environment.freeze().unwrap();
        let began = Instant::now();
        running.environment.kill().await;
        began.elapsed() < Duration::from_secs(1)
    })
    .await;
}

/// CPU time that the children of a process use within a while.
async fn cpu_time(init: &str, during: Duration) -> Duration {
    let total = || -> u64 {
        let mut open = vec![init.to_owned()];
        let mut ticks = 0;
        while let Some(pid) = open.pop() {
            let children =
                std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            for child in children.split_whitespace() {
                let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
                let Some((_, fields)) = stat.rsplit_once(')') else { continue };
                let fields: Vec<&str> = fields.split_whitespace().collect();
                ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
                open.push(child.to_owned());
            }
        }
        ticks
    };
    let before = total();
    tokio::time::sleep(during).await;
    Duration::from_millis((total() - before) * 10)
}

#[tokio::test]
async fn a_fork_bomb_stays_inside() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
import os, time, errno
children = 0
try:
    for _ in range(3000):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        children += 1
except OSError as error:
    print(errno.errorcode[error.errno], 1000 < children <= 1024)
";
    let limits = Limits { memory_mb: 2_048, ..LIMITS };
    let ended = lab.run_with(&["/usr/bin/python3", "-S", "-c", script], limits, vec![]).await;
    assert_eq!(ended.text(), "EAGAIN True");
}

#[tokio::test]
async fn many_processes_of_a_small_share_are_killed_as_fast_as_others() {
    let Some(lab) = Lab::full().await else { return };
    let lab = &lab;
    let script = r"
import os, time
for _ in range(600):
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
print('forked', flush=True)
time.sleep(600)
";
    once("a kill within two seconds", || async move {
        let limits = Limits { memory_mb: 2_048, ..LIMITS };
        let running = lab.start(&["/usr/bin/python3", "-S", "-c", script], limits, vec![]).await;
        read_until(&running.output, "forked").await;
        running.environment.set_cpu_millis(50).unwrap();
        let began = Instant::now();
        running.environment.kill().await;
        eprintln!("killed within {:?}", began.elapsed());
        began.elapsed() < Duration::from_secs(2)
    })
    .await;
}

#[tokio::test]
async fn a_process_opens_at_most_1024_files() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
import os, errno, resource
files = []
try:
    while True:
        files.append(os.open('/dev/null', os.O_RDONLY))
except OSError as error:
    print(errno.errorcode[error.errno], files[-1])
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))
    print('RAISED')
except (OSError, ValueError):
    pass
print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NPROC))
";
    // The site module is left out, but the path of built modules must be there.
    let ended = lab.run(&["/usr/bin/python3", "-c", script]).await;
    assert_eq!(ended.text(), "EMFILE 1023\n(0, 0) (1024, 1024)");
}

#[tokio::test]
async fn output_that_nobody_reads_slows_the_program_only() {
    let Some(lab) = Lab::full().await else { return };
    let running = lab.start(&["/bin/sh", "-c", "exec yes"], LIMITS, vec![]).await;
    // The node does nothing about it, and other sandboxes are as fast as ever.
    assert_eq!(lab.shell("echo fine").await.text(), "fine");
    running.environment.kill().await;
}
