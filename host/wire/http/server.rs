//! Listening for HTTP clients and handing each to a worker.
//!
//! Invariants: no more connections than allowed; the one too many is told so with a 503. When the workers close, the listener does
//! at once, and every connection answers the request that it is at.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{App, serve_connection};
use crate::limits::ACCEPT_PAUSE_MS;
use crate::ports::metrics::Metrics;
use crate::wire::listen::BindError;
use crate::wire::workers::Workers;

const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The listening front end.
pub struct HttpServer {
    listener: TcpListener,
    local: SocketAddr,
    app: App,
    places: Arc<Semaphore>,
}

impl HttpServer {
    /// Begins to listen; nobody is accepted yet.
    ///
    /// # Errors
    /// The address cannot be had; the text says what to do.
    pub async fn bind(addr: SocketAddr, connections_max: usize, app: App) -> Result<Self, BindError> {
        let failed = |source| BindError { clients: "HTTP clients", flag: "--http", addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, local, app, places: Arc::new(Semaphore::new(connections_max)) })
    }

    /// Where it listens, with the port that was found if any was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts clients until the workers close. The workers wait for the connections.
    pub async fn run(self, workers: Arc<Workers>) {
        let mut closing = workers.closing();
        loop {
            let accepted = tokio::select! {
                () = closing.wait() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.hand_over(stream, peer, &workers),
                Err(error) => {
                    // Often too many open files: the next try would fail as well, and at once.
                    tracing::warn!(%error, "an HTTP client could not be accepted");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
            }
        }
    }

    fn hand_over(&self, stream: TcpStream, peer: SocketAddr, workers: &Workers) {
        // From here the socket belongs to no runtime until a worker takes it.
        let Ok(mut stream) = stream.into_std() else { return };
        let metrics = Arc::clone(self.app.shared.engine.metrics());
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            metrics.http_connections_refused.increment();
            let told = stream.write(TOO_MANY).is_ok();
            tracing::warn!(%peer, told, "an HTTP client was turned away: too many are connected");
            return;
        };
        let place = Place::new(permit, metrics);
        let (app, mut closing) = (self.app.clone(), workers.closing());
        workers.spawn_on_next(move || async move {
            let _place = place;
            match TcpStream::from_std(stream).and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => serve_connection(stream, app, closing.wait()).await,
                Err(error) => tracing::debug!(%peer, %error, "an HTTP client was gone before it was served"),
            }
        });
    }
}

/// The place of one open connection; given back on drop.
struct Place {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, metrics: Arc<Metrics>) -> Self {
        metrics.http_connections.increment();
        Self { _permit: permit, metrics }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.http_connections.decrement();
    }
}
