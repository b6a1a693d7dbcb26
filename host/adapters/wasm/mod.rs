//! Policies on wasmtime: from a file in a folder to a live [`Policy`](crate::ports::policy::Policy), and out of service again.
//!
//! In the order of a policy's life: `folder` and `watch` find it, `read` takes it up on a thread of its own, `contract`
//! and `manifest` judge it, `compile` makes code of it, `trial` tries it on its `case`s, `life` makes it live, `policy` calls it
//! with the host functions of `imports` and `wasi`, `probation` counts its failures, `keep` remembers it for the next start.
//! `workflow` is the part that may wait.

mod answer;
mod beside;
mod bindings;
mod board;
mod case;
mod check;
mod command;
mod compile;
mod contract;
mod convert;
mod deadline;
mod decisions;
mod domain;
mod engine;
mod exported;
mod exports;
mod fault;
mod folder;
mod imports;
mod instance;
mod keep;
mod life;
mod limiter;
mod load;
mod loads;
mod manifest;
mod policy;
mod probation;
mod quarantine;
mod read;
mod reader;
mod refused;
mod registry;
mod report;
mod source;
mod state;
mod stubs;
mod ticker;
mod told;
mod trial;
mod wasi;
mod wasi_output;
mod wasi_refusal;
mod watch;
mod workflow;

pub use check::{Checked, Checker};
pub use compile::{bound_compiler, compile};
pub use engine::prepare_thread;
pub use load::Overrides;
pub use registry::{RegistryConfig, WasmRegistry};
pub use report::{CaseResult, Report};
