//! The other end of Code.Location: answers with a package's bytes to whoever holds a link.

use lambent_wire::{Fault, Protocol, Response};

use crate::Functions;
use crate::code_link::LinkRefusal;

pub async fn answer(functions: &Functions, path_and_query: &str) -> Response {
    let digest = match functions.links.open(path_and_query, functions.deps.clock.now()) {
        Ok(digest) => digest,
        Err(refusal) => {
            let status = if refusal == LinkRefusal::Malformed { 404 } else { 403 };
            return Fault::new(status, "AccessDenied", refusal.to_string()).into_response(Protocol::RestJson);
        }
    };
    match functions.deps.code.zipped(&digest).await {
        Ok(Some(zip)) => {
            let mut response = Response::new(zip);
            let headers = response.headers_mut();
            headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/zip"));
            response
        }
        Ok(None) => {
            Fault::new(404, "NoSuchKey", "The package is no longer kept.").into_response(Protocol::RestJson)
        }
        Err(error) => {
            tracing::error!(%error, %digest, "a package could not be read");
            Fault::new(500, "ServiceException", "The package could not be read.")
                .into_response(Protocol::RestJson)
        }
    }
}
