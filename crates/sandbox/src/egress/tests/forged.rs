//! Packets that no honest kernel would send, given to the NAT by hand. Needs no privilege.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use crate::egress::packet::{self, ACK, RST, SYN, Transport};
use crate::egress::{Device, Policy, serve};

use super::support::{datagram, random, segment};

/// The NAT with its device's other end in our hand: a socket pair keeps packets apart as a TUN device does.
fn bench() -> (UnixDatagram, tokio::task::JoinHandle<()>) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let policy = Arc::new(Policy::fixed(vec![], vec![]));
    (ours, serve(Device { tun: theirs.into(), gate: gate.into() }, policy))
}

fn sandbox() -> SocketAddr {
    SocketAddr::from(([10, 255, 255, 2], 40_000))
}

fn is_reset(socket: &UnixDatagram, from: SocketAddr) -> bool {
    let mut answer = [0; 2_000];
    let length = socket.recv(&mut answer).unwrap();
    let header = packet::parse(&answer[..length]).expect("the answer is TCP");
    assert_eq!((header.source, header.destination), (from, sandbox()));
    matches!(header.transport, Transport::Tcp { flags, .. } if flags & RST != 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_packet_to_the_hosts_loopback_is_reset_and_reaches_nobody() {
    let (tun, nat) = bench();
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    service.set_nonblocking(true).unwrap();
    let port = service.local_addr().unwrap().port();
    for address in [[127, 0, 0, 1], [127, 9, 9, 9], [0, 0, 0, 0], [169, 254, 169, 254], [10, 255, 255, 2]] {
        let target = SocketAddr::from((address, port));
        tun.send(&segment(sandbox(), target, SYN, 1, 0)).unwrap();
        assert!(is_reset(&tun, target));
    }
    assert_eq!(service.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    nat.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_the_host_that_the_policy_does_not_know_is_refused_by_its_route() {
    // An empty list of own addresses stands for an address that was added a moment ago.
    let own = crate::egress::host::addresses();
    let Some(address) = own.into_iter().find(|address| {
        !address.is_loopback() && address.is_ipv4() && !address.to_string().starts_with("169.254.")
    }) else {
        eprintln!("SKIPPED: this host has no address besides its loopback");
        return;
    };
    let (tun, nat) = bench();
    let service = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    service.set_nonblocking(true).unwrap();
    let target = SocketAddr::new(address, service.local_addr().unwrap().port());
    tun.send(&segment(sandbox(), target, SYN, 1, 0)).unwrap();
    assert!(is_reset(&tun, target));
    assert_eq!(service.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    nat.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_neither_stops_the_nat_nor_leaves_it() {
    let (tun, nat) = bench();
    let mut seed = 7;
    let whole = segment(sandbox(), SocketAddr::from(([127, 0, 0, 1], 9)), SYN, 1, 40);
    for length in 0..whole.len() {
        tun.send(&whole[..length]).unwrap();
    }
    for _ in 0..20_000 {
        // Kept on loopback and the like, so that the test never speaks to a network: the first bytes vary.
        let mut packet = whole.clone();
        for _ in 0..1 + random(&mut seed) % 4 {
            let at = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35]
                [(random(&mut seed) % 24) as usize];
            packet[at] = random(&mut seed) as u8;
        }
        packet.truncate((random(&mut seed) % 90) as usize);
        tun.send(&packet).unwrap();
        drain(&tun);
    }
    tun.send(&datagram(sandbox(), SocketAddr::from(([10, 255, 255, 1], 53)), b"short")).unwrap();
    drain(&tun);
    let target = SocketAddr::from(([127, 0, 0, 1], 9));
    tun.send(&segment(sandbox(), target, ACK, 1, 0)).unwrap();
    // Answers to the garbage may still come before this one's.
    loop {
        let mut answer = [0; 2_000];
        let length = tun.recv(&mut answer).unwrap();
        let reset = packet::parse(&answer[..length]).filter(|header| header.source == target);
        if reset.is_some_and(|header| matches!(header.transport, Transport::Tcp { flags: RST, .. })) {
            break;
        }
    }
    assert!(!nat.is_finished());
    nat.abort();
}

fn drain(tun: &UnixDatagram) {
    tun.set_nonblocking(true).unwrap();
    let mut answer = [0; 2_000];
    while tun.recv(&mut answer).is_ok() {}
    tun.set_nonblocking(false).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_without_a_resolver_is_answered_with_servfail() {
    let (tun, nat) = bench();
    let gateway = SocketAddr::from(([10, 255, 255, 1], 53));
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
    tun.send(&datagram(sandbox(), gateway, question)).unwrap();
    let mut answer = [0; 200];
    let length = tun.recv(&mut answer).unwrap();
    let header = packet::parse(&answer[..length]).unwrap();
    assert_eq!((header.source, header.destination), (gateway, sandbox()));
    assert_eq!(answer[header.payload][..4], [0x12, 0x34, 0x81, 0x82]);
    nat.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_with_a_foreign_source_is_ignored() {
    let (tun, nat) = bench();
    let target = SocketAddr::from(([127, 0, 0, 1], 9));
    tun.send(&segment(SocketAddr::from(([10, 0, 0, 7], 40_000)), target, SYN, 1, 0)).unwrap();
    tun.send(&segment(sandbox(), target, SYN, 1, 0)).unwrap();
    assert!(is_reset(&tun, target), "the first answer is to the second packet");
    nat.abort();
}
