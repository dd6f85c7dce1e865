//! Where function URLs are reached: the domain behind `ID.lambda-url.REGION.`.

use std::fmt;

use lambent_functions::UrlPlace;

/// A domain, and what stands before and behind it when that is not the node's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlDomain {
    scheme: Option<&'static str>,
    domain: String,
    port: Option<u16>,
}

/// Why a text is not a [`UrlDomain`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form [http://|https://]DOMAIN[:PORT]")]
pub struct BadUrlDomain(String);

/// DNS: a name has at most 253 characters, of which an id and a region take some 70.
const DOMAIN_CHARS_MAX: usize = 180;

impl UrlDomain {
    pub fn parse(text: &str) -> Result<Self, BadUrlDomain> {
        let bad = || BadUrlDomain(text.to_owned());
        let (scheme, rest) = match text.split_once("://") {
            None => (None, text),
            Some(("http", rest)) => (Some("http"), rest),
            Some(("https", rest)) => (Some("https"), rest),
            Some(_) => return Err(bad()),
        };
        let (domain, port) = match rest.split_once(':') {
            None => (rest, None),
            Some((domain, port)) => (domain, Some(port.parse::<u16>().map_err(|_| bad())?)),
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if domain.len() > DOMAIN_CHARS_MAX || !domain.split('.').all(is_label) || port == Some(0) {
            return Err(bad());
        }
        Ok(Self { scheme, domain: domain.to_owned(), port })
    }

    /// The place for a node that listens like this. A scheme that was given and is not the node's is a proxy's:
    /// its port is then the scheme's own unless one was given too.
    pub fn place(&self, own_scheme: &'static str, own_port: u16) -> UrlPlace {
        let scheme = self.scheme.unwrap_or(own_scheme);
        let standard = if scheme == "https" { 443 } else { 80 };
        let port = self.port.unwrap_or(if self.scheme.is_some() { standard } else { own_port });
        let domain = match port == standard {
            true => self.domain.clone(),
            false => format!("{}:{port}", self.domain),
        };
        UrlPlace { scheme: scheme.to_owned(), domain }
    }
}

impl fmt::Display for UrlDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{scheme}://")?;
        }
        f.write_str(&self.domain)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_clients_can_call() {
        for (text, scheme, domain) in [
            ("localhost", "http", "localhost:4566"),
            ("fn.example.com", "http", "fn.example.com:4566"),
            ("fn.example.com:80", "http", "fn.example.com"),
            ("https://fn.example.com", "https", "fn.example.com"),
            ("https://fn.example.com:8443", "https", "fn.example.com:8443"),
            ("http://fn.example.com", "http", "fn.example.com"),
        ] {
            let parsed = UrlDomain::parse(text).unwrap();
            assert_eq!(parsed.to_string(), text);
            let wanted = UrlPlace { scheme: scheme.to_owned(), domain: domain.to_owned() };
            assert_eq!(parsed.place("http", 4566), wanted, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let long = "a".repeat(64);
        for bad in ["", "a b", "ftp://a", "a:", "a:0", "a:70000", "a..b", "a/b", "A.b", &long, "http://"] {
            assert!(UrlDomain::parse(bad).is_err(), "{bad}");
        }
    }
}
