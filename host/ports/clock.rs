//! Time and chance. Nothing else in the host reads a clock or rolls a die, so that lifetimes are tested in virtual time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Time and chance.
pub trait Clock: Send + Sync {
    /// Wall time in milliseconds since the Unix epoch. May step either way; code that compares stamps must bear it.
    fn wall_ms(&self) -> u64;
    /// Monotonic time in nanoseconds from an arbitrary start, for durations.
    fn monotonic_ns(&self) -> u64;
    /// A random number, not for secrets.
    fn random(&self) -> u64;
    /// Sixteen bytes that nobody can guess; `None` if the system has no randomness to give.
    fn secret(&self) -> Option<[u8; 16]>;
}

/// A clock that stands still until it is told otherwise; its chance is a seeded sequence.
#[derive(Debug)]
pub struct VirtualClock {
    wall_ms: AtomicU64,
    monotonic_ns: AtomicU64,
    seed: AtomicU64,
}

impl VirtualClock {
    /// Starts at this wall time with this seed.
    #[must_use]
    pub const fn new(wall_ms: u64, seed: u64) -> Self {
        Self { wall_ms: AtomicU64::new(wall_ms), monotonic_ns: AtomicU64::new(0), seed: AtomicU64::new(seed) }
    }

    /// Lets time pass.
    pub fn advance_ms(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ns.fetch_add(ms * 1_000_000, Ordering::SeqCst);
    }

    /// Steps the wall clock back, as an operator or NTP may; monotonic time is not moved.
    pub fn step_back_ms(&self, ms: u64) {
        self.wall_ms.fetch_sub(ms, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.load(Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014): every seed gives a full-period sequence.
        let mut z = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn secret(&self) -> Option<[u8; 16]> {
        let (high, low) = (u128::from(self.random()), u128::from(self.random()));
        Some((high << 64 | low).to_be_bytes())
    }
}
