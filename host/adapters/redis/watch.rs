//! Watched keys: Redis keeps them for each connection, so whoever watches has one to itself, from the first `WATCH` to `EXEC`.
//!
//! Invariants: so many at most are out at the same time; a connection is used by one watcher only and goes back with nothing watched:
//! the next one begins with `UNWATCH`. One on which something went wrong is closed. Deliberately absent: waiting for a free one; a
//! client that is refused tries again, as it does when its watch fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{Pipeline, Value};
use tokio::runtime;
use tokio::time::{Instant, timeout_at};

use super::endpoint::Manner;
use super::link::Link;
use super::node::Node;
use super::{command, error, value};
use crate::limits::{STORE_WATCHES_IDLE_MAX, STORE_WATCHES_MAX};
use crate::ports::store::{Command, Reply, StoreError, StoreKey, StoreResult, Watch};
use crate::ports::upstream::Types;

/// Connections that nobody watches with, and how many are out.
pub(super) struct Spares {
    idle: Mutex<Vec<Link>>,
    /// Of all nodes together.
    out: Arc<AtomicUsize>,
}

/// The right to have one out.
struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Spares {
    /// Those of one node, of which all together have so many out.
    pub(super) fn new(out: &Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), out: Arc::clone(out) })
    }

    fn permit(&self) -> StoreResult<Permit> {
        let before = self.out.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(&self.out));
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

/// Keys that are watched, with the connection that watches them.
pub(super) struct Watching {
    node: Arc<Node>,
    /// `None`: something went wrong on it.
    link: Option<Link>,
    _permit: Permit,
}

impl Watching {
    /// Watches keys on a connection of its own.
    pub(super) async fn begin(node: Arc<Node>, keys: &[StoreKey], deadline: Instant) -> StoreResult<Self> {
        let permit = node.spares.permit()?;
        let target = &*node.target;
        let link = match node.spares.take() {
            Some(link) => link,
            None => match timeout_at(deadline, Link::open(target, Manner::plain(Types::Rich))).await {
                Ok(link) => link.map_err(|cause| error::unavailable(target, &cause))?,
                Err(_) => return Err(error::unavailable(target, "no connection in time")),
            },
        };
        let mut watching = Self { node, link: Some(link), _permit: permit };
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("UNWATCH").add_command(command::on_all("WATCH", keys));
        watching.send(&commands, deadline).await?;
        Ok(watching)
    }

    /// Sends commands whose answers are all `OK`.
    async fn send(&mut self, commands: &Pipeline, deadline: Instant) -> StoreResult<()> {
        let answers = self.ask(commands, deadline).await?;
        let refusal = answers.iter().find_map(|answer| match answer {
            Value::ServerError(error) => Some(error),
            _ => None,
        });
        refusal.map_or(Ok(()), |error| Err(error::refused(&*self.node.target, error)))
    }

    /// A connection whose answer did not come is not used again.
    async fn ask(&mut self, commands: &Pipeline, deadline: Instant) -> StoreResult<Vec<Value>> {
        let Some(link) = self.link.take() else {
            return Err(StoreError::Broken(format!("{}: the watch is lost", self.node.target)));
        };
        match timeout_at(deadline, link.many(commands)).await {
            Ok(Ok(answers)) => {
                self.link = Some(link);
                Ok(answers)
            }
            Ok(Err(error)) => Err(error::in_flight(&*self.node.target, &error)),
            Err(_) => Err(StoreError::Timeout(self.node.common.store_ms)),
        }
    }
}

#[async_trait]
impl Watch for Watching {
    async fn add(&mut self, keys: &[StoreKey]) -> StoreResult<()> {
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(command::on_all("WATCH", keys));
        let node = Arc::clone(&self.node);
        node.common.within(|deadline| self.send(&commands, deadline)).await
    }

    async fn commit(mut self: Box<Self>, commands: Vec<Command>, types: Types) -> StoreResult<Option<Vec<Reply>>> {
        if let Some(Reply::Error(refusal)) = commands.iter().find_map(command::refusal_in_block) {
            return Err(StoreError::Reply(refusal));
        }
        let block = command::block(&commands);
        drop(commands);
        let sent = match types {
            Types::Rich => block,
            Types::Flat => in_flat_types(&block),
        };
        let node = Arc::clone(&self.node);
        let mut answers = node.common.within(|deadline| self.ask(&sent, deadline)).await?.into_iter();
        if types == Types::Flat
            && let (Some(Value::ServerError(error)), _) | (_, Some(Value::ServerError(error))) =
                (answers.next(), answers.next_back())
        {
            self.link = None;
            return Err(error::refused(&*node.target, &error));
        }
        value::block(&*node.target, answers.collect())
    }
}

/// A block that is answered in RESP2, on a connection that speaks RESP3 before and after it: who watches has not said yet what
/// it will ask.
fn in_flat_types(block: &Pipeline) -> Pipeline {
    let mut sent = Pipeline::with_capacity(block.len() + 2);
    sent.cmd("HELLO").arg(2);
    for command in block.cmd_iter() {
        sent.add_command(command.clone());
    }
    sent.cmd("HELLO").arg(3);
    sent
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            self.node.spares.give(link);
        }
    }
}
