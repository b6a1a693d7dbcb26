//! Listening for HTTP clients and handing each to a worker.
//!
//! Invariants: no more connections than allowed; the one too many is told so with a 503. When the workers close, the listener does
//! at once, and every connection answers the request that it is at.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::App;
use super::caller::Peer;
use super::connection::serve;
use crate::limits::ACCEPT_PAUSE_MS;
use crate::ports::metrics::Metrics;
use crate::ports::quiet::Quiet;
use crate::wire::listen::BindError;
use crate::wire::places::Place;
use crate::wire::socket::Socket;
use crate::wire::workers::Workers;

const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The listening front end.
pub struct HttpServer {
    listener: TcpListener,
    local: SocketAddr,
    app: App,
    tls: bool,
}

impl HttpServer {
    /// Begins to listen; nobody is accepted yet. `flag` is where the address was said, `tls` whether clients speak it.
    ///
    /// # Errors
    /// The address cannot be had; the text says what to do.
    pub async fn bind(addr: SocketAddr, flag: &'static str, tls: bool, app: App) -> Result<Self, BindError> {
        let failed = |source| BindError { clients: "HTTP clients", flag, addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, local, app, tls })
    }

    /// Where it listens, with the port that was found if any was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts clients until the workers close. The workers wait for the connections.
    pub async fn run(self, workers: Arc<Workers>) {
        let mut closing = workers.closing();
        let refused = Quiet::default();
        loop {
            let accepted = tokio::select! {
                () = closing.wait() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.hand_over(stream, peer, &workers),
                Err(error) => {
                    // Often too many open files: the next try would fail as well, and at once.
                    if let Some(hushed) = refused.speaks(self.app.shared.engine.monotonic_ns()) {
                        tracing::warn!(%error, hushed, "an HTTP client could not be accepted");
                    }
                    tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
            }
        }
    }

    fn hand_over(&self, stream: TcpStream, peer: SocketAddr, workers: &Workers) {
        // From here the socket belongs to no runtime until a worker takes it.
        let Ok(mut stream) = stream.into_std() else { return };
        let metrics = Arc::clone(self.app.shared.engine.metrics());
        let place = match self.app.shared.front.http.places.take(peer.ip()) {
            Ok(place) => Open::new(place, metrics),
            Err(full) => {
                metrics.http_connections_refused.increment();
                // Within TLS it would be no sense.
                let told = !self.tls && stream.write(TOO_MANY).is_ok();
                tracing::warn!(%peer, told, why = full.as_str(), "an HTTP client was turned away");
                return;
            }
        };
        let (app, tls, mut closing) = (self.app.clone(), self.tls, workers.closing());
        workers.spawn_on_next(move || async move {
            let _place = place;
            let front = Arc::clone(&app.shared.front);
            let opened = async {
                let agreed = Socket::open(TcpStream::from_std(stream)?, front.tls.as_ref().filter(|_| tls)).await;
                agreed.inspect_err(|_| app.shared.engine.metrics().guard.tls_failures.increment())
            };
            match opened.await {
                Ok(socket) => {
                    let client = Peer::new(peer.ip(), socket.certificate(), front.http.rate_max());
                    serve(socket, app, client, closing.wait()).await;
                }
                Err(error) => tracing::debug!(%peer, %error, "an HTTP client was gone before it was served"),
            }
        });
    }
}

/// One open connection; its place is given back on drop.
struct Open {
    _place: Place,
    metrics: Arc<Metrics>,
}

impl Open {
    fn new(place: Place, metrics: Arc<Metrics>) -> Self {
        metrics.http_connections.increment();
        Self { _place: place, metrics }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.http_connections.decrement();
    }
}
