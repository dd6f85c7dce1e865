//! A streamed answer as the response of a function URL.
//!
//! Status and headers can only be told before the body: so this waits for the first piece, and a function that fails
//! before it is answered as in the other mode. One that fails later has its connection broken off.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use lambent_core::limits::MIB;
use lambent_core::ports::{Outcome, Piece, Pieces, StreamedAnswer};
use lambent_wire::{CutOff, Flow, Reply};

use super::url_call::failed;
use crate::engine::url_answer::{self, Head, METADATA_TYPE, Malformed, Prelude};

/// Ours: metadata before its end. Headers of a response have far less.
const PRELUDE_BYTES_MAX: usize = MIB as usize;

/// The response. Answers once its head is known.
pub async fn reply(streamed: StreamedAnswer) -> Result<Reply, Malformed> {
    let StreamedAnswer { content_type, mut pieces } = streamed;
    let (head, first) = match content_type {
        Some(kind) if kind.starts_with(METADATA_TYPE) => {
            let Some((head, first)) = prelude(&mut *pieces).await? else { return Ok(failed().into()) };
            (head, first)
        }
        kind => {
            let first = match poll_fn(|cx| pieces.poll_piece(cx)).await {
                Piece::Data(data) => Some(data),
                Piece::End(answer) => match answer.outcome {
                    Outcome::Failed(_) => return Ok(failed().into()),
                    Outcome::Returned(_) => {
                        return Ok(Reply::Whole(Head::default().with(kind, Bytes::new())));
                    }
                },
            };
            (Head::default().of_type(kind), first)
        }
    };
    let body: Box<dyn Flow> = Box::new(Rest { first, pieces });
    let mut response = http::Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    let bytes = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().entry(CONTENT_TYPE).or_insert(bytes);
    Ok(Reply::Flowing(response))
}

/// Reads the metadata, and what of the body came with it. `None` when the function failed before.
async fn prelude(pieces: &mut dyn Pieces) -> Result<Option<(Head, Option<Bytes>)>, Malformed> {
    let mut data = BytesMut::new();
    loop {
        match poll_fn(|cx| pieces.poll_piece(cx)).await {
            Piece::Data(more) => data.extend_from_slice(&more),
            Piece::End(answer) => {
                return match answer.outcome {
                    Outcome::Failed(_) => Ok(None),
                    Outcome::Returned(_) => Err(Malformed("its metadata has no end")),
                };
            }
        }
        if let Some(Prelude { head, body_at }) = url_answer::prelude(&data)? {
            let rest = data.split_off(body_at).freeze();
            return Ok(Some((head, (!rest.is_empty()).then_some(rest))));
        }
        if data.len() > PRELUDE_BYTES_MAX {
            return Err(Malformed("its metadata is too long"));
        }
    }
}

struct Rest {
    first: Option<Bytes>,
    pieces: Box<dyn Pieces>,
}

impl Flow for Rest {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutOff>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.pieces.poll_piece(cx).map(|piece| match piece {
            Piece::Data(data) => Some(Ok(data)),
            Piece::End(answer) => match answer.outcome {
                Outcome::Returned(_) => None,
                Outcome::Failed(_) => Some(Err(CutOff)),
            },
        })
    }
}
