//! Bodies of answers: whole ones, which cost nothing more than their bytes, and those that are sent as they are made.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};
use lambent_wire::{CutOff, Flow, Reply};

pub enum Body {
    Whole(Full<Bytes>),
    Flowing(Box<dyn Flow>),
}

/// The reply as the server sends it.
pub fn response(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Whole(response) => response.map(|bytes| Body::Whole(Full::new(bytes))),
        Reply::Flowing(response) => response.map(Body::Flowing),
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Flowing(flow) => flow.poll_bytes(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Flowing(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Flowing(_) => SizeHint::default(),
        }
    }
}
