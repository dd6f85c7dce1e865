//! The same promises for a node that an ordinary user runs, as far as such a user can keep them.
//!
//! When the tests run as root, this file's one test copies the test binary and its helper to where everybody may read
//! them, and runs the others again as an ordinary user.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{Mount, Sandboxes as _};
use lambent_sandbox::{Isolation, examine_host};

use crate::assigned::{CLIENT, obedient};
use crate::support::{
    LIMITS, Lab, ended, eventually, host_processes, job, new_instance, read_until, spawner,
};

/// Nobody's: no account, no groups, no sub-ids.
const USER: u32 = 61_234;

#[test]
fn the_promises_of_an_ordinary_users_node_hold() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let (tests, helper) = (folder.path().join("tests"), folder.path().join("spawner"));
    std::fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    std::fs::copy(spawner(), &helper).unwrap();
    let client = folder.path().join("client");
    let copied = Command::new("/bin/cp").args(["-rL", CLIENT]).arg(&client).status();
    assert!(copied.unwrap().success());
    let output = Command::new(&tests)
        .args(["rootless::as_an_ordinary_user", "--nocapture", "--test-threads=1"])
        .env("LAMBENT_TEST_SPAWNER", &helper)
        .env("LAMBENT_TEST_CLIENT", &client)
        .env("LAMBENT_TEST_ROOTLESS", "1")
        .env("TMPDIR", folder.path())
        .current_dir("/")
        .uid(USER)
        .gid(USER)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    eprintln!("{told}");
    assert!(output.status.success());
    assert!(told.contains("6 passed"), "all of them ran");
}

async fn lab() -> Option<Lab> {
    std::env::var_os("LAMBENT_TEST_ROOTLESS")?;
    assert!(!rustix::process::geteuid().is_root());
    if examine_host().highest == Isolation::Process {
        eprintln!("NOT EXERCISED on this host: sandboxes of ordinary users: {:?}", examine_host());
        return None;
    }
    Lab::at(Isolation::Namespaces).await
}

#[tokio::test]
async fn as_an_ordinary_user_code_is_mounted_read_only_and_the_host_is_hidden() {
    let Some(lab) = lab().await else { return };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(one.path().join("a"), "one").unwrap();
    std::fs::write(two.path().join("b"), "two").unwrap();
    let mounts = vec![
        Mount { sources: vec![one.path().to_owned()], target: "/var/task".into() },
        Mount { sources: vec![one.path().to_owned(), two.path().to_owned()], target: "/opt".into() },
    ];
    let script = "id -u; cat /var/task/a /opt/a /opt/b; echo; touch /var/task/x /opt/x /usr/x /x 2>/dev/null; \
                  ls /etc/shadow /home /root /run 2>/dev/null; echo t > /tmp/t && cat /tmp/t; ls /proc | grep -c '^1$'";
    let running = lab.start(&["/bin/sh", "-c", &format!("{script}; exit 0")], LIMITS, mounts).await;
    let ended = ended(running).await;
    let mut lines = ended.text().lines();
    assert_eq!(lines.next(), Some("993"));
    assert_eq!(lines.next(), Some("oneonetwo"));
    assert_eq!(lines.next(), Some("t"));
    assert!(!one.path().join("x").exists());
}

