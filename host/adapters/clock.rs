//! The system's clock behind [`Clock`]: the one place that reads it.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the one place that reads the system's clock")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::ports::clock::Clock;

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> u64 {
        // Before 1970 counts as 1970.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> u64 {
        fastrand::u64(..)
    }

    fn secret(&self) -> Option<[u8; 16]> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).ok()?;
        Some(secret)
    }
}
