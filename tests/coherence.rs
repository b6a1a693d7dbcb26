//! What others change in the store: when a node notices, and what it serves until then.

mod cluster;
mod hosts;
mod property;
mod streams;
