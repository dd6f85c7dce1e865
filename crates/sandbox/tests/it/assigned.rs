//! A program that was told its function after it began is confined, limited and removed as any other: one that was
//! started in its sandbox, and one that is the copy of a zygote.

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{Assignment, Booted, ExitHow, Limits, Mount, Running, Sandboxes as _};

use crate::support::{
    Ended, LIMITS, Lab, PATIENCE, cgroup_folders, ended, eventually, job, once, read_until,
};

const SMALL: Limits = Limits { memory_mb: 128, cpu_millis: 1_000, tmp_mb: 512 };

/// How a program came to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It was started in its sandbox.
    Started,
    /// A copy of its zygote came into its sandbox.
    Copied,
}

/// Runs the words that are handed over.
pub const OBEY: &str = "
import os, sys
orders = os.environ.get('_LAMBENT_ZYGOTE_FD')
if orders:
    sys.path.insert(0, '/var/client')
    from _lambent import zygote
    zygote.serve(int(orders))
print('copied, waits' if orders else 'started, waits', flush=True)
words = b''
while part := os.read(4, 65536):
    words += part
os.close(4)
exec(words.decode())
";

/// The client of Python, where the tests are built.
pub const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runtimes/python");

/// A program that waits, and that can copy itself.
pub fn obedient(limits: Limits) -> Assignment {
    let client = std::env::var_os("LAMBENT_TEST_CLIENT").unwrap_or_else(|| CLIENT.into());
    let client = Mount { sources: vec![client.into()], target: "/var/client".into() };
    job(&["/usr/bin/python3", "-S", "-B", "-c", OBEY], limits, vec![client])
}

async fn boot(lab: &Lab, way: Way, limits: Limits) -> Box<dyn Booted> {
    if way == Way::Copied {
        eventually("there is a zygote", || lab.driver.has_zygote(&obedient(limits))).await;
    }
    boot_now(lab, obedient(limits)).await
}

/// As the driver does it now.
pub async fn boot_now(lab: &Lab, job: Assignment) -> Box<dyn Booted> {
    let cell = lab.cell(Egress::Services).await;
    let booted = cell.boot(job).await;
    booted.map_err(|error| error.to_string()).unwrap()
}

async fn assign(
    lab: &Lab,
    way: Way,
    wait: Limits,
    limits: Limits,
    mounts: Vec<Mount>,
    words: &str,
) -> Running {
    let booted = boot(lab, way, wait).await;
    let running = booted.assign(limits, mounts, words.as_bytes().to_vec()).await;
    running.map_err(|error| error.to_string()).unwrap()
}

/// What the words print.
async fn obeyed(lab: &Lab, way: Way, mounts: Vec<Mount>, words: &str) -> Ended {
    let ended = ended(assign(lab, way, SMALL, LIMITS, mounts, words).await).await;
    without_greeting(way, ended)
}

