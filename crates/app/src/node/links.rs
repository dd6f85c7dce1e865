//! What endpoints of topics ask for without a signature: the certificate, and the links in what they were sent.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, header};
use lambent_core::ids::RequestId;
use lambent_wire::Fault;
use lambent_wire::Protocol;

use super::front::Front;

/// The operations that a link may ask for.
const OPERATIONS: [&str; 2] = ["ConfirmSubscription", "Unsubscribe"];

/// The query of such a link.
pub fn asked(parts: &Parts) -> Option<Vec<(String, String)>> {
    let is_plain = parts.method == Method::GET && parts.uri.path() == "/";
    if !is_plain || parts.headers.contains_key(header::AUTHORIZATION) {
        return None;
    }
    let decode = |text: &str| lambent_wire::percent::decode_query_part(text).ok();
    let pairs: Option<Vec<(String, String)>> = parts
        .uri
        .query()?
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect();
    let pairs = pairs?;
    let is_signed = pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-amz-signature"));
    let is_link = pairs.iter().any(|(name, value)| name == "Action" && OPERATIONS.contains(&value.as_str()));
    (is_link && !is_signed).then_some(pairs)
}

impl Front {
    /// The answer to a request of this kind.
    pub(super) async fn link(&self, parts: &Parts, request_id: &RequestId) -> Option<Response<Bytes>> {
        if parts.method == Method::GET && parts.uri.path() == self.notifications.certificate_path {
            return Some(match self.notifications.signer.certificate().await {
                Some(pem) => {
                    let mut response = Response::new(Bytes::from(pem));
                    let kind = HeaderValue::from_static("application/x-pem-file");
                    response.headers_mut().insert(header::CONTENT_TYPE, kind);
                    response
                }
                None => Fault::new(
                    503,
                    "ServiceUnavailable",
                    "There is no key that notifications are signed with",
                )
                .into_response(Protocol::Query),
            });
        }
        Some(self.notifications.topics.handle_link(&asked(parts)?, request_id).await)
    }
}
