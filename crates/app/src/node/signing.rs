//! The key that notifications are signed with, and the certificate by which others check them.
//!
//! Made when the first notification is to be signed, and kept in the data directory. The certificate is made anew of the
//! key at every start, always the same: whoever has kept it can go on using it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambent_core::ports::{BoxFuture, Entropy};
use lambent_topics::Signer;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use rsa::rand_core::{CryptoRng, RngCore};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::keys;

/// The key, as PKCS #8.
const FILE: &str = "notifications.key";

const KEY_BITS: usize = 2_048;

/// Whom the certificate names.
const COMMON_NAME: &str = "Lambent notifications";

pub struct NotificationKey {
    path: PathBuf,
    entropy: Arc<dyn Entropy>,
    key: OnceCell<Option<Arc<Key>>>,
}

struct Key {
    private: RsaPrivateKey,
    certificate: String,
}

impl NotificationKey {
    pub fn new(data: &Path, entropy: Arc<dyn Entropy>) -> Self {
        Self { path: data.join(FILE), entropy, key: OnceCell::new() }
    }

    /// In PEM.
    pub async fn certificate(&self) -> Option<String> {
        Some(self.key().await?.certificate.clone())
    }

    async fn key(&self) -> Option<Arc<Key>> {
        let made = self.key.get_or_init(|| async {
            let (path, entropy) = (self.path.clone(), self.entropy.clone());
            let opened = tokio::task::spawn_blocking(move || open(&path, entropy)).await;
            match opened.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(key) => Some(Arc::new(key)),
                Err(error) => {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "notifications are not signed: there is no key");
                    None
                }
            }
        });
        made.await.clone()
    }
}

impl Signer for NotificationKey {
    fn sign(&self, version: u8, text: String) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move {
            let (key, entropy) = (self.key().await?, self.entropy.clone());
            let signed = tokio::task::spawn_blocking(move || key.sign(version, &text, entropy)).await;
            signed.ok().flatten()
        })
    }
}

impl Key {
    fn new(private: RsaPrivateKey) -> io::Result<Self> {
        let public = private.to_public_key().to_public_key_der().map_err(other)?;
        let certificate = certificate(&private, public.as_bytes())?;
        Ok(Self { private, certificate: pem(&certificate) })
    }

    fn sign(&self, version: u8, text: &str, entropy: Arc<dyn Entropy>) -> Option<String> {
        let signed = match version {
            2 => {
                let digest = Sha256::digest(text);
                self.private.sign_with_rng(&mut Random(entropy), Pkcs1v15Sign::new::<Sha256>(), &digest)
            }
            _ => {
                let digest = Sha1::digest(text);
                self.private.sign_with_rng(&mut Random(entropy), Pkcs1v15Sign::new::<Sha1>(), &digest)
            }
        };
        signed.ok().map(|bytes| STANDARD.encode(bytes))
    }
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn open(path: &Path, entropy: Arc<dyn Entropy>) -> io::Result<Key> {
    if let Some(bytes) = keys::read(path)? {
        let private = RsaPrivateKey::from_pkcs8_der(&bytes).map_err(|error| {
            io::Error::other(format!("it is not a key ({error}); move it away to have a new one made"))
        })?;
        return Key::new(private);
    }
    let private = RsaPrivateKey::new(&mut Random(entropy), KEY_BITS).map_err(other)?;
    keys::write_private(path, private.to_pkcs8_der().map_err(other)?.as_bytes())?;
    Key::new(private)
}

/// The node's randomness, as the library of the key wants it.
struct Random(Arc<dyn Entropy>);

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl CryptoRng for Random {}

/// A certificate that the key signs for itself: X.509 of version 3, without extensions.
fn certificate(private: &RsaPrivateKey, public: &[u8]) -> io::Result<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    let name = der(
        SEQUENCE,
        &[&der(0x31, &[&der(SEQUENCE, &[&[6, 3, 0x55, 4, 3], &der(0x0c, &[COMMON_NAME.as_bytes()])])])],
    );
    // sha256WithRSAEncryption, without parameters.
    let algorithm = der(SEQUENCE, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], &[5, 0]]);
    let time = |text: &str| der(0x17, &[text.as_bytes()]);
    let validity = der(SEQUENCE, &[&time("200101000000Z"), &time("491231235959Z")]);
    let digest = Sha256::digest(public);
    // Positive, and not shorter than it is written.
    let mut serial = digest[..16].to_vec();
    serial[0] = serial[0] & 0x3f | 0x40;
    let version = der(0xa0, &[&[2, 1, 2]]);
    let parts: [&[u8]; 7] = [&version, &der(2, &[&serial]), &algorithm, &name, &validity, &name, public];
    let body = der(SEQUENCE, &parts);
    let digest = Sha256::digest(&body);
    let signature = private.sign(Pkcs1v15Sign::new::<Sha256>(), &digest).map_err(other)?;
    Ok(der(SEQUENCE, &[&body, &algorithm, &der(3, &[&[0], &signature])]))
}

/// A value of a tag, in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let inner = parts.concat();
    let mut whole = vec![tag];
    let length = inner.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match inner.len() {
        0 => whole.push(0),
        1..128 => whole.extend(length),
        _ => {
            whole.push(0x80 | u8::try_from(length.len()).expect("a length has eight bytes at the most"));
            whole.extend(length);
        }
    }
    whole.extend(inner);
    whole
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests;
