//! Copies of a zygote: nothing tells them from a program that was started but when they came about, and nothing that
//! befalls the zygote befalls them.

use std::time::Duration;

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{Assignment, ExitHow, Limits, Running, Sandboxes as _};

use crate::assigned::{boot_now, obedient};
use crate::support::{LIMITS, Lab, ended, eventually, host_processes, read_until};

const SMALL: Limits = Limits { memory_mb: 128, cpu_millis: 1_000, tmp_mb: 512 };

/// A program that no other lab has.
fn own(lab: &Lab) -> Assignment {
    let mut job = obedient(SMALL);
    job.program.argv.push(lab.instance.clone());
    job
}

async fn has_zygote(lab: &Lab) {
    eventually("there is a zygote", || lab.driver.has_zygote(&own(lab))).await;
}

/// The lab's one zygote: it runs the program where the spawner is, and not in a sandbox.
fn zygote(lab: &Lab) -> i32 {
    let [zygote] = zygotes(lab)[..] else { panic!("{:?}", zygotes(lab)) };
    zygote
}

fn zygotes(lab: &Lab) -> Vec<i32> {
    let room = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let mut found = host_processes(&lab.instance);
    found.retain(|pid| room(&pid.to_string()) == room("self"));
    found
}

async fn say(lab: &Lab, words: &str) -> String {
    ended(tell(lab, words).await).await.text().to_owned()
}

async fn tell(lab: &Lab, words: &str) -> Running {
    let running = boot_now(lab, own(lab)).await.assign(LIMITS, vec![], words.as_bytes().to_vec()).await;
    running.map_err(|error| error.to_string()).unwrap()
}

/// Everything that the kernel tells a process about itself and that isn't its own history.
const ACCOUNT: &str = r"
import os, resource, ctypes
libc = ctypes.CDLL(None, use_errno=True)
history = ('Pid', 'Tgid', 'NSpid', 'NStgid', 'NSpgid', 'NSsid', 'VmPeak', 'VmSize', 'VmHWM', 'VmRSS', 'RssAnon',
           'RssFile', 'RssShmem', 'VmData', 'VmStk', 'VmExe', 'VmLib', 'VmPTE', 'Mems_allowed_list', 'HugetlbPages',
           'voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches', 'FDSize', 'SigQ')
for line in open('/proc/self/status').read().splitlines():
    if line.split(':')[0] not in history:
        print(line)
for name in sorted(name for name in dir(resource) if name.startswith('RLIMIT_')):
    print(name, resource.getrlimit(getattr(resource, name)))
print(sorted(int(name) for name in os.listdir('/proc/self/fd')))
print([os.get_inheritable(number) for number in range(4)])
print([os.fstat(number).st_mode for number in range(4)])
print(os.getcwd(), os.getuid(), os.geteuid(), os.getgid(), os.getgroups(), os.getppid())
print(os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid())
print(libc.prctl(3, 0, 0, 0, 0), libc.prctl(27, 0, 0, 0, 0), libc.prctl(30, 0, 0, 0, 0))
print(open('/proc/self/oom_score_adj').read(), {line.split(':', 2)[2] for line in open('/proc/self/cgroup')})
print(os.sched_getscheduler(0), os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0))
print(sorted(os.listdir('/proc/self/task')) == [str(os.getpid())], open('/proc/self/comm').read())
print(os.listdir('/'), sorted(line.split()[4] for line in open('/proc/self/mountinfo')))
";

#[tokio::test]
async fn one_is_confined_as_a_program_that_was_started() {
    let Some(lab) = Lab::full().await else { return };
    let started = say(&lab, ACCOUNT).await;
    has_zygote(&lab).await;
    let copied = say(&lab, ACCOUNT).await;
    assert_eq!(copied.replacen("copied", "started", 1), started);
    assert_ne!(copied, started);
}

#[tokio::test]
async fn one_finds_nothing_of_its_zygote() {
    let Some(lab) = Lab::full().await else { return };
    has_zygote(&lab).await;
    let words = r"
import os, errno
for path in ('/proc/self/exe', '/proc/self/cwd', '/proc/self/root', '/proc/self/fd/0'):
    print(os.path.basename(os.path.realpath(path)).startswith(('python', 'null', '')))
print([name for name in os.listdir('/proc') if name.isdigit()] == [str(os.getpid())], os.getppid())
for number in list(range(1, 3)) + [os.getppid()]:
    try:
        os.kill(number, 9)
    except OSError as error:
        print(errno.errorcode[error.errno])
print(sum(1 for line in open('/proc/net/unix')) - 1, os.path.exists('/var/client/x'))
";
    let text = say(&lab, words).await;
    // Its parent, which is out of its reach, is the sandbox's first process.
    assert!(text.contains("True 1\nEPERM\n") || text.contains("True 1\nESRCH\n"), "{text}");
    zygote(&lab);
}

