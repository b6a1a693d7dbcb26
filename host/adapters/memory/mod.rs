//! The embedded memory store: Redis' strings, hashes, lists and sets in this process, with Redis' commands, replies and error
//! texts. The default store.
//!
//! Invariants: every command is atomic (it holds the locks of all its keys); nothing here awaits, spawns or needs a runtime;
//! memory is bounded as Redis' `maxmemory` with `noeviction` is. An entry past its expiry is never seen; it is removed by
//! whoever comes across it, and by [`MemoryStore::sweep`].
//!
//! Deliberately absent: eviction (a store keeps what it was given; L1 is the cache), persistence, and for now sorted sets,
//! streams and scripts: a type is one variant of `Boxed` with a file beside it, and its files in `commands/`.

mod commands;
mod dense;
mod extended;
mod hash;
mod integer;
mod keyspace;
mod leases;
mod list;
mod locks;
mod natural;
mod refusal;
mod set;
mod shard;
mod string;
mod value;
mod view;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::keyspace::Swept;
pub use self::locks::MemoryLocks;

use self::keyspace::Keyspace;
use self::refusal::Refusal;
use self::shard::{Entry, NEVER};
use self::value::Value;
use self::view::View;
use self::watch::Watching;
use crate::limits::{MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MAX, TTL_MS_MAX};
use crate::ports::clock::Clock;
use crate::ports::coherence::Watcher;
use crate::ports::lease::LeaseStore;
use crate::ports::store::{
    Command, Expect, Expire, Held, Reply, Sharing, Store, StoreError, StoreKey, StoreResult, Ttl, Watch,
};

/// What an operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySettings {
    /// What keys, values and their tables may take together, in bytes; [`MEMORY_BYTES_MAX`] at most. Above it writes are refused
    /// with Redis' `OOM …`.
    pub memory_bytes_max: u64,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self { memory_bytes_max: MEMORY_BYTES_DEFAULT }
    }
}

/// A store in this process's memory.
pub struct MemoryStore {
    space: Arc<Keyspace>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(settings: MemorySettings, clock: Arc<dyn Clock>) -> Self {
        let bytes_max = usize::try_from(settings.memory_bytes_max.min(MEMORY_BYTES_MAX)).unwrap_or(usize::MAX);
        Self { space: Arc::new(Keyspace::new(clock, bytes_max)) }
    }

    /// Removes entries past their expiry that nobody asks for any more. Looks at `limit` entries at most and goes on there the
    /// next time; blocks for microseconds. To be called now and then, from any thread.
    pub fn sweep(&self, limit: usize) -> Swept {
        self.space.sweep(limit)
    }

    /// What keys, values and their tables take, in bytes.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.space.used_bytes() as u64
    }

    /// How many keys there are, with those past their expiry that nobody has come across.
    #[must_use]
    pub fn len(&self) -> usize {
        self.space.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&self, key: &StoreKey, value: &[u8], expire: Expire) -> StoreResult<()> {
        let key = key.as_bytes();
        self.space.room(key.len() + value.len())?;
        let (mut shard, hash) = self.space.lock_one(key);
        let now_ms = self.space.now_ms();
        let kept_ms = match expire {
            Expire::Keep => shard.get(hash, key, now_ms).map(|entry| entry.expires_ms),
            Expire::Never | Expire::InMs(_) => None,
        };
        let before = shard.put(hash, key, Value::string(value), expires_ms(expire, kept_ms, now_ms), now_ms);
        // What was there may be a long list: it is freed when the lock has been given back.
        drop(shard);
        drop(before);
        Ok(())
    }

    fn lock_all(&self, keys: &[StoreKey]) -> View<'_> {
        self.space.lock(keys.iter().map(StoreKey::as_bytes))
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("used_bytes", &self.used_bytes()).finish_non_exhaustive()
    }
}

impl From<Refusal> for StoreError {
    fn from(Refusal(line): Refusal) -> Self {
        Self::Reply(line.into_owned())
    }
}

/// The wall time at which a key expires that had `kept_ms`.
fn expires_ms(expire: Expire, kept_ms: Option<u64>, now_ms: u64) -> u64 {
    match expire {
        Expire::Keep => kept_ms.unwrap_or(NEVER),
        Expire::Never => NEVER,
        Expire::InMs(ms) => now_ms.saturating_add(ms.clamp(1, TTL_MS_MAX)),
    }
}

fn ttl(entry: &Entry, now_ms: u64) -> Ttl {
    if entry.expires_ms == NEVER { Ttl::Never } else { Ttl::Ms(entry.expires_ms.saturating_sub(now_ms)) }
}

fn held(entry: &Entry, now_ms: u64, with_ttl: bool) -> Result<Held, Refusal> {
    let ttl = if with_ttl { ttl(entry, now_ms) } else { Ttl::Missing };
    Ok(Held { bytes: entry.value.as_string()?.read(), ttl })
}

