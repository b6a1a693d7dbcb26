//! A store that can be held up, that dawdles on demand, and that says when each command began and ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use larder::ports::lease::{Adopting, Filling, LeaseKeys, LeaseState, LeaseStore, LeaseToken, Taking};
use larder::ports::store::{
    Command, Expect, Expire, Held, Reply, Sharing, Store, StoreError, StoreKey, StoreResult, Ttl, Watch,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// Another store behind gates. It says that it is shared, so that raw values are not kept in L1, unless told otherwise.
pub struct GatedStore {
    inner: Box<dyn Store>,
    sharing: Sharing,
    gates: Mutex<HashMap<Vec<u8>, Arc<Semaphore>>>,
    log: watch::Sender<Vec<String>>,
    random: Mutex<Option<fastrand::Rng>>,
    away: AtomicBool,
    watcher: Mutex<Option<Box<Watcher>>>,
    echo: Mutex<Option<Box<Echo>>>,
    one_server: bool,
}

/// Is told of each key that a command named, once that is done.
pub type Echo = dyn Fn(&[u8]) + Send + Sync;

/// Is told of each key that was changed, and of the string that it holds now.
pub type Watcher = dyn Fn(&[u8], Option<&Bytes>) + Send + Sync;

/// Holds up commands on a key until it is opened.
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// Lets all through, from now on.
    pub fn open(&self) {
        self.0.close();
    }
}

impl GatedStore {
    pub fn new(inner: impl Store + 'static) -> Self {
        Self {
            inner: Box::new(inner),
            sharing: Sharing::Shared,
            gates: Mutex::default(),
            log: watch::channel(Vec::new()).0,
            random: Mutex::default(),
            away: AtomicBool::new(false),
            watcher: Mutex::default(),
            echo: Mutex::default(),
            one_server: false,
        }
    }

    /// The same, on one server.
    pub fn on_one_server(inner: impl Store + 'static) -> Self {
        Self { one_server: true, ..Self::new(inner) }
    }

    /// The same, of one that nobody shares.
    pub fn exclusive(inner: impl Store + 'static) -> Self {
        Self { sharing: Sharing::Exclusive, ..Self::new(inner) }
    }

    /// Holds up commands that name this key.
    pub fn hold(&self, key: &str) -> Gate {
        let gate = Arc::new(Semaphore::new(0));
        self.gates.lock().insert(key.into(), Arc::clone(&gate));
        Gate(gate)
    }

    /// From now on every command takes a random while, before and after it is done.
    pub fn dawdle(&self) {
        self.dawdle_as(11);
    }

    /// The same with another sequence of chance.
    pub fn dawdle_as(&self, seed: u64) {
        *self.random.lock() = Some(fastrand::Rng::with_seed(seed));
    }

    /// From now on nothing reaches the store, or all does.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// From now on somebody is told of changes, in the order in which they were made.
    pub fn watch(&self, watcher: impl Fn(&[u8], Option<&Bytes>) + Send + Sync + 'static) {
        *self.watcher.lock() = Some(Box::new(watcher));
    }

    /// From now on somebody is told of the keys of every command, reads too, before the command is answered.
    pub fn echo(&self, echo: impl Fn(&[u8]) + Send + Sync + 'static) {
        *self.echo.lock() = Some(Box::new(echo));
    }

    /// Nobody is any more.
    pub fn fall_silent(&self) {
        *self.echo.lock() = None;
    }

    fn tell(&self, key: &[u8], value: Option<&Bytes>) {
        if let Some(watcher) = &*self.watcher.lock() {
            watcher(key, value);
        }
    }

    /// `begin NAME key` and `end NAME key`, for each command and each of its keys.
    pub fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    pub fn clear(&self) {
        self.log.send_modify(Vec::clear);
    }

    /// Waits until the log has this line.
    pub async fn until(&self, line: &str) {
        let mut log = self.log.subscribe();
        let seen = log.wait_for(|log| log.iter().any(|logged| logged == line));
        let in_time = tokio::time::timeout(Duration::from_secs(30), seen).await.is_ok();
        assert!(in_time, "{line:?} never came: {:?}", self.log());
    }

