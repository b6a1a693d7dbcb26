//! The front ends: bytes in, an engine call, bytes out. Know no Redis and no WebAssembly.

pub mod access;
pub mod front;
pub mod http;
pub mod listen;
pub mod places;
pub mod resp;
mod socket;
pub mod tls;
pub mod workers;
