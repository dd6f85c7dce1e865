//! The way of a streamed response from the Runtime API to the caller: bounded, so that a caller who reads slowly
//! slows the function and not the node.
//!
//! Only data goes this way. What became of the call is told by the environment, as for every other call: it alone
//! knows of a crash or of the time being over.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use lambent_core::limits;
use tokio::sync::mpsc;

/// Pieces under way at one time. Each is what one read of the connection gave.
const PARTS_MAX: usize = 8;

/// How much of what is over the limit is still read, so that the client can read the refusal.
const OVERSIZE_READ_MAX: u64 = limits::MIB;

#[derive(Debug)]
pub enum Part {
    /// Comes first.
    Head {
        content_type: String,
    },
    Data(Bytes),
}

/// Where the parts of one call's response go.
#[derive(Debug, Clone)]
pub struct Sink(mpsc::Sender<Part>);

pub fn channel() -> (Sink, mpsc::Receiver<Part>) {
    let (sender, receiver) = mpsc::channel(PARTS_MAX);
    (Sink(sender), receiver)
}

/// How a streamed body came out.
pub enum Relayed {
    Whole { trailers: HeaderMap },
    TooLarge { bytes: u64 },
    BrokenOff,
}

/// Hands a body on as it comes. A caller that has gone is no reason to stop: the function runs to its end.
///
/// A client may rest between two pieces for as long as its call may last.
pub async fn relay(mut body: Incoming, content_type: String, sink: Sink) -> Relayed {
    let mut trailers = HeaderMap::new();
    let mut bytes = 0u64;
    let mut is_heard = sink.0.send(Part::Head { content_type }).await.is_ok();
    loop {
        let frame = match body.frame().await {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Relayed::BrokenOff,
            None if bytes > limits::STREAM_PAYLOAD_BYTES_MAX => return Relayed::TooLarge { bytes },
            None => return Relayed::Whole { trailers },
        };
        match frame.into_data() {
            Ok(data) => {
                bytes += data.len() as u64;
                if bytes > limits::STREAM_PAYLOAD_BYTES_MAX + OVERSIZE_READ_MAX {
                    return Relayed::TooLarge { bytes };
                }
                let is_within = bytes <= limits::STREAM_PAYLOAD_BYTES_MAX;
                if is_heard && is_within && !data.is_empty() {
                    is_heard = sink.0.send(Part::Data(data)).await.is_ok();
                }
            }
            Err(frame) => {
                if let Ok(map) = frame.into_trailers() {
                    trailers = map;
                }
            }
        }
    }
}
