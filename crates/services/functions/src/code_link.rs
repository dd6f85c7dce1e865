//! Links under which a package can be fetched for ten minutes, as GetFunction's Code.Location gives them.
//!
//! A link carries its own permission: a digest, a moment of expiry and an HMAC over both, under a key that is
//! drawn at start and kept nowhere. So links end with the process that made them.

use hmac::{Hmac, Mac};
use lambent_core::ids::CodeDigest;
use lambent_core::ports::Entropy;
use lambent_core::time::Timestamp;
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// API, GetFunction: "a link to download the deployment package that's valid for 10 minutes".
const LIFETIME: Duration = Duration::from_secs(600);

/// The path that the links begin with; the node sends what comes there to `Functions::fetch_code`.
pub const PATH_PREFIX: &str = "/_lambent/code/";

pub struct CodeLinks {
    key: [u8; 32],
}

/// Why a link does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefusal {
    #[error("this is not a link to a package")]
    Malformed,
    #[error("the link's signature is wrong, or the node was started anew since it was made")]
    Forged,
    #[error("the link has expired")]
    Expired,
}

impl CodeLinks {
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self { key }
    }

    pub fn make(&self, endpoint: &str, digest: &CodeDigest, now: Timestamp) -> String {
        let expires = now.plus(LIFETIME).as_secs();
        let signature = self.sign(digest, expires);
        let endpoint = endpoint.trim_end_matches('/');
        format!("{endpoint}{PATH_PREFIX}{digest}?expires={expires}&signature={signature}")
    }

    /// The package that the link opens.
    pub fn open(&self, path_and_query: &str, now: Timestamp) -> Result<CodeDigest, LinkRefusal> {
        let rest = path_and_query.strip_prefix(PATH_PREFIX).ok_or(LinkRefusal::Malformed)?;
        let (digest, query) = rest.split_once('?').ok_or(LinkRefusal::Malformed)?;
        let digest = CodeDigest::new(digest).map_err(|_| LinkRefusal::Malformed)?;
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name)).map(|(_, v)| v)
        };
        let expires: u64 = value("expires").and_then(|v| v.parse().ok()).ok_or(LinkRefusal::Malformed)?;
        let signature = value("signature").ok_or(LinkRefusal::Malformed)?;
        let right = self.sign(&digest, expires);
        if !bool::from(right.as_bytes().ct_eq(signature.as_bytes())) {
            return Err(LinkRefusal::Forged);
        }
        if now.as_secs() >= expires {
            return Err(LinkRefusal::Expired);
        }
        Ok(digest)
    }

    fn sign(&self, digest: &CodeDigest, expires: u64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(format!("{digest}\n{expires}").as_bytes());
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;
    impl Entropy for Sevens {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    #[test]
    fn a_link_opens_its_package_for_ten_minutes_and_nothing_else() {
        let links = CodeLinks::new(&Sevens);
        let digest = CodeDigest::new("ab".repeat(32)).unwrap();
        let made = Timestamp::from_millis(1_700_000_000_000);
        let link = links.make("http://127.0.0.1:4566/", &digest, made);
        let path = link.strip_prefix("http://127.0.0.1:4566").unwrap();
        assert!(path.starts_with(PATH_PREFIX));
        assert_eq!(links.open(path, made), Ok(digest));
        assert_eq!(links.open(path, made.plus(LIFETIME)), Err(LinkRefusal::Expired));
        let other = path.replace("abab", "abac");
        assert_eq!(links.open(&other, made), Err(LinkRefusal::Forged));
        for bad in ["", "/", "/_lambent/code/x", "/_lambent/code/x?expires=1&signature=", "/_lambent/code/?"]
        {
            assert_eq!(links.open(bad, made), Err(LinkRefusal::Malformed), "{bad}");
        }
    }
}