/// Whether an entry is a string that begins so.
fn begins_with(entry: &Entry, prefix: &[u8]) -> bool {
    entry.value.as_string().is_ok_and(|text| text.as_slice().starts_with(prefix))
}

#[async_trait]
impl Store for MemoryStore {
    fn sharing(&self) -> Sharing {
        Sharing::Exclusive
    }

    fn leases(&self) -> &dyn LeaseStore {
        self
    }

    fn tell(&self, watcher: Watcher) -> bool {
        self.space.tell(watcher)
    }

    async fn get(&self, key: &StoreKey, with_ttl: bool) -> StoreResult<Option<Held>> {
        let key = key.as_bytes();
        let (mut shard, hash) = self.space.lock_one(key);
        let now_ms = self.space.now_ms();
        let entry = shard.get(hash, key, now_ms);
        Ok(entry.map(|entry| held(entry, now_ms, with_ttl)).transpose()?)
    }

    async fn get_many(&self, keys: &[StoreKey], with_ttl: bool) -> StoreResult<Vec<Option<Held>>> {
        let mut view = self.lock_all(keys);
        let now_ms = view.now_ms;
        let get = |key: &StoreKey| held(view.get(key.as_bytes())?, now_ms, with_ttl).ok();
        Ok(keys.iter().map(get).collect())
    }

    async fn set(&self, key: &StoreKey, value: Bytes, expire: Expire) -> StoreResult<()> {
        self.put(key, &value, expire)
    }

    async fn set_many(&self, items: Vec<(StoreKey, Bytes, Expire)>) -> StoreResult<()> {
        items.iter().try_for_each(|(key, value, expire)| self.put(key, value, *expire))
    }

    async fn replace(&self, key: &StoreKey, expect: Expect, value: Bytes, expire: Expire) -> StoreResult<bool> {
        let key = key.as_bytes();
        self.space.room(key.len() + value.len())?;
        let (mut shard, hash) = self.space.lock_one(key);
        let now_ms = self.space.now_ms();
        let there = shard.get(hash, key, now_ms);
        let expected = match &expect {
            Expect::Absent => there.is_none(),
            Expect::Prefix(prefix) => there.is_some_and(|entry| begins_with(entry, prefix)),
        };
        if expected {
            let kept_ms = there.map(|entry| entry.expires_ms);
            shard.put(hash, key, Value::string(&value), expires_ms(expire, kept_ms, now_ms), now_ms);
        }
        Ok(expected)
    }

    async fn remove(&self, key: &StoreKey, prefix: Bytes) -> StoreResult<bool> {
        let key = key.as_bytes();
        let (mut shard, hash) = self.space.lock_one(key);
        let now_ms = self.space.now_ms();
        let expected = shard.get(hash, key, now_ms).is_some_and(|entry| begins_with(entry, &prefix));
        if expected {
            shard.remove(hash, key, now_ms);
        }
        Ok(expected)
    }

    async fn increment(&self, key: &StoreKey, delta: i64, ttl_ms: Option<u64>) -> StoreResult<i64> {
        self.space.room(key.as_bytes().len())?;
        let mut view = self.space.lock(std::iter::once(key.as_bytes()));
        Ok(commands::increment(&mut view, key.as_bytes(), delta, ttl_ms)?)
    }

    async fn delete(&self, keys: &[StoreKey]) -> StoreResult<Vec<bool>> {
        let mut view = self.lock_all(keys);
        Ok(keys.iter().map(|key| view.discard(key.as_bytes())).collect())
    }

    async fn ttl(&self, key: &StoreKey) -> StoreResult<Ttl> {
        let key = key.as_bytes();
        let (shard, hash) = self.space.lock_one(key);
        let now_ms = self.space.now_ms();
        Ok(shard.peek(hash, key, now_ms).map_or(Ttl::Missing, |entry| ttl(entry, now_ms)))
    }

    async fn expire(&self, key: &StoreKey, expire: Expire) -> StoreResult<bool> {
        let key = key.as_bytes();
        let (mut shard, hash) = self.space.lock_one(key);
        let now_ms = self.space.now_ms();
        let changed = shard.change(hash, key, now_ms, |entry| {
            entry.expires_ms = expires_ms(expire, Some(entry.expires_ms), now_ms);
        });
        Ok(changed.is_some())
    }

    async fn call(&self, command: Command) -> StoreResult<Reply> {
        Ok(commands::call(&self.space, &command.args))
    }

    async fn pipeline(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        Ok(commands.iter().map(|command| commands::call(&self.space, &command.args)).collect())
    }

    async fn atomic(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        let block: Vec<&[Bytes]> = commands.iter().map(|command| &command.args[..]).collect();
        Ok(commands::call_all(&self.space, &block, &[], |_| true).unwrap_or_default())
    }

    async fn watch(&self, keys: &[StoreKey]) -> StoreResult<Box<dyn Watch>> {
        let mut watching = Watching::new(Arc::clone(&self.space));
        watching.look(keys);
        Ok(Box::new(watching))
    }

    async fn ping(&self) -> StoreResult<()> {
        Ok(())
    }
}
