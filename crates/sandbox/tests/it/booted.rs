//! A program that is started ahead of need, and told later what it is for.

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{ExitHow, Limits, Mount};

use crate::support::{LIMITS, Lab, ended, job, read_until};

const WAIT: &str = "
import os
ballast = bytearray(b'x') * (60 << 20)
del ballast
print('waiting', os.path.exists('/var/task/f'), flush=True)
words = b''
while part := os.read(4, 65536):
    words += part
print(open('/var/task/f').read(), len(words), words[:5].decode(), flush=True)
try:
    open('/var/task/x', 'w')
    print('WROTE')
except OSError:
    pass
";

#[tokio::test]
async fn a_waiting_program_gets_code_limits_and_words() {
    let Some(lab) = Lab::full().await else { return };
    let code = tempfile::tempdir().unwrap();
    std::fs::write(code.path().join("f"), "code").unwrap();
    let cell = lab.cell(Egress::Services).await;
    let addr = cell.runtime_api_addr();
    let booted = cell.boot(job(&["/usr/bin/python3", "-S", "-c", WAIT], LIMITS, vec![])).await;
    let booted = booted.map_err(|error| error.to_string()).unwrap();
    until_it_reads(&lab).await;
    assert!(booted.is_alive());
    assert_eq!(booted.runtime_api_addr(), addr);
    assert!(booted.services_addr().is_some());
    let mounts = vec![
        Mount { sources: vec![code.path().to_owned()], target: "/var/task".into() },
        Mount { sources: vec!["/usr/share".into()], target: "/opt".into() },
    ];
    let limits = Limits { memory_mb: 128, ..LIMITS };
    let mut words = b"hello".to_vec();
    // More than a pipe holds.
    words.resize(300_000, b'.');
    let running = booted.assign(limits, mounts, words).await.map_err(|error| error.to_string()).unwrap();
    let ended = ended(running).await;
    assert_eq!(ended.text(), "waiting False\ncode 300000 hello");
}

#[tokio::test]
async fn the_memory_peak_of_the_wait_is_forgotten() {
    let Some(lab) = Lab::full().await else { return };
    let script = format!("{}\nimport time\ntime.sleep(60)", WAIT.split("words").next().unwrap());
    let script = script + "\nos.read(4, 1)";
    let script = script.replace("time.sleep(60)", "os.read(4, 1); print('told', flush=True); time.sleep(60)");
    let cell = lab.cell(Egress::None).await;
    let booted = cell.boot(job(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![])).await;
    let booted = booted.map_err(|error| error.to_string()).unwrap();
    // Once it is told, it has long given its ballast back.
    until_it_reads(&lab).await;
    let running =
        booted.assign(LIMITS, vec![], b"go".to_vec()).await.map_err(|error| error.to_string()).unwrap();
    read_until(&running.output, "told").await;
    let peak = running.environment.memory_peak_bytes();
    assert!(peak > 0 && peak < 60 << 20, "{peak}");
    running.environment.kill().await;
}

async fn until_it_reads(lab: &Lab) {
    let patience = std::time::Instant::now() + crate::support::PATIENCE;
    while !booted_is_reading(lab).await {
        assert!(std::time::Instant::now() < patience, "the program never waits");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Whether the one program of a lab waits in a read of a pipe.
async fn booted_is_reading(lab: &Lab) -> bool {
    let tasks = crate::support::cgroup_folders(&lab.instance)
        .into_iter()
        .filter_map(|folder| std::fs::read_to_string(folder.join("cgroup.procs")).ok())
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect::<Vec<_>>();
    tasks.iter().any(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|call| call.starts_with("0 0x4 "))
    })
}

#[tokio::test]
async fn a_program_that_ended_while_it_waited_is_known_to_be_dead() {
    let Some(lab) = Lab::full().await else { return };
    let cell = lab.cell(Egress::None).await;
    let booted = cell.boot(job(&["/bin/sh", "-c", "exit 4"], LIMITS, vec![])).await;
    let booted = booted.map_err(|error| error.to_string()).unwrap();
    let patience = std::time::Instant::now() + crate::support::PATIENCE;
    while booted.is_alive() {
        assert!(std::time::Instant::now() < patience);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let mounts = vec![Mount { sources: vec!["/usr/share".into()], target: "/var/task".into() }];
    assert!(booted.assign(LIMITS, mounts, Vec::new()).await.is_err());
    assert_eq!(lab.shell("exit 5").await.exit.how, ExitHow::Code(5));
}

#[tokio::test]
async fn a_program_that_waited_works_in_the_folder_of_its_function() {
    let Some(lab) = Lab::full().await else { return };
    let code = tempfile::tempdir().unwrap();
    std::fs::write(code.path().join("f"), "code").unwrap();
    let cell = lab.cell(Egress::None).await;
    let script =
        "import os; os.read(4, 1); print(open('f').read(), os.getcwd()); os.chdir('/tmp'); os.umask(0);
open('x', 'w').close(); print(oct(os.stat('x').st_mode))";
    let mut waiting = job(&["/usr/bin/python3", "-S", "-c", script], LIMITS, vec![]);
    waiting.program.cwd = "/var/task".into();
    let booted = cell.boot(waiting).await.map_err(|error| error.to_string()).unwrap();
    let mounts = vec![Mount { sources: vec![code.path().to_owned()], target: "/var/task".into() }];
    let running =
        booted.assign(LIMITS, mounts, b"go".to_vec()).await.map_err(|error| error.to_string()).unwrap();
    assert_eq!(ended(running).await.text(), "code /var/task\n0o100666");
}
