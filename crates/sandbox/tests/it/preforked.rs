//! A process that is made ahead becomes the program, and no other program than one that is made at the start.

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{Cell, SandboxError};

use rustix::process::Pid;

use crate::support::{Ended, LIMITS, Lab, cgroup_folders, ended, eventually, job};

/// Everything that a program can tell of what it was made as.
const SELF: &str = r"
import os, resource, signal
status = dict(line.split(':\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\t' in line)
for name in ('Name', 'Umask', 'Uid', 'Gid', 'FDSize', 'Groups', 'NStgid', 'NSsid', 'Threads', 'SigBlk', 'SigIgn', 'SigCgt',
             'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Seccomp_filters'):
    print(name, status.get(name))
print(os.getcwd(), os.getpid(), os.getppid(), os.getsid(0), os.getpriority(os.PRIO_PROCESS, 0))
print(sorted(os.listdir('/proc/self/fd')), [os.readlink('/proc/self/fd/' + str(n)).split(':')[0] for n in range(4)])
print(open('/proc/self/oom_score_adj').read(), {line.split(':')[2] for line in open('/proc/self/cgroup').read().split()})
print({name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith('RLIMIT_')})
print(sorted(os.environ.items()))
for path in ('/tmp/f', '/dev/shm/f', '/dev/f', '/f', '/var/f'):
    try:
        open(path, 'w').close()
        print(path)
    except OSError as error:
        print(path, error.errno)
print(sorted(name for name in os.listdir('/proc') if name.isdigit()))
";

async fn told(cell: Box<dyn Cell>) -> Ended {
    ended(cell.start(job(&["/usr/bin/python3", "-S", "-c", SELF], LIMITS, Vec::new())).await.unwrap()).await
}

#[tokio::test]
async fn what_was_made_ahead_is_as_confined_as_what_was_not() {
    let Some(lab) = Lab::full().await else { return };
    let (new, waited) = (lab.new_cell(Egress::Services).await, lab.cell(Egress::Services).await);
    let (new, waited) = (told(new).await, told(waited).await);
    assert!(new.text().lines().count() > 20, "{new:?}");
    assert_eq!(new.text(), waited.text());
}

#[tokio::test]
async fn what_was_made_ahead_says_why_it_can_not_become_the_program() {
    let Some(lab) = Lab::full().await else { return };
    for path in ["/nowhere", "/etc/passwd"] {
        let of = |cell: Box<dyn Cell>| async move {
            match cell.start(job(&[path], LIMITS, Vec::new())).await {
                Err(SandboxError::Program { program, errno, .. }) => (program, errno),
                other => panic!("{path}: {:?}", other.map(drop)),
            }
        };
        let new = of(lab.new_cell(Egress::None).await).await;
        assert_eq!(of(lab.cell(Egress::None).await).await, new);
        assert_eq!(new.0, path);
    }
}

#[tokio::test]
async fn what_was_made_ahead_and_has_ended_is_made_again() {
    let Some(lab) = Lab::full().await else { return };
    let cell = lab.cell(Egress::None).await;
    let mut ahead = None;
    eventually("a process waits beside init", || {
        ahead = processes(&lab).into_iter().find(|pid| is_confined(*pid));
        ahead.is_some()
    })
    .await;
    rustix::process::kill_process(ahead.unwrap(), rustix::process::Signal::KILL).unwrap();
    let running = cell.start(job(&["/bin/echo", "alive"], LIMITS, Vec::new())).await.unwrap();
    assert_eq!(ended(running).await.text(), "alive");
}

fn processes(lab: &Lab) -> Vec<Pid> {
    let lists = cgroup_folders(&lab.instance).into_iter();
    let texts = lists.filter_map(|folder| std::fs::read_to_string(folder.join("cgroup.procs")).ok());
    texts
        .flat_map(|text| text.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>())
        .collect()
}

/// Init itself stands behind no filter.
fn is_confined(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    status.is_ok_and(|status| status.lines().any(|line| line == "Seccomp:\t2"))
}
