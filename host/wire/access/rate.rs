//! How fast somebody may ask: the generic cell rate algorithm (ITU-T I.371), which needs one number for each that is bounded.
//!
//! A tenth of a second's share may come at once after a pause, so that pipelining and timers do not cost what is allowed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::RATE_BURST_DIVISOR;

const SECOND_NS: u64 = 1_000_000_000;

/// One bounded rate.
#[derive(Debug, Default)]
pub struct Rate {
    per_second: u32,
    /// When the next one is due, in nanoseconds of the monotonic clock.
    due_ns: AtomicU64,
}

impl Rate {
    /// So many per second; 0: no bound.
    #[must_use]
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, due_ns: AtomicU64::new(0) }
    }

    /// How many per second; 0: no bound.
    #[must_use]
    pub const fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Takes one.
    ///
    /// # Errors
    /// There is none now; in so many milliseconds there may be.
    pub fn take(&self, now_ns: u64) -> Result<(), u64> {
        let Some(step_ns) = SECOND_NS.checked_div(self.per_second.into()) else { return Ok(()) };
        let ahead_ns = (SECOND_NS / RATE_BURST_DIVISOR).max(step_ns);
        let taken = self.due_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due_ns| {
            let due_ns = due_ns.max(now_ns) + step_ns;
            (due_ns <= now_ns + ahead_ns).then_some(due_ns)
        });
        taken.map(|_| ()).map_err(|due_ns| (due_ns + step_ns).saturating_sub(now_ns + ahead_ns).div_ceil(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_over_time() {
        for per_second in [1, 10, 1_000, 100_000] {
            let rate = Rate::new(per_second);
            // Ten asks for each that is allowed, for ten seconds.
            let step_ns = SECOND_NS / u64::from(per_second) / 10;
            let taken = (0..u64::from(per_second) * 100).filter(|n| rate.take(n * step_ns).is_ok()).count();
            let (least, most) = (per_second as usize * 10, per_second as usize * 10 + per_second as usize / 10 + 1);
            assert!((least..=most).contains(&taken), "{per_second}: {taken}");
        }
    }

    #[test]
    fn who_has_to_wait_is_told_how_long() {
        let rate = Rate::new(10);
        assert_eq!(rate.take(0), Ok(()));
        assert_eq!(rate.take(0), Err(100));
        assert_eq!(rate.take(99_000_000), Err(1));
        assert_eq!(rate.take(100_000_000), Ok(()));
        assert!((0..1_000).all(|_| Rate::new(0).take(0).is_ok()));
    }
}
