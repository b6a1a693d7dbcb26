//! Redis as the store: Redis 6 or later or Valkey, as one server, behind sentinels or as a cluster; spoken to in RESP3.
//!
//! Each thread has one connection to a server that all its callers share (`slot.rs`): their commands travel together, which is
//! what makes the hop through this host cheap. Every command has a deadline, and so many at most are under way. A command
//! that may hold up a connection gets one of its own (`node.rs`).
//!
//! Invariants: a call that is given up leaks nothing, though Redis may still carry it out; no error text holds a password;
//! what the server says is told in its own words. Deliberately absent: reading from replicas, which are behind.

mod address;
mod adopt;
mod cluster;
mod command;
mod connection;
mod databases;
mod endpoint;
mod error;
mod leases;
mod link;
mod locks;
mod multiplex;
mod node;
mod script;
mod sequence;
mod slot;
mod store;
mod table;
mod target;
mod tls;
mod tracking;
mod upstream;
mod value;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

pub use self::address::{AddressError, RedisAddress};
pub use self::tls::{TlsError, TlsSettings};
pub use self::tracking::{Tracking, TrackingSettings};

use self::cluster::Cluster;
use self::databases::Databases;
use self::leases::LeaseScripts;
use self::locks::LockScripts;
use self::node::{Common, Node};
use self::script::Script;
use self::target::Where;
use crate::limits::{STORE_INFLIGHT_MAX, STORE_MS_DEFAULT, STORE_OWN_MAX};
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;
use crate::ports::store::{Command, Reply, StoreError, StoreKey, StoreResult};
use crate::ports::upstream::{CommandTable, Types};

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Where it is.
    pub address: RedisAddress,
    /// Deadline of one call in milliseconds, connecting included (`CACHE_MAX_LATENCY_MS`).
    pub store_ms: u64,
    /// Calls that may be under way at the same time.
    pub inflight_max: usize,
    /// Connections that callers may have for themselves at the same time.
    pub own_max: usize,
}

impl RedisSettings {
    /// The defaults for a Redis at this address.
    #[must_use]
    pub const fn new(address: RedisAddress) -> Self {
        Self { address, store_ms: STORE_MS_DEFAULT, inflight_max: STORE_INFLIGHT_MAX, own_max: STORE_OWN_MAX }
    }
}

/// A store in Redis. Its methods must be called within a tokio runtime.
pub struct RedisStore {
    address: RedisAddress,
    common: Arc<Common>,
    form: Form,
    replace: Script,
    remove: Script,
    increment: Script,
    locks: LockScripts,
    leases: LeaseScripts,
    /// The server's commands, and the connection over which they were asked for.
    table: ArcSwapOption<(u64, Arc<CommandTable>)>,
    databases: Databases,
}

/// The servers.
enum Form {
    /// One, or the primary of some.
    One(Arc<Node>),
    /// Many, each with some of the keys.
    Cluster(Arc<Cluster>),
}

/// The right to have one call under way; dropping it gives it back.
struct Permit<'a>(&'a AtomicUsize);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RedisStore {
    /// A store that connects when it is first used.
    #[must_use]
    pub fn new(settings: RedisSettings, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let RedisSettings { address, store_ms, inflight_max, own_max } = settings;
        let common = Arc::new(Common {
            store_ms,
            clock,
            metrics,
            epoch: Arc::new(AtomicU64::new(0)),
            inflight: AtomicUsize::new(0),
            inflight_max,
            own: AtomicUsize::new(0),
            own_max,
            watches: Arc::default(),
        });
        Self::over(address, common)
    }

    /// A store that shares its bounds with others.
    fn over(address: RedisAddress, common: Arc<Common>) -> Self {
        let form = match Where::of(&address) {
            Where::One(target) => Form::One(Node::new(target, Arc::clone(&common))),
            Where::Cluster(seeds) => Form::Cluster(Cluster::new(seeds, address.access.clone(), Arc::clone(&common))),
        };
        Self {
            address,
            common,
            form,
            replace: Script::replace(),
            remove: Script::remove(),
            increment: Script::increment(),
            locks: LockScripts::default(),
            leases: LeaseScripts::default(),
            table: ArcSwapOption::empty(),
            databases: Databases::default(),
        }
    }

