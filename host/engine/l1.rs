//! L1: the node's own memory, bounded by bytes.
//!
//! The placeholder rule of Redis' client-side caching, for every copy: who wants to store what it read takes a [`Ticket`]
//! *before* it reads; a write to the key in between makes the ticket worthless, so an older value never comes back, and so does a
//! change that the store tells of ([`L1::changed`]). A writer holds a [`Writing`] from before the store is asked until after it
//! answered; dropped at any point, it leaves no copy.
//!
//! The store tells of this host's own writes, too, and cannot say whose they are. The first change that is told of a key within
//! *B* of its own write is taken for the write's *echo*. If that was wrong, as somebody else wrote it in the same moment, the copy is wrong:
//! so from then on it is good for *B* from its write, and no longer.
//!
//! Eviction is `quick_cache`'s (Clock-PRO, S3-FIFO's kin): lean, and bounded under write pressure. What it leaves to choose is how much
//! of the room is kept for what was read more than once ([`Eviction`]). It is one choice for the host: what a domain can be given is a
//! part of its own ([`L1Settings::shares`]), where other domains' traffic evicts nothing and its own evicts nothing of theirs.

pub mod entry;
pub mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use self::entry::{ByKey, Entry};
use self::room::{Look, Room};
use super::coherence::Coherence;
use super::tracking::Tracker;
use crate::limits::L1_SHARD_BYTES_MIN;
use crate::ports::allocator::Held;
use crate::ports::metrics::{Gauge, Metrics};

/// What L1 drops when it is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// What is read seldom: nearly all room is for what was read at least twice, so that a scan over many keys passes through.
    #[default]
    Frequency,
    /// What was not read for long: half of the room is for what is new, and what was dropped is forgotten.
    Recency,
}

impl Eviction {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Frequency, Self::Recency];

    /// The word in the settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frequency => "frequency",
            Self::Recency => "recency",
        }
    }

    /// The parts of the room for what was read more than once, and of the number of entries for keys that were dropped.
    const fn allocations(self) -> (f64, f64) {
        match self {
            Self::Frequency => (0.97, 0.5),
            Self::Recency => (0.5, 0.0),
        }
    }
}

/// How L1 is made.
#[derive(Clone, Debug, Default)]
pub struct L1Settings {
    /// Bytes of it; 0 turns it off.
    pub bytes_max: u64,
    /// What it drops.
    pub eviction: Eviction,
    /// Domains with a part of their own and its bytes, which are taken from `bytes_max`. Not `default`: its keys do not say so.
    pub shares: Vec<(String, u64)>,
    /// Between a domain and the rest of a key.
    pub separator: u8,
}

/// Counters of writes; keys share them by hash. A shared one costs a copy now and then, never a wrong answer.
const SLOTS: usize = 4096;
/// What an entry weighs about, to size the cache's tables.
const ENTRY_BYTES_ESTIMATE: u64 = 512;

#[derive(Clone)]
struct ByBytes;

impl Weighter<ByKey, Entry> for ByBytes {
    fn weight(&self, _: &ByKey, entry: &Entry) -> u64 {
        entry.weight()
    }
}

type Entries = Cache<ByKey, Entry, ByBytes, foldhash::fast::RandomState, DefaultLifecycle<ByKey, Entry>>;

/// The node's own memory.
pub struct L1 {
    /// Of the domains that have a share; few.
    shares: Box<[Share]>,
    /// Of all others.
    entries: Entries,
    /// What both may count at most, together.
    bytes_max: u64,
    /// How much of that they may count, if somebody measures what the process holds for it.
    room: Mutex<Option<Room>>,
    /// What has come in, in bytes.
    came_in_bytes: AtomicU64,
    separator: u8,
    /// What happened to the keys of a slot.
    slots: Box<[Mutex<Slot>]>,
    hasher: foldhash::fast::FixedState,
    coherence: Arc<Coherence>,
    /// Who is told of what is written here.
    tracker: Arc<Tracker>,
    metrics: Arc<Metrics>,
}

/// A domain's own part.
struct Share {
    domain: Box<[u8]>,
    bytes_max: u64,
    entries: Entries,
}

/// What happened to the keys of one slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// How often they were written here.
    writes: u64,
    /// How often the store told that they were changed.
    changes: u64,
}

/// The right to store what is about to be read.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    slot: usize,
    seen: Slot,
    /// The stream of changes that ran.
    stream: u32,
}

/// A write that is under way.
pub struct Writing<'a> {
    l1: &'a L1,
    key: &'a [u8],
    ticket: Ticket,
    settled: bool,
}

impl L1 {
    /// Holds at most as many bytes as the settings say, as [`Entry::weight`] counts. Nobody else changes the store.
    #[must_use]
    pub fn new(settings: L1Settings, metrics: Arc<Metrics>) -> Self {
        let coherence = Arc::new(Coherence::new(0, Arc::clone(&metrics)));
        Self::following(settings, coherence, metrics)
    }

