//! DNS for sandboxes: a question is passed to the host's resolvers, and their answer back, unread.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

use super::{DNS_SERVERS_MAX, DNS_TIMEOUT};

const HEADER_BYTES: usize = 12;
/// The most that one UDP datagram can hold, and so one answer.
const ANSWER_BYTES_MAX: usize = 65_535;
/// "Server failure" (RFC 1035, 4.1.1).
const SERVER_FAILURE: u8 = 2;

/// Asks the resolvers in turn. When none answers the answer is SERVFAIL, so that the function learns of it
/// at once. `None` for what is no question at all.
pub(super) async fn answer(question: &[u8], servers: &[SocketAddr]) -> Option<Vec<u8>> {
    if question.len() < HEADER_BYTES || question[2] & 0x80 != 0 {
        return None;
    }
    for server in servers.iter().take(DNS_SERVERS_MAX) {
        match tokio::time::timeout(DNS_TIMEOUT, ask(question, *server)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver cannot be asked"),
            Err(_) => tracing::debug!(%server, "a resolver does not answer"),
        }
    }
    Some(server_failure(question))
}

async fn ask(question: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A socket for each question: connected, it takes answers from the server only, and its port is fresh.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    loop {
        answer.clear();
        socket.recv_buf(&mut answer).await?;
        let ours = answer.len() >= HEADER_BYTES && answer[..2] == question[..2] && answer[2] & 0x80 != 0;
        if ours {
            return Ok(answer);
        }
    }
}

/// The question turned into its own SERVFAIL answer.
pub(super) fn server_failure(question: &[u8]) -> Vec<u8> {
    let question_end = end_of_first_question(question);
    let mut answer = question[..question_end.unwrap_or(HEADER_BYTES)].to_vec();
    answer[2] |= 0x80;
    answer[3] = 0x80 | SERVER_FAILURE;
    let questions = u8::from(question_end.is_some());
    answer[4..12].copy_from_slice(&[0, questions, 0, 0, 0, 0, 0, 0]);
    answer
}

fn end_of_first_question(question: &[u8]) -> Option<usize> {
    let mut at = HEADER_BYTES;
    loop {
        match *question.get(at)? {
            0 => break,
            // A question has nothing before it to point back to.
            length if length & 0xc0 != 0 => return None,
            length => at += 1 + usize::from(length),
        }
    }
    let end = at + 5;
    (end <= question.len()).then_some(end)
}
