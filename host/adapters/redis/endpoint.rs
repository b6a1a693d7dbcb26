//! One server: where it is, how to greet it. The one place that opens connections.
//!
//! Invariant: nothing that is printed holds a password.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::connection::Connection;
use super::error;
use super::multiplex::{Lent, Multiplexed};
use super::tls::Tls;
use crate::limits::{STORE_CONNECT_MS_MAX, STORE_WRITE_QUEUE_MAX};
use crate::ports::upstream::Types;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    /// A host, by its name or number, and a port.
    Tcp(String, u16),
    /// A socket file of this machine.
    Socket(PathBuf),
}

/// Who this host is to a server, and how the way there is protected.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) account: RedisConnectionInfo,
    pub(super) tls: Option<Tls>,
}

/// What runs a connection: to be polled for as long as the connection is to live.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection and what runs it.
pub(super) type Opened = (Connection, Driver);

/// How a connection is to be.
pub(super) struct Manner<P> {
    /// The types of its answers.
    pub(super) types: Types,
    /// Where goes what comes by itself; only with [`Types::Rich`].
    pub(super) pushes: Option<P>,
}

/// Nothing is expected to come by itself.
pub(super) type NoPushes = tokio::sync::mpsc::UnboundedSender<redis::PushInfo>;

impl Manner<NoPushes> {
    /// For questions and answers alone.
    pub(super) const fn plain(types: Types) -> Self {
        Self { types, pushes: None }
    }
}

impl Access {
    /// An account, with the library's name, on a way without TLS.
    pub(super) fn new(account: RedisConnectionInfo) -> Self {
        Self { account: account.set_lib_name("larder", env!("CARGO_PKG_VERSION")), tls: None }
    }

    /// Connects and greets. The error says why not, in words.
    pub(super) async fn connect<P: AsyncPushSender>(
        &self,
        endpoint: &Endpoint,
        manner: Manner<P>,
    ) -> Result<Opened, String> {
        timeout(Duration::from_millis(STORE_CONNECT_MS_MAX), self.try_connect(endpoint, manner))
            .await
            .unwrap_or_else(|_| Err(format!("no connection and greeting within {STORE_CONNECT_MS_MAX} ms")))
    }

    async fn try_connect<P: AsyncPushSender>(&self, endpoint: &Endpoint, manner: Manner<P>) -> Result<Opened, String> {
        match endpoint {
            Endpoint::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|e| e.to_string())?;
                self.greet(stream, manner).await
            }
            Endpoint::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|e| e.to_string())?;
                stream.set_nodelay(true).map_err(|e| e.to_string())?;
                match &self.tls {
                    None => self.greet(stream, manner).await,
                    Some(tls) => self.greet(tls.wrap(host, stream).await?, manner).await,
                }
            }
        }
    }

    async fn greet<P: AsyncPushSender>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        manner: Manner<P>,
    ) -> Result<Opened, String> {
        // Deadlines are the store's business: one timer for a command, not two.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(STORE_WRITE_QUEUE_MAX);
        let account = self.account.clone().set_protocol(match manner.types {
            Types::Flat => ProtocolVersion::RESP2,
            Types::Rich => ProtocolVersion::RESP3,
        });
        if let Some(pushes) = manner.pushes {
            let config = config.set_push_sender(pushes);
            let greeted = MultiplexedConnection::new_with_config(&account, stream, config).await;
            let (connection, driver) = greeted.map_err(|e| error::greeting(&e))?;
            return Ok((Connection::Listening(connection), Box::pin(driver)));
        }
        // The library's connection ends with the greeting, and the stream comes back.
        let (lent, own) = Lent::new(stream);
        drop(MultiplexedConnection::new_with_config(&account, lent, config).await.map_err(|e| error::greeting(&e))?);
        let stream = own.back().ok_or_else(|| "the greeting has not ended".to_owned())?;
        let (connection, driver) = Multiplexed::over(stream);
        Ok((Connection::Plain(connection), Box::pin(driver)))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}
