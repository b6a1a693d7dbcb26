//! What this node remembers of the latest load of a key: how it went, and until when it is not tried again.
//!
//! After a failure a key rests: twice as long after each one in a row, up to a bound, less a random part, so that the keys of an origin
//! that comes back do not ask for it all at once. Invariant: bounded; what is forgotten costs one load too many, never a wrong
//! answer. Deliberately absent: other nodes' failures. Each has its own way to the origin, and its breaker.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::error::Error;
use crate::limits::{LOAD_THROTTLE_MS_MAX, LOAD_THROTTLE_MS_MIN, LOADS_REMEMBERED_MAX};
use crate::ports::load::LoadOutcome;

/// The latest load of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// What became of it.
    pub outcome: LoadOutcome,
    /// The origin's status, if it answered.
    pub status: Option<u16>,
    /// Why it failed.
    pub error: Option<Arc<Error>>,
    /// When it ended; wall time in milliseconds.
    pub at_ms: u64,
    /// How long it took.
    pub took_ms: u32,
    /// How many in a row have failed.
    pub failures: u32,
    /// Until when the key is not loaded again; monotonic time in nanoseconds.
    throttled_until_ns: u64,
}

impl Past {
    /// For how long the key is not loaded again; 0: it may be.
    #[must_use]
    pub const fn throttled_ms(&self, now_ns: u64) -> u64 {
        self.throttled_until_ns.saturating_sub(now_ns).div_ceil(1_000_000)
    }
}

/// The latest loads of this node's keys.
pub(super) struct Recent {
    loads: Cache<Box<[u8]>, Past, quick_cache::UnitWeighter, foldhash::fast::RandomState>,
}

impl Default for Recent {
    fn default() -> Self {
        let loads = Cache::with(
            64,
            LOADS_REMEMBERED_MAX as u64,
            quick_cache::UnitWeighter,
            foldhash::fast::RandomState::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        );
        Self { loads }
    }
}

/// How a load went.
pub(super) struct Went {
    pub(super) outcome: LoadOutcome,
    pub(super) status: Option<u16>,
    pub(super) error: Option<Arc<Error>>,
    pub(super) took_ms: u32,
    /// Whether the key rests now.
    pub(super) throttle: bool,
}

impl Recent {
    /// The latest load of a key, if it is remembered.
    pub(super) fn of(&self, store_key: &[u8]) -> Option<Past> {
        self.loads.get(store_key)
    }

    /// Remembers a load that has just ended.
    pub(super) fn note(&self, store_key: &[u8], went: Went, at_ms: u64, now_ns: u64, random: u64) {
        let Went { outcome, status, error, took_ms, throttle } = went;
        let before = self.loads.get(store_key).map_or(0, |past| past.failures);
        let failures = if throttle { before.saturating_add(1) } else { 0 };
        let throttled_until_ns = if throttle { now_ns + throttle_ms(failures, random) * 1_000_000 } else { 0 };
        let past = Past { outcome, status, error, at_ms, took_ms, failures, throttled_until_ns };
        self.loads.insert(store_key.into(), past);
    }
}

/// How long a key rests after so many failures in a row.
fn throttle_ms(failures: u32, random: u64) -> u64 {
    let doubled = LOAD_THROTTLE_MS_MIN.checked_shl(failures.saturating_sub(1)).filter(|ms| *ms >= LOAD_THROTTLE_MS_MIN);
    let whole_ms = doubled.map_or(LOAD_THROTTLE_MS_MAX, |ms| ms.min(LOAD_THROTTLE_MS_MAX));
    whole_ms - random % (whole_ms / 10 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(recent: &Recent, outcome: LoadOutcome, throttle: bool, now_ns: u64) {
        let went = Went { outcome, status: None, error: None, took_ms: 5, throttle };
        recent.note(b"k", went, 7, now_ns, 0);
    }

    #[test]
    fn a_pause_doubles_up_to_its_bound() {
        let pauses: Vec<u64> = (1..8).map(|failures| throttle_ms(failures, 0)).collect();
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(throttle_ms(u32::MAX, 0), LOAD_THROTTLE_MS_MAX);
        let jittered = (0..1_000).map(|random| throttle_ms(2, random));
        assert!(jittered.clone().all(|ms| (1_800..=2_000).contains(&ms)) && jittered.min() == Some(1_800));
    }

    #[test]
    fn a_key_rests_after_a_failure_and_no_longer_after_a_success() {
        let recent = Recent::default();
        assert_eq!(recent.of(b"k"), None);
        note(&recent, LoadOutcome::Failed, true, 0);
        let left_ms = |now_ms: u64| recent.of(b"k").map(|past| past.throttled_ms(now_ms * 1_000_000));
        assert_eq!((left_ms(0), left_ms(999), left_ms(1_000)), (Some(1_000), Some(1), Some(0)));
        note(&recent, LoadOutcome::Failed, true, 0);
        assert_eq!(left_ms(0), Some(2_000));
        note(&recent, LoadOutcome::Stored, false, 0);
        assert_eq!(left_ms(0), Some(0));
        note(&recent, LoadOutcome::Failed, true, 0);
        assert_eq!(left_ms(0), Some(1_000), "a success ends the row of failures");
    }
}
