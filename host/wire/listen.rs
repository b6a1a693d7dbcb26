//! Why a front end cannot listen, with what to do about it. The same words for RESP and HTTP.

use std::io;
use std::net::SocketAddr;

/// Why a front end cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {clients} on {addr}: {source}; {} with {flag}", advice(.source))]
pub struct BindError {
    /// Whom it listens for.
    pub clients: &'static str,
    /// The setting to change.
    pub flag: &'static str,
    /// Where it was to listen.
    pub addr: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop what listens there (a Redis? another Larder?), or choose another address",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; choose another one",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose another one",
        _ => "choose another address",
    }
}
