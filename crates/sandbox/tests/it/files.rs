//! The file tree inside.

use lambent_core::ports::sandbox::Mount;

use crate::support::{LIMITS, Lab};

#[tokio::test]
async fn system_folders_and_code_cannot_be_written() {
    let Some(lab) = Lab::full().await else { return };
    let code = tempfile::tempdir().unwrap();
    std::fs::write(code.path().join("app.py"), "original").unwrap();
    let mounts = vec![Mount { sources: vec![code.path().to_owned()], target: "/var/task".into() }];
    let script = r"
import os
for path in ['/usr/x', '/etc/x', '/x', '/var/task/x', '/var/task/app.py', '/opt/x', '/var/x', '/dev/x', '/bin/x',
             '/proc/sys/kernel/hostname', '/usr/bin/env']:
    try:
        open(path, 'w').write('changed')
        print('WROTE', path)
    except OSError as error:
        pass
for path in ['/var/task/app.py', '/usr/bin/env', '/etc/passwd', '/dev/null']:
    for change in (os.unlink, lambda p: os.chmod(p, 0o777), lambda p: os.rename(p, '/tmp/y')):
        try:
            change(path)
            print('CHANGED', path)
        except OSError:
            pass
print(open('/var/task/app.py').read())
";
    let ended = lab.run_with(&["/usr/bin/python3", "-S", "-c", script], LIMITS, mounts).await;
    assert_eq!(ended.text(), "original");
    assert_eq!(std::fs::read_to_string(code.path().join("app.py")).unwrap(), "original");
}

#[tokio::test]
async fn nothing_of_the_hosts_own_is_to_be_seen() {
    let Some(lab) = Lab::full().await else { return };
    let secret = tempfile::NamedTempFile::new().unwrap();
    let secret = secret.path().to_str().unwrap();
    let script = format!(
        r"
import os
for path in ['/etc/shadow', '/etc/hostname', '/root', '/home', '/sys', '/etc/ssh', '/etc/ssl/private', '/run',
             '/var/run', '/var/lib', '/boot', '/dev/vda', '/dev/kmsg', '/dev/mem', '/dev/loop0', '{secret}']:
    if os.path.exists(path):
        print('SEES', path)
print(sorted(os.listdir('/dev')))
print(open('/etc/passwd').read().count('\n'), os.uname().nodename)
"
    );
    let ended = lab.python(&script).await;
    assert_eq!(
        ended.text(),
        "['fd', 'full', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']\n2 sandbox"
    );
}

#[tokio::test]
async fn the_harmless_devices_work() {
    let Some(lab) = Lab::full().await else { return };
    let ended = lab
        .shell("echo lost > /dev/null; head -c 8 /dev/urandom | wc -c; head -c 4 /dev/zero | wc -c; echo err > /dev/stderr")
        .await;
    assert_eq!(ended.text(), "8\n4\nerr");
}

#[tokio::test]
async fn the_temporary_folder_is_bounded_and_private() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
import os, errno
size = os.statvfs('/tmp')
print(size.f_blocks * size.f_frsize // (1 << 20) <= 512, os.listdir('/tmp') in ([], ['lost+found']))
written = 0
try:
    with open('/tmp/big', 'wb', buffering=0) as file:
        block = b'x' * (1 << 20)
        while written < 600:
            file.write(block)
            written += 1
except OSError as error:
    print(errno.errorcode[error.errno], written <= 512)
";
    let ended = lab.python(script).await;
    assert_eq!(ended.text(), "True True\nENOSPC True", "{ended:?}");
    let second = lab.shell("ls /tmp | grep -v lost+found | wc -l").await;
    assert_eq!(second.text(), "0");
}

#[tokio::test]
async fn what_the_temporary_folder_holds_is_no_memory() {
    let Some(lab) = Lab::full().await else { return };
    if !lab.has_volumes() {
        eprintln!("NOT EXERCISED on this host: /tmp on a volume");
        return;
    }
    let limits = lambent_core::ports::sandbox::Limits { memory_mb: 128, ..LIMITS };
    let script = "
with open('/tmp/big', 'wb') as file:
    for _ in range(300):
        file.write(b'x' * (1 << 20))
print('fits')
";
    let ended = lab.run_with(&["/usr/bin/python3", "-S", "-c", script], limits, Vec::new()).await;
    assert_eq!(ended.text(), "fits");
    assert!(!ended.exit.out_of_memory);
}

#[tokio::test]
async fn links_in_code_do_not_lead_mounts_astray() {
    let Some(lab) = Lab::full().await else { return };
    let code = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/usr", code.path().join("lib")).unwrap();
    let mounts = vec![
        Mount { sources: vec![code.path().to_owned()], target: "/var/task".into() },
        Mount { sources: vec!["/etc".into()], target: "/var/task/lib".into() },
    ];
    let refused = lab.try_start(&["/bin/true"], LIMITS, mounts).await;
    assert!(refused.is_err());
}
