//! Requests to function URLs, by host name (`ID.lambda-url.REGION.DOMAIN`) or, for clients whose resolver knows no
//! such names, by path (`/_lambent/url/ID/...`).
//!
//! A URL that asks for signatures gets requests whose signature was verified, and no others; what came to one that
//! asks for none is nobody's, whatever it is signed with. Whether it may pass is for the service to decide.

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use hyper::body::{Body as _, Incoming};
use lambent_core::ids::RequestId;
use lambent_core::limits::SYNC_PAYLOAD_BYTES_MAX;
use lambent_functions::{FunctionUrl, UrlRequest, unknown_url, url_forbidden};
use lambent_wire::dispatch::function_url_id;
use lambent_wire::sigv4::{self, AuthError, Style};
use lambent_wire::{Caller, Fault, Protocol, Reply};

use super::front::{Front, Visitor, read, too_large};

const PATH_PREFIX: &str = "/_lambent/url/";

/// The service that a URL's requests are signed for.
const SIGNING_NAME: &str = "lambda";

/// Ours: what is read of a body. Twice of what a call may have, so that who sends somewhat more reads why it was
/// refused instead of a broken connection.
const BODY_BYTES_MAX: u64 = 2 * SYNC_PAYLOAD_BYTES_MAX as u64;

/// Which URL a request is for.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    id: String,
    /// What the function sees of the path.
    path: String,
    /// Present when the host named the URL.
    host: Option<String>,
}

/// The URL that a request is for, if it is for one.
pub fn asked(parts: &Parts) -> Option<Asked> {
    let path = parts.uri.path();
    if let Some(rest) = path.strip_prefix(PATH_PREFIX) {
        let (id, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        return Some(Asked { id: id.to_owned(), path: path.to_owned(), host: None });
    }
    let header = parts.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
    let host = header.or_else(|| parts.uri.authority().map(|authority| authority.as_str()))?;
    // Most requests are the API's: they cost this look.
    if !host.contains(".lambda-url.") && !host.contains(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let id = function_url_id(host.split(':').next().unwrap_or_default())?.to_owned();
    Some(Asked { id, path: path.to_owned(), host: Some(host) })
}

impl Front {
    pub(super) async fn serve_url(
        &self,
        asked: Asked,
        parts: Parts,
        body: Incoming,
        visitor: Visitor,
        request_id: &RequestId,
    ) -> Result<Reply, Fault> {
        let Some(url) = self.functions.url(&asked.id) else { return Ok(unknown_url().into()) };
        if let Some(answer) = url.preflight(&parts.method, &parts.headers) {
            return Ok(answer.into());
        }
        let taken = self.take(&url, &parts, body, visitor).await;
        let (body, caller) = match taken {
            Ok(taken) => taken,
            Err(refusal) => {
                let mut response = refusal.into_response();
                url.admit_origin(&parts.headers, response.headers_mut());
                return Ok(response.into());
            }
        };
        let request = UrlRequest {
            method: parts.method,
            path: asked.path,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            scheme: visitor.scheme,
            host: asked.host,
            source_ip: visitor.ip.to_canonical().to_string(),
            request_id: request_id.clone(),
            caller,
        };
        Ok(self.functions.call_url(&url, &request).await)
    }

    /// The body, and whose it is.
    async fn take(
        &self,
        url: &FunctionUrl,
        parts: &Parts,
        body: Incoming,
        visitor: Visitor,
    ) -> Result<(Bytes, Option<Caller>), Refusal> {
        if body.size_hint().lower() > BODY_BYTES_MAX {
            return Err(Refusal::Fault(too_large(SYNC_PAYLOAD_BYTES_MAX as u64)));
        }
        if !url.asks_for_signature() {
            if !url.lets_pass(None) {
                return Err(Refusal::Forbidden);
            }
            let _room = self.room(&body).await.map_err(Refusal::Fault)?;
            return Ok((read(body, BODY_BYTES_MAX).await.map_err(Refusal::Fault)?, None));
        }
        let claim = sigv4::parse(parts)?.ok_or(Refusal::Forbidden)?;
        if claim.service != SIGNING_NAME {
            return Err(AuthError::Invalid(format!(
                "Credential should be scoped to correct service: '{SIGNING_NAME}'."
            ))
            .into());
        }
        if claim.region != *url.region() {
            return Err(
                AuthError::Invalid("Credential should be scoped to a valid region.".to_owned()).into()
            );
        }
        let (identity, pending) = self.verify(&claim, parts, visitor.door)?;
        let _room = self.room(&body).await.map_err(Refusal::Fault)?;
        let body = read(body, BODY_BYTES_MAX).await.map_err(Refusal::Fault)?;
        let payload = pending.finish(body)?.payload;
        let caller = Caller {
            account: identity.account,
            region: claim.region,
            access_key_id: claim.access_key_id,
            principal_arn: identity.principal_arn,
        };
        Ok((payload, Some(caller)))
    }
}

/// Why a request does not come to the URL's function.
enum Refusal {
    /// There is no signature where one is asked for, or the policy lets nobody in.
    Forbidden,
    Fault(Fault),
}

impl Refusal {
    fn into_response(self) -> Response<Bytes> {
        match self {
            Self::Forbidden => url_forbidden(),
            Self::Fault(fault) => fault.into_response(Protocol::RestJson),
        }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self::Fault(error.into_fault(Style::RestJson))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str, host: &str) -> Option<(String, String, Option<String>)> {
        let request = http::Request::builder().uri(address).header("host", host).body(()).unwrap();
        let found = asked(&request.into_parts().0)?;
        Some((found.id, found.path, found.host))
    }

    #[test]
    fn a_url_is_named_by_host_or_by_path() {
        let host = "abc.lambda-url.eu-west-1.localhost:4566";
        let by_host = |path: &str| Some(("abc".to_owned(), path.to_owned(), Some(host.to_owned())));
        assert_eq!(of("/a/b?c=d", host), by_host("/a/b"));
        assert_eq!(of("/", "ABC.Lambda-URL.eu-west-1.localhost:4566"), by_host("/"));
        let by_path = |path: &str| Some(("abc".to_owned(), path.to_owned(), None));
        assert_eq!(of("/_lambent/url/abc", "localhost:4566"), by_path("/"));
        assert_eq!(of("/_lambent/url/abc/", "localhost:4566"), by_path("/"));
        assert_eq!(of("/_lambent/url/abc/d%20e?f", "localhost:4566"), by_path("/d%20e"));
        assert_eq!(of("/2015-03-31/functions", "localhost:4566"), None);
        assert_eq!(of("/_lambent/health", "localhost:4566"), None);
        assert_eq!(of("/", "LOCALHOST"), None);
    }
}
