//! Redis as the store: one standalone server (Redis 6 or later, Valkey), spoken to in RESP3.
//!
//! Each thread has one connection that all its callers share (`slot.rs`): their commands travel together, which is what makes
//! the hop through this host cheap. Every command has a deadline, and so many at most are under way.
//!
//! Invariants: a call that is given up leaks nothing, though Redis may still carry it out; no error text holds a password;
//! what the server says is told in its own words. Absent for now: Sentinel, Cluster, TLS.

mod address;
mod command;
mod error;
mod leases;
mod link;
mod locks;
mod script;
mod slot;
mod tracking;
mod value;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, Pipeline, RedisResult, Value};
use thread_local::ThreadLocal;
use tokio::time::{Instant, timeout_at};

pub use self::address::{AddressError, RedisAddress};
pub use self::tracking::{Tracking, TrackingSettings};

use self::leases::LeaseScripts;
use self::link::Link;
use self::locks::LockScripts;
use self::script::Script;
use self::slot::Slot;
use self::watch::{Spares, Watching};
use crate::limits::{STORE_INFLIGHT_MAX, STORE_MS_DEFAULT};
use crate::ports::budget;
use crate::ports::clock::Clock;
use crate::ports::lease::LeaseStore;
use crate::ports::metrics::Metrics;
use crate::ports::store::{
    Command, Expect, Expire, Held, Reply, Sharing, Store, StoreError, StoreKey, StoreResult, Ttl, Watch,
};

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Where it is.
    pub address: RedisAddress,
    /// Deadline of one call in milliseconds, connecting included (`CACHE_MAX_LATENCY_MS`).
    pub store_ms: u64,
    /// Calls that may be under way at the same time.
    pub inflight_max: usize,
}

impl RedisSettings {
    /// The defaults for a Redis at this address.
    #[must_use]
    pub const fn new(address: RedisAddress) -> Self {
        Self { address, store_ms: STORE_MS_DEFAULT, inflight_max: STORE_INFLIGHT_MAX }
    }
}

