//! Whether a live policy fails too often: its own failures against its domain's calls, over a window that moves.
//!
//! Nothing is counted here: who serves counts anyway, and this looks at the counters now and then. Calls are those of the domain,
//! over all generations, so that the last calls of the one before may excuse a failure or two; failures are those of this
//! component alone, so that they never accuse it.

use std::collections::VecDeque;

use crate::limits;
use crate::ports::metrics::{Counter, DomainMetrics, Hook};

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// When, monotonic.
    pub(super) at_ns: u64,
    /// Failures of the component.
    pub(super) faults: u64,
    /// Calls of the domain, with those that were spared as their answer was known.
    pub(super) calls: u64,
}

impl Sample {
    /// Takes one. Calls of `describe` serve nobody, and each instance that replaces a broken one makes one. A decision that was remembered
    /// counts as a call: else the good ones would be missed where a few bad ones are asked for again and again.
    pub(super) fn take(at_ns: u64, faults: &Counter, metrics: &DomainMetrics) -> Self {
        let serving = Hook::ALL.into_iter().filter(|hook| *hook != Hook::Describe);
        let calls: u64 = serving.map(|hook| metrics.policy_calls[hook as usize].get()).sum();
        Self { at_ns, faults: faults.get(), calls: calls + metrics.policy_remembered.get() }
    }
}

/// How many of how many calls failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Calls that failed.
    pub(super) faults: u64,
    /// Calls.
    pub(super) calls: u64,
}

impl Rate {
    /// Whether more than this share failed, and enough to conclude from.
    pub(super) const fn exceeds(self, percent: u64) -> bool {
        self.faults >= limits::PROBATION_FAULTS_MIN
            && self.faults.saturating_mul(100) > self.calls.saturating_mul(percent)
    }
}

/// What is remembered of one live policy.
#[derive(Debug)]
pub(super) struct Probation {
    /// Oldest first: where the window begins, and the steps in which it moves.
    samples: VecDeque<Sample>,
}

impl Probation {
    /// Begins with these counters: what was before is not held against it.
    pub(super) fn begin(now: Sample) -> Self {
        Self { samples: VecDeque::from([now]) }
    }

    /// How many calls failed in the window that ends now.
    pub(super) fn look(&mut self, now: Sample) -> Rate {
        let begins_ns = now.at_ns.saturating_sub(limits::PROBATION_WINDOW_MS * 1_000_000);
        while self.samples.get(1).is_some_and(|next| next.at_ns <= begins_ns) {
            self.samples.pop_front();
        }
        let step_ns = limits::PROBATION_WINDOW_STEP_MS * 1_000_000;
        if self.samples.back().is_none_or(|last| now.at_ns.saturating_sub(last.at_ns) >= step_ns) {
            self.samples.push_back(now);
        }
        let from = self.samples.front().copied().unwrap_or(now);
        let faults = now.faults.saturating_sub(from.faults);
        // One call for many keys may fail for each of them.
        Rate { faults, calls: now.calls.saturating_sub(from.calls).max(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate after looks four times a second, with so many calls and failures in each second.
    fn after(seconds: &[(u64, u64)]) -> Vec<Rate> {
        let mut now = Sample { at_ns: 7, faults: 100, calls: 1_000 };
        let mut probation = Probation::begin(now);
        let mut rates = Vec::new();
        for (calls, faults) in seconds {
            now.calls += calls;
            now.faults += faults;
            for _ in 0..4 {
                now.at_ns += limits::PROBATION_STEP_MS * 1_000_000;
                rates.push(probation.look(now));
            }
        }
        rates
    }

    #[test]
    fn what_was_before_it_began_is_not_held_against_it() {
        assert_eq!(after(&[(5, 0)]), [Rate { faults: 0, calls: 5 }; 4]);
    }

    #[test]
    fn a_policy_that_always_fails_shows_at_once_and_at_any_pace() {
        assert!(after(&[(10, 10)])[0].exceeds(10));
        let slow: Vec<_> = (0..60).map(|second| if second % 5 == 0 { (1, 1) } else { (0, 0) }).collect();
        assert!(after(&slow).last().is_some_and(|rate| rate.exceeds(10)));
    }

    #[test]
    fn an_odd_failure_does_not_show() {
        let odd = after(&vec![(10_000, 1); 600]);
        assert!(odd.iter().all(|rate| !rate.exceeds(1)), "1 in 10,000, for ten minutes");
        assert!(after(&[(9, 9)]).iter().all(|rate| !rate.exceeds(10)), "too few to conclude from");
        assert!(after(&[(100, 10)]).iter().all(|rate| !rate.exceeds(10)), "a tenth is not more than a tenth");
        assert!(after(&[(100, 11)])[0].exceeds(10));
        assert!(after(&vec![(10, 10); 100]).iter().all(|rate| !rate.exceeds(100)), "100 percent is never exceeded");
    }

    #[test]
    fn good_calls_of_long_ago_excuse_nothing_and_neither_do_old_failures_accuse() {
        let mut seconds = vec![(1_000, 0); 600];
        seconds.extend(vec![(1_000, 1_000); 8]);
        assert!(after(&seconds).last().is_some_and(|rate| rate.exceeds(10)));
        let mut seconds = vec![(100, 100); 2];
        seconds.extend(vec![(100, 0); 62]);
        assert_eq!(after(&seconds).last().map(|rate| rate.faults), Some(0));
    }
}
