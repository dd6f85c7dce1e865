//! The flow table, with time told.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::egress::flows::{Ends, Flows, Route};
use crate::egress::warnings::Warnings;
use crate::egress::{HANDSHAKE_TIMEOUT, TCP_FLOWS_MAX, TCP_LINGER, TCP_LINGERING_MAX, WARNING_INTERVAL};

fn ends(port: u16) -> Ends {
    Ends {
        application: SocketAddr::from(([10, 255, 255, 2], port)),
        destination: SocketAddr::from(([192, 0, 2, 1], 443)),
    }
}

#[test]
fn a_flow_passes_through_its_stages() {
    let (mut flows, now) = (Flows::default(), Instant::now());
    assert_eq!(flows.outward(ends(1), true, now), Route::Unknown);
    let port = flows.open(ends(1), b"syn".to_vec(), now).unwrap();
    assert_eq!(flows.outward(ends(1), true, now), Route::Wait);
    assert_eq!(flows.accepted(port), None, "the remote has not answered yet");
    assert_eq!(flows.connected(port, "upstream", now), Some((ends(1), b"syn".to_vec())));
    assert_eq!(flows.outward(ends(1), true, now), Route::Forward(port));
    assert_eq!(flows.inward(port, now), Some(ends(1)));
    assert_eq!(flows.accepted(port), Some("upstream"));
    assert_eq!(flows.accepted(port), None, "a second connection from the same port is nobody's");
    flows.ended(port, now);
    assert_eq!(flows.live_count(), 0);
    assert_eq!(flows.outward(ends(1), false, now), Route::Forward(port), "late packets still pass");
    flows.sweep(now + TCP_LINGER);
    assert!(flows.is_empty());
}

#[test]
fn a_refused_flow_gives_back_its_syn_and_is_forgotten() {
    let (mut flows, now) = (Flows::<()>::default(), Instant::now());
    let port = flows.open(ends(1), b"syn".to_vec(), now).unwrap();
    assert_eq!(flows.failed(port), Some(b"syn".to_vec()));
    assert!(flows.is_empty());
    assert_eq!(flows.live_count(), 0);
}

#[test]
fn a_sandbox_has_no_more_flows_than_the_limit() {
    let (mut flows, now) = (Flows::<()>::default(), Instant::now());
    let ports: Vec<_> =
        (0..TCP_FLOWS_MAX as u16).map(|i| flows.open(ends(i), vec![], now).unwrap()).collect();
    assert_eq!(flows.open(ends(9_999), vec![], now), None);
    flows.failed(ports[7]);
    assert!(flows.open(ends(9_999), vec![], now).is_some());
}

#[test]
fn a_handshake_that_is_never_finished_is_forgotten() {
    let (mut flows, now) = (Flows::default(), Instant::now());
    let port = flows.open(ends(1), vec![], now).unwrap();
    flows.connected(port, (), now);
    flows.sweep(now + HANDSHAKE_TIMEOUT - Duration::from_millis(1));
    assert_eq!(flows.live_count(), 1);
    flows.sweep(now + HANDSHAKE_TIMEOUT);
    assert!(flows.is_empty());
}

#[test]
fn the_same_ends_may_be_used_again_after_a_flow_has_ended() {
    let (mut flows, now) = (Flows::default(), Instant::now());
    let first = flows.open(ends(1), vec![], now).unwrap();
    flows.connected(first, (), now);
    flows.accepted(first);
    flows.ended(first, now);
    assert_eq!(flows.outward(ends(1), true, now), Route::Unknown);
    let second = flows.open(ends(1), vec![], now).unwrap();
    assert_ne!(first, second, "the gate's kernel still remembers the first connection");
    assert_eq!(flows.inward(first, now), None);
    assert_eq!(flows.live_count(), 1);
}

#[test]
fn lingering_flows_are_bounded_and_ports_are_never_shared() {
    let (mut flows, now) = (Flows::default(), Instant::now());
    let held = flows.open(ends(1), vec![], now).unwrap();
    for round in 0..70_000_u32 {
        let ends = ends(2 + (round % 60_000) as u16);
        flows.outward(ends, true, now);
        let port = flows.open(ends, vec![], now).unwrap();
        assert_ne!(port, held);
        flows.connected(port, (), now);
        flows.accepted(port);
        flows.ended(port, now);
        assert!(flows.known_count() <= TCP_LINGERING_MAX + 1);
    }
    assert_eq!(flows.live_count(), 1);
}

#[test]
fn a_sandbox_at_its_limit_warns_once_a_minute_and_counts_the_rest() {
    let (mut warnings, began) = (Warnings::default(), Instant::now());
    assert_eq!(warnings.raise(began), Some(1));
    assert_eq!(warnings.raise(began + Duration::from_secs(1)), None);
    assert_eq!(warnings.raise(began + WARNING_INTERVAL), Some(2));
    assert_eq!(warnings.raise(began + WARNING_INTERVAL), None);
}
