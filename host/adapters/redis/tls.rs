//! TLS on the way to a Redis: what is trusted, and who this host says it is.
//!
//! Certificates are read once, when the host starts. The server's name is checked against its certificate, always.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// What an operator may say of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// PEM file of the certificates that are trusted; without one those that the machine trusts.
    pub ca_file: Option<PathBuf>,
    /// PEM file of this host's own certificate with its chain.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of the key to it.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must have, where it is not the host's in the address.
    pub server_name: Option<String>,
}

/// Why TLS cannot be spoken as it is set. Always the operator's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("{} cannot be used for TLS: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// A certificate without its key, or the other way round.
    #[error("TLS needs both the certificate and its key, or neither")]
    HalfAPair,
    /// A name that cannot be one.
    #[error("'{0}' is no name that a certificate can have")]
    Name(String),
    /// Certificate and key together.
    #[error("the certificate and the key for TLS cannot be used: {0}")]
    Pair(String),
}

/// How the way is protected.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl Tls {
    /// What the machine trusts, no certificate of its own.
    pub(super) fn of_the_machine() -> Self {
        let config = builder().with_root_certificates(machine_roots()).with_no_client_auth();
        Self { connector: Arc::new(config).into(), name: None }
    }

    /// As these settings say.
    pub(super) fn new(settings: &TlsSettings) -> Result<Self, TlsError> {
        let roots = settings.ca_file.as_deref().map_or_else(|| Ok(machine_roots()), roots_of)?;
        let trusting = builder().with_root_certificates(roots);
        let config = match (&settings.certificate_file, &settings.key_file) {
            (None, None) => trusting.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, &error))?;
                trusting.with_client_auth_cert(chain, key).map_err(|error| TlsError::Pair(error.to_string()))?
            }
            _ => return Err(TlsError::HalfAPair),
        };
        let name = settings.server_name.as_deref().map(server_name).transpose()?;
        Ok(Self { connector: Arc::new(config).into(), name })
    }

    /// Speaks TLS over a connection to this host. The error says why not, in words.
    pub(super) async fn wrap(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(|error| error.to_string())?,
        };
        self.connector.connect(name, stream).await.map_err(|error| format!("TLS failed: {error}"))
    }
}

fn builder() -> tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|error| unreachable!("ring knows the versions that rustls has by default: {error}"))
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))
}

/// What cannot be read of the machine's own is left out, as its other programs do.
fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| file(path, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| file(path, &error))?;
    let certificates = read.collect::<Result<Vec<_>, _>>().map_err(|error| file(path, &error))?;
    if certificates.is_empty() {
        return Err(file(path, &"there is no certificate in it"));
    }
    Ok(certificates)
}

fn file(path: &Path, what: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_told() {
        let certificate = TlsSettings { certificate_file: Some("/c".into()), ..TlsSettings::default() };
        assert_eq!(Tls::new(&certificate).err(), Some(TlsError::HalfAPair));
        let absent = TlsSettings { ca_file: Some("/does/not/exist".into()), ..TlsSettings::default() };
        let told = Tls::new(&absent).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.starts_with("/does/not/exist cannot be used for TLS"), "{told}");
        let named = TlsSettings { server_name: Some("a b".into()), ..TlsSettings::default() };
        assert_eq!(Tls::new(&named).err(), Some(TlsError::Name("a b".into())));
    }
}
