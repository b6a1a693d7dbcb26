//! Write a Larder policy in one short file: the rules of one domain of cached data, as a WebAssembly component.
//!
//! A policy implements [`Rules`], and the traits of those optional interfaces that it wants ([`Events`],
//! [`Workflow`], …), and says [`export!`]:
//!
//! ```
//! use std::time::Duration;
//! use larder_policy::*;
//!
//! struct Presence { ttl: Duration }
//!
//! impl Rules for Presence {
//!     fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
//!         let ttl = settings.duration("ttl", seconds(30))?;
//!         Ok((Self { ttl }, Description::new(env!("CARGO_PKG_VERSION"))))
//!     }
//!
//!     fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
//!         match parts(&request.key) {
//!             Some([_user]) => Ok(Plan::verbatim()),
//!             None => Err(Refusal::InvalidKey("the key must be `{userId}`".into())),
//!         }
//!     }
//!
//!     fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
//!         Lifetime::fresh(self.ttl).at_most(candidate.asked_ttl()).into()
//!     }
//! }
//!
//! export!(Presence);
//! ```
//!
//! The host keeps an instance and calls it again and again: what `describe` returned lives as long as the
//! instance. Rules are pure; what they remember between calls is lost at any time. On other targets than
//! `wasm32` nothing is exported and host functions do nothing or are unreachable, so that the logic of a policy
//! is tested by plain `cargo test`.
//!
//! Deliberately absent: a runtime, `async`, the environment, files and sockets. What a policy can do is what
//! its component imports, and it imports only the host functions that it calls.

pub mod argument;
#[doc(hidden)]
pub mod bindings;
mod exported;
mod hooks;
pub mod host;
pub mod json;
mod keys;
mod lifetime;
mod rules;
#[doc(hidden)]
pub mod runtime;
mod settings;
mod units;

#[doc(hidden)]
pub use bindings::policy::larder::policy::types;
#[doc(hidden)]
pub use exported::Exported;
pub use hooks::{
    Acceptance, CommandError, EntryState, EntryStatus, Event, Events, Loading, Migration, OriginRequest,
    OriginResponse, Reply, Revalidation, Verdict, Warming, Workflow,
};
pub use keys::{first_part, join, parts};
pub use rules::Rules;
pub use settings::Settings;
pub use types::{
    Absence, Admission, Candidate, Cause, Compression, Description, Encoding, KeyScope, Lifetime, Miss, Operation,
    Plan, Refusal, Request, Selector, Shape, Shapes, Wants,
};
pub use units::{days, hours, in_ms, milliseconds, minutes, seconds};