#[tokio::test]
async fn as_an_ordinary_user_a_program_has_no_privileges() {
    let Some(lab) = lab().await else { return };
    let script = r"
import os
status = dict(line.split(':\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\t' in line)
print([status[name].strip('0') for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')])
print(status['NoNewPrivs'], status['Seccomp'])
for pid in (1,):
    try:
        os.kill(pid, 9)
    except OSError:
        pass
for file in ('environ', 'mem', 'fd', 'root'):
    try:
        path = f'/proc/1/{file}'
        os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1)
        print('READ', file)
    except OSError:
        pass
print('alive')
";
    assert_eq!(lab.python(script).await.text(), "['', '', '', '', '']\n1 2\nalive");
}

#[tokio::test]
async fn as_an_ordinary_user_the_network_is_closed() {
    let Some(lab) = lab().await else { return };
    let script = r"
import socket, errno
for host, port in (('127.0.0.1', 9001), ('127.0.0.1', 22), ('8.8.8.8', 53)):
    try:
        socket.create_connection((host, port), timeout=5)
        print('ok')
    except OSError as error:
        print(errno.errorcode.get(error.errno))
";
    let cell = lab.cell(Egress::None).await;
    let running = cell.start(job(&["/usr/bin/python3", "-S", "-c", script], LIMITS, vec![])).await;
    let running = running.map_err(|error| error.to_string()).unwrap();
    let _keep = running.runtime_api.try_clone().unwrap();
    assert_eq!(ended(running).await.text(), "ok\nECONNREFUSED\nENETUNREACH");
}

#[tokio::test]
async fn as_an_ordinary_user_a_frozen_program_stands_still() {
    let Some(lab) = lab().await else { return };
    let script = "i=0; while :; do i=$((i+1)); echo $i; done";
    let running = lab.start(&["/bin/sh", "-c", script], LIMITS, vec![]).await;
    read_until(&running.output, "\n100\n").await;
    running.environment.freeze().unwrap();
    // Empties the pipe until nothing comes any more.
    let mut quiet = 0;
    while quiet < 20 {
        let mut part = [0; 65536];
        match rustix::io::read(&running.output, &mut part) {
            Ok(_) => quiet = 0,
            Err(_) => quiet += 1,
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    running.environment.thaw().unwrap();
    read_until(&running.output, "\n").await;
    running.environment.kill().await;
}

#[tokio::test]
async fn as_an_ordinary_user_everything_goes_with_the_program_or_the_spawner() {
    let Some(lab) = lab().await else { return };
    let marker = new_instance();
    let script = format!("(setsid sleep 600 &) ; echo up; sleep 600 # {marker}");
    for kill_spawner in [false, true] {
        let running = lab.start(&["/bin/sh", "-c", &script], LIMITS, vec![]).await;
        read_until(&running.output, "up").await;
        assert!(!host_processes(&marker).is_empty());
        if kill_spawner {
            let status =
                std::fs::read_to_string(format!("/proc/{}/status", running.environment.label())).unwrap();
            let parent =
                status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
            let parent = rustix::process::Pid::from_raw(parent).unwrap();
            rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
            running.environment.exited().await;
        } else {
            running.environment.kill().await;
        }
        eventually("the processes are gone", || host_processes(&marker).is_empty()).await;
    }
    lab.driver.stop().await;
    assert_eq!(std::fs::read_dir(lab.run_dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn as_an_ordinary_user_a_runtime_is_copied_or_started_and_none_is_left() {
    let Some(lab) = lab().await else { return };
    let mut job = obedient(LIMITS);
    job.program.argv.push(lab.instance.clone());
    // Whether this user's spawner may enter its sandboxes is the kernel's to say; an answer there is in any case.
    let zygote = async { eventually("a zygote", || lab.driver.has_zygote(&job)).await };
    let copies = tokio::time::timeout(std::time::Duration::from_secs(5), zygote).await.is_ok();
    for _ in 0..2 {
        let booted = lab.cell(Egress::Services).await.boot(job.clone()).await;
        let booted = booted.map_err(|error| error.to_string()).unwrap();
        let running = booted.assign(LIMITS, vec![], b"print(os.getuid(), os.getppid())".to_vec()).await;
        let ended = ended(running.map_err(|error| error.to_string()).unwrap()).await;
        let how = if ended.text().starts_with("copied") { "copied" } else { "started" };
        eprintln!("a zygote: {copies}; {how}");
        assert_eq!(ended.text(), format!("{how}, waits\n993 1"));
    }
    lab.driver.stop().await;
    eventually("the zygote is gone", || host_processes(&lab.instance).is_empty()).await;
}
