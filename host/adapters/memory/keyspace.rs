//! The key space: shards, the locks on them and the bound on memory.
//!
//! Invariants: whoever locks more than one shard locks them in ascending order, so nobody waits in a circle; no lock is held
//! across an await (there is none in this adapter).

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};

use super::refusal::Refusal;
use super::shard::{Entry, Shard};
use super::value::block_bytes;
use super::view::View;
use crate::limits::SWEEP_SLOTS_PER_LOCK;
use crate::ports::clock::Clock;
use crate::ports::coherence::Watcher;

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
    watcher: Arc<OnceLock<Watcher>>,
}

/// Where a walk over all entries goes on: in each shard from the last place to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    shard: usize,
    below: usize,
}

impl Cursor {
    const START: Self = Self { shard: 0, below: usize::MAX };
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Entries that were looked at.
    pub examined: usize,
    /// Entries that were past their expiry and are gone now.
    pub removed: usize,
}

impl Keyspace {
    pub(super) fn new(clock: Arc<dyn Clock>, bytes_max: usize) -> Self {
        let hasher = RandomState::default();
        let used = Arc::new(AtomicUsize::new(0));
        let watcher = Arc::new(OnceLock::new());
        let shard = |_| Locked(Mutex::new(Shard::new(hasher.clone(), Arc::clone(&used), Arc::clone(&watcher))));
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            hasher,
            used,
            bytes_max,
            cursor: Mutex::new(Cursor::START),
            clock,
            watcher,
        }
    }

    /// Tells of every change from now on. Whether it will: there may be one watcher.
    pub(super) fn tell(&self, watcher: Watcher) -> bool {
        self.watcher.set(watcher).is_ok()
    }

    /// Tells that everything is gone.
    pub(super) fn tell_all(&self) {
        if let Some(told) = self.watcher.get().and_then(Watcher::wanted) {
            told.changed_all();
        }
    }

    /// What the entries and their tables take, in bytes.
    pub(super) fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Entries, those past their expiry that nobody has come across included.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().entries().len()).sum()
    }

    /// Wall time in milliseconds since the Unix epoch.
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// A random number, not for secrets.
    pub(super) fn random(&self) -> u64 {
        self.clock.random()
    }

    /// Every shard.
    pub(super) const ALL: u64 = u64::MAX;

    /// The shards of these keys, as bits.
    pub(super) fn shards_of<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> u64 {
        keys.fold(0, |mask, key| mask | 1 << shard_of(self.hash(key)))
    }

    /// Locks the shards of these keys.
    pub(super) fn lock<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> View<'_> {
        self.lock_shards(self.shards_of(keys))
    }

    /// Locks these shards.
    pub(super) fn lock_shards(&self, mask: u64) -> View<'_> {
        let mut guards = Vec::with_capacity(mask.count_ones() as usize);
        guards.extend((0..SHARDS).filter(|shard| mask >> shard & 1 == 1).map(|shard| self.shards[shard].0.lock()));
        View::new(self, mask, guards)
    }

    /// Locks the shard of one key; also the key's hash.
    pub(super) fn lock_one(&self, key: &[u8]) -> (MutexGuard<'_, Shard>, u64) {
        let hash = self.hash(key);
        (self.shards[shard_of(hash)].0.lock(), hash)
    }

    /// Whether so many bytes more fit; asked before what stores, as Redis does. The bound may be passed by what threads that ask
    /// at the same time store, and by the growth of one table, be it a shard's or a value's.
    pub(super) fn room(&self, bytes: usize) -> Result<(), Refusal> {
        let needed = self.used_bytes().saturating_add(block_bytes(bytes));
        if needed > self.bytes_max { Err(Refusal::OUT_OF_MEMORY) } else { Ok(()) }
    }

    /// Removes expired entries, looking at `limit` entries at most, and goes on where it stopped. Each lock is held for
    /// [`SWEEP_SLOTS_PER_LOCK`] entries at most.
    pub(super) fn sweep(&self, limit: usize) -> Swept {
        let mut swept = Swept::default();
        // Whoever finds a sweep under way has nothing to do.
        let Some(mut cursor) = self.cursor.try_lock() else { return swept };
        let now_ms = self.now_ms();
        let mut ends_left = SHARDS;
        while swept.examined < limit && ends_left > 0 {
            let places = SWEEP_SLOTS_PER_LOCK.min(limit - swept.examined);
            let step = self.shards[cursor.shard].0.lock().sweep(cursor.below, places, now_ms);
            swept.examined += step.examined;
            swept.removed += step.removed;
            if step.below > 0 {
                cursor.below = step.below;
            } else {
                ends_left -= 1;
                *cursor = Cursor { shard: (cursor.shard + 1) % SHARDS, below: usize::MAX };
            }
        }
        swept
    }

    /// A step of a scan over all keys: shows `look` so many entries at most, those past their expiry left out, and says where
    /// the next step goes on. Scans begin and end with 0; a number that no scan gave is as good as any. A key that is there
    /// from a scan's beginning to its end is shown at least once, whatever happens to others. Each lock is held for
    /// [`SWEEP_SLOTS_PER_LOCK`] entries at most; shards that the caller has `locked` already are read as they are.
    pub(super) fn scan<'s>(
        &self,
        cursor: u64,
        limit: usize,
        locked: impl Fn(usize) -> Option<&'s Shard>,
        mut look: impl FnMut(&Entry),
    ) -> u64 {
        let mut cursor = Cursor::from(cursor);
        let now_ms = self.now_ms();
        let mut left = limit;
        while left > 0 && cursor.shard < SHARDS {
            let mut step = |shard: &Shard| {
                let (entries, next) = shard.entries().step(cursor.below, left.min(SWEEP_SLOTS_PER_LOCK));
                entries.iter().filter(|entry| !entry.is_gone(now_ms)).for_each(&mut look);
                (entries.len(), next)
            };
            let (seen, next) = match locked(cursor.shard) {
                Some(shard) => step(shard),
                None => step(&self.shards[cursor.shard].0.lock()),
            };
            left -= seen;
            cursor = if next > 0 {
                Cursor { below: next, ..cursor }
            } else {
                Cursor { shard: cursor.shard + 1, below: usize::MAX }
            };
        }
        cursor.into()
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// The lowest bits are the shard; above them is the place, 0 for the end of the shard.
impl From<u64> for Cursor {
    fn from(number: u64) -> Self {
        let shards = SHARDS as u64;
        let below = usize::try_from(number / shards).unwrap_or(usize::MAX);
        Self { shard: (number % shards) as usize, below: if below == 0 { usize::MAX } else { below } }
    }
}

impl From<Cursor> for u64 {
    fn from(cursor: Cursor) -> Self {
        let shards = SHARDS as Self;
        match cursor {
            Cursor { shard: SHARDS.., .. } => 0,
            Cursor { shard, below: usize::MAX } => shard as Self,
            Cursor { shard, below } => below as Self * shards + shard as Self,
        }
    }
}

/// The shard of a hash: bits that the tables use neither for the place (the lowest) nor for the tag (the highest seven).
pub(super) const fn shard_of(hash: u64) -> usize {
    (hash >> 50) as usize % SHARDS
}
