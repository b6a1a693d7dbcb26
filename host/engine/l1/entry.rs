//! An entry in L1, ready to be served: one block of memory that holds its key, its value and what is known of it.
//!
//! One block and one count, because a cache of small values is mostly what it keeps beside them: a key, a value and a record in blocks of
//! their own cost half as much again, and a hit one look into memory more for each. The table of L1 holds an entry as its own key
//! ([`ByKey`]). A long value lies beside the block and is shared with whoever it came from.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use triomphe::ThinArc;

use crate::engine::api::Answer;
use crate::engine::coherence::{BOUNDED, Coherence, NO_STREAM, UNTOLD};
use crate::engine::entry::Stamps;
use crate::engine::known::Domain;
use crate::limits::L1_COPY_BYTES_MAX;
use crate::ports::metrics::{DomainMetrics, State};

/// An entry in L1; a clone is the same entry.
#[derive(Clone)]
pub struct Entry(ThinArc<Head, u8>);

/// What is known of an entry.
pub struct Facts {
    /// Its stamps.
    pub stamps: Stamps,
    /// Until when it may be served without another thought, if it may be believed; wall time in milliseconds.
    pub serve_until_ms: u64,
    /// Until when it may be believed whatever else is known: the bound *B* where others share the store.
    pub trust_until_ms: u64,
    /// The stream of changes that it belongs to: while that runs, it may be believed.
    pub(in crate::engine) stream: AtomicU32,
    /// Whether the store will yet tell of the write that it is from.
    pub(in crate::engine) echo: AtomicBool,
    /// Whether `stamps.born_ms` is the truth: a raw value that the store held before does not say.
    pub age_known: bool,
    /// Whether a read has thrown the die and the entry is to be refreshed early; the next slow read does so.
    pub(in crate::engine) is_due: AtomicBool,
    /// The state of policies and invalidations in which it was last found to be good.
    pub(in crate::engine) mark: AtomicU64,
    /// Its domain.
    pub(in crate::engine) domain: Arc<Domain>,
}

/// What lies in the block before the key and the short value.
struct Head {
    facts: Facts,
    /// The value, if it is long.
    long: Option<Box<Bytes>>,
    key_len: u32,
}

impl Deref for Entry {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0.header.header.facts
    }
}

impl Entry {
    /// Of this key and value (empty for an absence). A value up to [`L1_COPY_BYTES_MAX`] is copied; what a longer one is a part of lives
    /// as long as the entry.
    #[must_use]
    pub fn new(key: &[u8], value: Bytes, facts: Facts) -> Self {
        let key_len = u32::try_from(key.len()).unwrap_or_else(|_| unreachable!("keys are bounded"));
        if value.len() > L1_COPY_BYTES_MAX {
            let head = Head { facts, long: Some(Box::new(value)), key_len };
            return Self(ThinArc::from_header_and_slice(head, key));
        }
        let head = Head { facts, long: None, key_len };
        Self(ThinArc::from_header_and_slice(head, &[key, &value].concat()))
    }

