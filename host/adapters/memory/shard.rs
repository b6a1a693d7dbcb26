//! One part of the key space: entries under one lock, and what they cost.
//!
//! Invariants: an entry past its expiry is never seen; after every method the shared counter holds what this shard takes.
//! Deliberately absent: commands, the bound on memory (`keyspace.rs`).

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use super::dense::{Dense, Keyed};
use super::value::{Value, block_bytes};
use crate::ports::coherence::Watcher;

/// An expiry that never comes.
pub(super) const NEVER: u64 = u64::MAX;

/// How a string came about, which Redis shows in `OBJECT ENCODING`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// It was stored as a whole; every other type has this form too.
    #[default]
    Whole,
    /// It was stored as a whole by `COPY`, which shares nothing.
    Copied,
    /// It was changed in its place.
    Edited,
    /// It is a sum of floating-point numbers.
    Sum,
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    key: Box<[u8]>,
    /// What it holds. Change it through [`Shard::change`] only.
    pub(super) value: Value,
    /// Wall time in milliseconds since the Unix epoch after which it is gone; [`NEVER`].
    pub(super) expires_ms: u64,
    /// Wall time in seconds since the Unix epoch when somebody last used it.
    pub(super) used_s: u32,
    pub(super) form: Form,
}

// A place in the row is what every entry pays whatever it holds; the index adds five bytes and its free places.
const _: () = assert!(size_of::<Entry>() <= 48);

impl Keyed for Entry {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Entry {
    fn heap_bytes(&self) -> usize {
        block_bytes(self.key.len()) + self.value.heap_bytes()
    }

    /// Redis' rule: alive in the very millisecond of its expiry.
    pub(super) const fn is_gone(&self, now_ms: u64) -> bool {
        now_ms > self.expires_ms
    }
}

/// Wall time as entries keep it.
pub(super) fn seconds(now_ms: u64) -> u32 {
    u32::try_from(now_ms / 1000).unwrap_or(u32::MAX)
}

/// A part of the key space.
#[derive(Debug)]
pub(super) struct Shard {
    entries: Entries,
    hasher: RandomState,
    heap_bytes: usize,
    /// What `used` has been told of this shard.
    charged: usize,
    used: Arc<AtomicUsize>,
    /// Who is told when something is done to a key.
    watched: HashMap<Box<[u8]>, Vec<Arc<AtomicBool>>, RandomState>,
    /// Who is told of every key.
    watcher: Arc<OnceLock<Watcher>>,
}

/// The entries of a shard.
pub(super) type Entries = Dense<Entry, 0>;

/// What a step of the sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Entries that were looked at.
    pub(super) examined: usize,
    /// Entries that were removed.
    pub(super) removed: usize,
    /// Below which place the next step goes on; 0: the shard is through.
    pub(super) below: usize,
}

impl Shard {
    /// An empty one that counts what it takes in `used`.
    pub(super) fn new(hasher: RandomState, used: Arc<AtomicUsize>, watcher: Arc<OnceLock<Watcher>>) -> Self {
        let watched = HashMap::with_hasher(hasher.clone());
        Self { entries: Dense::new(hasher.clone()), hasher, heap_bytes: 0, charged: 0, used, watched, watcher }
    }

    /// All entries, those past their expiry included.
    pub(super) const fn entries(&self) -> &Entries {
        &self.entries
    }

    /// The entry of a key, if it is alive, for somebody who uses it. `hash` is the key's under the hasher of this shard, here
    /// and below.
    pub(super) fn get(&mut self, hash: u64, key: &[u8], now_ms: u64) -> Option<&Entry> {
        let at = self.alive(hash, key, now_ms)?;
        let entry = self.entries.get_mut(at)?;
        entry.used_s = seconds(now_ms);
        Some(entry)
    }

    /// The entry of a key, if it is alive, for somebody who only asks about it.
    pub(super) fn peek(&self, hash: u64, key: &[u8], now_ms: u64) -> Option<&Entry> {
        self.entries.get(self.entries.find(hash, key)?).filter(|entry| !entry.is_gone(now_ms))
    }

