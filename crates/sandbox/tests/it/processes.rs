//! Processes, users, and what is inherited.

use lambent_core::ports::sandbox::ExitHow;

use crate::support::{LIMITS, Lab, job, read_until};

#[tokio::test]
async fn only_the_sandboxs_own_processes_are_to_be_seen() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
import os
pids = sorted(int(name) for name in os.listdir('/proc') if name.isdigit())
print(pids == [os.getpid()], os.getpid() < 10)
for pid in (1, os.getppid() or 1):
    for file in ('cmdline', 'environ', 'root', 'fd'):
        if os.path.exists(f'/proc/{pid}/{file}'):
            print('SEES', pid, file)
";
    assert_eq!(lab.python(script).await.text(), "True True");
}

#[tokio::test]
async fn a_program_has_no_more_descriptors_than_it_was_given() {
    let Some(lab) = Lab::full().await else { return };
    // The listing itself opens one.
    let script = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:4], len(os.listdir('/proc/self/fd')))";
    assert_eq!(lab.python(script).await.text(), "[0, 1, 2, 3] 5");
}

#[tokio::test]
async fn the_environment_is_what_was_asked_for_and_nothing_of_the_nodes() {
    let Some(lab) = Lab::full().await else { return };
    assert_eq!(lab.run(&["/usr/bin/env"]).await.text(), "PATH=/usr/bin:/bin");
}

#[tokio::test]
async fn the_program_leads_its_session_and_starts_with_default_signals() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
import os
status = dict(line.split(':\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\t' in line)
print(os.getsid(0) == os.getpid(), status['SigBlk'], int(status['SigIgn'], 16) & ~((1 << 12) | (1 << 24)))
";
    // Python itself ignores SIGPIPE and SIGXFSZ.
    assert_eq!(lab.python(script).await.text(), "True 0000000000000000 0");
}

#[tokio::test]
async fn each_sandbox_has_a_user_id_of_its_own_on_the_host() {
    let Some(lab) = Lab::full().await else { return };
    let mut seen = Vec::new();
    let mut alive = Vec::new();
    for _ in 0..3 {
        let running =
            lab.start(&["/bin/sh", "-c", "id -u; id -g; echo up; sleep 60"], LIMITS, Vec::new()).await;
        let text = read_until(&running.output, "up").await;
        assert_eq!(text, "993\n990\nup\n");
        let init = running.environment.label();
        let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap();
        for pid in [init.as_str(), children.trim()] {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let uid = status.lines().find(|line| line.starts_with("Uid:")).unwrap().to_owned();
            let ids: Vec<u32> = uid.split_whitespace().skip(1).map(|id| id.parse().unwrap()).collect();
            assert!(ids.iter().all(|id| *id >= 0x7000_0000 && *id == ids[0]), "{uid}");
            seen.push(ids[0]);
        }
        alive.push(running);
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[tokio::test]
async fn the_way_a_program_ends_is_told() {
    let Some(lab) = Lab::full().await else { return };
    assert_eq!(lab.shell("exit 7").await.exit.how, ExitHow::Code(7));
    assert_eq!(lab.shell("kill -SEGV $$").await.exit.how, ExitHow::Signal(11));
}

#[tokio::test]
async fn a_program_that_cannot_start_is_an_error_with_the_kernels_word() {
    use lambent_core::ports::sandbox::SandboxError;
    let Some(lab) = Lab::full().await else { return };
    let errno =
        |result: Result<_, SandboxError>| match result.map(|_: lambent_core::ports::sandbox::Running| ()) {
            Err(SandboxError::Program { errno, .. }) => errno,
            other => panic!("{other:?}"),
        };
    assert_eq!(errno(lab.try_start(&["/var/task/none"], LIMITS, vec![]).await), 2);
    assert_eq!(errno(lab.try_start(&["/etc/passwd"], LIMITS, vec![]).await), 13);
    let mut nowhere = job(&["/bin/true"], LIMITS, vec![]);
    nowhere.program.cwd = "/nowhere".into();
    let cell = lab.cell(lambent_core::function::Egress::None).await;
    assert_eq!(errno(cell.start(nowhere).await), 2);
    let code = tempfile::tempdir().unwrap();
    let file = code.path().join("bootstrap");
    std::fs::write(&file, b"\x7fELFnonsense").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mounts = vec![lambent_core::ports::sandbox::Mount {
        sources: vec![code.path().to_owned()],
        target: "/var/task".into(),
    }];
    assert_eq!(errno(lab.try_start(&["/var/task/bootstrap"], LIMITS, mounts).await), 8);
}

#[tokio::test]
async fn records_written_to_descriptor_3_reach_the_node_apart_from_output() {
    let Some(lab) = Lab::full().await else { return };
    let running = lab
        .start(&["/bin/sh", "-c", "echo framed >&3; echo plain; echo error >&2; sleep 60"], LIMITS, vec![])
        .await;
    assert_eq!(read_until(&running.frames, "framed").await, "framed\n");
    let text = read_until(&running.output, "error").await;
    assert_eq!(text, "plain\nerror\n");
    running.environment.kill().await;
}
