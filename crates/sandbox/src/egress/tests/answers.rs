//! Packets that are written and re-addressed keep true checksums; DNS answers are formed by the rules.

use std::net::{IpAddr, SocketAddr};

use crate::egress::answer::{self, Unreachable};
use crate::egress::dns;
use crate::egress::packet::{self, ACK, RST, SYN, Sum, Transport};

use super::support::segment;

fn ends(v4: bool) -> (SocketAddr, SocketAddr) {
    if v4 {
        ("10.255.255.2:40000".parse().unwrap(), "198.18.7.9:443".parse().unwrap())
    } else {
        ("[fd00:6c61:6d62::2]:40000".parse().unwrap(), "[2001:db8::9]:443".parse().unwrap())
    }
}

/// Sums a packet as its receiver does; zero is true.
fn check(packet: &[u8]) -> (u16, u16) {
    let v4 = packet[0] >> 4 == 4;
    let (start, protocol) = if v4 { (20, packet[9]) } else { (40, packet[6]) };
    let mut outer = Sum::default();
    let mut inner = Sum::default();
    if v4 {
        outer.add_bytes(&packet[..20]);
    } else {
        outer.add_word(0xffff);
    }
    if protocol != 1 {
        let addresses = if v4 { &packet[12..20] } else { &packet[8..40] };
        inner.add_bytes(addresses);
        inner.add_word(u16::from(protocol));
        inner.add_word((packet.len() - start) as u16);
    }
    inner.add_bytes(&packet[start..]);
    (outer.finish(), inner.finish())
}

#[test]
fn a_readdressed_packet_keeps_true_checksums() {
    for v4 in [true, false] {
        let (source, destination) = ends(v4);
        for (length, port) in [(0, 1), (1, 0xffff), (1_399, 1_024), (60_000, 40_000)] {
            let mut packet = segment(source, destination, SYN, 77, length);
            assert_eq!(check(&packet), (0, 0));
            let header = packet::parse(&packet).unwrap();
            let gateway: IpAddr = if v4 { [10, 255, 255, 1].into() } else { "fd00::1".parse().unwrap() };
            let from = SocketAddr::new(gateway, port);
            let to = SocketAddr::new(source.ip(), 1);
            assert!(packet::readdress(&mut packet, &header, from, to));
            assert_eq!(check(&packet), (0, 0));
            let changed = packet::parse(&packet).unwrap();
            assert_eq!((changed.source, changed.destination), (from, to));
            assert_eq!((changed.transport, changed.payload), (header.transport, header.payload));
        }
    }
}

#[test]
fn a_packet_is_not_given_ends_of_another_family() {
    let (source, destination) = ends(true);
    let mut packet = segment(source, destination, SYN, 1, 0);
    let before = packet.clone();
    let header = packet::parse(&packet).unwrap();
    let (from, to) = ends(false);
    assert!(!packet::readdress(&mut packet, &header, from, to));
    assert_eq!(packet, before);
}

#[test]
fn a_reset_answers_as_the_standard_says() {
    for v4 in [true, false] {
        let (source, destination) = ends(v4);
        let opening = packet::parse(&segment(source, destination, SYN, u32::MAX, 0)).unwrap();
        let reset = answer::reset(&opening).unwrap();
        assert_eq!(check(&reset), (0, 0));
        let reset = packet::parse(&reset).unwrap();
        assert_eq!((reset.source, reset.destination), (destination, source));
        assert_eq!(reset.transport, Transport::Tcp { flags: RST | ACK, sequence: 0, acknowledgment: 0 });

        let late = packet::parse(&segment(source, destination, ACK, 5, 3)).unwrap();
        let reset = packet::parse(&answer::reset(&late).unwrap()).unwrap();
        assert_eq!(reset.transport, Transport::Tcp { flags: RST, sequence: 0, acknowledgment: 0 });

        let reset = packet::parse(&segment(source, destination, RST, 5, 0)).unwrap();
        assert_eq!(answer::reset(&reset), None, "a reset is never answered");
    }
}

#[test]
fn an_icmp_error_quotes_the_packet_that_it_answers() {
    for v4 in [true, false] {
        let (source, destination) = ends(v4);
        let original = segment(source, destination, SYN, 9, 1_000);
        let header = packet::parse(&original).unwrap();
        let error = answer::unreachable(&original, &header, Unreachable::Prohibited).unwrap();
        assert_eq!(check(&error), (0, 0));
        let start = if v4 { 20 } else { 40 };
        assert_eq!(error[start..start + 2], if v4 { [3, 13] } else { [1, 1] });
        assert_eq!(error[start + 8..], original[..80]);
    }
}

#[test]
fn a_datagram_may_be_of_any_length_that_udp_has() {
    for v4 in [true, false] {
        let (source, destination) = ends(v4);
        let room = answer::datagram_header_bytes(source);
        for length in [0, 1, 1_473, 65_507] {
            let mut packet = vec![7; room + length];
            assert!(answer::seal_datagram(&mut packet, source, destination));
            assert_eq!(check(&packet), (0, 0));
            let header = packet::parse(&packet).unwrap();
            assert_eq!((header.source, header.destination), (source, destination));
            assert_eq!(header.payload, room..room + length);
        }
        assert!(!answer::seal_datagram(&mut vec![7; 66_000], source, destination));
        assert!(!answer::seal_datagram(&mut [7; 3], source, destination));
    }
}

#[test]
fn a_failed_question_is_answered_with_servfail() {
    let mut question = vec![0xab, 0xcd, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
    question.extend_from_slice(b"\x07example\x03com\x00\x00\x01\x00\x01");
    let end = question.len();
    question.extend_from_slice(b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00");
    let answer = dns::server_failure(&question);
    assert_eq!(answer[..12], [0xab, 0xcd, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(answer[12..], question[12..end]);
    for cut in 12..end {
        assert_eq!(dns::server_failure(&question[..cut]).len(), 12, "a torn question is not repeated");
    }
}
