//! How many requests may be sent a second time: a budget that is earned by first requests (after Finagle's `RetryBudget`).
//!
//! A fixed number of retries per request multiplies the load of an origin just when it fails. A budget bounds all retries together to
//! a share of the requests.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{ORIGIN_RETRIES_SAVED_MAX, ORIGIN_RETRY_PERCENT};

/// What one retry costs, in the unit in which a request earns its percentage.
const COST: u64 = 100;

/// What is left of it.
#[derive(Debug)]
pub(super) struct RetryBudget(AtomicU64);

impl Default for RetryBudget {
    /// Full.
    fn default() -> Self {
        Self(AtomicU64::new(ORIGIN_RETRIES_SAVED_MAX * COST))
    }
}

impl RetryBudget {
    /// A first request is sent.
    pub(super) fn earn(&self) {
        let more = |left: u64| Some((left + ORIGIN_RETRY_PERCENT).min(ORIGIN_RETRIES_SAVED_MAX * COST));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Whether a request may be sent again.
    pub(super) fn spend(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(COST)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_the_requests() {
        let budget = RetryBudget::default();
        let saved = (0..1_000).filter(|_| budget.spend()).count();
        assert_eq!(saved as u64, ORIGIN_RETRIES_SAVED_MAX);
        let spent = (0..1_000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(spent.count() as u64, 1_000 * ORIGIN_RETRY_PERCENT / 100);
    }

    #[test]
    fn good_times_save_no_more_than_so_much() {
        let budget = RetryBudget::default();
        (0..100_000).for_each(|_| budget.earn());
        assert_eq!((0..1_000).filter(|_| budget.spend()).count() as u64, ORIGIN_RETRIES_SAVED_MAX);
    }
}
