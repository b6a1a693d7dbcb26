//! One connection to Redis with the task that drives it, and whether it may still be used.
//!
//! Invariants: the driver lives on the runtime that asked for the connection, so that a worker's commands never hop threads; it
//! ends with the link. A link that answers nothing while commands time out on it is given up after
//! [`STORE_SILENCE_MS_MAX`]: TCP itself would take minutes to notice a peer that vanished.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::aio::AsyncPushSender;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::runtime;
use tokio::task::AbortHandle;

use super::connection::Connection;
use super::endpoint::Manner;
use super::target::Target;
use crate::limits::STORE_SILENCE_MS_MAX;

/// No silence.
const NONE: u64 = u64::MAX;

/// A connection.
pub(super) struct Link {
    connection: Connection,
    driver: AbortHandle,
    runtime: runtime::Id,
    /// Monotonic time of the last answer.
    heard_ns: AtomicU64,
    /// Monotonic time since which nothing was answered, as far as commands have timed out.
    silent_since_ns: AtomicU64,
    /// Why it was given up, if it was.
    given_up: OnceLock<&'static str>,
}

impl Link {
    /// Connects on the current runtime. The error says why not, in words.
    pub(super) async fn open<P: AsyncPushSender>(target: &Target, manner: Manner<P>) -> Result<Self, String> {
        let (connection, driver) = target.open(manner).await?;
        Ok(Self {
            connection,
            driver: tokio::spawn(driver).abort_handle(),
            runtime: runtime::Handle::current().id(),
            heard_ns: AtomicU64::new(0),
            silent_since_ns: AtomicU64::new(NONE),
            given_up: OnceLock::new(),
        })
    }

    /// Whether commands of this runtime may go over it.
    pub(super) fn is_usable(&self, runtime: runtime::Id) -> bool {
        self.runtime == runtime && self.is_alive()
    }

    /// Whether commands of any runtime may go over it.
    pub(super) fn is_alive(&self) -> bool {
        !self.driver.is_finished() && self.given_up.get().is_none()
    }

    /// Why it was given up, if it was.
    pub(super) fn given_up(&self) -> Option<&'static str> {
        self.given_up.get().copied()
    }

    /// No more commands go over it, for this reason; those under way are answered.
    pub(super) fn give_up(&self, cause: &'static str) {
        // The first reason stays.
        let _kept = self.given_up.set(cause);
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn one(&self, command: &Cmd) -> RedisResult<Value> {
        self.connection.one(command).await
    }

    /// Sends commands in one go and waits for all answers.
    pub(super) async fn many(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        self.connection.many(commands).await
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
            self.give_up("it has stopped answering");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
