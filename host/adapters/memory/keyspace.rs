//! The key space: shards, the locks on them and the bound on memory.
//!
//! Invariants: whoever locks more than one shard locks them in ascending order, so nobody waits in a circle; no lock is held
//! across an await (there is none in this adapter).

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};

use super::refusal::Refusal;
use super::shard::{Entry, Shard};
use super::value::{Value, block_bytes};
use crate::limits::SWEEP_SLOTS_PER_LOCK;
use crate::ports::clock::Clock;

/// How many shards there are: a set of them fits one word.
const SHARDS: usize = 64;

/// One lock, on cache lines of its own.
#[repr(align(128))]
struct Locked(Mutex<Shard>);

/// All keys.
pub(super) struct Keyspace {
    shards: Box<[Locked]>,
    hasher: RandomState,
    used: Arc<AtomicUsize>,
    bytes_max: usize,
    cursor: Mutex<Cursor>,
    clock: Arc<dyn Clock>,
}

/// Where the sweep goes on.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    shard: usize,
    slot: usize,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Places of the tables that were looked at, taken or free.
    pub examined: usize,
    /// Entries that were past their expiry and are gone now.
    pub removed: usize,
}

impl Keyspace {
    pub(super) fn new(clock: Arc<dyn Clock>, bytes_max: usize) -> Self {
        let hasher = RandomState::default();
        let used = Arc::new(AtomicUsize::new(0));
        let shard = |_| Locked(Mutex::new(Shard::new(hasher.clone(), Arc::clone(&used))));
        Self { shards: (0..SHARDS).map(shard).collect(), hasher, used, bytes_max, cursor: Mutex::default(), clock }
    }

    /// What the entries and their tables take, in bytes.
    pub(super) fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Entries, those past their expiry that nobody has come across included.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().len()).sum()
    }

    /// Wall time in milliseconds since the Unix epoch.
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// Locks the shards of these keys.
    pub(super) fn lock<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> View<'_> {
        let mask = keys.fold(0_u64, |mask, key| mask | 1 << shard_of(self.hash(key)));
        let mut guards = Vec::with_capacity(mask.count_ones() as usize);
        guards.extend((0..SHARDS).filter(|shard| mask >> shard & 1 == 1).map(|shard| self.shards[shard].0.lock()));
        View { space: self, mask, guards, now_ms: self.now_ms() }
    }

    /// Locks the shard of one key; also the key's hash.
    pub(super) fn lock_one(&self, key: &[u8]) -> (MutexGuard<'_, Shard>, u64) {
        let hash = self.hash(key);
        (self.shards[shard_of(hash)].0.lock(), hash)
    }

    /// Whether so many bytes more fit; asked before what stores, as Redis does. The bound may be passed by what threads that ask
    /// at the same time store, and by the growth of one shard's table.
    pub(super) fn room(&self, bytes: usize) -> Result<(), Refusal> {
        let needed = self.used_bytes().saturating_add(block_bytes(bytes));
        if needed > self.bytes_max { Err(Refusal::OUT_OF_MEMORY) } else { Ok(()) }
    }

    /// Removes expired entries, looking at `limit` slots at most, and goes on where it stopped. Each lock is held for
    /// [`SWEEP_SLOTS_PER_LOCK`] slots at most.
    pub(super) fn sweep(&self, limit: usize) -> Swept {
        let mut swept = Swept::default();
        // Whoever finds a sweep under way has nothing to do.
        let Some(mut cursor) = self.cursor.try_lock() else { return swept };
        let now_ms = self.now_ms();
        let mut ends_left = SHARDS;
        while swept.examined < limit && ends_left > 0 {
            let slots = SWEEP_SLOTS_PER_LOCK.min(limit - swept.examined);
            let step = self.shards[cursor.shard].0.lock().sweep(cursor.slot, slots, now_ms);
            swept.examined += step.examined;
            swept.removed += step.removed;
            if let Some(slot) = step.next {
                cursor.slot = slot;
            } else {
                ends_left -= 1;
                *cursor = Cursor { shard: (cursor.shard + 1) % SHARDS, slot: 0 };
            }
        }
        swept
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// The shard of a hash: bits that the tables use neither for the place (the lowest) nor for the tag (the highest seven).
const fn shard_of(hash: u64) -> usize {
    (hash >> 50) as usize % SHARDS
}

/// Some keys, locked: what one command sees, at one moment.
pub(super) struct View<'a> {
    space: &'a Keyspace,
    mask: u64,
    guards: Vec<MutexGuard<'a, Shard>>,
    /// Wall time of the command, in milliseconds since the Unix epoch.
    pub(super) now_ms: u64,
}

impl View<'_> {
    /// The entry of a key, if there is one.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<&Entry> {
        let (shard, hash) = self.place(key);
        let now_ms = self.now_ms;
        self.guards[shard].get(hash, key, now_ms)
    }

    /// Whether there is such a key.
    pub(super) fn has(&mut self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Changes the entry of a key, if there is one.
    pub(super) fn change<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let (shard, hash) = self.place(key);
        let now_ms = self.now_ms;
        self.guards[shard].change(hash, key, now_ms, change)
    }

    /// Stores a value, whatever was there.
    pub(super) fn put(&mut self, key: &[u8], value: Value, expires_ms: u64) {
        let (shard, hash) = self.place(key);
        self.guards[shard].put(hash, key, value, expires_ms);
    }

    /// Removes a key; its entry if there was one.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let (shard, hash) = self.place(key);
        let now_ms = self.now_ms;
        self.guards[shard].remove(hash, key, now_ms)
    }

    /// As [`Keyspace::room`].
    pub(super) fn room(&self, bytes: usize) -> Result<(), Refusal> {
        self.space.room(bytes)
    }

    /// Which of the guards has a key's shard (as many as there are locked shards below it), and the key's hash.
    fn place(&self, key: &[u8]) -> (usize, u64) {
        let hash = self.space.hash(key);
        let shard = shard_of(hash);
        assert!(self.mask >> shard & 1 == 1, "a command touched a key that it did not lock");
        ((self.mask & ((1 << shard) - 1)).count_ones() as usize, hash)
    }
}
