//! Coherence: how the engine hears of what others change in the store that it has copies of.
//!
//! An adapter follows the store and tells a [`ChangeListener`]. A *stream* is a time without a gap: from its beginning on every
//! change is told, in the order in which the store made them. That it still runs is proved again and again: by a change of the
//! adapter's own that has come back. What is told costs the listener little and never waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::metrics::{Counter, Gauge, Histogram};

/// What is told of the changes in the store. Any thread may call it; for one stream the calls come one after the other.
pub trait ChangeListener: Send + Sync {
    /// What the keys begin with whose changes are wanted now; empty: all keys.
    fn wanted(&self) -> Vec<Bytes>;

    /// A new stream begins: every change from now on is told. `whole`: of every key, not only those that begin as was wanted.
    fn began(&self, whole: bool);

    /// Everything that was changed before this wall time, in milliseconds, has been told.
    fn heard(&self, as_of_ms: u64);

    /// A key was changed, removed, expired or evicted: by whomever, this host included.
    fn changed(&self, key: &[u8]);

    /// The store was emptied.
    fn changed_all(&self);

    /// The stream broke off or fell silent: nobody knows what was changed since it was last heard.
    fn lost(&self);
}

/// Who is told by a store that nobody shares of what it changes, at once: under the lock of the key. It asks the store for nothing.
pub trait KeyWatcher: Send + Sync {
    /// A key was written, removed or expired.
    fn changed(&self, key: &[u8]);

    /// The store was emptied.
    fn changed_all(&self);
}

/// A [`KeyWatcher`] with a flag that costs less to ask.
pub struct Watcher {
    /// Whether it wants to be told now.
    pub is_wanted: Arc<AtomicBool>,
    /// Who.
    pub told: Weak<dyn KeyWatcher>,
}

impl Watcher {
    /// Who is to be told now, if anybody.
    #[must_use]
    pub fn wanted(&self) -> Option<Arc<dyn KeyWatcher>> {
        if self.is_wanted.load(Ordering::Acquire) { self.told.upgrade() } else { None }
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("is_wanted", &self.is_wanted).finish_non_exhaustive()
    }
}

/// Where the stream of changes stands. The numbers are those of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// There is none: nobody shares the store, it is turned off, or the store refuses it.
    Off,
    /// Copies are as good as the store.
    Live,
    /// It broke off or is silent: copies are trusted for the bound, and no longer.
    Suspect,
}

/// What is counted of it.
#[derive(Debug, Default)]
pub struct CoherenceMetrics {
    /// A [`StreamState`].
    pub state: Gauge,
    /// Time from a probe to its own change's return.
    pub lag: Histogram,
    /// Changes that were told, this host's own included.
    pub changes: Counter,
    /// Copies in L1 that a change has dropped.
    pub dropped: Counter,
    /// Times that all copies were given up, because a stream began anew or the store was emptied.
    pub flushes: Counter,
    /// Time in which the stream was suspect, in milliseconds.
    pub suspect_ms: Counter,
    /// Times that the store refused to tell changes.
    pub refused: Counter,
}

/// What is counted of clients that keep copies of their own.
#[derive(Debug, Default)]
pub struct TrackingMetrics {
    /// Clients that do.
    pub clients: Gauge,
    /// Keys that are remembered for them.
    pub keys: Gauge,
    /// About what that takes, in bytes.
    pub bytes: Gauge,
    /// Keys that a client was told of.
    pub told: Counter,
    /// Times that a client was told to give up all its copies.
    pub flushes: Counter,
    /// Times that a client had too much waiting, and was told to give up all its copies instead.
    pub overflowed: Counter,
    /// Keys that were forgotten because there were too many, and told to their readers.
    pub evicted: Counter,
}
