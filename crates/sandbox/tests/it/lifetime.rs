//! Nothing stays: after a kill, after a crash of any part, after many sandboxes.

use std::path::Path;
use std::time::{Duration, Instant};

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{ExitHow, Sandboxes as _, Shape};
use lambent_sandbox::{Driver, Isolation};

use crate::support::{
    LIMITS, Lab, cgroup_folders, config, eventually, host_processes, job, new_instance, once, read_until,
    spawner,
};

/// Starts a daemon that has left its parent's session, and tells its marker.
fn daemon(marker: &str) -> String {
    format!(
        "
import os, time, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('daemon up', flush=True)
        time.sleep(600)
    os._exit(0)
time.sleep(600) # {marker}
"
    )
}

#[tokio::test]
async fn everything_is_gone_within_a_second_of_a_kill() {
    let Some(lab) = Lab::full().await else { return };
    let lab = &lab;
    once("a kill within a second", || async move {
        let marker = new_instance();
        let script = daemon(&marker);
        let running = lab.start(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![]).await;
        read_until(&running.output, "daemon up").await;
        assert!(!host_processes(&marker).is_empty());
        let own = format!("lambent-{}", lab.instance);
        assert!(!cgroup_folders(&lab.instance).iter().all(|path| path.ends_with(&own)));
        let began = Instant::now();
        running.environment.kill().await;
        let took = began.elapsed();
        assert_eq!(host_processes(&marker), Vec::<i32>::new());
        assert_eq!(running.environment.exited().await.how, ExitHow::Signal(9));
        assert_only_own_folders(lab);
        running.environment.kill().await;
        took < Duration::from_secs(1)
    })
    .await;
}

