//! Signing keys: derivation, and a bounded memory of derived ones.
//!
//! A key depends on secret, day, region and service only, and deriving it costs four HMACs, which is most of
//! a warm request's verification. The memory is that of a pure function: it never changes an answer.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::percent::hex;

/// Keys a generation holds; at most twice as many are in memory. Ours: an environment has own credentials, so
/// this is about the number of environments that call within one day at once.
pub const CACHED_KEYS_MAX: usize = 2_048;

/// SHA-256 of nothing, in hex.
pub(crate) const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A signing key with its HMAC state ready.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    /// The key of a scope, remembered from an earlier call or derived now.
    pub(crate) fn of(secret: &str, date: &str, region: &str, service: &str) -> Self {
        static KEYS: LazyLock<Mutex<Generations>> = LazyLock::new(Mutex::default);
        let name = Name {
            secret: Sha256::digest(secret.as_bytes()).into(),
            scope: format!("{date}/{region}/{service}"),
        };
        // A poisoned memory still holds whole entries: an insertion is its last step.
        if let Some(key) = KEYS.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return key;
        }
        let key = Self::derive(secret, date, region, service);
        KEYS.lock().unwrap_or_else(PoisonError::into_inner).put(name, key.clone());
        key
    }

    fn derive(secret: &str, date: &str, region: &str, service: &str) -> Self {
        let mut key = hmac(format!("AWS4{secret}").as_bytes(), date.as_bytes());
        for part in [region, service, "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        Self(keyed(&key))
    }

    /// The signature of a text, in lower-case hex.
    pub(crate) fn sign(&self, text: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Name {
    secret: [u8; 32],
    scope: String,
}

/// Two generations: when the young one is full it becomes the old one, and what nobody asked for since is gone.
#[derive(Default)]
struct Generations {
    young: HashMap<Name, Key>,
    old: HashMap<Name, Key>,
}

impl Generations {
    fn get(&mut self, name: &Name) -> Option<Key> {
        if let Some(key) = self.young.get(name) {
            return Some(key.clone());
        }
        let key = self.old.remove(name)?;
        self.put(name.clone(), key.clone());
        Some(key)
    }

    fn put(&mut self, name: Name, key: Key) {
        if self.young.len() >= CACHED_KEYS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_key_derives() {
        let key = Key::of("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        assert_eq!(key.sign(text), "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_asked_for() {
        let mut keys = Generations::default();
        let name = |n: usize| Name { secret: [0; 32], scope: n.to_string() };
        let key = Key::derive("s", "d", "r", "s");
        keys.put(name(0), key.clone());
        for n in 1..CACHED_KEYS_MAX * 3 {
            keys.put(name(n), key.clone());
            assert!(keys.get(&name(0)).is_some());
            assert!(keys.young.len() + keys.old.len() <= CACHED_KEYS_MAX * 2);
        }
        assert!(keys.get(&name(1)).is_none());
    }
}
