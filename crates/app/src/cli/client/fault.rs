//! A service's error answer, as a failure with hints.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{Credentials, Origin};
use crate::cli::failure::Failure;

/// Reads the code from the header or the body, and the message in either spelling.
pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], credentials: &Credentials) -> Failure {
    let document: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let code = header.or_else(|| text("__type")).or_else(|| text("code")).unwrap_or("");
    // `namespace#Code:http://...` is how some services decorate it.
    let code = code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code);
    let message = text("message").or_else(|| text("Message")).map(str::to_owned).unwrap_or_else(|| {
        let start: String = String::from_utf8_lossy(body).chars().take(200).collect();
        format!("the endpoint answered with status {status} {start}").trim_end().to_owned()
    });
    if code.is_empty() {
        return Failure::service(status.as_u16().to_string(), message).hint("is this a Lambent node?");
    }
    let failure = Failure::service(code, message);
    match hint(code, credentials) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(code: &str, credentials: &Credentials) -> Option<String> {
    Some(match code {
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationTokenException" => match &credentials.origin {
            Origin::Environment => "the key is from AWS_ACCESS_KEY_ID; `lambent env --data DIR`, with these \
                                    variables unset, prints the node's own"
                .to_owned(),
            Origin::KeyFile(path) => {
                format!("the key is from {}: is it this node's directory?", path.display())
            }
            Origin::Test => "no key file was found; name the node's data directory with --data".to_owned(),
        },
        "RequestExpired" | "RequestTimeTooSkewed" => {
            "compare this machine's clock with the node's".to_owned()
        }
        "TooManyRequestsException" => "too many calls at once; try again, or raise the limit".to_owned(),
        _ => return None,
    })
}