#[tokio::test]
async fn copies_outlive_their_zygote_and_another_takes_its_place() {
    let Some(lab) = Lab::full().await else { return };
    has_zygote(&lab).await;
    let running =
        tell(&lab, "import time; print('told', flush=True); time.sleep(1); raise SystemExit(7)").await;
    read_until(&running.output, "told").await;
    let zygote = zygote(&lab);
    kill(zygote, "-KILL");
    // Nothing waits for it.
    let instead = say(&lab, "print('answers')").await;
    assert!(instead.ends_with("waits\nanswers"), "{instead}");
    assert_eq!(ended(running).await.exit.how, ExitHow::Code(7));
    eventually("it is replaced", || {
        lab.driver.has_zygote(&own(&lab)) && zygotes(&lab).iter().all(|pid| *pid != zygote)
    })
    .await;
    assert_eq!(say(&lab, "print('again')").await, "copied, waits\nagain");
}

#[tokio::test]
async fn a_zygote_that_hangs_is_given_up_and_the_program_is_started() {
    let Some(lab) = Lab::full().await else { return };
    has_zygote(&lab).await;
    let zygote = zygote(&lab);
    kill(zygote, "-STOP");
    assert_eq!(say(&lab, "print('answers')").await, "started, waits\nanswers");
    eventually("it is gone", || zygotes(&lab).iter().all(|pid| *pid != zygote)).await;
}

#[tokio::test]
async fn one_that_can_not_be_confined_does_not_go_on() {
    let Some(lab) = Lab::full().await else { return };
    // A copy that skips a step says that it is confined, and isn't believed.
    let job = || {
        let mut job = own(&lab);
        let skips = "from _lambent import zygote\n    zygote.Zygote._restrict_writing = lambda self: None\n    \
                     zygote.Zygote._give_up_privileges = lambda self: None";
        let script = job.program.argv.iter_mut().rev().nth(1).unwrap();
        *script = script.replace("from _lambent import zygote", skips);
        job
    };
    eventually("there is a zygote", || lab.driver.has_zygote(&job())).await;
    let cell = lab.cell(Egress::None).await;
    let booted = cell.boot(job()).await.map_err(|error| error.to_string()).unwrap();
    let running = booted.assign(LIMITS, vec![], b"print(os.getuid())".to_vec()).await;
    let running = running.map_err(|error| error.to_string()).unwrap();
    let ended = ended(running).await;
    assert!(ended.text().ends_with("started, waits\n993"), "{}", ended.output);
}

#[tokio::test]
async fn what_is_random_differs_between_copies() {
    let Some(lab) = Lab::full().await else { return };
    has_zygote(&lab).await;
    let words = "import random, uuid, secrets, tempfile, ssl
print(random.random(), uuid.uuid4(), uuid.uuid1(), secrets.token_hex(8), tempfile.mktemp(), ssl.RAND_bytes(8))";
    let (one, other) = (say(&lab, words).await, say(&lab, words).await);
    let (one, other) = (one.split_whitespace().skip(2), other.split_whitespace().skip(2));
    for (one, other) in one.zip(other) {
        assert_ne!(one, other);
    }
}

#[tokio::test]
async fn copies_share_the_memory_that_was_there_before_them() {
    let Some(lab) = Lab::full().await else { return };
    let words = "
print(sum(int(line.split()[1]) for line in open('/proc/self/smaps_rollup') if line.startswith('Private_Dirty')))";
    let own = |text: &str| text.split_whitespace().last().unwrap().parse::<u64>().unwrap();
    let started = own(&say(&lab, words).await);
    has_zygote(&lab).await;
    let copied = own(&say(&lab, words).await);
    eprintln!("private dirty: started {started} KiB, copied {copied} KiB");
    assert!(copied * 3 < started * 2, "started {started} KiB, copied {copied} KiB");
}

#[tokio::test]
async fn a_driver_that_stops_leaves_no_zygote() {
    let Some(lab) = Lab::full().await else { return };
    has_zygote(&lab).await;
    let zygote = zygote(&lab);
    lab.driver.stop().await;
    let gone = || !std::path::Path::new(&format!("/proc/{zygote}")).exists();
    tokio::time::timeout(Duration::from_secs(10), eventually("it is gone", gone)).await.unwrap();
}

fn kill(pid: i32, signal: &str) {
    let done = std::process::Command::new("/bin/kill").args([signal, &pid.to_string()]).status();
    assert!(done.unwrap().success());
}
