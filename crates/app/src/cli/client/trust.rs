//! Whose certificates are believed for an https endpoint.
//!
//! Besides those that a trusted authority signed, a server's own certificate is believed when it was given as it
//! stands: `openssl req -x509` makes one that calls itself an authority, and the usual check takes no authority
//! for a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::cli::failure::Failure;

/// Where Linux distributions keep the certificates that they trust.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

#[derive(Clone)]
pub struct Trust(TlsConnector);

/// Reads the given bundle, else `$SSL_CERT_FILE`, else the system's.
pub fn load(ca: Option<&Path>) -> Result<Trust, Failure> {
    let path = ca
        .map(Path::to_owned)
        .or_else(|| std::env::var_os("SSL_CERT_FILE").map(PathBuf::from))
        .or_else(|| SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()))
        .ok_or_else(|| {
            Failure::local("no trusted certificates on this machine").hint("name some with --ca FILE")
        })?;
    let pem = std::fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let mut roots = RootCertStore::empty();
    // A system's bundle may hold a certificate that rustls can't use; the others still count.
    let given: Vec<CertificateDer<'static>> = rustls_pemfile::certs(&mut pem.as_slice()).flatten().collect();
    let (added, _) = roots.add_parsable_certificates(given.iter().cloned());
    if added == 0 {
        return Err(Failure::local(format!("no certificate in {}", path.display()))
            .hint("--ca takes a PEM file with a line -----BEGIN CERTIFICATE-----"));
    }
    let wrong = |error: &dyn std::fmt::Display| Failure::local(format!("TLS can't be set up: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| wrong(&error))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { usual, given }))
        .with_no_client_auth();
    Ok(Trust(TlsConnector::from(Arc::new(config))))
}

/// The usual check, and what it can't judge: a certificate that the user handed over itself.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.usual.verify_server_cert(server, between, name, ocsp, now) {
            // Neither expired nor forged, which have names of their own, but of a kind that is not expected
            // in a server's place.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if self.given.contains(server) => {
                verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, server, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, server, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

impl Trust {
    pub async fn wrap(&self, host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        self.0.connect(name, tcp).await.map_err(|error| error.to_string())
    }
}
