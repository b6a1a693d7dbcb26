//! A keeper over the memory locks in paused time, whose store can be held up, broken and asked what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use larder::adapters::memory::MemoryLocks;
use larder::engine::key::KeyRules;
use larder::engine::locks::{LockKeeper, LockSettings};
use larder::ports::clock::{Clock, VirtualClock};
use larder::ports::lock::{
    Ask, Attempt, Found, Holder, LockKeys, LockName, LockOutcome, LockPattern, LockStore, Token,
};
use larder::ports::metrics::Metrics;
use larder::ports::store::{StoreError, StoreResult};
use tokio::sync::watch;
use tokio::time::Instant;

/// A clock that goes with tokio's paused time.
pub struct PausedClock {
    start: Instant,
    chance: VirtualClock,
}

impl Clock for PausedClock {
    fn wall_ms(&self) -> u64 {
        1_700_000_000_000 + self.monotonic_ns() / 1_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("a short test")
    }

    fn random(&self) -> u64 {
        self.chance.random()
    }

    fn secret(&self) -> Option<[u8; 16]> {
        self.chance.secret()
    }
}

/// The memory locks, watched.
pub struct Watched {
    inner: MemoryLocks,
    pub takes: AtomicU64,
    pub extends: AtomicU64,
    pub releases: AtomicU64,
    /// Whether answers are kept back, after the work is done.
    kept_back: watch::Sender<bool>,
    /// Whether every call fails, after the work is done.
    broken: AtomicBool,
}

impl Watched {
    pub fn keep_back(&self, yes: bool) {
        self.kept_back.send_replace(yes);
    }

    pub fn break_down(&self, yes: bool) {
        self.broken.store(yes, Ordering::SeqCst);
    }

    async fn answer<T>(&self, answer: StoreResult<T>) -> StoreResult<T> {
        let mut kept_back = self.kept_back.subscribe();
        let _ = kept_back.wait_for(|kept_back| !kept_back).await;
        if self.broken.load(Ordering::SeqCst) { Err(StoreError::Timeout(1)) } else { answer }
    }
}

#[async_trait]
impl LockStore for Watched {
    async fn take(&self, keys: &LockKeys, token: &Token, owner: &str, ttl_ms: u64) -> StoreResult<Attempt> {
        self.takes.fetch_add(1, Ordering::SeqCst);
        let answer = self.inner.take(keys, token, owner, ttl_ms).await;
        self.answer(answer).await
    }

    async fn extend(&self, keys: &LockKeys, token: &Token, ttl_ms: u64) -> StoreResult<bool> {
        self.extends.fetch_add(1, Ordering::SeqCst);
        // A store that is down extends nothing.
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Timeout(1));
        }
        let answer = self.inner.extend(keys, token, ttl_ms).await;
        self.answer(answer).await
    }

    async fn release(&self, keys: &LockKeys, token: &Token) -> StoreResult<bool> {
        self.releases.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Timeout(1));
        }
        self.inner.release(keys, token).await
    }

    async fn force_release(&self, keys: &LockKeys) -> StoreResult<bool> {
        self.inner.force_release(keys).await
    }

    async fn holder(&self, keys: &LockKeys) -> StoreResult<Option<Holder>> {
        self.inner.holder(keys).await
    }

    async fn find(&self, pattern: &LockPattern, max: usize) -> StoreResult<Found> {
        self.inner.find(pattern, max).await
    }
}

/// A host's locks in paused time. Must be made within a paused runtime.
pub struct Bench {
    pub keeper: LockKeeper,
    pub store: Arc<Watched>,
    pub metrics: Arc<Metrics>,
    pub start: Instant,
}

impl Bench {
    pub fn new() -> Self {
        let start = Instant::now();
        let clock: Arc<dyn Clock> = Arc::new(PausedClock { start, chance: VirtualClock::new(0, 5) });
        let store = Arc::new(Watched {
            inner: MemoryLocks::new(clock.clone()),
            takes: AtomicU64::new(0),
            extends: AtomicU64::new(0),
            releases: AtomicU64::new(0),
            kept_back: watch::channel(false).0,
            broken: AtomicBool::new(false),
        });
        let metrics = Arc::new(Metrics::default());
        let settings = LockSettings { ttl_ms: 30_000, retry_ms: 100, retries_max: 3, node: "node".into() };
        let rules = KeyRules { prefix: "chat".into(), separator: b':', key_bytes_max: 250 };
        let keeper = LockKeeper::new(settings, rules, store.clone(), clock, metrics.clone());
        Self { keeper, store, metrics, start }
    }

    /// Milliseconds since the start.
    pub fn ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).expect("a short test")
    }

    pub fn counted(&self, outcome: LockOutcome) -> u64 {
        self.metrics.lock_outcomes[outcome as usize].get()
    }
}

pub fn name(text: &str) -> LockName {
    LockName::application(text.as_bytes()).expect("a name")
}

pub fn ask(ttl_ms: u64, wait_ms: u64) -> Ask {
    Ask { ttl_ms: Some(ttl_ms), wait_ms: Some(wait_ms), ..Ask::default() }
}

/// Lets other tasks work and time pass.
pub async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
