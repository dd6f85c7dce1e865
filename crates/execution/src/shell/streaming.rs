//! An answer in pieces, put together from the two ends that know of it: the Runtime API, which hands on data, and the
//! environment, which tells what became of the call.
//!
//! Invariant: the end comes after all data that was handed on before the environment told of it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use lambent_core::ports::{Answer, InvokeRefusal, Outcome, Piece, Pieces, StreamedAnswer};
use tokio::sync::{mpsc, oneshot};

use crate::runtime_api::stream::Part;

pub type Told = oneshot::Receiver<Result<Answer, InvokeRefusal>>;

/// Waits until there is something of the answer.
pub async fn begin(mut parts: mpsc::Receiver<Part>, mut told: Told) -> Result<StreamedAnswer, InvokeRefusal> {
    let first = tokio::select! {
        biased;
        Some(part) = parts.recv() => Ok(part),
        answer = &mut told => Err(answer),
    };
    let (first, told) = match first {
        Ok(part) => (Some(part), Outlook::Waiting(told)),
        Err(answer) => (parts.try_recv().ok(), Outlook::Told(answer.map_err(|_| removed())??)),
    };
    let (content_type, held) = match first {
        Some(Part::Head { content_type }) => (Some(content_type), None),
        Some(Part::Data(data)) => (None, Some(data)),
        None => (None, None),
    };
    Ok(StreamedAnswer { content_type, pieces: Box::new(Streamed { parts, told, held }) })
}

fn removed() -> InvokeRefusal {
    InvokeRefusal::NoEnvironment { detail: "the environment was removed".to_owned() }
}

enum Outlook {
    Waiting(Told),
    Told(Answer),
    Over,
}

struct Streamed {
    parts: mpsc::Receiver<Part>,
    told: Outlook,
    held: Option<Bytes>,
}

impl Pieces for Streamed {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        if let Some(data) = self.held.take() {
            return Poll::Ready(Piece::Data(data));
        }
        // Asked before the parts are, so that none can come between the two.
        if let Outlook::Waiting(told) = &mut self.told
            && let Poll::Ready(answer) = Pin::new(told).poll(cx)
        {
            self.told = Outlook::Told(answer.unwrap_or_else(|_| Err(removed())).unwrap_or_else(cut_off));
        }
        loop {
            match self.parts.poll_recv(cx) {
                Poll::Ready(Some(Part::Data(data))) => return Poll::Ready(Piece::Data(data)),
                Poll::Ready(Some(Part::Head { .. })) => {}
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        match std::mem::replace(&mut self.told, Outlook::Over) {
            Outlook::Told(mut answer) => match answer.take_data() {
                Some(data) => {
                    self.told = Outlook::Told(answer);
                    Poll::Ready(Piece::Data(data))
                }
                None => Poll::Ready(Piece::End(answer)),
            },
            other => {
                self.told = other;
                Poll::Pending
            }
        }
    }
}

/// What is left to say when the environment goes while its answer is on the way.
fn cut_off(refusal: InvokeRefusal) -> Answer {
    let document = serde_json::json!({ "errorType": "Sandbox.Failure", "errorMessage": refusal.to_string() });
    Answer {
        outcome: Outcome::Failed(Bytes::from(document.to_string())),
        log_tail: None,
        cold: None,
        handler: Duration::ZERO,
    }
}
