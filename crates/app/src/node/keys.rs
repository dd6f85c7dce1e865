//! Whose key signed a request: the root key, the development keys, and the sessions of functions.
//!
//! Sessions are not stored. A session token carries its own facts, authenticated with the node's secret, and the
//! session's secret key is derived from it: any node with that secret can verify any session.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use lambent_core::AccountId;
use lambent_core::ports::{Clock, Entropy, SessionCredentials, Sessions};
use lambent_core::time::Timestamp;
use lambent_wire::sigv4::AuthError;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The root key: readable by the node's user only.
const ROOT_KEY_FILE: &str = "credentials";
/// What session tokens are authenticated with.
const NODE_SECRET_FILE: &str = "node.key";
const NODE_SECRET_BYTES: usize = 32;

/// A role session's name and ARN have limits of 64 and 2,048 characters (IAM quotas): a token is never longer.
const TOKEN_CHARS_MAX: usize = 4_096;

/// The secret of every development key.
const TEST_SECRET: &str = "test";

/// Whom a key belongs to, and the secret that its signatures are made with.
pub struct Identity {
    pub secret: String,
    pub account: AccountId,
    pub principal_arn: String,
}

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The node's own listener.
    Front,
    /// A listener inside a sandbox. Development keys are refused there: everybody knows them, and code in a
    /// sandbox has exactly the rights of its own session.
    Sandbox,
}

#[derive(Serialize, Deserialize)]
struct RootKey {
    access_key_id: String,
    secret_access_key: String,
    account: AccountId,
}

pub struct Keys {
    root: RootKey,
    node_secret: Vec<u8>,
    account: AccountId,
    allow_test_credentials: bool,
    clock: Arc<dyn Clock>,
}

impl Keys {
    /// Reads the keys of the data directory, or makes them.
    pub fn open(
        data: &Path,
        account: &AccountId,
        allow_test_credentials: bool,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> io::Result<Self> {
        let root = match read(&data.join(ROOT_KEY_FILE))? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                io::Error::other(format!(
                    "{} is not a key file ({error}); move it away to have a new one made",
                    data.join(ROOT_KEY_FILE).display()
                ))
            })?,
            None => {
                let root = new_root_key(account, entropy);
                let text = serde_json::to_vec_pretty(&root).expect("a key is plain text");
                write_private(&data.join(ROOT_KEY_FILE), &text)?;
                root
            }
        };
        let node_secret = match read(&data.join(NODE_SECRET_FILE))? {
            Some(bytes) if bytes.len() == NODE_SECRET_BYTES => bytes,
            Some(_) => {
                return Err(io::Error::other(format!(
                    "{} does not hold {NODE_SECRET_BYTES} bytes; remove it to have a new one made \
                     (running functions get new credentials)",
                    data.join(NODE_SECRET_FILE).display()
                )));
            }
            None => {
                let mut bytes = vec![0; NODE_SECRET_BYTES];
                entropy.fill(&mut bytes);
                write_private(&data.join(NODE_SECRET_FILE), &bytes)?;
                bytes
            }
        };
        Ok(Self { root, node_secret, account: account.clone(), allow_test_credentials, clock })
    }

    /// Whose key this is. The signature is still to be verified with the secret that comes back.
    pub fn identify(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        door: Door,
        now: Timestamp,
    ) -> Result<Identity, AuthError> {
        if let Some(token) =
            session_token.filter(|token| !token.is_empty() && access_key_id.starts_with("ASIA"))
        {
            return self.session(access_key_id, token, now);
        }
        if access_key_id == self.root.access_key_id {
            return Ok(root_of(&self.root.account, self.root.secret_access_key.clone()));
        }
        if self.allow_test_credentials && door == Door::Front {
            if access_key_id == "test" {
                return Ok(root_of(&self.account, TEST_SECRET.to_owned()));
            }
            if let Ok(account) = AccountId::new(access_key_id) {
                return Ok(root_of(&account, TEST_SECRET.to_owned()));
            }
        }
        Err(AuthError::UnknownKey)
    }

    /// A secret of its own for one purpose.
    pub fn derived(&self, purpose: &str) -> [u8; 32] {
        self.mac(&[b"derived", purpose.as_bytes()])
    }

    fn session(&self, access_key_id: &str, token: &str, now: Timestamp) -> Result<Identity, AuthError> {
        let facts = self.open_token(token).ok_or(AuthError::UnknownKey)?;
        let (expected_id, secret) = self.session_keys(token);
        if expected_id != access_key_id {
            return Err(AuthError::UnknownKey);
        }
        if now.as_millis() >= facts.expires_ms {
            return Err(AuthError::ExpiredToken);
        }
        Ok(Identity { secret, account: facts.account, principal_arn: facts.principal_arn })
    }

    /// The facts of a token that this node, or one with the same secret, made.
    fn open_token(&self, token: &str) -> Option<SessionFacts> {
        if token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, body) = bytes.split_at_checked(32)?;
        let mut mac = self.hmac();
        update(&mut mac, &[b"session", body]);
        mac.verify_slice(tag).ok()?;
        serde_json::from_slice(body).ok()
    }

    fn session_keys(&self, token: &str) -> (String, String) {
        let id = base32(&self.mac(&[b"access-key", token.as_bytes()])[..10]);
        let secret = STANDARD.encode(&self.mac(&[b"secret-key", token.as_bytes()])[..30]);
        (format!("ASIA{id}"), secret)
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.hmac();
        update(&mut mac, parts);
        mac.finalize().into_bytes().into()
    }

    fn hmac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.node_secret).expect("HMAC takes keys of any length")
    }
}

