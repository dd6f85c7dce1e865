//! A collector of spans on the command line: its address, and headers for it.

use http::{HeaderName, HeaderValue, Uri};

/// An `http://` or `https://` address.
pub fn endpoint(text: &str) -> Result<String, String> {
    let address: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let is_http = matches!(address.scheme_str(), Some("http" | "https"));
    if !is_http || address.host().is_none_or(str::is_empty) {
        return Err("an address such as http://localhost:4318".to_owned());
    }
    Ok(text.to_owned())
}

/// `NAME=VALUE`; the name in lower case.
pub fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE")?;
    let name: HeaderName = name.trim().parse().map_err(|_| format!("{name:?} is no header's name"))?;
    HeaderValue::from_str(value)
        .map_err(|_| "the value has characters that no header may have".to_owned())?;
    if matches!(
        name.as_str(),
        "host" | "content-type" | "content-length" | "transfer-encoding" | "connection"
    ) {
        return Err(format!("{name} is not to be chosen"));
    }
    Ok((name.to_string(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_headers_are_checked() {
        for good in ["http://localhost:4318", "https://c.example/v1/traces", "http://[::1]:1"] {
            assert_eq!(endpoint(good).as_deref(), Ok(good));
        }
        for bad in ["localhost:4318", "ftp://a", "http://", "grpc://a:4317", "http:// a"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
        assert_eq!(header("X-Key=a=b"), Ok(("x-key".to_owned(), "a=b".to_owned())));
        for bad in ["x", "=a", "a b=c", "a=\n", "Host=a", "content-type=text/plain"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }
}
