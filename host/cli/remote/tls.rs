//! TLS towards a host: whom the command line believes, and the certificate that it shows. The host's name is always checked.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::HostArgs;

/// As these arguments say.
///
/// # Errors
/// A file cannot be read or holds no certificate or key.
pub(super) fn config(args: &HostArgs) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match &args.ca {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).with_context(|| format!("{} holds a bad certificate", file.display()))?;
            }
        }
        // Old systems keep certificates that are malformed by today's rules; the others still count.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let trusting = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
    let config = match (&args.client_certificate, &args.client_key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("cannot read a private key from {}", key.display()))?;
            trusting.with_client_auth_cert(chain, key).context("the certificate and its key do not go together")?
        }
        _ => trusting.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let shown = file.display();
    let found = CertificateDer::pem_file_iter(file).with_context(|| format!("cannot read {shown}"))?;
    let found = found.collect::<Result<Vec<_>, _>>().with_context(|| format!("{shown} is no PEM file"))?;
    ensure!(!found.is_empty(), "{shown} holds no certificate");
    Ok(found)
}
