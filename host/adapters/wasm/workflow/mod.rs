//! The workflow of a policy: commands and upkeep, which may wait and are the only calls that reach the store, locks and breakers.
//!
//! In the order of a call: `program` makes a fresh instance and runs one function of it, `state` is what the host keeps beside the
//! instance, `budget` ends what uses the processor for too long and lets others have their turn meanwhile; `keys`, `locks` and
//! `breakers` are the host functions, which ask the engine's `WorkflowHost`.
//!
//! Deliberately absent: reuse of instances. A call that was dropped half-way, or a guest that remembers, harms nobody.

mod bindings;
mod breakers;
mod budget;
mod convert;
mod keys;
mod linker;
mod locks;
mod program;
mod reply;
mod state;

pub(super) use linker::linker;
pub(super) use program::WorkflowProgram;
pub(super) use state::CallState;
