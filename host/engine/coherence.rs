//! Whether what this node has copies of may be believed: the engine's side of the stream of changes.
//!
//! Streams are numbered. What was read while a stream ran carries its number, taken *before* the store was asked, and is good for
//! as long as that same stream is known to run: until *B* after the time as of which it was last heard. What carries another
//! number of none is good for *B* from when it was read, and not a moment longer; what carries an earlier stream's is good for nothing. So
//! no copy is wrong for longer than *B*, whatever the network does.
//!
//! Number and time lie in one word, which is all that a hit reads of it. Deliberately absent: clearing L1 when a stream begins:
//! the old copies' number is no longer the stream's, and while the store is away they are better than nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::core::Engine;
use super::known::Name;
use crate::ports::coherence::{ChangeListener, StreamState};
use crate::ports::metrics::Metrics;
use crate::ports::policy::KeyScope;
use crate::ports::table::DEFAULT_DOMAIN;

/// The number of no stream.
pub(super) const NO_STREAM: u32 = 0;
/// What no stream tells of: it is good for *B* only, whatever runs.
pub(super) const UNTOLD: u32 = u32::MAX;
/// With a stream's number: it is good for *B* only, and for nothing when another stream has begun.
pub(super) const BOUNDED: u32 = 1 << 31;
/// Bits of the time; the rest is the stream's number.
const TIME_BITS: u32 = 42;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Numbers begin anew after it; an older stream's copies are long gone by then.
const STREAM_MAX: u32 = (1 << (64 - TIME_BITS)) - 1;

/// What is known of the stream.
pub(super) struct Coherence {
    /// Number of the stream, and the wall time in milliseconds until which it may be believed.
    horizon: AtomicU64,
    /// What is read now belongs to this stream; [`NO_STREAM`] while it is lost.
    running: AtomicU32,
    whole: AtomicBool,
    trust_ms: u64,
    last: Mutex<Last>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Last {
    stream: u32,
    /// Since when it is suspect, monotonic.
    suspect_ns: Option<u64>,
}

impl Coherence {
    pub(super) fn new(trust_ms: u64, metrics: Arc<Metrics>) -> Self {
        Self {
            horizon: AtomicU64::new(0),
            running: AtomicU32::new(NO_STREAM),
            whole: AtomicBool::new(false),
            trust_ms,
            last: Mutex::default(),
            metrics,
        }
    }

    /// The stream to which belongs what the store is asked for now.
    pub(super) fn running(&self) -> u32 {
        self.running.load(Ordering::Acquire)
    }

    /// Whether it tells of every key.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Whether what belongs to a stream is as good as the store.
    pub(super) fn covers(&self, stream: u32, now_ms: u64) -> bool {
        let horizon = self.horizon.load(Ordering::Acquire);
        horizon >> TIME_BITS == u64::from(stream) && now_ms < horizon & TIME_MASK
    }

    /// Whether a copy may be believed that belongs to a stream, or was read less than *B* before `trust_until_ms`. One of an earlier
    /// stream may not: what happened between the two was told to nobody.
    pub(super) fn believes(&self, stream: u32, trust_until_ms: u64, now_ms: u64) -> bool {
        let horizon = self.horizon.load(Ordering::Acquire);
        if horizon >> TIME_BITS == u64::from(stream) {
            return now_ms < trust_until_ms.max(horizon & TIME_MASK);
        }
        let of_this = horizon >> TIME_BITS == u64::from(stream & !BOUNDED);
        now_ms < trust_until_ms && (of_this || matches!(stream, NO_STREAM | UNTOLD))
    }

    /// As of when what belongs to the running stream is known, in wall milliseconds; 0: there is none.
    pub(super) fn as_of_ms(&self) -> u64 {
        (self.horizon.load(Ordering::Acquire) & TIME_MASK).saturating_sub(self.trust_ms)
    }

    fn began(&self, whole: bool, now_ns: u64) {
        let mut last = self.last.lock();
        last.stream = if last.stream >= STREAM_MAX { 1 } else { last.stream + 1 };
        self.whole.store(whole, Ordering::Release);
        self.horizon.store(u64::from(last.stream) << TIME_BITS, Ordering::Release);
        self.running.store(last.stream, Ordering::Release);
        self.suspect(&mut last, now_ns);
        self.metrics.coherence.flushes.increment();
    }

    fn heard(&self, as_of_ms: u64, now_ns: u64) {
        let mut last = self.last.lock();
        if self.running() == NO_STREAM {
            return;
        }
        let until_ms = as_of_ms.saturating_add(self.trust_ms).min(TIME_MASK);
        self.horizon.store(u64::from(last.stream) << TIME_BITS | until_ms, Ordering::Release);
        self.count_suspect(&mut last, now_ns);
        last.suspect_ns = None;
        self.metrics.coherence.state.set(StreamState::Live as u64);
    }

    /// What belongs to the stream stays good until *B* after it was last heard: the horizon is left where it is.
    fn lost(&self, now_ns: u64) {
        let mut last = self.last.lock();
        self.running.store(NO_STREAM, Ordering::Release);
        self.suspect(&mut last, now_ns);
    }

    fn suspect(&self, last: &mut Last, now_ns: u64) {
        self.count_suspect(last, now_ns);
        self.metrics.coherence.state.set(StreamState::Suspect as u64);
    }

    /// Counts the time since it was last counted, and goes on counting.
    fn count_suspect(&self, last: &mut Last, now_ns: u64) {
        if let Some(since_ns) = last.suspect_ns {
            self.metrics.coherence.suspect_ms.add(now_ns.saturating_sub(since_ns) / 1_000_000);
        }
        last.suspect_ns = Some(now_ns);
    }
}

impl ChangeListener for Engine {
    fn wanted(&self) -> Vec<Bytes> {
        let table = self.policies.table();
        let verbatim = table.get(DEFAULT_DOMAIN).is_some_and(|live| live.description.key_scope == KeyScope::Verbatim);
        if verbatim { Vec::new() } else { self.keys.storage_prefixes().into() }
    }

    fn began(&self, whole: bool) {
        self.coherence.began(whole, self.monotonic_ns());
        self.tracker.flush();
    }

    fn heard(&self, as_of_ms: u64) {
        self.coherence.heard(as_of_ms, self.monotonic_ns());
    }

    fn changed(&self, key: &[u8]) {
        self.metrics.coherence.changes.increment();
        if let Some((domain, tag)) = self.keys.generation_of(key) {
            if let Some(domain) = self.domains.find(domain) {
                domain.told(&tag.map_or(Name::Domain, Name::tag));
            }
            self.tell_trackers(key);
            return;
        }
        let name = self.keys.name_of(&self.policies.table(), key);
        if self.l1.changed(&name, self.now_ms()) {
            self.metrics.coherence.dropped.increment();
        }
        self.tell_trackers(key);
    }

    fn changed_all(&self) {
        self.metrics.coherence.flushes.increment();
        self.domains.forget_all();
        self.l1.changed_all();
        self.tracker.flush();
    }

    fn lost(&self) {
        self.coherence.lost(self.monotonic_ns());
        // Nobody will be told what is changed from now on.
        self.tracker.flush();
    }
}