    fn permit(&self) -> StoreResult<Permit<'_>> {
        let Common { inflight, inflight_max, .. } = &*self.common;
        let before = inflight.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(inflight);
        if before < *inflight_max {
            return Ok(permit);
        }
        Err(StoreError::Busy(format!("{inflight_max} at the same time are allowed")))
    }

    /// Carries out a call within its bounds, the operation's budget among them, and reads its answer.
    async fn run<V, T, F: Future<Output = StoreResult<V>> + Send>(
        &self,
        call: impl FnOnce(Instant) -> F + Send,
        read: impl FnOnce(&RedisAddress, V) -> StoreResult<T> + Send,
    ) -> StoreResult<T> {
        let answer = match self.permit() {
            Ok(_permit) => self.common.within(call).await.and_then(|answer| read(&self.address, answer)),
            Err(error) => Err(error),
        };
        match &answer {
            Ok(_) => {}
            Err(StoreError::Reply(line)) => self.common.heard(line),
            Err(_) => self.common.metrics.store_errors.increment(),
        }
        answer
    }

    /// Sends one command and waits for its answer.
    async fn send_one(&self, command: &Cmd, types: Types, deadline: Instant) -> StoreResult<Value> {
        match &self.form {
            Form::One(node) => {
                let send = |link: Arc<link::Link>| async move { link.one(command).await };
                let (answer, link) = node.exchange(types, deadline, send).await?;
                node.watch(&link, &answer)?;
                Ok(answer)
            }
            Form::Cluster(cluster) => cluster.one(command, types, deadline).await,
        }
    }

    /// Sends commands in one go and waits for all answers.
    async fn send_many(&self, commands: &Pipeline, types: Types, deadline: Instant) -> StoreResult<Vec<Value>> {
        match &self.form {
            Form::One(node) => {
                let send = |link: Arc<link::Link>| async move { link.many(commands).await };
                let (answers, link) = node.exchange(types, deadline, send).await?;
                answers.first().map_or(Ok(()), |first| node.watch(&link, first))?;
                Ok(answers)
            }
            Form::Cluster(cluster) => cluster.many(commands, types, deadline).await,
        }
    }

    async fn one<T>(&self, command: Cmd, read: fn(&RedisAddress, Value) -> StoreResult<T>) -> StoreResult<T> {
        self.run(|deadline| self.send_one(&command, Types::Rich, deadline), read).await
    }

    async fn many<T>(
        &self,
        commands: Pipeline,
        read: impl FnOnce(&RedisAddress, Vec<Value>) -> StoreResult<T> + Send,
    ) -> StoreResult<T> {
        self.run(|deadline| self.send_many(&commands, Types::Rich, deadline), read).await
    }

    /// Carries out commands at one moment.
    async fn block(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>> {
        if let Some(Reply::Error(refusal)) = commands.iter().find_map(command::refusal_in_block) {
            return Err(StoreError::Reply(refusal));
        }
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let sent = command::block(&commands);
        drop(commands);
        let read = |address: &RedisAddress, answers| value::block(address, answers)?.ok_or_else(missing_answer);
        self.run(|deadline| self.send_many(&sent, types, deadline), read).await
    }

    /// Runs a script by its digest, and as a whole on a server that has not seen it.
    async fn script<T>(
        &self,
        script: &Script,
        keys: &[&StoreKey],
        arguments: &[&[u8]],
        read: fn(&RedisAddress, Value) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let call = |deadline| async move {
            let known = command::script(script, false, keys, arguments);
            let answer = self.send_one(&known, Types::Rich, deadline).await?;
            match &answer {
                Value::ServerError(error) if error::is_unknown_script(error) => {
                    let whole = command::script(script, true, keys, arguments);
                    self.send_one(&whole, Types::Rich, deadline).await
                }
                _ => Ok(answer),
            }
        };
        self.run(call, read).await
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.address).finish_non_exhaustive()
    }
}

fn missing_answer() -> StoreError {
    StoreError::Protocol("fewer answers than commands".to_owned())
}