#[derive(Serialize, Deserialize)]
struct SessionFacts {
    account: AccountId,
    principal_arn: String,
    expires_ms: u64,
    /// Makes two sessions of the same role differ.
    issued_ms: u64,
}

impl Sessions for Keys {
    fn issue(
        &self,
        account: &AccountId,
        role_arn: &str,
        session_name: &str,
        lifetime: Duration,
    ) -> SessionCredentials {
        let now = self.clock.wall();
        let expires = now.plus(lifetime);
        let role = role_arn.rsplit('/').next().unwrap_or(role_arn);
        let facts = SessionFacts {
            account: account.clone(),
            principal_arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session_name}"),
            expires_ms: expires.as_millis(),
            issued_ms: now.as_millis(),
        };
        let body = serde_json::to_vec(&facts).expect("session facts are plain text");
        let mut token = self.mac(&[b"session", &body]).to_vec();
        token.extend_from_slice(&body);
        let session_token = URL_SAFE_NO_PAD.encode(token);
        let (access_key_id, secret_access_key) = self.session_keys(&session_token);
        SessionCredentials { access_key_id, secret_access_key, session_token, expires }
    }
}

/// Each part with its length before it, so that no two lists of parts look alike.
fn update(mac: &mut Hmac<Sha256>, parts: &[&[u8]]) {
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
}

fn root_of(account: &AccountId, secret: String) -> Identity {
    Identity { secret, account: account.clone(), principal_arn: format!("arn:aws:iam::{account}:root") }
}

fn new_root_key(account: &AccountId, entropy: &dyn Entropy) -> RootKey {
    let mut id = [0; 10];
    entropy.fill(&mut id);
    let mut secret = [0; 30];
    entropy.fill(&mut secret);
    RootKey {
        access_key_id: format!("AKIA{}", base32(&id)),
        secret_access_key: STANDARD.encode(secret),
        account: account.clone(),
    }
}

/// Five bits a character, from the alphabet of access key ids.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
    }
    text
}

pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file that appears whole or not at all, for its owner only.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct At(AtomicU64);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }
        fn sleep_until(&self, _: Timestamp) -> lambent_core::ports::Nap {
            Box::pin(std::future::pending())
        }
    }
    struct Bytes;
    impl Entropy for Bytes {
        fn fill(&self, buffer: &mut [u8]) {
            getrandom::fill(buffer).unwrap();
        }
    }

    fn account() -> AccountId {
        AccountId::new("000000000000").unwrap()
    }

    fn keys(dir: &Path, test: bool) -> Keys {
        Keys::open(dir, &account(), test, Arc::new(At(AtomicU64::new(1_000))), &Bytes).unwrap()
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_root_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = keys(dir.path(), false);
        let again = keys(dir.path(), false);
        assert_eq!(first.root.secret_access_key, again.root.secret_access_key);
        assert_eq!((first.root.access_key_id.len(), first.root.secret_access_key.len()), (20, 40));
        for file in [ROOT_KEY_FILE, NODE_SECRET_FILE] {
            assert_eq!(fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn development_keys_open_the_front_door_only_and_only_when_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let keys_with = keys(dir.path(), true);
        let own = keys_with.identify("123456789012", None, Door::Front, at(0)).unwrap();
        assert_eq!(own.account.as_str(), "123456789012");
        assert!(keys_with.identify("test", None, Door::Front, at(0)).is_ok());
        assert!(keys_with.identify("test", None, Door::Sandbox, at(0)).is_err());
        assert!(keys(dir.path(), false).identify("test", None, Door::Front, at(0)).is_err());
    }

    #[test]
    fn a_session_is_its_own_role_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys(dir.path(), false);
        let role = "arn:aws:iam::000000000000:role/service/worker";
        let session = keys.issue(&account(), role, "f", Duration::from_secs(60));
        let look = |id: &str, token: &str, now| keys.identify(id, Some(token), Door::Sandbox, at(now));
        let found = look(&session.access_key_id, &session.session_token, 2_000).unwrap();
        assert_eq!(found.secret, session.secret_access_key);
        assert_eq!(found.principal_arn, "arn:aws:sts::000000000000:assumed-role/worker/f");
        let expired = look(&session.access_key_id, &session.session_token, 61_000);
        assert!(matches!(expired, Err(AuthError::ExpiredToken)));
        let mut forged = session.session_token.clone();
        forged.pop();
        assert!(matches!(look(&session.access_key_id, &forged, 2_000), Err(AuthError::UnknownKey)));
        assert!(look("ASIAAAAAAAAAAAAAAAAA", &session.session_token, 2_000).is_err());
    }
}