fn without_greeting(way: Way, mut ended: Ended) -> Ended {
    let greeting = if way == Way::Copied { "copied, waits\n" } else { "started, waits\n" };
    if let Some(rest) = ended.output.strip_prefix(greeting) {
        ended.output = rest.to_owned();
    }
    ended
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

async fn it_has_no_privileges(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    let words = r"
status = dict(line.split(':\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\t' in line)
print([status[name].strip('0') for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')])
print(status['NoNewPrivs'], status['Seccomp'], status['Groups'].strip(), os.getuid(), os.getgid(), os.getcwd())
print(sorted(map(int, os.listdir('/proc/self/fd')))[:4], os.path.exists('/proc/self/fd/4/x'))
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.mount(b'/tmp', b'/opt', None, 4096, None), ctypes.get_errno(), libc.unshare(0x20000), ctypes.get_errno())
print(len([name for name in os.listdir('/proc') if name.isdigit()]))
";
    let ended = obeyed(&lab, way, vec![], words).await;
    assert_eq!(ended.text(), "['', '', '', '', '']\n1 2  993 990 /\n[0, 1, 2, 3] False\n-1 1 -1 1\n1");
}

async fn its_code_is_read_only_and_the_last_layer_wins(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    let (low, high) = (folder(&[("a", "low"), ("b", "low")]), folder(&[("b", "high")]));
    let code = folder(&[("f", "code")]);
    let mounts = vec![
        Mount { sources: vec![code.path().to_owned()], target: "/var/task".into() },
        Mount { sources: vec![low.path().to_owned(), high.path().to_owned()], target: "/opt".into() },
        Mount { sources: vec![code.path().to_owned()], target: "/tmp".into() },
    ];
    let words = "
for path in ('/var/task/f', '/opt/a', '/opt/b'):
    print(open(path).read())
for path in ('/var/task/x', '/opt/x', '/var/task/f', '/tmp/x', '/x'):
    try:
        open(path, 'w').write('changed')
        print('WROTE', path)
    except OSError as error:
        pass
for path in ('/var/task/f', '/opt/a'):
    try:
        os.chmod(path, 0o777)
        print('CHANGED', path)
    except OSError:
        pass
";
    // A mount over /tmp shows that it isn't landlock alone, nor the mount alone, that keeps code as it is.
    assert_eq!(obeyed(&lab, way, mounts, words).await.text(), "code\nlow\nhigh");
    assert_eq!(std::fs::read_to_string(code.path().join("f")).unwrap(), "code");
}

async fn it_writes_where_every_program_may(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    let words = "
for path in ('/tmp/x', '/dev/shm/x'):
    open(path, 'w').write('kept')
    print(open(path).read(), os.path.ismount(os.path.dirname(path)))
size = os.statvfs('/tmp')
print(0 < size.f_blocks * size.f_frsize // (1 << 20) <= 512)
";
    assert_eq!(obeyed(&lab, way, vec![], words).await.text(), "kept True\nkept True\nTrue");
}

async fn the_folders_of_its_code_are_there_and_empty_while_it_waits(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    let words = "print(os.listdir('/var/task'), os.listdir('/opt'), os.listdir('/var/runtime'))";
    assert_eq!(obeyed(&lab, way, vec![], words).await.text(), "[] [] []");
}

async fn its_memory_is_the_functions_and_not_the_waits(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    let large = Limits { memory_mb: 512, ..SMALL };
    let holds = "x = bytearray(b'x') * (250 << 20)\nprint('held')";
    let (roomy, tight) = (
        ended(assign(&lab, way, SMALL, large, vec![], holds).await).await,
        ended(assign(&lab, way, large, SMALL, vec![], holds).await).await,
    );
    assert!(!roomy.exit.out_of_memory);
    assert_eq!(without_greeting(way, roomy).text(), "held");
    assert_eq!(tight.exit.how, ExitHow::Signal(9), "{}", tight.output);
    assert!(tight.exit.out_of_memory);
}

async fn its_cpu_share_is_the_functions_and_it_can_be_frozen(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    let limits = Limits { cpu_millis: 200, ..LIMITS };
    let words = "
import time
began, used = time.monotonic(), time.process_time()
while time.monotonic() - began < 1:
    pass
print('share', (time.process_time() - used) / (time.monotonic() - began), 'end', flush=True)
number = 0
while True:
    number += 1
    if number % 100000 == 0:
        print('.', end='', flush=True)
";
    let running = assign(&lab, way, LIMITS, limits, vec![], words).await;
    let text = read_until(&running.output, "end").await;
    let share: f64 = text.split_whitespace().nth(3).unwrap().parse().unwrap();
    // A loaded machine may give less.
    assert!(share < 0.26, "{share}");
    running.environment.freeze().unwrap();
    drain(&running).await;
    // A loaded machine takes its time to freeze it.
    let running = &running;
    once("a frozen program is silent", || async move {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        drain(running).await == 0
    })
    .await;
    running.environment.thaw().unwrap();
    read_until(&running.output, ".").await;
    running.environment.kill().await;
}

/// Takes what was printed, and a little later the rest that was on its way.
async fn drain(running: &Running) -> usize {
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let mut total = 0;
    let mut part = [0; 4096];
    while let Ok(count) = rustix::io::read(&running.output, &mut part) {
        total += count;
    }
    total
}

async fn one_that_is_dropped_leaves_nothing(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    let booted = boot(&lab, way, SMALL).await;
    let own = format!("lambent-{}", lab.instance);
    let all_own = || cgroup_folders(&lab.instance).iter().all(|path| path.ends_with(&own));
    assert!(booted.is_alive() && !all_own());
    drop(booted);
    eventually("its control groups are gone", all_own).await;
    assert_eq!(lab.shell("echo on").await.text(), "on");
}

async fn mounts_that_cannot_be_had_are_an_error_and_leave_nothing(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    for target in ["/var/task", "/not/made/yet"] {
        let booted = boot(&lab, way, SMALL).await;
        let mounts = vec![
            Mount { sources: vec!["/usr/share".into()], target: "/opt".into() },
            Mount { sources: vec!["/not/there".into()], target: target.into() },
        ];
        let refused = tokio::time::timeout(PATIENCE, booted.assign(LIMITS, mounts, Vec::new())).await;
        assert!(refused.unwrap().is_err());
    }
    let own = format!("lambent-{}", lab.instance);
    eventually("the control groups are gone", || {
        cgroup_folders(&lab.instance).iter().all(|path| path.ends_with(&own))
    })
    .await;
}

async fn two_that_wait_see_nothing_of_each_other(way: Way) {
    let Some(lab) = Lab::full().await else { return };
    let code = folder(&[("secret", "of the first")]);
    let (first, second) = (boot(&lab, way, SMALL).await, boot(&lab, way, SMALL).await);
    let mounts = vec![Mount { sources: vec![code.path().to_owned()], target: "/var/task".into() }];
    let words = "open('/tmp/x', 'w').write('y'); print(os.listdir('/var/task'), flush=True); os.read(0, 1)
import time
time.sleep(60)";
    let first = first.assign(LIMITS, mounts, words.as_bytes().to_vec()).await;
    let first = first.map_err(|error| error.to_string()).unwrap();
    read_until(&first.output, "secret").await;
    let words = b"print(os.listdir('/var/task'), os.path.exists('/tmp/x'))".to_vec();
    let second = second.assign(LIMITS, vec![], words).await.map_err(|error| error.to_string()).unwrap();
    assert_eq!(without_greeting(way, ended(second).await).text(), "[] False");
    first.environment.kill().await;
}

#[tokio::test]
async fn without_namespaces_nothing_is_booted_ahead() {
    let lab = Lab::at(lambent_sandbox::Isolation::Process).await.expect("every host can do this");
    let cell = lab.cell(Egress::Services).await;
    assert!(cell.boot(job(&["/bin/true"], LIMITS, vec![])).await.is_err());
}

/// Each promise for both ways.
macro_rules! on_both_ways {
    ($($name:ident),* $(,)?) => {
        mod started {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Way::Started).await;
            })*
        }
        mod copied {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Way::Copied).await;
            })*
        }
    };
}

on_both_ways!(
    it_has_no_privileges,
    its_code_is_read_only_and_the_last_layer_wins,
    it_writes_where_every_program_may,
    the_folders_of_its_code_are_there_and_empty_while_it_waits,
    its_memory_is_the_functions_and_not_the_waits,
    its_cpu_share_is_the_functions_and_it_can_be_frozen,
    one_that_is_dropped_leaves_nothing,
    mounts_that_cannot_be_had_are_an_error_and_leave_nothing,
    two_that_wait_see_nothing_of_each_other,
);
