//! What tests share.

pub mod engine;
pub mod redis;
pub mod wait;