#[track_caller]
fn assert_only_own_folders(lab: &Lab) {
    let own = format!("lambent-{}", lab.instance);
    let others: Vec<_> =
        cgroup_folders(&lab.instance).into_iter().filter(|path| !path.ends_with(&own)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn a_daemon_ends_with_its_program() {
    let Some(lab) = Lab::full().await else { return };
    let marker = new_instance();
    let script = format!(
        "
import os, time
if os.fork() == 0:
    os.setsid()
    print('daemon up', flush=True)
    time.sleep(600) # {marker}
time.sleep(0.1)
os._exit(0)
"
    );
    let running = lab.start(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![]).await;
    assert_eq!(running.environment.exited().await.how, ExitHow::Code(0));
    eventually("the daemon ends", || host_processes(&marker).is_empty()).await;
}

#[tokio::test]
async fn a_dropped_handle_or_cell_removes_its_sandbox() {
    let Some(lab) = Lab::full().await else { return };
    let marker = new_instance();
    let script = daemon(&marker);
    let running = lab.start(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![]).await;
    read_until(&running.output, "daemon up").await;
    let cell = lab.cell(Egress::None).await;
    drop(running);
    drop(cell);
    let own = format!("lambent-{}", lab.instance);
    eventually("the sandboxes are gone", || {
        host_processes(&marker).is_empty()
            && cgroup_folders(&lab.instance).iter().all(|path| path.ends_with(&own))
    })
    .await;
}

#[tokio::test]
async fn a_killed_spawner_takes_its_sandboxes_along_and_is_replaced() {
    let Some(lab) = Lab::full().await else { return };
    let marker = new_instance();
    let script = daemon(&marker);
    let running = lab.start(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![]).await;
    read_until(&running.output, "daemon up").await;
    let init = running.environment.label();
    let status = std::fs::read_to_string(format!("/proc/{init}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    let parent = rustix::process::Pid::from_raw(parent).unwrap();
    rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
    assert_eq!(running.environment.exited().await.how, ExitHow::Signal(9));
    eventually("the processes are gone", || host_processes(&marker).is_empty()).await;
    running.environment.kill().await;
    assert_only_own_folders(&lab);
    assert_eq!(lab.shell("echo again").await.text(), "again");
}

#[tokio::test]
async fn a_stopped_driver_leaves_nothing() {
    let Some(lab) = Lab::full().await else { return };
    let marker = new_instance();
    let script = daemon(&marker);
    let running = lab.start(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![]).await;
    read_until(&running.output, "daemon up").await;
    let _cell = lab.cell(Egress::None).await;
    lab.driver.stop().await;
    assert_eq!(host_processes(&marker), Vec::<i32>::new());
    assert_eq!(cgroup_folders(&lab.instance), Vec::<std::path::PathBuf>::new());
    assert_eq!(std::fs::read_dir(lab.run_dir.path()).unwrap().count(), 0);
    assert!(lab.driver.prepare(Shape { egress: Egress::None }).await.is_err());
}

/// Not a test of its own: the node that the next test kills.
#[tokio::test]
async fn as_a_node_that_will_be_killed() {
    let Ok(task) = std::env::var("LAMBENT_TEST_NODE") else { return };
    let [instance, run_dir, marker]: [&str; 3] =
        task.split('|').collect::<Vec<_>>().try_into().expect("three parts");
    let driver = Driver::start(config(instance, Isolation::Full, Path::new(run_dir))).await.unwrap();
    let script = daemon(marker);
    let mut keep = Vec::new();
    for frozen in [false, true] {
        let cell = driver.prepare(Shape { egress: Egress::Services }).await.unwrap();
        let job = job(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![]);
        let running = cell.start(job).await.map_err(|error| error.to_string()).unwrap();
        read_until(&running.output, "daemon up").await;
        if frozen {
            running.environment.freeze().unwrap();
        }
        keep.push(running);
    }
    keep.truncate(2);
    println!("NODE UP");
    std::future::pending::<()>().await;
}

fn start_node(instance: &str, run_dir: &Path, marker: &str) -> std::process::Child {
    use std::io::BufRead as _;
    let mut node = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifetime::as_a_node_that_will_be_killed", "--nocapture"])
        .env("LAMBENT_TEST_NODE", format!("{instance}|{}|{marker}", run_dir.display()))
        .env("LAMBENT_TEST_SPAWNER", spawner())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(node.stdout.take().unwrap()).lines();
    let up = lines.map_while(Result::ok).any(|line| line.contains("NODE UP"));
    assert!(up, "the node ended early");
    node
}

#[tokio::test]
async fn a_killed_node_leaves_nothing() {
    if Lab::full().await.is_none() {
        return;
    }
    once("an end within two seconds", || async {
        let (instance, marker) = (new_instance(), new_instance());
        let run_dir = tempfile::tempdir().unwrap();
        let mut node = start_node(&instance, run_dir.path(), &marker);
        assert!(host_processes(&marker).len() >= 2);
        node.kill().unwrap();
        node.wait().unwrap();
        let began = Instant::now();
        eventually("nothing is left", || {
            host_processes(&marker).is_empty()
                && cgroup_folders(&instance).is_empty()
                && std::fs::read_dir(run_dir.path()).unwrap().count() == 0
        })
        .await;
        began.elapsed() < Duration::from_secs(2)
    })
    .await;
}

#[tokio::test]
async fn what_a_node_and_its_spawner_left_is_swept_by_the_next_one() {
    if Lab::full().await.is_none() {
        return;
    }
    let (instance, marker) = (new_instance(), new_instance());
    let run_dir = tempfile::tempdir().unwrap();
    let mut node = start_node(&instance, run_dir.path(), &marker);
    // The spawner is the node's only child.
    let children = std::fs::read_dir(format!("/proc/{}/task", node.id()))
        .unwrap()
        .filter_map(Result::ok)
        .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let spawner: i32 = children.collect::<String>().trim().parse().unwrap();
    let spawner = rustix::process::Pid::from_raw(spawner).unwrap();
    // The node first, so that it can't clean up after its spawner.
    rustix::process::kill_process(spawner, rustix::process::Signal::STOP).unwrap();
    node.kill().unwrap();
    node.wait().unwrap();
    rustix::process::kill_process(spawner, rustix::process::Signal::KILL).unwrap();
    eventually("the processes are gone", || host_processes(&marker).is_empty()).await;
    assert!(!cgroup_folders(&instance).is_empty(), "this time nobody removed the folders");
    let driver = Driver::start(config(&instance, Isolation::Full, run_dir.path())).await.unwrap();
    let own = format!("lambent-{instance}");
    let left: Vec<_> = cgroup_folders(&instance).into_iter().filter(|path| !path.ends_with(&own)).collect();
    assert!(left.is_empty(), "{left:?}");
    driver.stop().await;
    assert!(cgroup_folders(&instance).is_empty());
}

#[tokio::test]
async fn two_hundred_sandboxes_one_after_the_other_leak_nothing() {
    let Some(lab) = Lab::full().await else { return };
    // The first few fill the stocks.
    for _ in 0..8 {
        lab.run(&["/bin/true"]).await;
    }
    let init = lab.start(&["/bin/sleep", "60"], LIMITS, vec![]).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", init.environment.label())).unwrap();
    let spawner: String =
        status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().to_owned();
    let count = |pid: &str| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap().lines().count();
        (fds, mounts)
    };
    let spawner_before = count(&spawner);
    for _ in 0..200 {
        let ended = lab.run(&["/bin/true"]).await;
        assert_eq!(ended.exit.how, ExitHow::Code(0));
    }
    eventually("the spawner's descriptors and mounts are as before", || {
        let (fds, mounts) = count(&spawner);
        fds <= spawner_before.0 + 4 && mounts == spawner_before.1
    })
    .await;
    init.environment.kill().await;
    assert_only_own_folders(&lab);
    eventually("only the maker of network namespaces is left below the spawner", || {
        let children = std::fs::read_to_string(format!("/proc/{spawner}/task/{spawner}/children")).unwrap();
        children.split_whitespace().count() == 1
    })
    .await;
}

#[tokio::test]
async fn many_sandboxes_at_once_work() {
    let Some(lab) = Lab::full().await else { return };
    let runs = (0..20).map(|number| {
        let lab = &lab;
        async move {
            let ended = lab.shell(&format!("echo {number}")).await;
            assert_eq!(ended.text(), number.to_string());
        }
    });
    let mut set = Vec::new();
    for run in runs {
        set.push(run);
    }
    futures_join(set).await;
    assert_only_own_folders(&lab);
}

/// Runs futures at once; there is no crate for it here.
async fn futures_join<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
