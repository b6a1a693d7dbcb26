//! L1: the node's own memory, bounded by bytes.
//!
//! The placeholder rule of Redis' client-side caching, for every copy: who wants to store what it read takes a [`Ticket`]
//! *before* it reads; a write to the key in between makes the ticket worthless, so an older value never comes back. A writer
//! holds a [`Writing`] from before the store is asked until after it answered; dropped at any point, it leaves no copy.
//!
//! Eviction is `quick_cache`'s (Clock-PRO, S3-FIFO's kin): lean, and bounded under write pressure.

use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::entry::Entry;
use crate::ports::metrics::Metrics;

/// Counters of writes; keys share them by hash. A shared one costs a copy now and then, never a wrong answer.
const SLOTS: usize = 4096;
/// What an entry weighs about, to size the cache's tables.
const ENTRY_BYTES_ESTIMATE: u64 = 512;

#[derive(Clone)]
struct ByBytes;

impl Weighter<Box<[u8]>, Arc<Entry>> for ByBytes {
    fn weight(&self, key: &Box<[u8]>, entry: &Arc<Entry>) -> u64 {
        entry.weight(key.len())
    }
}

type Entries =
    Cache<Box<[u8]>, Arc<Entry>, ByBytes, foldhash::fast::RandomState, DefaultLifecycle<Box<[u8]>, Arc<Entry>>>;

/// The node's own memory.
pub struct L1 {
    entries: Entries,
    /// How often keys of a slot were written.
    writes: Box<[Mutex<u64>]>,
    hasher: foldhash::fast::FixedState,
    metrics: Arc<Metrics>,
}

/// The right to store what is about to be read.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    slot: usize,
    writes: u64,
}

/// A write that is under way.
pub struct Writing<'a> {
    l1: &'a L1,
    key: &'a [u8],
    ticket: Ticket,
    settled: bool,
}

impl L1 {
    /// Holds at most `bytes_max` bytes, as [`Entry::weight`] counts; 0: nothing.
    #[must_use]
    pub fn new(bytes_max: u64, metrics: Arc<Metrics>) -> Self {
        let estimate = usize::try_from(bytes_max / ENTRY_BYTES_ESTIMATE).unwrap_or(usize::MAX).clamp(64, 1 << 22);
        let options = OptionsBuilder::new()
            .weight_capacity(bytes_max)
            .estimated_items_capacity(estimate)
            .build()
            .unwrap_or_else(|error| unreachable!("both capacities are given: {error}"));
        Self {
            entries: Cache::with_options(
                options,
                ByBytes,
                foldhash::fast::RandomState::default(),
                DefaultLifecycle::default(),
            ),
            writes: (0..SLOTS).map(|_| Mutex::new(0)).collect(),
            hasher: foldhash::fast::FixedState::default(),
            metrics,
        }
    }

    /// The copy of a key, whatever its age.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    /// Says that a key is about to be read from the store.
    #[must_use]
    pub fn ticket(&self, key: &[u8]) -> Ticket {
        let slot = self.slot(key);
        Ticket { slot, writes: *self.writes[slot].lock() }
    }

    /// Stores what was read, unless the key was written since the ticket was taken. Whether it was stored.
    pub fn insert(&self, ticket: Ticket, key: &[u8], entry: Arc<Entry>) -> bool {
        let writes = self.writes[ticket.slot].lock();
        if *writes != ticket.writes {
            return false;
        }
        self.entries.insert(key.into(), entry);
        true
    }

    /// Drops the copy of a key that is about to be written.
    pub fn writing<'a>(&'a self, key: &'a [u8]) -> Writing<'a> {
        let slot = self.slot(key);
        Writing { l1: self, key, ticket: Ticket { slot, writes: self.forget(slot, key) }, settled: false }
    }

    /// Copies the fill level into the metrics.
    pub fn report(&self) {
        self.metrics.l1_bytes.set(self.entries.weight());
        self.metrics.l1_entries.set(self.entries.len() as u64);
    }

    fn slot(&self, key: &[u8]) -> usize {
        use std::hash::BuildHasher as _;
        (self.hasher.hash_one(key) as usize) % SLOTS
    }

    fn forget(&self, slot: usize, key: &[u8]) -> u64 {
        let mut writes = self.writes[slot].lock();
        *writes += 1;
        self.entries.remove(key);
        *writes
    }
}

impl Writing<'_> {
    /// The store has it: keeps a copy, unless somebody else wrote the key meanwhile, in which case nobody here knows who was
    /// last and no copy is kept.
    pub fn done(mut self, entry: Option<Arc<Entry>>) {
        self.settled = true;
        let mut writes = self.l1.writes[self.ticket.slot].lock();
        let alone = *writes == self.ticket.writes;
        *writes += 1;
        match entry {
            Some(entry) if alone => self.l1.entries.insert(self.key.into(), entry),
            _ => drop(self.l1.entries.remove(self.key)),
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.l1.forget(self.ticket.slot, self.key);
        }
    }
}
