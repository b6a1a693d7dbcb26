//! TLS for both front ends: one certificate, read anew while the host runs, and clients' certificates if they are asked for.
//!
//! TLS 1.2 and 1.3 of rustls, with its defaults. Invariants: a certificate that cannot be read never replaces one that serves; a client
//! that does not come to an agreement in time is gone. Deliberately absent: ciphers to choose from, and revocation lists.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{ClientCertificates, TlsSettings};
use crate::limits::TLS_HANDSHAKE_MS_MAX;

/// Why a certificate cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM of its kind.
    #[error("{setting}: the file {} cannot be used: {what}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Certificate and key do not go together, or are of a kind that is not known.
    #[error("tls.certificate and tls.key do not serve: {0}")]
    Pair(rustls::Error),
}

/// What the front ends speak TLS with.
pub struct Tls(ArcSwap<ServerConfig>);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which.
    pub fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::from_pointee(server_config(settings)?)))
    }

    /// Reads the files again, for the connections that come from now on.
    ///
    /// # Errors
    /// What is wrong with which; then what served goes on.
    pub fn reload(&self, settings: &TlsSettings) -> Result<(), TlsError> {
        self.0.store(Arc::new(server_config(settings)?));
        Ok(())
    }

    /// Comes to an agreement with a client.
    ///
    /// # Errors
    /// It does not speak TLS, shows no certificate that is good enough, or takes too long.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let accepting = TlsAcceptor::from(self.0.load_full()).accept(stream);
        let patience = Duration::from_millis(TLS_HANDSHAKE_MS_MAX);
        tokio::time::timeout(patience, accepting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The certificate that a client showed, its own.
pub(super) fn shown(stream: &TlsStream<TcpStream>) -> Option<CertificateDer<'static>> {
    stream.get_ref().1.peer_certificates()?.first().map(|certificate| certificate.clone().into_owned())
}

fn server_config(settings: &TlsSettings) -> Result<ServerConfig, TlsError> {
    let chain = certificates("tls.certificate", &settings.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|error| wrong("tls.key", &settings.key, error))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?;
    let builder = match (&settings.client_ca, settings.clients) {
        (Some(path), ClientCertificates::Ask | ClientCertificates::Require) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls.client_ca", path)? {
                roots.add(certificate).map_err(|error| wrong("tls.client_ca", path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let asking = settings.clients == ClientCertificates::Ask;
            let verifier = if asking { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong("tls.client_ca", path, error))?)
        }
        _ => builder.with_no_client_auth(),
    };
    builder.with_single_cert(chain, key).map_err(TlsError::Pair)
}

/// The certificates of a file; one at least.
fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(setting, path, error))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| wrong(setting, path, error))?;
    if found.is_empty() { Err(wrong(setting, path, "it holds no certificate")) } else { Ok(found) }
}

fn wrong(setting: &'static str, path: &Path, what: impl std::fmt::Display) -> TlsError {
    TlsError::File { setting, path: path.to_owned(), what: what.to_string() }
}