    /// Waits until the log has so many lines that begin so.
    pub async fn until_nth(&self, start: &str, count: usize) {
        let mut log = self.log.subscribe();
        let seen = log.wait_for(|log| log.iter().filter(|logged| logged.starts_with(start)).count() >= count);
        assert!(tokio::time::timeout(Duration::from_secs(30), seen).await.is_ok(), "{count} of {start:?} never came");
    }

    async fn pause(&self) {
        let yields = self.random.lock().as_mut().map_or(0, |random| random.u8(..8));
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    async fn begin(&self, name: &str, keys: &[&[u8]]) {
        self.note("begin", name, keys);
        self.pause().await;
        for key in keys {
            let gate = self.gates.lock().get(*key).cloned();
            if let Some(gate) = gate {
                // A gate is opened by closing the semaphore: the error is the permission.
                assert!(gate.acquire().await.is_err());
            }
        }
    }

    fn note(&self, what: &str, name: &str, keys: &[&[u8]]) {
        self.log.send_modify(|log| {
            log.extend(keys.iter().map(|key| format!("{what} {name} {}", String::from_utf8_lossy(key))));
        });
    }

    /// One command of the store on these keys.
    async fn gated<T>(
        &self,
        name: &str,
        keys: &[&[u8]],
        work: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        self.begin(name, keys).await;
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it is away".to_owned()));
        }
        let done = work.await;
        if let Some(echo) = &*self.echo.lock() {
            keys.iter().for_each(|key| echo(key));
        }
        self.pause().await;
        self.note("end", name, keys);
        done
    }
}

fn bytes(keys: &[StoreKey]) -> Vec<&[u8]> {
    keys.iter().map(StoreKey::as_bytes).collect()
}

#[async_trait]
impl Store for GatedStore {
    fn sharing(&self) -> Sharing {
        self.sharing
    }

    fn is_one_server(&self) -> bool {
        self.one_server
    }

    fn leases(&self) -> &dyn LeaseStore {
        self
    }

    fn tell(&self, watcher: larder::ports::coherence::Watcher) -> bool {
        self.inner.tell(watcher)
    }

    async fn get(&self, key: &StoreKey, with_ttl: bool) -> StoreResult<Option<Held>> {
        self.gated("GET", &[key.as_bytes()], self.inner.get(key, with_ttl)).await
    }

    async fn get_many(&self, keys: &[StoreKey], with_ttl: bool) -> StoreResult<Vec<Option<Held>>> {
        self.gated("MGET", &bytes(keys), self.inner.get_many(keys, with_ttl)).await
    }

    async fn set(&self, key: &StoreKey, value: Bytes, expire: Expire) -> StoreResult<()> {
        let work = async {
            self.inner.set(key, value.clone(), expire).await.inspect(|()| self.tell(key.as_bytes(), Some(&value)))
        };
        self.gated("SET", &[key.as_bytes()], work).await
    }

    async fn set_many(&self, items: Vec<(StoreKey, Bytes, Expire)>) -> StoreResult<()> {
        let keys: Vec<StoreKey> = items.iter().map(|(key, ..)| key.clone()).collect();
        self.gated("MSET", &bytes(&keys), self.inner.set_many(items)).await
    }

    async fn replace(&self, key: &StoreKey, expect: Expect, value: Bytes, expire: Expire) -> StoreResult<bool> {
        let work = async {
            let done = self.inner.replace(key, expect, value.clone(), expire).await;
            done.inspect(|&done| {
                if done {
                    self.tell(key.as_bytes(), Some(&value));
                }
            })
        };
        self.gated("REPLACE", &[key.as_bytes()], work).await
    }

    async fn remove(&self, key: &StoreKey, prefix: Bytes) -> StoreResult<bool> {
        let work = async {
            self.inner.remove(key, prefix).await.inspect(|&done| {
                if done {
                    self.tell(key.as_bytes(), None);
                }
            })
        };
        self.gated("REMOVE", &[key.as_bytes()], work).await
    }

