//! Loads and refreshes as they are counted and explained: closed sets, one word for each.

use serde::Serialize;

use super::metrics::Counter;

/// What became of a load from the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadOutcome {
    /// It brought a value, which was stored.
    Stored,
    /// What is held is still good (304).
    Unchanged,
    /// There is no such value.
    Absent,
    /// It brought a value that the policy would not have stored.
    Passed,
    /// It brought a value that its reader asked not to store.
    Unkept,
    /// It brought a value, but the key was written, removed or invalidated meanwhile: whoever waited gets it, nothing is stored.
    Lost,
    /// The policy refused the load or the value.
    Refused,
    /// The origin failed, or the policy says so.
    Failed,
    /// The origin took too long.
    TimedOut,
    /// The origin's breaker or the bound on calls to it let nothing through.
    Held,
    /// The policy or the store failed.
    Broken,
}

impl LoadOutcome {
    /// How many there are.
    pub const COUNT: usize = 11;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Stored,
        Self::Unchanged,
        Self::Absent,
        Self::Passed,
        Self::Unkept,
        Self::Lost,
        Self::Refused,
        Self::Failed,
        Self::TimedOut,
        Self::Held,
        Self::Broken,
    ];

    /// The word in logs, metrics, answers and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Unchanged => "unchanged",
            Self::Absent => "absent",
            Self::Passed => "passed",
            Self::Unkept => "no-store",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Held => "held",
            Self::Broken => "broken",
        }
    }
}

/// Why a load was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadReason {
    /// The key was missed.
    Miss,
    /// The entry was stale, and was served.
    Stale,
    /// The entry was fresh, and chance said that it is refreshed ahead of time.
    Early,
    /// The entry was stale, and is only served if this fails.
    First,
    /// The entry may not be served, but helps a conditional load.
    Kept,
    /// The value is known not to be storable: this reader's own load.
    Uncacheable,
    /// The reader would not have what is held.
    Requested,
}

impl LoadReason {
    /// How many there are.
    pub const COUNT: usize = 7;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Miss, Self::Stale, Self::Early, Self::First, Self::Kept, Self::Uncacheable, Self::Requested];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Early => "early",
            Self::First => "stale-if-error",
            Self::Kept => "kept",
            Self::Uncacheable => "uncacheable",
            Self::Requested => "request",
        }
    }

    /// Whether nobody waits for it.
    #[must_use]
    pub const fn is_background(self) -> bool {
        matches!(self, Self::Stale | Self::Early)
    }
}

/// Why a reader got a stale value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StaleReason {
    /// It is within stale-while-revalidate.
    Revalidating,
    /// The policy said so.
    Policy,
    /// The load failed.
    LoadFailed,
    /// The load takes longer than a reader waits.
    SoftTimeout,
    /// A load failed shortly before.
    Throttled,
    /// The origin's breaker is open.
    Unhealthy,
}

impl StaleReason {
    /// How many there are.
    pub const COUNT: usize = 6;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Revalidating, Self::Policy, Self::LoadFailed, Self::SoftTimeout, Self::Throttled, Self::Unhealthy];

    /// The word in metrics and in `Cache-Status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revalidating => "stale",
            Self::Policy => "stale-by-policy",
            Self::LoadFailed => "stale-load-failed",
            Self::SoftTimeout => "stale-soft-timeout",
            Self::Throttled => "stale-throttled",
            Self::Unhealthy => "stale-origin-unhealthy",
        }
    }
}

/// What is counted of a domain's loads.
#[derive(Debug, Default)]
pub struct LoadMetrics {
    /// Loads that have ended.
    pub outcomes: [Counter; LoadOutcome::COUNT],
    /// Loads that were begun.
    pub begun: [Counter; LoadReason::COUNT],
    /// Reads that found their key's load paused after a failure.
    pub throttled: Counter,
    /// Stale values that were served.
    pub stale: [Counter; StaleReason::COUNT],
    /// Background refreshes that were not begun because too many were under way.
    pub refreshes_dropped: Counter,
}
