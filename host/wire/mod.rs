//! The front ends: bytes in, an engine call, bytes out. Know no Redis and no WebAssembly.

pub mod http;
pub mod listen;
pub mod resp;
pub mod workers;
