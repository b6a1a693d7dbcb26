//! Policies on wasmtime: from a file in a folder to a live [`Policy`](crate::ports::policy::Policy), and out of service again.
pub mod bindings;
mod contract;
mod convert;
pub mod engine;
mod imports;
mod limiter;
mod refused;
mod state;
mod stubs;
