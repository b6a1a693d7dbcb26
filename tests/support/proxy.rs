//! A network that fails on demand: a proxy between two programs on the loopback, which can hold everything up, or cut it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A proxy before one port of the loopback.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    held: Mutex<bool>,
    released: Condvar,
    ended: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Before this port.
    pub(crate) fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has free ports");
        let own = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                let there = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let Ok(server) = TcpStream::connect_timeout(&there, Duration::from_secs(5)) else { continue };
                carry(&client, &server, &accepting);
                carry(&server, &client, &accepting);
                accepting.streams.lock().extend([client, server]);
            }
        });
        Self { port: own, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Nothing arrives any more, in either direction, and nobody is told; what is sent meanwhile arrives later.
    pub(crate) fn partition(&self) {
        *self.shared.held.lock() = true;
    }

    /// Everything arrives again.
    pub(crate) fn heal(&self) {
        *self.shared.held.lock() = false;
        self.shared.released.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.heal();
        for stream in self.shared.streams.lock().drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Carries what one side sends to the other, on a thread of its own.
fn carry(from: &TcpStream, to: &TcpStream, shared: &Arc<Shared>) {
    let (mut from, mut to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
    let shared = shared.clone();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let mut held = shared.held.lock();
            shared.released.wait_while(&mut held, |held| *held);
            drop(held);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The other side learns of the end, unless it has ended itself.
        let _ = to.shutdown(Shutdown::Both);
    });
}