/// A store in Redis. Its methods must be called within a tokio runtime.
pub struct RedisStore {
    address: Arc<RedisAddress>,
    store_ms: u64,
    inflight_max: usize,
    inflight: AtomicUsize,
    slots: ThreadLocal<Arc<Slot>>,
    replace: Script,
    remove: Script,
    increment: Script,
    locks: LockScripts,
    leases: LeaseScripts,
    spares: Arc<Spares>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
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
        Self {
            address: Arc::new(settings.address),
            store_ms: settings.store_ms,
            inflight_max: settings.inflight_max,
            inflight: AtomicUsize::new(0),
            slots: ThreadLocal::new(),
            replace: Script::replace(),
            remove: Script::remove(),
            increment: Script::increment(),
            locks: LockScripts::default(),
            leases: LeaseScripts::default(),
            spares: Arc::default(),
            clock,
            metrics,
        }
    }

    fn watch_settings(&self) -> watch::Settings {
        watch::Settings { address: Arc::clone(&self.address), store_ms: self.store_ms }
    }

    fn permit(&self) -> StoreResult<Permit<'_>> {
        let before = self.inflight.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(&self.inflight);
        if before < self.inflight_max {
            return Ok(permit);
        }
        Err(StoreError::Busy(format!("{} at the same time are allowed", self.inflight_max)))
    }

    /// Carries out a call within its deadline and reads its answer.
    async fn run<V, T, F: Future<Output = RedisResult<V>> + Send>(
        &self,
        send: impl FnOnce(Arc<Link>) -> F + Send,
        read: impl FnOnce(&RedisAddress, V) -> StoreResult<T> + Send,
    ) -> StoreResult<T> {
        let answer = self.send(send).await.and_then(|answer| read(&self.address, answer));
        if answer.as_ref().is_err_and(|error| !matches!(error, StoreError::Reply(_))) {
            self.metrics.store_errors.increment();
        }
        answer
    }

    async fn send<V, F: Future<Output = RedisResult<V>> + Send>(
        &self,
        send: impl FnOnce(Arc<Link>) -> F + Send,
    ) -> StoreResult<V> {
        let _permit = self.permit()?;
        let began = Instant::now();
        let own = Duration::from_millis(self.store_ms);
        let deadline = began + budget::left_ns().map_or(own, |left_ns| own.min(Duration::from_nanos(left_ns)));
        if budget::is_spent() {
            return Err(StoreError::Timeout(self.store_ms));
        }
        let answer = self.send_until(deadline, send).await;
        budget::spend_ns(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        answer
    }

    async fn send_until<V, F: Future<Output = RedisResult<V>> + Send>(
        &self,
        deadline: Instant,
        send: impl FnOnce(Arc<Link>) -> F + Send,
    ) -> StoreResult<V> {
        let slot = self.slots.get_or(|| Slot::new(Arc::clone(&self.address), Arc::clone(&self.clock)));
        let link = slot.link(deadline).await?;
        let sent_ns = self.clock.monotonic_ns();
        let answer = timeout_at(deadline, send(Arc::clone(&link))).await;
        let now_ns = self.clock.monotonic_ns();
        self.metrics.store_latency.observe_ns(now_ns.saturating_sub(sent_ns));
        match answer {
            Ok(Ok(answer)) => {
                link.heard(now_ns);
                Ok(answer)
            }
            Ok(Err(error)) => Err(error::in_flight(&self.address, &error)),
            Err(_) => {
                link.timed_out(sent_ns, now_ns);
                Err(StoreError::Timeout(self.store_ms))
            }
        }
    }

    async fn one<T>(&self, command: Cmd, read: fn(&RedisAddress, Value) -> StoreResult<T>) -> StoreResult<T> {
        self.run(|link| async move { link.one(&command).await }, read).await
    }

    async fn many<T>(
        &self,
        commands: Pipeline,
        read: impl FnOnce(&RedisAddress, Vec<Value>) -> StoreResult<T> + Send,
    ) -> StoreResult<T> {
        self.run(|link| async move { link.many(&commands).await }, read).await
    }

    /// Runs a script by its digest, and as a whole on a server that has not seen it.
    async fn script<T>(
        &self,
        script: &Script,
        keys: &[&StoreKey],
        arguments: &[&[u8]],
        read: fn(&RedisAddress, Value) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let send = |link: Arc<Link>| async move {
            let answer = link.one(&command::script(script, false, keys, arguments)).await?;
            match &answer {
                Value::ServerError(error) if error::is_unknown_script(error) => {
                    link.one(&command::script(script, true, keys, arguments)).await
                }
                _ => Ok(answer),
            }
        };
        self.run(send, read).await
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The value and the life left to it, from the answers of `GET` and `PTTL`: a key that expired between them has none left.
fn held(address: &RedisAddress, bytes: Value, ttl: Option<&Value>) -> StoreResult<Option<Held>> {
    let Some(bytes) = value::string(address, bytes)? else { return Ok(None) };
    let ttl = match ttl.map(|ttl| value::ttl(address, ttl)).transpose()? {
        None => Ttl::Missing,
        Some(Ttl::Missing) => Ttl::Ms(0),
        Some(left) => left,
    };
    Ok(Some(Held { bytes, ttl }))
}

fn missing_answer() -> StoreError {
    StoreError::Protocol("fewer answers than commands".to_owned())
}

#[async_trait]
impl Store for RedisStore {
    fn sharing(&self) -> Sharing {
        Sharing::Shared
    }

    fn leases(&self) -> &dyn LeaseStore {
        self
    }

    async fn get(&self, key: &StoreKey, with_ttl: bool) -> StoreResult<Option<Held>> {
        if !with_ttl {
            return self.one(command::on("GET", key), |address, bytes| held(address, bytes, None)).await;
        }
        let mut commands = Pipeline::with_capacity(2);
        commands.add_command(command::on("GET", key)).add_command(command::on("PTTL", key));
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let [bytes, ttl] = <[Value; 2]>::try_from(answers).map_err(|_| missing_answer())?;
            held(address, bytes, Some(&ttl))
        };
        self.many(commands, read).await
    }

    async fn get_many(&self, keys: &[StoreKey], with_ttl: bool) -> StoreResult<Vec<Option<Held>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::with_capacity(1 + keys.len());
        commands.add_command(command::on_all("MGET", keys));
        for key in keys.iter().filter(|_| with_ttl) {
            commands.add_command(command::on("PTTL", key));
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let mut answers = answers.into_iter();
            let found = value::strings(address, answers.next().ok_or_else(missing_answer)?)?;
            let held = |bytes: Option<Bytes>| {
                let ttl = answers.next();
                held(address, bytes.map_or(Value::Nil, |bytes| Value::BulkString(bytes.into())), ttl.as_ref())
            };
            found.into_iter().map(held).collect()
        };
        self.many(commands, read).await
    }

    async fn set(&self, key: &StoreKey, value: Bytes, expire: Expire) -> StoreResult<()> {
        let command = command::set(key, &value, expire);
        self.one(command, |address, answer| value::done(address, &answer)).await?;
        Ok(())
    }

    async fn set_many(&self, items: Vec<(StoreKey, Bytes, Expire)>) -> StoreResult<()> {
        if items.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::with_capacity(items.len());
        for (key, value, expire) in &items {
            commands.add_command(command::set(key, value, *expire));
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            answers.iter().try_for_each(|answer| value::done(address, answer).map(drop))
        };
        self.many(commands, read).await
    }

    async fn replace(&self, key: &StoreKey, expect: Expect, value: Bytes, expire: Expire) -> StoreResult<bool> {
        match expect {
            Expect::Absent => {
                let command = command::set_new(key, &value, expire);
                self.one(command, |address, answer| value::done(address, &answer)).await
            }
            Expect::Prefix(prefix) => {
                let expire = command::expiry_word(expire);
                self.script(&self.replace, &[key], &[&prefix, &value, expire.as_bytes()], value::yes).await
            }
        }
    }

    async fn remove(&self, key: &StoreKey, prefix: Bytes) -> StoreResult<bool> {
        self.script(&self.remove, &[key], &[&prefix], value::yes).await
    }

    async fn increment(&self, key: &StoreKey, delta: i64, ttl_ms: Option<u64>) -> StoreResult<i64> {
        let life = ttl_ms.map(command::life).unwrap_or_default();
        let arguments: [&[u8]; 2] = [&delta.to_string().into_bytes(), life.as_bytes()];
        self.script(&self.increment, &[key], &arguments, value::number).await
    }

    async fn delete(&self, keys: &[StoreKey]) -> StoreResult<Vec<bool>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::with_capacity(keys.len());
        for key in keys {
            commands.add_command(command::on("UNLINK", key));
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            answers.iter().map(|answer| Ok(value::integer(address, answer)? == 1)).collect()
        };
        self.many(commands, read).await
    }

    async fn ttl(&self, key: &StoreKey) -> StoreResult<Ttl> {
        self.one(command::on("PTTL", key), |address, answer| value::ttl(address, &answer)).await
    }

    async fn expire(&self, key: &StoreKey, expire: Expire) -> StoreResult<bool> {
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let answers = answers.iter().map(|answer| value::integer(address, answer));
            Ok(answers.collect::<StoreResult<Vec<_>>>()?.last() == Some(&1))
        };
        self.many(command::expire(key, expire), read).await
    }

    async fn call(&self, command: Command) -> StoreResult<Reply> {
        match command::refusal(&command) {
            Some(refusal) => Ok(refusal),
            None => self.one(command::raw(&command), value::reply).await,
        }
    }

    async fn pipeline(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        let refusals: Vec<Option<Reply>> = commands.iter().map(command::refusal).collect();
        let mut sent = Pipeline::with_capacity(commands.len());
        for (command, _) in commands.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none()) {
            sent.add_command(command::raw(command));
        }
        drop(commands);
        if sent.is_empty() {
            return Ok(refusals.into_iter().flatten().collect());
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let mut answers = value::replies(address, answers)?.into_iter();
            let reply = |refusal: Option<Reply>| refusal.or_else(|| answers.next()).ok_or_else(missing_answer);
            refusals.into_iter().map(reply).collect()
        };
        self.many(sent, read).await
    }

    async fn atomic(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        if let Some(Reply::Error(refusal)) = commands.iter().find_map(command::refusal) {
            return Err(StoreError::Reply(refusal));
        }
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let sent = command::block(&commands);
        drop(commands);
        self.many(sent, |address, answers| value::block(address, answers)?.ok_or_else(missing_answer)).await
    }

    async fn watch(&self, keys: &[StoreKey]) -> StoreResult<Box<dyn Watch>> {
        let watching = Watching::begin(self.watch_settings(), Arc::clone(&self.spares), keys).await;
        if watching.as_ref().is_err_and(|error| !matches!(error, StoreError::Reply(_))) {
            self.metrics.store_errors.increment();
        }
        Ok(Box::new(watching?))
    }

    async fn ping(&self) -> StoreResult<()> {
        let read = |address: &RedisAddress, answer| match value::reply(address, answer)? {
            Reply::Error(line) => Err(StoreError::Reply(line)),
            _ => Ok(()),
        };
        self.one(redis::cmd("PING"), read).await
    }
}
