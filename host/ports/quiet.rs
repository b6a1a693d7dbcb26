//! At most one line of the log in a second for one cause: an outage is said, not repeated with every call that it fails.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::LOG_PAUSE_MS;

/// One cause.
#[derive(Debug, Default)]
pub struct Quiet {
    /// When the next line may be written, monotonic.
    next_ns: AtomicU64,
    hushed: AtomicU64,
}

impl Quiet {
    /// Whether a line may be written now, and how many were not since the last one.
    #[must_use]
    pub fn speaks(&self, now_ns: u64) -> Option<u64> {
        self.speaks_every(now_ns, LOG_PAUSE_MS)
    }

    /// The same with another pause between two lines, in milliseconds.
    #[must_use]
    pub fn speaks_every(&self, now_ns: u64, pause_ms: u64) -> Option<u64> {
        let next_ns = self.next_ns.load(Ordering::Relaxed);
        let then_ns = now_ns.saturating_add(pause_ms * 1_000_000);
        // Of several at once, one speaks.
        let speaks = now_ns >= next_ns
            && self.next_ns.compare_exchange(next_ns, then_ns, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if speaks {
            return Some(self.hushed.swap(0, Ordering::Relaxed));
        }
        self.hushed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_second() {
        let quiet = Quiet::default();
        let said = [0, 1, 999, 1_000, 1_001, 2_500].map(|ms| quiet.speaks(ms * 1_000_000));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
