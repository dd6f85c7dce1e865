//! SnapStart's part of the Runtime API: our own client sends the image of its init, or why there is none; a restored
//! one tells what went wrong. And the endpoint from which functions with SnapStart have their credentials: what an init
//! read into memory would be another environment's, and expire.

use std::io;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::Signal;
use super::server::{Body, accepted, not_found, plain, read_body};

/// As the reference has it, on the Runtime API's address.
pub const CREDENTIALS_PATH: &str = "/2021-04-23/credentials";

/// Of a reason that is told to people.
const REASON_BYTES_MAX: usize = 4 * 1024;

/// Pieces of an image on their way to the disk.
const PIECES_MAX: usize = 16;

/// How long a client may take for a piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);

/// A piece of an image; one without an end is none.
pub enum Part {
    Data(Bytes),
    End,
}

/// Takes an image as it comes. Blocks.
pub type KeepImage = Box<dyn FnOnce(mpsc::Receiver<Part>) -> io::Result<()> + Send>;

/// Credentials for whoever shows the token.
pub struct Credentials {
    pub token: String,
    pub document: Bytes,
}

#[derive(Default)]
pub struct Snapshots {
    /// Emptied by the one time that it is used.
    keep: Mutex<Option<KeepImage>>,
    credentials: OnceLock<Credentials>,
}

impl Snapshots {
    pub fn on_image(&self, keep: KeepImage) {
        *self.keep.lock().expect("no code panics while it holds this lock") = Some(keep);
    }

    pub fn give_credentials(&self, credentials: Credentials) {
        let _ = self.credentials.set(credentials);
    }

    /// An image: taken once of an environment that is asked for one.
    pub async fn image(&self, request: Request<Incoming>) -> (Response<Full<Bytes>>, Option<Signal>) {
        let keep = self.keep.lock().expect("no code panics while it holds this lock").take();
        let Some(keep) = keep else { return (not_found(), None) };
        let (pieces, receiver) = mpsc::channel(PIECES_MAX);
        let writer = tokio::task::spawn_blocking(move || keep(receiver));
        let mut body = request.into_body();
        let is_whole = loop {
            match tokio::time::timeout(PIECE_TIMEOUT, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if pieces.send(Part::Data(data)).await.is_err() {
                        break false;
                    }
                }
                Ok(None) => break pieces.send(Part::End).await.is_ok(),
                Ok(Some(Err(_))) | Err(_) => break false,
            }
        };
        drop(pieces);
        let kept = writer.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let signal = match kept {
            Ok(()) if is_whole => Signal::SnapshotTaken,
            Ok(()) => Signal::SnapshotRefused { reason: "the snapshot broke off".to_owned() },
            Err(error) => {
                Signal::SnapshotRefused { reason: format!("the snapshot could not be kept: {error}") }
            }
        };
        (accepted(), Some(signal))
    }

    /// A reason in plain text, handed on as `signal`.
    pub async fn reason(
        request: Request<Incoming>,
        signal: impl FnOnce(String) -> Signal,
    ) -> (Response<Full<Bytes>>, Option<Signal>) {
        let text = match read_body(request.into_body(), REASON_BYTES_MAX).await {
            Some(Body::Whole { data, .. }) => String::from_utf8_lossy(&data).into_owned(),
            Some(Body::TooLarge { .. }) => "for a reason that is too long to be told".to_owned(),
            None => return (plain(StatusCode::BAD_REQUEST, "InvalidRequest", "The body ended early"), None),
        };
        (accepted(), Some(signal(text)))
    }

    pub fn credentials(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let Some(credentials) = self.credentials.get() else { return not_found() };
        let shown = request.headers().get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
        if shown != Some(credentials.token.as_bytes()) {
            return plain(StatusCode::FORBIDDEN, "AccessDenied", "The token is not this environment's");
        }
        let mut response = Response::new(Full::new(credentials.document.clone()));
        let text = http::HeaderValue::from_static;
        response.headers_mut().insert(http::header::CONTENT_TYPE, text("application/json"));
        // SDKs would keep the connection, and an init with an open connection has no snapshot.
        response.headers_mut().insert(http::header::CONNECTION, text("close"));
        response
    }
}