    /// Changes the entry of a key, if it is alive.
    pub(super) fn change<R>(
        &mut self,
        hash: u64,
        key: &[u8],
        now_ms: u64,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> Option<R> {
        let at = self.alive(hash, key, now_ms)?;
        let entry = self.entries.get_mut(at)?;
        entry.used_s = seconds(now_ms);
        let before = entry.value.heap_bytes();
        let result = change(entry);
        self.heap_bytes = self.heap_bytes - before + entry.value.heap_bytes();
        self.settle();
        self.tell(key);
        Some(result)
    }

    /// Stores a value, whatever was there; what was there, so that nobody need free it under the lock.
    pub(super) fn put(&mut self, hash: u64, key: &[u8], value: Value, expires_ms: u64, now_ms: u64) -> Option<Value> {
        let used_s = seconds(now_ms);
        let there = self.entries.find(hash, key).and_then(|at| self.entries.get_mut(at));
        let before = if let Some(entry) = there {
            self.heap_bytes = self.heap_bytes - entry.value.heap_bytes() + value.heap_bytes();
            let before = std::mem::replace(&mut entry.value, value);
            (entry.expires_ms, entry.used_s, entry.form) = (expires_ms, used_s, Form::Whole);
            Some(before)
        } else {
            let entry = Entry { key: key.into(), value, expires_ms, used_s, form: Form::Whole };
            self.heap_bytes += entry.heap_bytes();
            self.entries.push(entry);
            None
        };
        self.settle();
        self.tell(key);
        before
    }

    /// Removes a key; its entry if it was alive.
    pub(super) fn remove(&mut self, hash: u64, key: &[u8], now_ms: u64) -> Option<Entry> {
        let at = self.entries.find(hash, key)?;
        let entry = self.take(at);
        self.settle();
        (!entry.is_gone(now_ms)).then_some(entry)
    }

    /// Removes every key; the entries, so that nobody need free them under the lock.
    pub(super) fn clear(&mut self) -> Entries {
        let entries = std::mem::replace(&mut self.entries, Dense::new(self.hasher.clone()));
        self.heap_bytes = 0;
        self.settle();
        for (key, watches) in &self.watched {
            if entries.find(self.hasher.hash_one(&key[..]), key).is_some() {
                watches.iter().for_each(|watch| watch.store(true, Ordering::Relaxed));
            }
        }
        entries
    }

    /// Removes expired entries among the `limit` places below `below`. After the last place of a shard that is nearly empty it
    /// gives the memory back.
    pub(super) fn sweep(&mut self, below: usize, limit: usize, now_ms: u64) -> Step {
        let (looked_at, next) = self.entries.step(below, limit);
        let mut step = Step { examined: looked_at.len(), removed: 0, below: next };
        // From behind, so that what closes a gap has been looked at.
        for at in (next..next + step.examined).rev() {
            if self.entries.get(at).is_some_and(|entry| entry.is_gone(now_ms)) {
                self.take(at);
                step.removed += 1;
            }
        }
        if step.below == 0 {
            self.entries.shrink();
        }
        self.settle();
        step
    }

    /// The place of a key that is alive; one past its expiry is removed.
    fn alive(&mut self, hash: u64, key: &[u8], now_ms: u64) -> Option<usize> {
        let at = self.entries.find(hash, key)?;
        if self.entries.get(at)?.is_gone(now_ms) {
            self.take(at);
            self.settle();
            return None;
        }
        Some(at)
    }

    fn take(&mut self, at: usize) -> Entry {
        let entry = self.entries.remove(at);
        self.heap_bytes -= entry.heap_bytes();
        self.tell(&entry.key);
        entry
    }

    /// Lets `watch` know of what is done to a key from now on. All under the shard's lock, so plain stores will do.
    pub(super) fn watch(&mut self, key: &[u8], watch: &Arc<AtomicBool>) {
        self.watched.entry(key.into()).or_default().push(Arc::clone(watch));
    }

    /// The same no more.
    pub(super) fn unwatch(&mut self, key: &[u8], watch: &Arc<AtomicBool>) {
        if let Some(watches) = self.watched.get_mut(key) {
            watches.retain(|other| !Arc::ptr_eq(other, watch));
            if watches.is_empty() {
                self.watched.remove(key);
            }
        }
    }

    fn tell(&self, key: &[u8]) {
        if !self.watched.is_empty() {
            self.watched.get(key).into_iter().flatten().for_each(|watch| watch.store(true, Ordering::Relaxed));
        }
        if let Some(told) = self.watcher.get().and_then(Watcher::wanted) {
            told.changed(key);
        }
    }

    /// Tells the shared counter what has changed since the last time.
    fn settle(&mut self) {
        let bytes = self.heap_bytes + self.entries.heap_bytes();
        if bytes >= self.charged {
            self.used.fetch_add(bytes - self.charged, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(self.charged - bytes, Ordering::Relaxed);
        }
        self.charged = bytes;
    }
}