    /// Its key, as callers name it.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.0.slice[..self.head().key_len as usize]
    }

    /// Its value; empty for an absence.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let head = self.head();
        head.long.as_deref().map_or(&self.0.slice[head.key_len as usize..], |long| long)
    }

    /// The same, to be kept: a short value is copied.
    #[must_use]
    pub fn value(&self) -> Bytes {
        self.head().long.as_deref().map_or_else(|| Bytes::copy_from_slice(self.bytes()), Bytes::clone)
    }

    /// Whether both are one.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.head(), other.head())
    }

    fn head(&self) -> &Head {
        &self.0.header.header
    }

    /// Whether it may be served at once.
    #[must_use]
    pub(in crate::engine) fn serves(&self, epoch: u64, now_ms: u64, coherence: &Coherence) -> bool {
        now_ms < self.serve_until_ms
            && self.mark.load(Ordering::Acquire) == self.domain.mark_now(epoch)
            && self.is_believed(now_ms, coherence)
    }

    /// Whether it still is what the store holds, or was so less than *B* ago.
    #[must_use]
    pub(in crate::engine) fn is_believed(&self, now_ms: u64, coherence: &Coherence) -> bool {
        coherence.believes(self.stream.load(Ordering::Acquire), self.trust_until_ms, now_ms)
    }

    /// Whether it was read while this stream ran, and no change of it has yet to be told.
    pub(super) fn is_certain(&self, stream: u32) -> bool {
        self.stream.load(Ordering::Acquire) == stream && !self.echo.load(Ordering::Acquire)
    }

    /// It was read while this stream ran. What its generations were compared with may be older.
    pub(super) fn belongs_to(&self, stream: u32) {
        if self.stream.load(Ordering::Acquire) != stream {
            self.stream.store(UNTOLD, Ordering::Release);
        }
    }

    /// It was written while this stream ran.
    pub(super) fn belongs_to_own(&self, stream: u32) {
        self.belongs_to(stream);
        self.echo.store(stream != NO_STREAM, Ordering::Release);
    }

    /// It may be somebody else's that was told of: from now on it is good for *B* only.
    pub(super) fn bound(&self) {
        self.stream.fetch_or(BOUNDED, Ordering::AcqRel);
    }

    /// The store tells of a change: whether that may be the echo of the write that this copy is from. It then is good for *B* only.
    pub(super) fn takes_echo(&self, now_ms: u64) -> bool {
        let own = now_ms < self.trust_until_ms && self.echo.swap(false, Ordering::AcqRel);
        if own {
            self.bound();
        }
        own
    }

    /// The same with other stamps; to be served by nobody without another thought.
    pub(in crate::engine) fn with(&self, stamps: Stamps) -> Self {
        let facts = Facts {
            stamps,
            serve_until_ms: 0,
            trust_until_ms: self.trust_until_ms,
            stream: self.stream.load(Ordering::Acquire).into(),
            echo: self.echo.load(Ordering::Acquire).into(),
            is_due: AtomicBool::new(false),
            age_known: self.age_known,
            mark: self.mark.load(Ordering::Acquire).into(),
            domain: Arc::clone(&self.domain),
        };
        let head = Head { facts, long: self.head().long.clone(), key_len: self.head().key_len };
        Self(ThinArc::from_header_and_slice(head, &self.0.slice))
    }

    /// The name of its domain.
    #[must_use]
    pub fn domain(&self) -> &Arc<str> {
        &self.domain.name
    }

    /// The counters of its domain.
    #[must_use]
    pub fn metrics(&self) -> &Arc<DomainMetrics> {
        &self.domain.metrics
    }

    /// What a reader is told.
    #[must_use]
    pub fn answer(&self, state: State, now_ms: u64) -> Answer {
        Answer {
            value: (!self.stamps.terms.absent).then(|| self.value()),
            age_ms: self.age_known.then(|| self.stamps.age_ms(now_ms)),
            fresh_left_ms: self.stamps.fresh_left_ms(now_ms),
            ..Answer::absent(state)
        }
    }

    /// What L1 is charged for it, in bytes: the blocks that an allocator takes for it and the table's record of it; more if the policy says
    /// so, never less.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let beside = self.head().long.as_ref().map_or(0, |long| block_bytes(long.len()) + LONG_BYTES);
        let bytes = (block_bytes(HEAD_BYTES + self.0.slice.len()) + beside + RECORD_BYTES) as u64;
        bytes * u64::from(self.stamps.terms.weight_percent.max(100)) / 100
    }
}

/// An entry in its place in a table, found by its key.
#[derive(Clone)]
pub(super) struct ByKey(pub(super) Entry);

impl std::borrow::Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        self.0.key()
    }
}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

/// What a block holds before the key: the head, the count of its readers and the length.
const HEAD_BYTES: usize = size_of::<Head>() + 2 * size_of::<usize>();
/// What a long value takes beside its bytes: where it lies, the count of those who share it, and the head of its envelope.
const LONG_BYTES: usize = 128;
/// A place in the table and what is kept free for others, and what the table keeps of keys that were dropped; as measured on a full cache.
const RECORD_BYTES: usize = 96;

/// What an allocator takes for so many bytes: mimalloc's and jemalloc's size classes, multiples of 16 and then four for each doubling.
const fn block_bytes(bytes: usize) -> usize {
    const STEP_BYTES: usize = 16;
    const CLASSES: usize = 4;
    if bytes <= STEP_BYTES * 2 * CLASSES {
        return bytes.next_multiple_of(STEP_BYTES);
    }
    // Of the power of two below it.
    let step = 1 << ((bytes - 1).ilog2() - CLASSES.ilog2());
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES, block_bytes};

    #[test]
    fn a_small_entry_is_one_small_block() {
        // A key of 20 bytes and a value of 100, which is what the memory of an entry is measured with.
        assert_eq!(block_bytes(HEAD_BYTES + 120), 224);
    }

    #[test]
    fn blocks_are_of_the_allocator_s_classes() {
        let classes =
            [(1, 16), (16, 16), (17, 32), (113, 128), (128, 128), (129, 160), (225, 256), (257, 320), (1_025, 1_280)];
        for (bytes, block) in classes {
            assert_eq!(block_bytes(bytes), block, "{bytes}");
        }
    }
}