    /// The same where others do, and this is known of what they change.
    pub(super) fn following(settings: L1Settings, coherence: Arc<Coherence>, metrics: Arc<Metrics>) -> Self {
        let L1Settings { bytes_max, eviction, shares, separator } = settings;
        let shared: u64 = shares.iter().map(|(_, bytes)| bytes).sum();
        let gauges = shares.iter().map(|(domain, _)| (domain.clone(), Gauge::default())).collect();
        metrics.l1_room_bytes.set(bytes_max);
        // Set once: a host has one L1.
        let _ = metrics.l1_shares.set(gauges);
        let share = |(domain, bytes): (String, u64)| Share {
            domain: domain.into_bytes().into(),
            bytes_max: bytes,
            entries: entries(bytes, eviction),
        };
        Self {
            shares: shares.into_iter().map(share).collect(),
            entries: entries(bytes_max.saturating_sub(shared), eviction),
            bytes_max,
            room: Mutex::default(),
            came_in_bytes: AtomicU64::new(0),
            separator,
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
            hasher: foldhash::fast::FixedState::default(),
            coherence,
            tracker: Arc::default(),
            metrics,
        }
    }

    /// The same, which tells these of what is written.
    pub(super) fn telling(self, tracker: &Arc<Tracker>) -> Self {
        Self { tracker: Arc::clone(tracker), ..self }
    }

    /// The copy of a key, whatever its age.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Entry> {
        self.part(key).get(key)
    }

    /// Says that a key is about to be read from the store.
    #[must_use]
    pub fn ticket(&self, key: &[u8]) -> Ticket {
        let slot = self.slot(key);
        Ticket { slot, seen: *self.slots[slot].lock(), stream: self.coherence.running() }
    }

    /// Stores what was read, unless the key was written or changed since the ticket was taken. Whether it was stored.
    pub fn insert(&self, ticket: Ticket, key: &[u8], entry: Entry) -> bool {
        let slot = self.slots[ticket.slot].lock();
        if slot.writes != ticket.seen.writes || slot.changes != ticket.seen.changes {
            return false;
        }
        entry.belongs_to(ticket.stream);
        self.put(key, entry);
        true
    }

    /// Drops the copy of a key unless it is certain that every change of it since it was read was told, or will be.
    pub(super) fn doubt(&self, key: &[u8], stream: u32) {
        let _slot = self.slots[self.slot(key)].lock();
        let part = self.part(key);
        if part.peek(key).is_some_and(|entry| !entry.is_certain(stream)) {
            part.remove(key);
        }
    }

    /// Whether nothing was written or changed since the ticket was taken that may have been its key.
    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        let slot = self.slots[ticket.slot].lock();
        slot.writes == ticket.seen.writes && slot.changes == ticket.seen.changes
    }

    /// Stores what was read and renewed in the store, whose echo is expected. Whether it was stored.
    pub fn insert_renewed(&self, ticket: Ticket, key: &[u8], entry: Entry) -> bool {
        let slot = self.slots[ticket.slot].lock();
        slot.writes == ticket.seen.writes && self.insert_own(&slot, ticket, key, entry)
    }

    /// Stores what this host wrote, unless more was told since than the write's own echo.
    fn insert_own(&self, slot: &Slot, ticket: Ticket, key: &[u8], entry: Entry) -> bool {
        match slot.changes - ticket.seen.changes {
            0 => entry.belongs_to_own(ticket.stream),
            1 => {
                entry.belongs_to(ticket.stream);
                entry.bound();
            }
            _ => return false,
        }
        self.put(key, entry);
        true
    }

    /// The store tells that a key was changed: its copy goes, unless this is the echo of the write that it is from. Whether one went.
    pub fn changed(&self, key: &[u8], now_ms: u64) -> bool {
        let mut slot = self.slots[self.slot(key)].lock();
        slot.changes += 1;
        let part = self.part(key);
        let echo = part.peek(key).is_some_and(|entry| entry.takes_echo(now_ms));
        !echo && part.remove(key).is_some()
    }

    /// The store was emptied: all copies go, and nothing that was read before it becomes one.
    pub fn changed_all(&self) {
        // Before the copies go, so that none comes in behind them.
        self.slots.iter().for_each(|slot| slot.lock().changes += 2);
        self.entries.clear();
        self.shares.iter().for_each(|share| share.entries.clear());
    }

    /// Puts another copy in the place of this one, if it is still there.
    pub fn replace(&self, key: &[u8], before: &Entry, entry: Entry) {
        let _slot = self.slots[self.slot(key)].lock();
        let part = self.part(key);
        if part.peek(key).is_some_and(|now| now.is(before)) {
            part.insert(ByKey(entry.clone()), entry);
        }
    }

    /// Drops the copy of a key that is about to be written.
    pub fn writing<'a>(&'a self, key: &'a [u8]) -> Writing<'a> {
        self.tracker.writing(key);
        let slot = self.slot(key);
        let stream = self.coherence.running();
        Writing { l1: self, key, ticket: Ticket { slot, seen: self.forget(slot, key), stream }, settled: false }
    }

    /// Fits the room to what the allocator holds. From the first time on there is less of it than [`L1Settings::bytes_max`], as much as is
    /// held beside what is counted.
    fn fit(&self, held: Held) {
        let mut room = self.room.lock();
        let first = room.is_none();
        let room = room.get_or_insert_with(Room::measured);
        let counted = self.entries.weight() + self.shares.iter().map(|share| share.entries.weight()).sum::<u64>();
        let look = Look { bound: self.bytes_max, counted, came_in: self.came_in_bytes.load(Ordering::Relaxed) };
        if room.fit(look, held) || first {
            let shared: u64 = self.shares.iter().map(|share| share.bytes_max).sum();
            let of = |bytes: u64| bytes / 100 * room.percent() + bytes % 100 * room.percent() / 100;
            self.entries.set_capacity(of(self.bytes_max.saturating_sub(shared)));
            self.shares.iter().for_each(|share| share.entries.set_capacity(of(share.bytes_max)));
            self.metrics.l1_room_bytes.set(of(self.bytes_max));
        }
    }

    /// Copies the fill level into the metrics.
    pub fn report(&self) {
        let (mut bytes, mut count) = (self.entries.weight(), self.entries.len());
        let gauges = self.metrics.l1_shares.get().map_or(&[][..], Vec::as_slice);
        for (share, (_, gauge)) in self.shares.iter().zip(gauges) {
            gauge.set(share.entries.weight());
            bytes += share.entries.weight();
            count += share.entries.len();
        }
        self.metrics.l1_bytes.set(bytes);
        self.metrics.l1_entries.set(count as u64);
    }

    /// Where copies of this key are kept.
    fn part(&self, key: &[u8]) -> &Entries {
        if self.shares.is_empty() {
            return &self.entries;
        }
        let domain = memchr::memchr(self.separator, key).map_or(key, |end| &key[..end]);
        self.shares.iter().find(|share| *share.domain == *domain).map_or(&self.entries, |share| &share.entries)
    }

    fn put(&self, key: &[u8], entry: Entry) {
        let part = self.part(key);
        // A small cost may not make room for more bytes than there are. It counts as having been read instead, so that it is among the
        // last to go.
        let favoured = entry.stamps.terms.weight_percent < 100;
        debug_assert_eq!(key, entry.key(), "an entry lies under its own key");
        self.came_in_bytes.fetch_add(entry.weight(), Ordering::Relaxed);
        part.insert(ByKey(entry.clone()), entry);
        if favoured {
            drop(part.get(key));
        }
    }

    fn slot(&self, key: &[u8]) -> usize {
        use std::hash::BuildHasher as _;
        (self.hasher.hash_one(key) as usize) % SLOTS
    }

    fn forget(&self, slot: usize, key: &[u8]) -> Slot {
        let mut slot = self.slots[slot].lock();
        slot.writes += 1;
        self.part(key).remove(key);
        *slot
    }
}

