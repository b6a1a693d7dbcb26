//! How many leases callers of this node may hold, by their keys' hashes: so that whoever writes a key that nobody can be filling need not
//! tell the store.
//!
//! Invariant: from before the store is asked for a lease until it surely holds none, its key counts. Keys share counts by hash, which
//! costs a word to the store and never a lost one.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::RandomState;

/// Enough for keys that are filled at the same time to have one each, nearly always.
const SLOTS: usize = 4_096;

/// All counts. Cheap to clone.
#[derive(Clone)]
pub(super) struct Counts(Arc<All>);

struct All {
    slots: Box<[AtomicU32]>,
    hasher: RandomState,
}

/// One lease that may be held.
pub(super) struct Counted {
    counts: Counts,
    slot: usize,
}

impl Default for Counts {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
        Self(Arc::new(All { slots, hasher: RandomState::default() }))
    }
}

impl Counts {
    /// One more, for the life of what is returned.
    pub(super) fn count(&self, key: &[u8]) -> Counted {
        let slot = self.slot(key);
        self.0.slots[slot].fetch_add(1, Ordering::SeqCst);
        Counted { counts: self.clone(), slot }
    }

    /// Whether a lease of this key may be held through this node.
    pub(super) fn may_hold(&self, key: &[u8]) -> bool {
        self.0.slots[self.slot(key)].load(Ordering::SeqCst) > 0
    }

    fn slot(&self, key: &[u8]) -> usize {
        (self.0.hasher.hash_one(key) as usize) % SLOTS
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.0.slots[self.slot].fetch_sub(1, Ordering::SeqCst);
    }
}
