//! **Larder**: a policy-driven cache host. One service in front of Redis whose rules are WebAssembly components,
//! swapped while it runs.
//!
//! # Layers
//!
//! `wire → engine → ports ← adapters`. An import never goes another way (a test proves it):
//!
//! - [`wire`]: RESP and HTTP. Bytes in, an engine call, bytes out. Knows no Redis and no WebAssembly.
//! - [`engine`]: what a cache does. All decisions; no I/O, no protocol and no clock of its own.
//! - [`ports`]: the traits through which the engine reaches the world, their data and their errors.
//! - [`adapters`]: the outside world behind the ports: stores, WebAssembly, Prometheus, the clock.
//! - [`limits`] holds every bound; [`error`] the one error that callers see; [`config`] the settings.
//!
//! `main` alone names adapters and wires everything, as a straight list.
//!
//! # Invariants
//!
//! - A hit costs no policy call: what a policy decided is stamped on the entry as deadlines.
//! - Every decision carries the rules that took it; an entry judged under other rules is judged again on its next touch.
//! - A policy names keys only below its own domain: the host adds prefix, version and domain.
//! - Everything that grows has a bound in [`limits`].

#![warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

pub mod adapters;
pub mod config;
pub mod engine;
pub mod error;
pub mod limits;
pub mod ports;
pub mod toolchain;
pub mod wire;