impl Writing<'_> {
    /// The store has it: keeps a copy, unless somebody else wrote the key meanwhile, in which case nobody here knows who was
    /// last and no copy is kept.
    pub fn done(mut self, entry: Option<Entry>) {
        self.settled = true;
        let mut slot = self.l1.slots[self.ticket.slot].lock();
        let alone = slot.writes == self.ticket.seen.writes;
        slot.writes += 1;
        let kept = entry.is_some_and(|entry| alone && self.l1.insert_own(&slot, self.ticket, self.key, entry));
        if !kept {
            self.l1.part(self.key).remove(self.key);
        }
        drop(slot);
        self.l1.tracker.written(self.key, true);
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.l1.forget(self.ticket.slot, self.key);
            self.l1.tracker.written(self.key, false);
        }
    }
}

fn entries(bytes_max: u64, eviction: Eviction) -> Entries {
    let estimate = usize::try_from(bytes_max / ENTRY_BYTES_ESTIMATE).unwrap_or(usize::MAX).clamp(64, 1 << 22);
    let (hot, ghost) = eviction.allocations();
    // Each shard has a bound of its own: with too many, a few entries of one size fill one while others are empty.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = 1 << (bytes_max / L1_SHARD_BYTES_MIN).max(1).ilog2().min((4 * cores).ilog2());
    let options = OptionsBuilder::new()
        .shards(shards)
        .weight_capacity(bytes_max)
        .estimated_items_capacity(estimate)
        .hot_allocation(hot)
        .ghost_allocation(ghost)
        .build()
        .unwrap_or_else(|error| unreachable!("both capacities are given: {error}"));
    Cache::with_options(options, ByBytes, foldhash::fast::RandomState::default(), DefaultLifecycle::default())
}

#[cfg(test)]
mod churn;
