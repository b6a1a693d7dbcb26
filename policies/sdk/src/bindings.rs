//! What wit-bindgen makes of `wit/`, checked in. `tests/bindings.rs` of the host keeps it true; never edit it.
//!
//! `policy` holds the types and the host functions; the others hold one optional interface each and refer to it.

#[rustfmt::skip]
pub mod has_events;
#[rustfmt::skip]
pub mod has_loading;
#[rustfmt::skip]
pub mod has_migration;
#[rustfmt::skip]
pub mod has_revalidation;
#[rustfmt::skip]
pub mod has_warming;
#[rustfmt::skip]
pub mod has_workflow;
#[rustfmt::skip]
pub mod policy;
