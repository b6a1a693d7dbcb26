//! Listening for Redis clients and handing each to a worker.
//!
//! Invariants: no more connections than allowed; the one too many is told so in Redis' words. When the workers close, the
//! listener does at once, and every connection answers what it has read.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval};

use super::RespConfig;
use super::clients::{Ending, Registered};
use super::connection::Connection;
use super::errors;
use super::session::{Session, Shared};
use crate::engine::Engine;
use crate::limits::{ACCEPT_PAUSE_MS, IDLE_LOOK_MS, RESP_KEEPALIVE_MS, RESP_STRANGER_IDLE_MS_MAX};
use crate::ports::quiet::Quiet;
use crate::wire::listen::BindError;
use crate::wire::socket::Socket;
use crate::wire::workers::Workers;

/// The listening front end.
pub struct RespServer {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl RespServer {
    /// Begins to listen; nobody is accepted yet.
    ///
    /// # Errors
    /// The address cannot be had; the text says what to do.
    pub async fn bind(config: &RespConfig, engine: Arc<Engine>) -> Result<Self, BindError> {
        let failed = |source| BindError { clients: "Redis clients", flag: "--resp", addr: config.addr, source };
        let listener = TcpListener::bind(config.addr).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, shared: Arc::new(Shared::new(config, engine, local)) })
    }

    /// Where it listens, with the port that was found if any was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// Accepts clients until the workers close, and then tells every connection to finish. The workers wait for them.
    pub async fn run(self, workers: Arc<Workers>) {
        let mut closing = workers.closing();
        let refused = Quiet::default();
        let mut look = interval(Duration::from_millis(IDLE_LOOK_MS));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                () = closing.wait() => break,
                _ = look.tick() => {
                    self.end_idle();
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.hand_over(stream, peer, &workers),
                Err(error) => {
                    // Often too many open files: the next try would fail as well, and at once.
                    if let Some(hushed) = refused.speaks(self.shared.engine.monotonic_ns()) {
                        tracing::warn!(%error, hushed, "a Redis client could not be accepted");
                    }
                    tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
            }
        }
        let Self { listener, shared } = self;
        drop(listener);
        shared.pauses.end();
        shared.clients.finish_all();
    }

    /// Ends connections that say nothing for longer than they may.
    fn end_idle(&self) {
        let Shared { front, engine, clients, .. } = &*self.shared;
        let idle_ms = front.resp.idle_ms();
        if idle_ms.is_none() && front.gate.is_open() {
            return;
        }
        let now_ms = engine.now_ms();
        for client in clients.list() {
            let is_stranger = client.label(|label| label.user.is_empty());
            let of_stranger = is_stranger.then_some(RESP_STRANGER_IDLE_MS_MAX);
            let max_ms = [idle_ms, of_stranger].into_iter().flatten().min();
            if max_ms.is_some_and(|max_ms| client.idle_ms(now_ms) > max_ms) {
                tracing::debug!(client = client.id, peer = %client.peer, "a Redis client said nothing for too long");
                engine.metrics().guard.idle_ended.increment();
                client.end(Ending::Kill);
            }
        }
    }

    fn hand_over(&self, stream: TcpStream, peer: SocketAddr, workers: &Workers) {
        // From here the socket belongs to no runtime until a worker takes it.
        let mut stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%peer, %error, "a Redis client was gone before it was served");
                return;
            }
        };
        let local = stream.local_addr().unwrap_or(self.shared.local);
        let registered =
            match self.shared.clients.register((peer, local), stream.as_raw_fd(), self.shared.engine.now_ms()) {
                Ok(registered) => registered,
                Err(full) => {
                    // As much as fits: nobody waits for a client that is turned away. Within TLS it would be no sense.
                    let line = format!("-{}\r\n", errors::TOO_MANY_CLIENTS);
                    let told = !self.shared.tls && stream.write(line.as_bytes()).is_ok();
                    let (max, why) = (self.shared.clients.max(), full.as_str());
                    tracing::warn!(%peer, told, max, why, "a Redis client was turned away");
                    return;
                }
            };
        let shared = Arc::clone(&self.shared);
        workers.spawn_on_next(move || serve(stream, shared, registered));
    }
}

/// One connection, on its worker.
async fn serve(stream: std::net::TcpStream, shared: Arc<Shared>, registered: Registered) {
    let (client, peer) = (registered.client().id, registered.client().peer);
    let served = async {
        let stream = TcpStream::from_std(stream)?;
        // A client whose machine is gone would keep its place for ever.
        let keepalive = TcpKeepalive::new().with_time(Duration::from_millis(RESP_KEEPALIVE_MS));
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        let tls = shared.front.tls.as_ref().filter(|_| shared.tls);
        let agreed = Socket::open(stream, tls).await;
        let socket = agreed.inspect_err(|_| shared.engine.metrics().guard.tls_failures.increment())?;
        let session = Session::new(shared, registered, socket.certificate());
        Connection::new(socket, session).run().await
    };
    match served.await {
        Ok(()) => tracing::trace!(client, %peer, "a Redis client is gone"),
        Err(error) => tracing::debug!(client, %peer, %error, "a connection of a Redis client broke"),
    }
}
