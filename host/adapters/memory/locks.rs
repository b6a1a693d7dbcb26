//! Locks in this process: for a host on the memory store, which nobody shares.
//!
//! Invariants: every method is one step under one mutex. Fences of all locks come from one counter that begins at the wall time
//! and never goes back, so a lock's fences grow whatever is forgotten of it, also over a restart. Lives are counted in
//! monotonic time: a step of the wall clock ends no lock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::limits::LOCKS_HELD_MAX;
use crate::ports::clock::Clock;
use crate::ports::lock::{Attempt, Found, Holder, LockKeys, LockPattern, LockStore, Token};
use crate::ports::store::{StoreError, StoreKey, StoreResult};

const NS_PER_MS: u64 = 1_000_000;

/// Locks in this process's memory.
pub struct MemoryLocks {
    clock: Arc<dyn Clock>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    held: BTreeMap<Bytes, Lock>,
    last_fence: u64,
}

struct Lock {
    token: Token,
    fence: u64,
    owner: String,
    until_ns: u64,
}

impl Lock {
    fn left_ms(&self, now_ns: u64) -> u64 {
        self.until_ns.saturating_sub(now_ns).div_ceil(NS_PER_MS)
    }
}

impl Table {
    /// The live lock under this key; one that is over goes.
    fn live(&mut self, key: &[u8], now_ns: u64) -> Option<&mut Lock> {
        if self.held.get(key).is_some_and(|lock| lock.until_ns <= now_ns) {
            self.held.remove(key);
        }
        self.held.get_mut(key)
    }

    fn has_room(&mut self, now_ns: u64) -> bool {
        if self.held.len() >= LOCKS_HELD_MAX {
            self.held.retain(|_, lock| lock.until_ns > now_ns);
        }
        self.held.len() < LOCKS_HELD_MAX
    }
}

impl MemoryLocks {
    /// No lock is held.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, table: Mutex::default() }
    }

    fn until_ns(&self, ttl_ms: u64) -> u64 {
        self.clock.monotonic_ns().saturating_add(ttl_ms.saturating_mul(NS_PER_MS))
    }

    /// Carries out `change` on a live lock that this token holds. Whether it does.
    fn if_held<T>(&self, keys: &LockKeys, token: &Token, change: impl FnOnce(&mut Table) -> T) -> bool {
        let mut table = self.table.lock();
        let held = table.live(&keys.lock.0, self.clock.monotonic_ns()).is_some_and(|lock| lock.token == *token);
        if held {
            change(&mut table);
        }
        held
    }
}

impl std::fmt::Debug for MemoryLocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLocks").finish_non_exhaustive()
    }
}

#[async_trait]
impl LockStore for MemoryLocks {
    async fn take(&self, keys: &LockKeys, token: &Token, owner: &str, ttl_ms: u64) -> StoreResult<Attempt> {
        let mut table = self.table.lock();
        let now_ns = self.clock.monotonic_ns();
        if let Some(lock) = table.live(&keys.lock.0, now_ns) {
            return Ok(Attempt::HeldFor { ms: lock.left_ms(now_ns) });
        }
        if !table.has_room(now_ns) {
            return Err(StoreError::Reply(format!("OOM {LOCKS_HELD_MAX} locks are held; release some")));
        }
        let fence = self.clock.wall_ms().max(table.last_fence) + 1;
        table.last_fence = fence;
        let lock = Lock { token: token.clone(), fence, owner: owner.to_owned(), until_ns: self.until_ns(ttl_ms) };
        table.held.insert(keys.lock.0.clone(), lock);
        Ok(Attempt::Taken { fence })
    }

    async fn extend(&self, keys: &LockKeys, token: &Token, ttl_ms: u64) -> StoreResult<bool> {
        let until_ns = self.until_ns(ttl_ms);
        Ok(self.if_held(keys, token, |table| {
            if let Some(lock) = table.held.get_mut(&keys.lock.0) {
                lock.until_ns = until_ns;
            }
        }))
    }

    async fn release(&self, keys: &LockKeys, token: &Token) -> StoreResult<bool> {
        Ok(self.if_held(keys, token, |table| table.held.remove(&keys.lock.0)))
    }

    async fn force_release(&self, keys: &LockKeys) -> StoreResult<bool> {
        let mut table = self.table.lock();
        let held = table.live(&keys.lock.0, self.clock.monotonic_ns()).is_some();
        table.held.remove(&keys.lock.0);
        Ok(held)
    }

    async fn holder(&self, keys: &LockKeys) -> StoreResult<Option<Holder>> {
        let now_ns = self.clock.monotonic_ns();
        let mut table = self.table.lock();
        Ok(table.live(&keys.lock.0, now_ns).map(|lock| holder(lock, now_ns)))
    }

    async fn find(&self, pattern: &LockPattern, max: usize) -> StoreResult<Found> {
        let now_ns = self.clock.monotonic_ns();
        let table = self.table.lock();
        let from = (Bound::Included(pattern.head.clone()), Bound::Unbounded);
        let mut all = table
            .held
            .range::<Bytes, _>(from)
            .take_while(|(key, _)| key.starts_with(&pattern.head))
            .filter(|(key, lock)| key.ends_with(&pattern.tail) && lock.until_ns > now_ns);
        let locks = all.by_ref().take(max).map(|(key, lock)| (StoreKey(key.clone()), holder(lock, now_ns))).collect();
        let complete = all.next().is_none();
        Ok(Found { locks, complete })
    }
}

fn holder(lock: &Lock, now_ns: u64) -> Holder {
    Holder { token: lock.token.clone(), fence: lock.fence, owner: lock.owner.clone(), ttl_ms: lock.left_ms(now_ns) }
}
