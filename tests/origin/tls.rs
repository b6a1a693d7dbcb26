//! Origins over TLS: whom the host believes.

use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

use super::{Bench, Wanted};
use crate::support::origin::{TestOrigin, answer};

/// An authority of its own, and a certificate of it for this name.
fn certified(name: &str) -> (String, Arc<ServerConfig>) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (issuer.pem(), Arc::new(config))
}

/// Asks a server with a certificate for `name` as `localhost`; with its authority in the operator's file, or another one.
async fn asked(name: &str, believed: bool) -> (Bench, TestOrigin, TempDir) {
    let (authority, config) = certified(name);
    let (other, _) = certified(name);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, if believed { authority } else { other }).unwrap();
    let server = TestOrigin::tls(answer(200, "secret"), config).await;
    let mut wanted = Wanted::at(format!("https://localhost:{}", server.addr.port()));
    wanted.ca_file = Some(file);
    (wanted.open(), server, folder)
}

#[tokio::test]
async fn a_certificate_of_the_operators_authority_is_believed() {
    let (bench, server, _folder) = asked("localhost", true).await;
    for _ in 0..3 {
        assert_eq!(&*bench.load().await.unwrap().body, b"secret");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_wrong_certificate_is_not() {
    let (bench, server, _folder) = asked("elsewhere.example", true).await;
    let (word, text) = Bench::fails(bench.load().await);
    assert_eq!(word, "unreachable");
    assert!(text.contains("TLS") && text.contains("certificate"), "{text}");
    assert_eq!(server.requests(), 0, "nothing is said to a stranger");
    let (bench, server, _folder) = asked("localhost", false).await;
    let (word, text) = Bench::fails(bench.load().await);
    assert_eq!((word, server.requests()), ("unreachable", 0), "{text}");
}

#[tokio::test]
async fn a_server_without_tls_is_not_asked_in_clear() {
    let server = TestOrigin::always(answer(200, "v")).await;
    let bench = Bench::at(format!("https://{}", server.addr));
    // The greeting looks like no request, and is never answered.
    let failed = bench.origin.load(&super::path("/x"), std::time::Duration::from_millis(300)).await;
    assert!(["unreachable", "timed-out"].contains(&Bench::fails(failed).0));
    assert_eq!(server.requests(), 0);
}
