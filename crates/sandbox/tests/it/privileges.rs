//! What a program may not do, whoever it says it is.

use lambent_core::ports::sandbox::Mount;

use crate::support::{LIMITS, Lab};

#[tokio::test]
async fn a_program_has_no_capabilities_and_can_gain_none() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
status = dict(line.split(':\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\t' in line)
print([status[name].strip('0') for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')])
print(status['NoNewPrivs'], status['Seccomp'], status['Groups'].strip())
";
    assert_eq!(lab.python(script).await.text(), "['', '', '', '', '']\n1 2");
}

#[tokio::test]
async fn calls_that_reach_out_of_the_sandbox_are_refused() {
    let Some(lab) = Lab::full().await else { return };
    if cfg!(not(target_arch = "x86_64")) {
        eprintln!("NOT EXERCISED: the call numbers of this test are x86-64's");
        return;
    }
    let script = r"
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    return errno.errorcode.get(ctypes.get_errno(), 'ok') if result == -1 else 'ok'
forbidden = dict(mount=165, umount2=166, pivot_root=155, chroot=161, unshare=272, setns=308, ptrace=101, bpf=321,
    keyctl=250, add_key=248, request_key=249, perf_event_open=298, userfaultfd=323, io_uring_setup=425,
    process_vm_readv=310, process_vm_writev=311, kcmp=312, pidfd_getfd=438, open_by_handle_at=304,
    name_to_handle_at=303, init_module=175, finit_module=313, delete_module=176, kexec_load=246, reboot=169,
    swapon=167, acct=163, quotactl=179, syslog=103, open_tree=428, move_mount=429, fsopen=430, mount_setattr=442,
    settimeofday=164, sethostname=170, iopl=172, ioperm=173, fanotify_init=300)
for name, number in forbidden.items():
    result = call(number, 0, 0, 0, 0, 0, 0)
    if result != 'EPERM':
        print('NOT FORBIDDEN', name, result)
print(call(435, 0, 0), call(135, 0x0040000), call(135, 0xffffffff))
print([call(56, flag | 17, 0, 0, 0, 0) for flag in (0x20000, 0x10000000, 0x20000000, 0x40000000, 0x2000000)])
";
    let ended = lab.python(script).await;
    assert_eq!(ended.text(), "ENOSYS EPERM ok\n['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM']");
}

#[tokio::test]
async fn sockets_are_local_or_internet_ones() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
import socket, errno
def attempt(*arguments):
    try:
        socket.socket(*arguments).close()
        return 'ok'
    except OSError as error:
        return errno.errorcode[error.errno]
print(attempt(socket.AF_INET, socket.SOCK_STREAM), attempt(socket.AF_UNIX), attempt(socket.AF_INET6))
print(attempt(socket.AF_NETLINK, socket.SOCK_RAW, 0), attempt(socket.AF_NETLINK, socket.SOCK_RAW, 9))
print(attempt(socket.AF_INET, socket.SOCK_RAW, 1), attempt(socket.AF_PACKET, socket.SOCK_RAW),
      attempt(socket.AF_ALG, socket.SOCK_SEQPACKET), attempt(socket.AF_VSOCK, socket.SOCK_STREAM))
print(len(socket.getaddrinfo('127.0.0.1', 80)) > 0, socket.if_nameindex())
";
    let ended = lab.python(script).await;
    assert_eq!(
        ended.text(),
        "ok ok ok\nok EPERM\nEPERM EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT\nTrue [(1, 'lo')]"
    );
}

#[tokio::test]
async fn programs_that_grant_privileges_grant_none() {
    let Some(lab) = Lab::full().await else { return };
    let code = tempfile::tempdir().unwrap();
    let copy = code.path().join("id");
    std::fs::copy("/usr/bin/id", &copy).unwrap();
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o6755)).unwrap();
    let mounts = vec![Mount { sources: vec![code.path().to_owned()], target: "/var/task".into() }];
    let ended = lab.run_with(&["/var/task/id", "-u"], LIMITS, mounts).await;
    assert_eq!(ended.text(), "993");
    let script = r"
import os
for change in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0),
               lambda: os.setuid(65534), lambda: os.chown('/tmp', 0, 0), lambda: os.mknod('/tmp/d', 0o60600, 0x700)):
    try:
        change()
        print('WORKED')
    except OSError:
        pass
print(os.getuid(), os.geteuid())
";
    assert_eq!(lab.python(script).await.text(), "993 993");
}

#[tokio::test]
async fn a_program_cannot_touch_the_first_process() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
import os, signal
for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
    try:
        os.kill(1, number)
    except OSError:
        pass
try:
    os.kill(-1, signal.SIGTERM)
except OSError:
    pass
print('alive')
";
    // It can't reach itself with -1 either.
    assert_eq!(lab.python(script).await.text(), "alive");
}
