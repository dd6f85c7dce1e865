//! The system call filter of every program.
//!
//! An allow-list: what is not named is unknown to the program (`ENOSYS`), what is named and refused is forbidden
//! (`EPERM`). The kernel evaluates a filter for each call number when it is installed, and again for each call, so the
//! program is a search tree over ranges of numbers: about eight comparisons for any call.
//!
//! `table` says what is allowed, `assembler` makes the kernel's code of it.

mod assembler;
mod table;

#[cfg(test)]
mod tests;

use assembler::{Assembler, Label};
use table::{Rule, ranges};

/// Offsets in the kernel's `seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

#[cfg(target_arch = "x86_64")]
const OWN_ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OWN_ARCHITECTURE: u32 = 0xc000_00b7;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

const fn refuse(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// Flags of `clone` that make namespaces.
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// The bits of a socket's type that aren't flags.
const SOCKET_TYPE_MASK: u32 = 0xf;

/// Asks `personality` for the current value.
const PERSONALITY_QUERY: u32 = 0xffff_ffff;

/// The filter's code.
pub fn filter() -> Vec<libc::sock_filter> {
    let mut code = Assembler::new();
    let own = code.label();
    code.load(ARCHITECTURE);
    code.jump_if_equal(OWN_ARCHITECTURE, own);
    // Another architecture's call numbers mean other calls.
    code.answer(KILL);
    code.place(own);
    code.load(NUMBER);
    search(&mut code, &ranges());
    code.finish()
}

/// A balanced search over ranges that follow each other without gaps: the accumulator holds the call's number.
fn search(code: &mut Assembler, ranges: &[(u32, Rule)]) {
    match ranges {
        [] => code.answer(refuse(libc::ENOSYS)),
        [(_, rule)] => decide(code, *rule),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let upper = code.label();
            code.jump_if_at_least(high[0].0, upper);
            search(code, low);
            code.place(upper);
            search(code, high);
        }
    }
}

fn decide(code: &mut Assembler, rule: Rule) {
    match rule {
        Rule::Allow => code.answer(ALLOW),
        Rule::Refuse => code.answer(refuse(libc::EPERM)),
        Rule::Unknown => code.answer(refuse(libc::ENOSYS)),
        Rule::Clone => {
            let refused = code.label();
            code.load(argument(0));
            code.jump_if_any_bit(NAMESPACE_FLAGS, refused);
            code.answer(ALLOW);
            code.place(refused);
            code.answer(refuse(libc::EPERM));
        }
        Rule::Socket => decide_socket(code),
        Rule::SocketPair => allow_if_one_of(code, 0, &[libc::AF_UNIX as u32], libc::EAFNOSUPPORT),
        Rule::Personality => allow_if_one_of(code, 0, &[0, PERSONALITY_QUERY], libc::EPERM),
        Rule::Ioctl => {
            let refused = code.label();
            code.load(argument(1));
            // Typing into somebody else's terminal.
            code.jump_if_equal(libc::TIOCSTI as u32, refused);
            code.jump_if_equal(libc::TIOCLINUX as u32, refused);
            code.answer(ALLOW);
            code.place(refused);
            code.answer(refuse(libc::EPERM));
        }
    }
}

fn allow_if_one_of(code: &mut Assembler, index: u32, values: &[u32], errno: i32) {
    let allowed = code.label();
    code.load(argument(index));
    for value in values {
        code.jump_if_equal(*value, allowed);
    }
    code.answer(refuse(errno));
    code.place(allowed);
    code.answer(ALLOW);
}

/// Local and internet sockets, streams and datagrams; and netlink's routing family, through which the C library
/// lists addresses.
fn decide_socket(code: &mut Assembler) {
    let (plain, netlink, allowed): (Label, Label, Label) = (code.label(), code.label(), code.label());
    code.load(argument(0));
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        code.jump_if_equal(family as u32, plain);
    }
    code.jump_if_equal(libc::AF_NETLINK as u32, netlink);
    code.answer(refuse(libc::EAFNOSUPPORT));
    code.place(netlink);
    code.load(argument(2));
    code.jump_if_equal(libc::NETLINK_ROUTE as u32, allowed);
    code.answer(refuse(libc::EPERM));
    code.place(plain);
    code.load(argument(1));
    code.mask(SOCKET_TYPE_MASK);
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        code.jump_if_equal(kind as u32, allowed);
    }
    code.answer(refuse(libc::EPERM));
    code.place(allowed);
    code.answer(ALLOW);
}
