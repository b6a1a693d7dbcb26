//! What a cache does. All decisions; no I/O, no protocol and no clock of its own.

pub mod api;
mod core;

pub use self::core::Engine;
