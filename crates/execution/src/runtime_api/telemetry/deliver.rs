//! Brings batches to a subscriber inside the sandbox, over a socket that belongs to the sandbox's network.
//!
//! One task a subscriber. It waits for an answer as long as its environment lives, which may be frozen meanwhile;
//! what its subscriber doesn't take in time is dropped by the [`super::batch::Batcher`], and harms nobody else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambent_core::ports::sandbox::Environment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::Subscriber;
use super::subscription::Destination;

/// How often a batch is tried, and the first pause between tries; each following one is twice as long.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// What is read of an answer, of which only the status counts.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

pub async fn deliver(subscriber: Arc<Subscriber>, environment: Arc<dyn Environment>) {
    let mut connection = None;
    loop {
        let due_in = subscriber.lock().batcher.due_in(Instant::now());
        match due_in {
            None => subscriber.news.notified().await,
            Some(Duration::ZERO) => {
                let batch = subscriber.take_batch();
                let failed =
                    send(&subscriber.subscription.destination, &environment, &mut connection, &batch).await;
                subscriber.delivered(failed.is_err().then_some(&batch));
            }
            Some(left) => {
                // Whatever comes meanwhile may make it due.
                let _ = tokio::time::timeout(left, subscriber.news.notified()).await;
            }
        }
    }
}

async fn send(
    destination: &Destination,
    environment: &Arc<dyn Environment>,
    connection: &mut Option<TcpStream>,
    batch: &[Bytes],
) -> io::Result<()> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let sent = match destination {
            Destination::Http { host, port, path } => post(environment, host, *port, path, batch).await,
            Destination::Tcp { port } => write(environment, connection, *port, batch).await,
        };
        match sent {
            Ok(()) => return Ok(()),
            Err(error) if attempt == TRIES => return Err(error),
            Err(_) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
    Ok(())
}

async fn connect(environment: &Arc<dyn Environment>, port: u16) -> io::Result<TcpStream> {
    let socket = environment.socket().await?;
    let socket = TcpSocket::from_std_stream(socket.into());
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// One request on a connection of its own.
async fn post(
    environment: &Arc<dyn Environment>,
    host: &str,
    port: u16,
    path: &str,
    batch: &[Bytes],
) -> io::Result<()> {
    let mut stream = connect(environment, port).await?;
    let mut body = Vec::with_capacity(batch.iter().map(|event| event.len() + 1).sum::<usize>() + 2);
    for (number, event) in batch.iter().enumerate() {
        body.push(if number == 0 { b'[' } else { b',' });
        body.extend_from_slice(event);
    }
    body.push(b']');
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    let mut answer = Vec::new();
    let mut part = [0u8; 1024];
    while !answer.contains(&b'\n') && answer.len() < ANSWER_BYTES_MAX {
        match stream.read(&mut part).await? {
            0 => break,
            count => answer.extend_from_slice(&part[..count]),
        }
    }
    // "HTTP/1.1 200 OK"
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if status.first() == Some(&b'2') { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A line for each event, on a connection that is kept.
async fn write(
    environment: &Arc<dyn Environment>,
    connection: &mut Option<TcpStream>,
    port: u16,
    batch: &[Bytes],
) -> io::Result<()> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => connect(environment, port).await?,
    };
    let mut lines = Vec::new();
    for event in batch {
        lines.extend_from_slice(event);
        lines.push(b'\n');
    }
    stream.write_all(&lines).await?;
    *connection = Some(stream);
    Ok(())
}
