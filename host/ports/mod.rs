//! The ports: traits through which the engine reaches the world, with their data and their errors.
//!
//! Rule of the layer: nothing here imports the engine, a front end or an adapter. The contract of a method is in its doc,
//! and one suite in `tests/` runs it against every adapter.

pub mod allocator;
pub mod breaker;
pub mod budget;
pub mod candidate;
pub mod clock;
pub mod coherence;
pub mod compression;
pub mod guard;
pub mod hooks;
pub mod invalidation;
pub mod lease;
pub mod load;
pub mod lock;
pub mod log;
pub mod metrics;
pub mod origin;
pub mod pattern;
pub mod policy;
pub mod quiet;
pub mod refusal;
pub mod registry;
pub mod series;
mod state;
pub mod store;
pub mod table;
pub mod trace;
pub mod upstream;
pub mod warming;
pub mod way;
pub mod workflow;
