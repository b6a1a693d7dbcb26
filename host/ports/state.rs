//! How an operation ended, in one closed set, and what each of its members is to the hit rate.

/// How a read was answered, or what became of another operation. The word in `Cache-Status`, explanations and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Fresh, from L1.
    L1Hit,
    /// Fresh, from the store.
    StoreHit,
    /// Past its fresh time, within stale-while-revalidate.
    Stale,
    /// Known to be absent.
    Negative,
    /// Absent.
    Miss,
    /// A copy that may be out of date, because the store is away.
    StaleOutage,
    /// Not known to be there, because the store is away.
    MissOutage,
    /// Loaded from the origin for this reader or for one before it: the value, or that there is none.
    Loaded,
    /// Stored, changed, removed: not a read, and it went well.
    Done,
    /// Not stored or not done because a condition of the caller did not hold.
    Unmet,
    /// The policy would not have it stored.
    Passed,
    /// The caller's fault: refused.
    Refused,
    /// The policy failed.
    PolicyFailed,
    /// The store failed.
    StoreFailed,
    /// The origin failed, and there was nothing stale to bridge it.
    OriginFailed,
    /// The host failed.
    HostFailed,
}

impl State {
    /// How many there are.
    pub const COUNT: usize = 16;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::L1Hit,
        Self::StoreHit,
        Self::Stale,
        Self::Negative,
        Self::Miss,
        Self::StaleOutage,
        Self::MissOutage,
        Self::Loaded,
        Self::Done,
        Self::Unmet,
        Self::Passed,
        Self::Refused,
        Self::PolicyFailed,
        Self::StoreFailed,
        Self::OriginFailed,
        Self::HostFailed,
    ];

    /// The word in logs, metrics, answers and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L1Hit => "l1-hit",
            Self::StoreHit => "store-hit",
            Self::Stale => "stale",
            Self::Negative => "negative",
            Self::Miss => "miss",
            Self::StaleOutage => "stale-store-unavailable",
            Self::MissOutage => "miss-store-unavailable",
            Self::Loaded => "loaded",
            Self::Done => "done",
            Self::Unmet => "unmet",
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::PolicyFailed => "policy-failed",
            Self::StoreFailed => "store-failed",
            Self::OriginFailed => "origin-failed",
            Self::HostFailed => "host-failed",
        }
    }

    /// What it is to the hit rate, where it answers a read: the one place that says so.
    #[must_use]
    pub const fn counts_as(self) -> Counts {
        match self {
            Self::L1Hit | Self::StoreHit | Self::Stale | Self::Negative | Self::StaleOutage => Counts::Hit,
            // Whatever the origin then said, and whether or not the store could be asked: the reader got nothing from the cache.
            Self::Miss | Self::MissOutage | Self::Loaded | Self::Passed | Self::OriginFailed => Counts::Miss,
            // No reads, and reads of which nobody knows whether the value is there.
            Self::Done | Self::Unmet | Self::Refused | Self::PolicyFailed | Self::StoreFailed | Self::HostFailed => {
                Counts::Neither
            }
        }
    }

    /// Whether a read found what it asked for.
    #[must_use]
    pub const fn is_hit(self) -> bool {
        matches!(self.counts_as(), Counts::Hit)
    }

    /// Whether a read got nothing from the cache.
    #[must_use]
    pub const fn is_miss(self) -> bool {
        matches!(self.counts_as(), Counts::Miss)
    }

    /// Whether something failed that should not: no fault of the caller's.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::PolicyFailed | Self::StoreFailed | Self::OriginFailed | Self::HostFailed)
    }
}

/// What a read's answer is to the hit rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counts {
    /// The cache had it.
    Hit,
    /// It had not.
    Miss,
    /// It does not count.
    Neither,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_a_hit_a_miss_or_neither() {
        let words = |counts| {
            let those = State::ALL.into_iter().filter(|state| state.counts_as() == counts);
            those.map(State::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(Counts::Hit), "l1-hit store-hit stale negative stale-store-unavailable");
        assert_eq!(words(Counts::Miss), "miss miss-store-unavailable loaded passed origin-failed");
        assert_eq!(words(Counts::Neither), "done unmet refused policy-failed store-failed host-failed");
        for (at, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, at, "{state:?} stands in its place");
        }
    }

    #[test]
    fn a_failure_is_nobodys_wish() {
        let failures = State::ALL.into_iter().filter(|state| state.is_failure());
        assert_eq!(
            failures.map(State::as_str).collect::<Vec<_>>().join(" "),
            "policy-failed store-failed origin-failed host-failed"
        );
    }
}
