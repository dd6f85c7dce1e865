//! The level that protects nothing still runs programs, finds their code, and cleans up.

use std::fs;
use std::time::{Duration, Instant};

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{ExitHow, Mount};
use lambent_sandbox::Isolation;

use crate::support::{LIMITS, Lab, ended, eventually, host_processes, job, new_instance, once, read_until};

#[tokio::test]
async fn code_is_found_where_it_is_expected() {
    let lab = Lab::at(Isolation::Process).await.expect("every host can do this");
    let code = tempfile::tempdir().unwrap();
    fs::write(
        code.path().join("run"),
        "#!/bin/sh\npwd; cat $LAYER/a; echo $1; echo x > $TMPDIR/f; cat $TMPDIR/f\n",
    )
    .unwrap();
    fs::set_permissions(code.path().join("run"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let (low, high) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(low.path().join("a"), "low\n").unwrap();
    fs::write(high.path().join("a"), "high\n").unwrap();
    let mounts = vec![
        Mount { sources: vec![code.path().to_owned()], target: "/var/task".into() },
        Mount { sources: vec![low.path().to_owned(), high.path().to_owned()], target: "/opt".into() },
    ];
    let cell = lab.cell(Egress::Services).await;
    assert!(cell.runtime_api_addr().ip().is_loopback());
    assert_ne!(
        cell.runtime_api_addr().port(),
        9001,
        "the host's network is shared, so the port is a free one"
    );
    assert!(cell.services_addr().is_some());
    let mut job = job(&["/var/task/run", "word"], LIMITS, mounts);
    job.program.env.push(("LAYER".to_owned(), "/opt".to_owned()));
    job.program.cwd = "/var/task".into();
    let running = cell.start(job).await.map_err(|error| error.to_string()).unwrap();
    let ended = ended(running).await;
    assert_eq!(ended.text(), format!("{}\nhigh\nword\nx", code.path().display()));
    eventually("its scratch folder is gone", || {
        fs::read_dir(lab.run_dir.path().join("scratch")).map_or(0, Iterator::count) == 0
    })
    .await;
}

#[tokio::test]
async fn its_descendants_go_with_it_even_when_they_detach() {
    let lab = Lab::at(Isolation::Process).await.expect("every host can do this");
    let lab = &lab;
    once("a kill within a second", || async move {
        let marker = new_instance();
        let script = format!(
            "
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('daemon up', flush=True)
        time.sleep(600)
    os._exit(0)
time.sleep(600) # {marker}
"
        );
        let running = lab.start(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![]).await;
        read_until(&running.output, "daemon up").await;
        let began = Instant::now();
        running.environment.kill().await;
        let took = began.elapsed();
        assert_eq!(host_processes(&marker), Vec::<i32>::new());
        took < Duration::from_secs(1)
    })
    .await;
}

#[tokio::test]
async fn it_tells_how_a_program_ended_and_hides_the_nodes_descriptors_and_environment() {
    let lab = Lab::at(Isolation::Process).await.expect("every host can do this");
    assert_eq!(lab.shell("exit 9").await.exit.how, ExitHow::Code(9));
    let ended =
        lab.shell("ls /proc/self/fd | tr '\\n' ' '; env | grep -v TMPDIR | grep -v PWD | grep -v _=").await;
    assert_eq!(ended.text(), "0 1 2 3 4 PATH=/usr/bin:/bin");
}
