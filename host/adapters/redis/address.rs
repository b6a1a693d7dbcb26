//! Where a Redis is and how to greet it; the one place that opens connections.
//!
//! Invariant: nothing that is printed holds a password. Deliberately absent for now: TLS, Sentinel, Cluster.

use std::fmt;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error;
use crate::limits::{STORE_CONNECT_MS_MAX, STORE_WRITE_QUEUE_MAX};

/// A Redis and the account there.
#[derive(Clone)]
pub struct RedisAddress {
    host: String,
    port: u16,
    account: RedisConnectionInfo,
}

/// Why a text is no address of a Redis. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is something else.
    #[error("the store's address is not of the form redis://[user:password@]host[:port][/database]")]
    Form,
    /// It asks for TLS.
    #[error(
        "the store's address asks for TLS, which this version does not speak; use redis:// on a network that you trust"
    )]
    Tls,
    /// It names a local socket.
    #[error("the store's address names a socket file, which is not supported; use redis://host:port")]
    Socket,
}

/// What runs a connection: to be polled for as long as the connection is to live.
type Driver = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl RedisAddress {
    /// Reads `redis://[user:password@]host[:port][/database]`; user and password percent-encoded, port 6379 and database 0 by
    /// default.
    ///
    /// # Errors
    /// It has another form.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => {}
            "rediss" | "valkeys" => return Err(AddressError::Tls),
            "unix" | "redis+unix" | "valkey+unix" => return Err(AddressError::Socket),
            _ => return Err(AddressError::Form),
        }
        let parsed = url.into_connection_info().map_err(|_| AddressError::Form)?;
        match parsed.addr() {
            ConnectionAddr::Tcp(host, port) => Ok(Self::of(host.clone(), *port, parsed.redis_settings().clone())),
            _ => Err(AddressError::Form),
        }
    }

    /// From `REDIS_HOST`, `REDIS_PORT` and `REDIS_PASSWORD`; an empty password is none.
    #[must_use]
    pub fn from_parts(host: impl Into<String>, port: u16, password: Option<&str>) -> Self {
        let account = RedisConnectionInfo::default();
        let account = match password {
            Some(password) if !password.is_empty() => account.set_password(password),
            _ => account,
        };
        Self::of(host.into(), port, account)
    }

    fn of(host: String, port: u16, account: RedisConnectionInfo) -> Self {
        let account = account.set_protocol(ProtocolVersion::RESP3).set_lib_name("larder", env!("CARGO_PKG_VERSION"));
        Self { host, port, account }
    }

    /// Connects and greets. The error says why not, in words.
    pub(super) async fn connect(&self) -> Result<(MultiplexedConnection, Driver), String> {
        self.connect_with(AsyncConnectionConfig::new()).await
    }

    /// The same, for a connection on which the server tells something of itself.
    pub(super) async fn connect_told(
        &self,
        told: impl AsyncPushSender,
    ) -> Result<(MultiplexedConnection, Driver), String> {
        self.connect_with(AsyncConnectionConfig::new().set_push_sender(told)).await
    }

    async fn connect_with(&self, config: AsyncConnectionConfig) -> Result<(MultiplexedConnection, Driver), String> {
        timeout(Duration::from_millis(STORE_CONNECT_MS_MAX), self.try_connect(config))
            .await
            .unwrap_or_else(|_| Err(format!("no connection and greeting within {STORE_CONNECT_MS_MAX} ms")))
    }

    async fn try_connect(&self, config: AsyncConnectionConfig) -> Result<(MultiplexedConnection, Driver), String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        // Deadlines are the store's business: one timer for a command, not two.
        let config = config
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(STORE_WRITE_QUEUE_MAX);
        let connection = MultiplexedConnection::new_with_config(&self.account, stream, config).await;
        let (connection, driver) = connection.map_err(|e| error::greeting(&e))?;
        Ok((connection, Box::pin(driver)))
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: &str) {
        let said = RedisAddress::parse(url).map_or_else(
            |error| error.to_string(),
            |address| {
                let RedisAddress { account, .. } = &address;
                let (user, password) = (account.username().unwrap_or("-"), account.password().unwrap_or("-"));
                format!("{address} {user} {password} {}", account.db())
            },
        );
        assert!(said.starts_with(expect), "{url}: {said}");
    }

    #[test]
    fn an_address_is_read() {
        check("redis://localhost", "localhost:6379 - - 0");
        check("redis://10.0.0.1:7000/3", "10.0.0.1:7000 - - 3");
        check("redis://:p%40ss@h:1", "h:1 - p@ss 0");
        check("redis://app:secret@[::1]:6379/", "[::1]:6379 app secret 0");
        check("rediss://h", "the store's address asks for TLS");
        check("unix:///tmp/s", "the store's address names a socket");
        check("localhost:6379", "the store's address is not");
        check("redis://h:p:q/x", "the store's address is not");
        check("redis://h/x", "the store's address is not");
    }

    #[test]
    fn nothing_printed_holds_the_password() {
        let address = RedisAddress::parse("redis://app:secret@h:1").expect("it is one");
        assert_eq!(format!("{address} {address:?}"), "h:1 RedisAddress(h:1)");
    }
}
