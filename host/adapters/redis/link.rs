//! One connection to Redis with the task that drives it, and whether it may still be used.
//!
//! Invariants: the driver lives on the runtime that asked for the connection, so that a worker's commands never hop threads; it
//! ends with the link. A link that answers nothing while commands time out on it is given up after
//! [`STORE_SILENCE_MS_MAX`]: TCP itself would take minutes to notice a peer that vanished.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::runtime;
use tokio::task::AbortHandle;

use super::address::RedisAddress;
use crate::limits::STORE_SILENCE_MS_MAX;

/// No silence.
const NONE: u64 = u64::MAX;

/// A connection.
pub(super) struct Link {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    runtime: runtime::Id,
    /// Monotonic time of the last answer.
    heard_ns: AtomicU64,
    /// Monotonic time since which nothing was answered, as far as commands have timed out.
    silent_since_ns: AtomicU64,
    given_up: AtomicBool,
}

impl Link {
    /// Connects on the current runtime. The error says why not, in words.
    pub(super) async fn open(address: &RedisAddress) -> Result<Self, String> {
        let (connection, driver) = address.connect().await?;
        Ok(Self {
            connection,
            driver: tokio::spawn(driver).abort_handle(),
            runtime: runtime::Handle::current().id(),
            heard_ns: AtomicU64::new(0),
            silent_since_ns: AtomicU64::new(NONE),
            given_up: AtomicBool::new(false),
        })
    }

    /// Whether commands of this runtime may go over it.
    pub(super) fn is_usable(&self, runtime: runtime::Id) -> bool {
        self.runtime == runtime && self.is_alive()
    }

    /// Whether commands of any runtime may go over it.
    pub(super) fn is_alive(&self) -> bool {
        !self.driver.is_finished() && !self.is_given_up()
    }

    /// Whether it was given up for its silence.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn one(&self, command: &Cmd) -> RedisResult<Value> {
        self.connection.clone().send_packed_command(command).await
    }

    /// Sends commands in one go and waits for all answers.
    pub(super) async fn many(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        self.connection.clone().send_packed_commands(commands, 0, commands.len()).await
    }

    /// An answer came.
    pub(super) fn heard(&self, now_ns: u64) {
        self.heard_ns.store(now_ns, Ordering::Relaxed);
        self.silent_since_ns.store(NONE, Ordering::Relaxed);
    }

    /// A command that was sent at `sent_ns` timed out. If others got answers meanwhile, it was the command that was slow.
    pub(super) fn timed_out(&self, sent_ns: u64, now_ns: u64) {
        if self.heard_ns.load(Ordering::Relaxed) >= sent_ns {
            return;
        }
        let since = self.silent_since_ns.fetch_min(sent_ns, Ordering::Relaxed).min(sent_ns);
        if now_ns.saturating_sub(since) >= STORE_SILENCE_MS_MAX * 1_000_000 {
            self.given_up.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