    async fn increment(&self, key: &StoreKey, delta: i64, ttl_ms: Option<u64>) -> StoreResult<i64> {
        self.gated("INCRBY", &[key.as_bytes()], self.inner.increment(key, delta, ttl_ms)).await
    }

    async fn delete(&self, keys: &[StoreKey]) -> StoreResult<Vec<bool>> {
        let work = async {
            self.inner.delete(keys).await.inspect(|_| keys.iter().for_each(|key| self.tell(key.as_bytes(), None)))
        };
        self.gated("DEL", &bytes(keys), work).await
    }

    async fn ttl(&self, key: &StoreKey) -> StoreResult<Ttl> {
        self.gated("TTL", &[key.as_bytes()], self.inner.ttl(key)).await
    }

    async fn expire(&self, key: &StoreKey, expire: Expire) -> StoreResult<bool> {
        self.gated("EXPIRE", &[key.as_bytes()], self.inner.expire(key, expire)).await
    }

    async fn call(&self, command: Command) -> StoreResult<Reply> {
        let name = String::from_utf8_lossy(command.name()).into_owned();
        let key = command.args.get(1).cloned().unwrap_or_default();
        self.gated(&name, &[&key], self.inner.call(command)).await
    }

    async fn pipeline(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        let names: Vec<_> = commands.iter().map(|c| String::from_utf8_lossy(c.name()).into_owned()).collect();
        let keys: Vec<Bytes> = commands.iter().filter_map(|command| command.args.get(1).cloned()).collect();
        let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        let work = async {
            let done = self.inner.pipeline(commands).await;
            // What tells of changes only ever pipelines removals.
            done.inspect(|_| keys.iter().for_each(|key| self.tell(key, None)))
        };
        self.gated(&names.join("+"), &keys, work).await
    }

    async fn atomic(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        let names: Vec<_> = commands.iter().map(|c| String::from_utf8_lossy(c.name()).into_owned()).collect();
        let keys: Vec<Bytes> = commands.iter().filter_map(|command| command.args.get(1).cloned()).collect();
        let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        self.gated(&format!("MULTI {}", names.join("+")), &keys, self.inner.atomic(commands)).await
    }

    async fn watch(&self, keys: &[StoreKey]) -> StoreResult<Box<dyn Watch>> {
        self.gated("WATCH", &bytes(keys), self.inner.watch(keys)).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.gated("PING", &[], self.inner.ping()).await
    }
}

#[async_trait]
impl LeaseStore for GatedStore {
    async fn take(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64, seen: &Expect) -> StoreResult<Taking> {
        self.gated("TAKE", &[keys.entry.as_bytes()], self.inner.leases().take(keys, token, ttl_ms, seen)).await
    }

    async fn renew(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64) -> StoreResult<bool> {
        self.gated("RENEW", &[keys.entry.as_bytes()], self.inner.leases().renew(keys, token, ttl_ms)).await
    }

    async fn give_back(&self, keys: &LeaseKeys, token: LeaseToken) -> StoreResult<bool> {
        self.gated("GIVEBACK", &[keys.entry.as_bytes()], self.inner.leases().give_back(keys, token)).await
    }

    async fn fill(&self, keys: &LeaseKeys, token: LeaseToken, value: Bytes, expire: Expire) -> StoreResult<Filling> {
        self.gated("FILL", &[keys.entry.as_bytes()], self.inner.leases().fill(keys, token, value, expire)).await
    }

    async fn adopt(&self, keys: &LeaseKeys, token: LeaseToken, from: &StoreKey) -> StoreResult<Adopting> {
        self.gated("ADOPT", &[keys.entry.as_bytes()], self.inner.leases().adopt(keys, token, from)).await
    }

    async fn state(&self, keys: &LeaseKeys) -> StoreResult<LeaseState> {
        self.gated("LEASE", &[keys.entry.as_bytes()], self.inner.leases().state(keys)).await
    }
}
