use super::*;

/// What the kernel would do with a call.
fn run(code: &[libc::sock_filter], architecture: u32, number: u32, arguments: [u32; 3]) -> (u32, usize) {
    let word = |offset: u32| match offset {
        NUMBER => number,
        ARCHITECTURE => architecture,
        other => arguments[((other - 16) / 8) as usize],
    };
    let (mut at, mut accumulator, mut steps) = (0, 0_u32, 0);
    loop {
        let line = code[at];
        steps += 1;
        at += 1;
        let jump = |taken: bool| usize::from(if taken { line.jt } else { line.jf });
        match line.code {
            0x20 => accumulator = word(line.k),
            0x54 => accumulator &= line.k,
            0x05 => at += line.k as usize,
            0x15 => at += jump(accumulator == line.k),
            0x35 => at += jump(accumulator >= line.k),
            0x45 => at += jump(accumulator & line.k != 0),
            0x06 => return (line.k, steps),
            other => panic!("unknown code {other:#x}"),
        }
    }
}

fn answer(number: i64, arguments: [u32; 3]) -> u32 {
    run(&filter(), OWN_ARCHITECTURE, number as u32, arguments).0
}

const EPERM: u32 = refuse(libc::EPERM);
const ENOSYS: u32 = refuse(libc::ENOSYS);

#[test]
fn ordinary_calls_pass() {
    for number in
        [libc::SYS_read, libc::SYS_openat, libc::SYS_execve, libc::SYS_futex, libc::SYS_connect, 462]
    {
        assert_eq!(answer(number, [0; 3]), ALLOW, "call {number}");
    }
}

#[test]
fn calls_that_reach_out_are_forbidden() {
    for number in [
        libc::SYS_mount,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_ptrace,
        libc::SYS_bpf,
        libc::SYS_keyctl,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_open_by_handle_at,
    ] {
        assert_eq!(answer(number, [0; 3]), EPERM, "call {number}");
    }
}

#[test]
fn calls_that_are_not_listed_do_not_exist() {
    for number in [libc::SYS_clone3, 463, 5_000, 0x4000_0000, 0x4000_0001, 0xffff_ffff] {
        assert_eq!(answer(number, [0; 3]), ENOSYS, "call {number}");
    }
}

#[test]
fn another_architecture_ends_the_process() {
    let (action, _) = run(&filter(), 0x4000_0003, 11, [0; 3]);
    assert_eq!(action, KILL);
}

#[test]
fn threads_and_processes_are_made_but_not_namespaces() {
    assert_eq!(answer(libc::SYS_clone, [libc::SIGCHLD as u32, 0, 0]), ALLOW);
    assert_eq!(answer(libc::SYS_clone, [(libc::CLONE_VM | libc::CLONE_THREAD) as u32, 0, 0]), ALLOW);
    for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWNS, libc::CLONE_NEWCGROUP] {
        assert_eq!(answer(libc::SYS_clone, [flag as u32, 0, 0]), EPERM);
    }
}

#[test]
fn sockets_are_local_or_internet_ones() {
    let socket = |family: i32, kind: i32, protocol: i32| {
        answer(libc::SYS_socket, [family as u32, kind as u32, protocol as u32])
    };
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    assert_eq!(socket(libc::AF_UNIX, libc::SOCK_STREAM | flags, 0), ALLOW);
    assert_eq!(socket(libc::AF_INET, libc::SOCK_STREAM, 0), ALLOW);
    assert_eq!(socket(libc::AF_INET6, libc::SOCK_DGRAM | flags, 0), ALLOW);
    assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE), ALLOW);
    assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT), EPERM);
    assert_eq!(socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP), EPERM);
    for family in [libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK, libc::AF_XDP, libc::AF_BLUETOOTH] {
        assert_eq!(socket(family, libc::SOCK_DGRAM, 0), refuse(libc::EAFNOSUPPORT));
    }
}

#[test]
fn the_personality_may_be_asked_for_but_not_changed() {
    assert_eq!(answer(libc::SYS_personality, [PERSONALITY_QUERY, 0, 0]), ALLOW);
    assert_eq!(answer(libc::SYS_personality, [0x0004_0000, 0, 0]), EPERM);
}

#[test]
fn every_call_is_decided_in_a_few_steps_as_the_table_says() {
    let code = filter();
    assert!(code.len() < 400, "{} instructions", code.len());
    let ranges = ranges();
    for number in 0..700_u32 {
        let rule = ranges.iter().rev().find(|(from, _)| *from <= number).expect("the first starts at 0").1;
        let (action, steps) = run(&code, OWN_ARCHITECTURE, number, [0; 3]);
        assert!(steps <= 24, "call {number} takes {steps} steps");
        match rule {
            Rule::Allow => assert_eq!(action, ALLOW, "call {number}"),
            Rule::Refuse => assert_eq!(action, EPERM, "call {number}"),
            Rule::Unknown => assert_eq!(action, ENOSYS, "call {number}"),
            _ => {}
        }
    }
}
