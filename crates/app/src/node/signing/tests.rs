use std::sync::Arc;

use rsa::RsaPublicKey;
use rustls::pki_types::CertificateDer;

use super::*;
use crate::node::system::SystemEntropy;

async fn key(directory: &Path) -> NotificationKey {
    NotificationKey::new(directory, Arc::new(SystemEntropy))
}

#[tokio::test]
async fn signatures_are_those_of_the_key_that_the_certificate_has() {
    let directory = tempfile::tempdir().unwrap();
    let signer = key(directory.path()).await;
    let pem = signer.certificate().await.unwrap();
    let certificates: Vec<CertificateDer<'_>> =
        rustls_pemfile::certs(&mut pem.as_bytes()).collect::<Result<_, _>>().unwrap();
    // Others read it, too.
    rustls::server::ParsedCertificate::try_from(&certificates[0]).unwrap();
    let public: RsaPublicKey = signer.key().await.unwrap().private.to_public_key();
    let spki = public.to_public_key_der().unwrap();
    let within = certificates[0].windows(spki.as_bytes().len()).any(|window| window == spki.as_bytes());
    assert!(within, "the certificate has the key");
    for version in [1, 2] {
        let signature = STANDARD.decode(signer.sign(version, "text".into()).await.unwrap()).unwrap();
        let verified = |text: &str| match version {
            1 => public.verify(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(text), &signature),
            _ => public.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(text), &signature),
        };
        assert!(verified("text").is_ok() && verified("other").is_err(), "{version}");
    }
    // The same after a restart.
    let again = NotificationKey::new(directory.path(), Arc::new(SystemEntropy));
    assert_eq!(again.certificate().await, Some(pem));
}

#[tokio::test]
async fn a_file_that_is_no_key_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), b"rubbish").unwrap();
    let signer = key(directory.path()).await;
    assert_eq!(signer.sign(1, "text".into()).await, None);
    assert_eq!(std::fs::read(directory.path().join(FILE)).unwrap(), b"rubbish");
}

#[test]
fn lengths_are_written_as_der_has_them() {
    assert_eq!(der(4, &[]), [4, 0]);
    assert_eq!(der(4, &[&[7; 127]])[..2], [4, 127]);
    assert_eq!(der(4, &[&[7; 128]])[..3], [4, 0x81, 128]);
    assert_eq!(der(4, &[&[7; 300]])[..4], [4, 0x82, 1, 44]);
}
