//! Connections to origins: names resolved, addresses checked, TCP, and TLS where the URL says so.
//!
//! Invariant: each address is checked after its name was resolved and before it is connected to, every time, so that no change of a
//! name's records leads where no origin may be.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::config::allowed::AllowedOrigins;
use crate::limits::ORIGIN_CONNECT_MS_MAX;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::adapters) enum ConnectError {
    /// It may not be made.
    #[error("{0}")]
    NotAllowed(String),
    /// It could not be made.
    #[error("{0}")]
    Failed(String),
    /// Who answers speaks no TLS, or is not whom it should be.
    #[error("TLS: {0}")]
    Tls(io::Error),
}

/// Makes connections.
#[derive(Clone)]
pub(in crate::adapters) struct Connector {
    pub(in crate::adapters) allowed: Arc<AllowedOrigins>,
    pub(in crate::adapters) tls: Arc<ClientConfig>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            // Whoever asked may have gone: what is connected in the background has a bound of its own.
            let within = Duration::from_millis(ORIGIN_CONNECT_MS_MAX);
            let late = || ConnectError::Failed(format!("no connection within {ORIGIN_CONNECT_MS_MAX} ms"));
            timeout(within, connector.connect(&uri)).await.unwrap_or_else(|_| Err(late())).map(TokioIo::new)
        })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> Result<Wire, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tcp = self.reach(bare, port).await?;
        // Without it small requests wait for acknowledgements.
        let _ = tcp.set_nodelay(true);
        if !secure {
            return Ok(Wire::Plain(tcp));
        }
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| ConnectError::Failed(format!("'{bare}' is no name that a certificate can be for")))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
        tls.map(|tls| Wire::Tls(Box::new(tls))).map_err(ConnectError::Tls)
    }

    /// Connects to the first address that answers; none is tried if one of them may not be.
    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let found = lookup_host((host, port)).await;
        let found = found.map_err(|error| ConnectError::Failed(format!("the name {host} is not known: {error}")))?;
        let addresses: Vec<_> = found.collect();
        for address in &addresses {
            self.allowed.permits_address(host, address.ip()).map_err(ConnectError::NotAllowed)?;
        }
        let mut last = format!("the name {host} has no address");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last = format!("{address}: {error}"),
            }
        }
        Err(ConnectError::Failed(last))
    }
}

/// A connection.
pub(in crate::adapters) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
