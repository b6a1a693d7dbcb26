//! RESP2 and RESP3: Larder as a drop-in for Redis' clients.
//!
//! Bytes come in through [`connection`], [`parser`] finds commands in them, [`commands`] says what each is and calls the engine,
//! [`pipeline`] keeps the answers in order, [`reply`] writes them. What a batch of pipelined commands asks for is
//! answered with one write; a hit in L1 is written without an allocation, an await or a policy call.
//!
//! Rules: the words of errors are those of Redis 7.0 wherever a client may depend on them ([`errors`]); a connection's commands
//! never overtake each other on a key ([`claims`]); memory is bounded by what came and by `limits`, never by what a
//! client claims. A transaction is queued here and carried out by the engine as one ([`transaction`]). What is not in the table
//! goes to the Redis behind this host ([`forward`]); commands on data that came one after the other go there together (`sequence`). Deliberately absent: databases.

pub mod args;
mod buffers;
pub mod claims;
pub mod clients;
pub mod commands;
mod connection;
mod dispatch;
mod errors;
mod forward;
pub mod frame;
mod glob;
mod hit;
mod inline;
mod monitor;
mod number;
mod outbox;
pub mod parser;
mod pause;
pub mod pipeline;
pub mod reply;
mod sequence;
mod server;
pub mod session;
mod tally;
mod traced;
mod tracked;
pub mod transaction;

pub use server::RespServer;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::wire::front::Front;

/// The release of Redis whose behaviour is followed, as `INFO` and `HELLO` name it.
pub const REDIS_VERSION: &str = "7.0.15";

/// The settings of the front end.
#[derive(Clone)]
pub struct RespConfig {
    /// Where to listen. Port 0: any free one.
    pub addr: SocketAddr,
    /// Whether clients speak TLS, with what the front has for it.
    pub tls: bool,
    /// Who is let in, and how many.
    pub front: Arc<Front>,
}

impl Default for RespConfig {
    fn default() -> Self {
        Self { addr: (Ipv4Addr::LOCALHOST, 6380).into(), tls: false, front: Arc::default() }
    }
}
