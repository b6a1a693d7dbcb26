//! Watched keys: Redis keeps them for each connection, so whoever watches has one to itself, from the first `WATCH` to `EXEC`.
//!
//! Invariants: so many at most are out at the same time; a connection is used by one watcher only and goes back with nothing watched:
//! the next one begins with `UNWATCH`. One on which something went wrong is closed. Deliberately absent: waiting for a free one; a
//! client that is refused tries again, as it does when its watch fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{Pipeline, Value};
use tokio::runtime;
use tokio::time::{Instant, timeout_at};

use super::address::RedisAddress;
use super::link::Link;
use super::{command, error, value};
use crate::limits::{STORE_WATCHES_IDLE_MAX, STORE_WATCHES_MAX};
use crate::ports::store::{Command, Reply, StoreError, StoreKey, StoreResult, Watch};

/// Connections that nobody watches with, and how many are out.
#[derive(Default)]
pub(super) struct Spares {
    idle: Mutex<Vec<Link>>,
    out: AtomicUsize,
}

/// The right to have one out.
struct Permit(Arc<Spares>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.out.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Spares {
    fn permit(self: &Arc<Self>) -> StoreResult<Permit> {
        let before = self.out.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(self));
        if before < STORE_WATCHES_MAX {
            return Ok(permit);
        }
        Err(StoreError::Busy(format!("{STORE_WATCHES_MAX} clients may watch keys at the same time")))
    }

    /// One that belongs to this runtime, as its commands must.
    fn take(&self) -> Option<Link> {
        let runtime = runtime::Handle::current().id();
        let mut idle = self.idle.lock();
        let at = idle.iter().position(|link| link.is_usable(runtime))?;
        Some(idle.swap_remove(at))
    }

    fn give(&self, link: Link) {
        let mut idle = self.idle.lock();
        idle.retain(Link::is_alive);
        if idle.len() < STORE_WATCHES_IDLE_MAX {
            idle.push(link);
        }
    }
}

/// Where to connect, and how long anything may take.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) address: Arc<RedisAddress>,
    pub(super) store_ms: u64,
}

/// Keys that are watched, with the connection that watches them.
pub(super) struct Watching {
    settings: Settings,
    spares: Arc<Spares>,
    /// `None`: something went wrong on it.
    link: Option<Link>,
    _permit: Permit,
}

impl Watching {
    /// Watches keys on a connection of its own.
    pub(super) async fn begin(settings: Settings, spares: Arc<Spares>, keys: &[StoreKey]) -> StoreResult<Self> {
        let permit = spares.permit()?;
        let deadline = Instant::now() + Duration::from_millis(settings.store_ms);
        let link = match spares.take() {
            Some(link) => link,
            None => match timeout_at(deadline, Link::open(&settings.address)).await {
                Ok(link) => link.map_err(|cause| error::unavailable(&settings.address, &cause))?,
                Err(_) => return Err(error::unavailable(&settings.address, "no connection in time")),
            },
        };
        let mut watching = Self { settings, spares, link: Some(link), _permit: permit };
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("UNWATCH").add_command(command::on_all("WATCH", keys));
        watching.send(&commands, deadline).await?;
        Ok(watching)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.settings.store_ms)
    }

    /// Sends commands whose answers are all `OK`.
    async fn send(&mut self, commands: &Pipeline, deadline: Instant) -> StoreResult<()> {
        let answers = self.ask(commands, deadline).await?;
        let refusal = answers.iter().find_map(|answer| match answer {
            Value::ServerError(error) => Some(error),
            _ => None,
        });
        refusal.map_or(Ok(()), |error| Err(error::refused(&self.settings.address, error)))
    }

    /// A connection whose answer did not come is not used again.
    async fn ask(&mut self, commands: &Pipeline, deadline: Instant) -> StoreResult<Vec<Value>> {
        let Some(link) = self.link.take() else {
            return Err(StoreError::Broken(format!("{}: the watch is lost", self.settings.address)));
        };
        match timeout_at(deadline, link.many(commands)).await {
            Ok(Ok(answers)) => {
                self.link = Some(link);
                Ok(answers)
            }
            Ok(Err(error)) => Err(error::in_flight(&self.settings.address, &error)),
            Err(_) => Err(StoreError::Timeout(self.settings.store_ms)),
        }
    }
}

#[async_trait]
impl Watch for Watching {
    async fn add(&mut self, keys: &[StoreKey]) -> StoreResult<()> {
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(command::on_all("WATCH", keys));
        let deadline = self.deadline();
        self.send(&commands, deadline).await
    }

    async fn commit(mut self: Box<Self>, commands: Vec<Command>) -> StoreResult<Option<Vec<Reply>>> {
        if let Some(Reply::Error(refusal)) = commands.iter().find_map(command::refusal) {
            return Err(StoreError::Reply(refusal));
        }
        let block = command::block(&commands);
        drop(commands);
        let deadline = self.deadline();
        let answers = self.ask(&block, deadline).await?;
        value::block(&self.settings.address, answers)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            self.spares.give(link);
        }
    }
}
