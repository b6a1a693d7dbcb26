//! What became of the latest calls: counts over a sliding period, and the order of the very last.
//!
//! The period is cut into buckets; the oldest is dropped as a whole, so a count reaches back for the period less one bucket at
//! least and for the period at most.

use crate::ports::breaker::Outcome;

/// Buckets of the period.
const BUCKETS: usize = 10;

/// Counts of calls that said something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) successes: u64,
    pub(super) failures: u64,
    pub(super) slow: u64,
}

impl Counts {
    pub(super) const fn calls(self) -> u64 {
        self.successes + self.failures + self.slow
    }

    pub(super) const fn bad(self) -> u64 {
        self.failures + self.slow
    }
}

/// The window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bucket_ns: u64,
    buckets: [Counts; BUCKETS],
    /// Number of the newest bucket, counted from the beginning of time.
    newest: u64,
    /// The latest calls, a bit each, the newest lowest: 1 is a strike.
    latest: u128,
    latest_len: u32,
}

impl Window {
    pub(super) fn new(period_ms: u64) -> Self {
        let bucket_ns = (period_ms.saturating_mul(1_000_000) / BUCKETS as u64).max(1);
        Self { bucket_ns, buckets: [Counts::default(); BUCKETS], newest: 0, latest: 0, latest_len: 0 }
    }

    /// Counts a call that ended now; an ignored one is none. `strike`: whether its failure is one more, and not the same as another's.
    pub(super) fn add(&mut self, outcome: Outcome, strike: bool, now_ns: u64) {
        self.move_to(now_ns);
        let bucket = &mut self.buckets[(self.newest % BUCKETS as u64) as usize];
        match outcome {
            Outcome::Success => bucket.successes += 1,
            Outcome::Failure => bucket.failures += 1,
            Outcome::Slow => bucket.slow += 1,
            Outcome::Ignored => return,
        }
        let failed = outcome != Outcome::Success;
        if failed && !strike {
            return;
        }
        self.latest = self.latest << 1 | u128::from(failed);
        self.latest_len = (self.latest_len + 1).min(u128::BITS);
    }

    /// The counts of the period that ends now.
    pub(super) fn counts(&mut self, now_ns: u64) -> Counts {
        self.move_to(now_ns);
        self.buckets.iter().fold(Counts::default(), |sum, bucket| Counts {
            successes: sum.successes + bucket.successes,
            failures: sum.failures + bucket.failures,
            slow: sum.slow + bucket.slow,
        })
    }

    /// Whether so many calls failed within the period, and they are not a few among very many, nor many in one moment: so many
    /// strikes in a row, or half of the latest.
    pub(super) fn is_bad(&mut self, threshold: u32, now_ns: u64) -> bool {
        let strikes = threshold.min(u128::BITS);
        self.counts(now_ns).bad() >= threshold.into()
            && (self.latest.trailing_ones() >= strikes
                || self.latest.count_ones() >= strikes.min(u128::BITS / 2)
                    && self.latest.count_ones() * 2 >= self.latest_len)
    }

    fn move_to(&mut self, now_ns: u64) {
        let now = now_ns / self.bucket_ns;
        if now <= self.newest {
            return;
        }
        let gone = (now - self.newest).min(BUCKETS as u64);
        for bucket in now + 1 - gone..=now {
            self.buckets[(bucket % BUCKETS as u64) as usize] = Counts::default();
        }
        self.newest = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn failures_slide_out() {
        let mut window = Window::new(1_000);
        for at_ms in [0, 150, 950] {
            window.add(Outcome::Failure, true, at_ms * MS);
        }
        for (at_ms, failures) in [(950, 3), (999, 3), (1_000, 2), (1_099, 2), (1_100, 1), (1_899, 1), (1_900, 0)] {
            assert_eq!(window.counts(at_ms * MS).failures, failures, "{at_ms}");
        }
        window.add(Outcome::Slow, true, 100_000 * MS);
        assert_eq!(window.counts(100_000 * MS), Counts { successes: 0, failures: 0, slow: 1 });
        assert_eq!(window.counts(50_000 * MS).slow, 1, "time that steps back changes nothing");
    }

    #[track_caller]
    fn check(calls: &str, bad: bool) {
        let mut window = Window::new(1_000);
        for call in calls.chars() {
            let outcome = match call {
                '+' => Outcome::Success,
                '-' => Outcome::Failure,
                's' => Outcome::Slow,
                _ => Outcome::Ignored,
            };
            window.add(outcome, true, 0);
        }
        assert_eq!(window.is_bad(3, 0), bad, "{calls}");
    }

    #[test]
    fn failures_of_one_moment_are_not_bad() {
        let mut window = Window::new(1_000);
        window.add(Outcome::Failure, true, 0);
        (0..100).for_each(|_| window.add(Outcome::Failure, false, 0));
        assert!(!window.is_bad(5, 0));
        assert_eq!(window.counts(0).failures, 101);
        (0..4).for_each(|_| window.add(Outcome::Failure, true, 0));
        assert!(window.is_bad(5, 0));
    }

    #[test]
    fn a_few_failures_among_many_calls_are_not_bad() {
        check("", false);
        check("--", false);
        check("---", true);
        check("-s.-", true);
        check("++++++++++++++---", true);
        check("+-+-+-", true);
        check("++-+-++-", false);
        check("--+++++++-", false);
    }
}
