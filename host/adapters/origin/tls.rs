//! Whom to believe that it is the origin: the system's certificate authorities, and those of a file that the operator names.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// TLS 1.2 and 1.3 for HTTP/1.1. The file is what the setting of this name says.
///
/// # Errors
/// The operator's file cannot be read or holds no certificate. That the system has none is no error: many hosts ask no TLS origins.
pub(in crate::adapters) fn config(setting: &str, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!("a certificate authority of this system cannot be read: {error}");
    }
    // Old systems keep certificates that are malformed by today's rules; the others still count.
    roots.add_parsable_certificates(system.certs);
    if let Some(file) = ca_file {
        let shown = file.display();
        let found = CertificateDer::pem_file_iter(file).with_context(|| format!("cannot read {setting} {shown}"))?;
        let before = roots.len();
        for certificate in found {
            roots.add(certificate.with_context(|| format!("{setting} {shown} is no PEM file"))?)?;
        }
        ensure!(roots.len() > before, "{setting} {shown} holds no certificate");
    }
    believing(roots)
}

/// The same, believing nobody.
///
/// # Errors
/// TLS cannot be set up here.
pub(super) fn without_authorities() -> Result<Arc<ClientConfig>> {
    believing(RootCertStore::empty())
}

fn believing(roots: RootCertStore) -> Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
