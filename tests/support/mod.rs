//! What tests share.

pub mod engine;
pub mod gated;
pub mod resp;
