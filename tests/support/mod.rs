//! What tests share.

pub mod collector;
pub mod engine;
pub mod gated;
pub mod giving_up;
pub mod host;
pub mod http;
pub mod origin;
pub mod policies;
pub mod proxy;
pub mod redis;
pub mod resp;
pub mod script;
pub mod tls;
pub mod wait;
pub mod weather;
