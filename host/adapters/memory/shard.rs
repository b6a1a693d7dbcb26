//! One part of the key space: a table of entries under one lock, and what it costs.
//!
//! Invariants: an entry past its expiry is never seen (whoever comes across it removes it); after every method the shared
//! counter holds what this shard takes. Deliberately absent: commands, the bound on memory (`keyspace.rs`).

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use super::value::{Value, block_bytes};

/// An expiry that never comes.
pub(super) const NEVER: u64 = u64::MAX;

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    key: Box<[u8]>,
    /// What it holds. Change it through [`Shard::change`] only.
    pub(super) value: Value,
    /// Wall time in milliseconds since the Unix epoch after which it is gone; [`NEVER`].
    pub(super) expires_ms: u64,
}

// A slot is what every entry pays whatever it holds; the table adds one byte and its free places.
const _: () = assert!(size_of::<Entry>() <= 40);

impl Entry {
    fn heap_bytes(&self) -> usize {
        block_bytes(self.key.len()) + self.value.heap_bytes()
    }

    /// Redis' rule: alive in the very millisecond of its expiry.
    const fn is_gone(&self, now_ms: u64) -> bool {
        now_ms > self.expires_ms
    }
}

/// A part of the key space.
#[derive(Debug)]
pub(super) struct Shard {
    table: HashTable<Entry>,
    hasher: RandomState,
    heap_bytes: usize,
    /// What `used` has been told of this shard.
    charged: usize,
    used: Arc<AtomicUsize>,
}

/// What a step of the sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Slots that were looked at.
    pub(super) examined: usize,
    /// Entries that were removed.
    pub(super) removed: usize,
    /// Where the next step begins; `None`: the shard is through.
    pub(super) next: Option<usize>,
}

impl Shard {
    /// An empty one that counts what it takes in `used`.
    pub(super) fn new(hasher: RandomState, used: Arc<AtomicUsize>) -> Self {
        Self { table: HashTable::new(), hasher, heap_bytes: 0, charged: 0, used }
    }

    /// Entries, those past their expiry included.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The entry of a key, if it is alive. `hash` is the key's under the hasher of this shard, here and below.
    pub(super) fn get(&mut self, hash: u64, key: &[u8], now_ms: u64) -> Option<&Entry> {
        let index = self.table.find_bucket_index(hash, |entry| *entry.key == *key)?;
        if self.table.get_bucket(index)?.is_gone(now_ms) {
            self.remove(hash, key, now_ms);
            return None;
        }
        self.table.get_bucket(index)
    }

    /// Changes the entry of a key, if it is alive.
    pub(super) fn change<R>(
        &mut self,
        hash: u64,
        key: &[u8],
        now_ms: u64,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> Option<R> {
        self.get(hash, key, now_ms)?;
        let entry = self.table.find_mut(hash, |entry| *entry.key == *key)?;
        let before = entry.heap_bytes();
        let result = change(entry);
        self.heap_bytes = self.heap_bytes - before + entry.heap_bytes();
        self.settle();
        Some(result)
    }

    /// Stores a value, whatever was there.
    pub(super) fn put(&mut self, hash: u64, key: &[u8], value: Value, expires_ms: u64) {
        let hasher = &self.hasher;
        match self.table.entry(hash, |entry| *entry.key == *key, |entry| hasher.hash_one(&*entry.key)) {
            Slot::Occupied(mut there) => {
                let entry = there.get_mut();
                self.heap_bytes -= entry.value.heap_bytes();
                self.heap_bytes += value.heap_bytes();
                entry.value = value;
                entry.expires_ms = expires_ms;
            }
            Slot::Vacant(free) => {
                let entry = Entry { key: key.into(), value, expires_ms };
                self.heap_bytes += entry.heap_bytes();
                free.insert(entry);
            }
        }
        self.settle();
    }

    /// Removes a key; its entry if it was alive.
    pub(super) fn remove(&mut self, hash: u64, key: &[u8], now_ms: u64) -> Option<Entry> {
        let there = self.table.find_entry(hash, |entry| *entry.key == *key).ok()?;
        let (entry, _) = there.remove();
        self.heap_bytes -= entry.heap_bytes();
        self.settle();
        (!entry.is_gone(now_ms)).then_some(entry)
    }

    /// Removes expired entries among the next `limit` slots from `from`. At the end of a table that is nearly empty it gives
    /// the memory back.
    pub(super) fn sweep(&mut self, from: usize, limit: usize, now_ms: u64) -> Step {
        let end = self.table.num_buckets();
        let until = end.min(from.saturating_add(limit));
        let mut step = Step { examined: until.saturating_sub(from), ..Step::default() };
        for index in from..until {
            if let Ok(there) = self.table.get_bucket_entry(index)
                && there.get().is_gone(now_ms)
            {
                let (entry, _) = there.remove();
                self.heap_bytes -= entry.heap_bytes();
                step.removed += 1;
            }
        }
        if until < end {
            step.next = Some(until);
        } else if self.table.len() < self.table.capacity() / 8 {
            let hasher = &self.hasher;
            self.table.shrink_to(self.table.len() * 2, |entry| hasher.hash_one(&*entry.key));
        }
        self.settle();
        step
    }

    /// Tells the shared counter what has changed since the last time.
    fn settle(&mut self) {
        let bytes = self.heap_bytes + self.table.allocation_size();
        if bytes >= self.charged {
            self.used.fetch_add(bytes - self.charged, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(self.charged - bytes, Ordering::Relaxed);
        }
        self.charged = bytes;
    }
}
