//! Carries what one extension writes into its function's log.

use std::os::fd::OwnedFd;

use bytes::BytesMut;
use tokio::net::unix::pipe::Receiver;

use super::log_pump::{LogPump, READ_BYTES, take_line, text};

/// Lives until the extension and all that it started have closed their output. Reads only as fast as the log takes.
pub async fn carry(output: OwnedFd, pump: LogPump) {
    let Ok(receiver) = Receiver::from_owned_fd(output) else { return };
    let mut rest = BytesMut::new();
    let mut chunk = vec![0u8; READ_BYTES];
    loop {
        if receiver.readable().await.is_err() {
            break;
        }
        match receiver.try_read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => rest.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        }
        let mut lines = Vec::new();
        while let Some(line) = take_line(&mut rest) {
            lines.push(text(&line));
        }
        pump.extension(lines).await;
    }
    if !rest.is_empty() {
        pump.extension(vec![text(&rest)]).await;
    }
}
