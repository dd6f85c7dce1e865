//! InvokeWithResponseStream: as Invoke, with the answer as a stream of events while the function makes it.
//!
//! Every accepted call is answered with 200: a function's failure is told in the last event, `InvokeComplete`.

use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use lambent_core::ports::{Answer, Outcome, Piece, Pieces};
use lambent_wire::event_stream::Message;
use lambent_wire::{CutOff, Flow, Reply};
use serde_json::{Map, Value};

use super::invoke::{self, EXECUTED_VERSION, REFUSED_TENANT};
use super::{Call, empty, target};
use crate::Functions;
use crate::error::Error;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

/// The error code of every failure of a function.
const UNHANDLED: &str = "Unhandled";

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Reply, Error> {
    let target = target::read_from_anyone(&call)?;
    let input = invoke::read(call.request, &["RequestResponse", "DryRun"], &[REFUSED_TENANT])?;
    invoke::authorise(functions, &call, &target)?;
    let (record, found) = invoke::find_invocable(functions, &target).await?;
    if input.is_dry_run {
        return Ok(empty(204).into());
    }
    let work = invoke::work(functions, call.request, input);
    let executed = found.version.version.to_string();
    let invocation = invoke::invocation(functions, &target, &record, &found, work)?;
    let streamed = functions.deps.invoke.invoke_streaming(invocation).await.map_err(invoke::refused)?;
    let events: Box<dyn Flow> = Box::new(Events { pieces: streamed.pieces, is_over: false });
    let mut response = http::Response::new(events);
    response.headers_mut().insert(http::header::CONTENT_TYPE, EVENT_STREAM);
    if let Ok(executed) = HeaderValue::from_str(&executed) {
        response.headers_mut().insert(EXECUTED_VERSION, executed);
    }
    Ok(Reply::Flowing(response))
}

struct Events {
    pieces: Box<dyn Pieces>,
    is_over: bool,
}

impl Flow for Events {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutOff>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.pieces.poll_piece(cx).map(|piece| {
            let message = match piece {
                Piece::Data(data) => Message::event("PayloadChunk", "application/octet-stream", data),
                Piece::End(answer) => {
                    self.is_over = true;
                    Message::event("InvokeComplete", "application/json", complete(&answer))
                }
            };
            // A piece is what one read gave, or an answer within the synchronous limit: far below a message's.
            Some(message.encode().map_err(|_| CutOff))
        })
    }
}

fn complete(answer: &Answer) -> Bytes {
    let mut members = Map::new();
    if let Outcome::Failed(document) = &answer.outcome {
        let details = String::from_utf8_lossy(document).into_owned();
        members.insert("ErrorCode".to_owned(), UNHANDLED.into());
        members.insert("ErrorDetails".to_owned(), details.into());
    }
    if let Some(tail) = &answer.log_tail {
        members.insert("LogResult".to_owned(), STANDARD.encode(tail).into());
    }
    Bytes::from(Value::Object(members).to_string())
}
