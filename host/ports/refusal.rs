//! What a store refuses for reasons of its own, whoever asks: it is full, it is a replica, it is not saved. No breaker opens, as the store
//! answers; so it is counted and told by itself, with what an operator can do.

use parking_lot::Mutex;

use super::metrics::Counter;
use super::quiet::Quiet;

/// Why a store refuses. Closed: the label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreRefusal {
    /// It has no room, and may not evict.
    Full,
    /// It is a replica.
    ReadOnly,
    /// It cannot save what it has.
    NotSaved,
    /// It has fewer replicas than it wants.
    TooFewReplicas,
    /// It reads its data, or its primary is away.
    Loading,
    /// The host's user may not.
    NotAllowed,
}

impl StoreRefusal {
    /// How many there are.
    pub const COUNT: usize = 6;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Full, Self::ReadOnly, Self::NotSaved, Self::TooFewReplicas, Self::Loading, Self::NotAllowed];

    /// Of an error line of Redis; `None`: it concerns what was asked, and not the store.
    #[must_use]
    pub fn of(line: &str) -> Option<Self> {
        Some(match line.split(' ').next()? {
            "OOM" => Self::Full,
            "READONLY" => Self::ReadOnly,
            "MISCONF" => Self::NotSaved,
            "NOREPLICAS" => Self::TooFewReplicas,
            "LOADING" | "MASTERDOWN" => Self::Loading,
            "NOAUTH" | "NOPERM" | "WRONGPASS" => Self::NotAllowed,
            _ => return None,
        })
    }

    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::NotSaved => "not-saved",
            Self::TooFewReplicas => "too-few-replicas",
            Self::Loading => "loading",
            Self::NotAllowed => "not-allowed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Full => {
                "give Redis more memory (maxmemory), or let it evict (maxmemory-policy volatile-lru spares what never expires)"
            }
            Self::ReadOnly => "name the primary in store.url, or the sentinels that know it",
            Self::NotSaved => "Redis cannot write to its disk; its own log says why",
            Self::TooFewReplicas => "Redis wants more replicas for a write (min-replicas-to-write); see to them",
            Self::Loading => "it answers when it has its data; wait",
            Self::NotAllowed => "see to the user and password of store.url (REDIS_PASSWORD), and its ACL in Redis",
        }
    }
}

/// The latest that a store refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestRefusal {
    /// Why.
    pub refusal: StoreRefusal,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// In its own words.
    pub said: String,
}

/// What a store refused since the start.
#[derive(Debug, Default)]
pub struct StoreRefusals {
    /// How often, by why.
    pub counts: [Counter; StoreRefusal::COUNT],
    latest: Mutex<Option<LatestRefusal>>,
    quiet: [Quiet; StoreRefusal::COUNT],
}

impl StoreRefusals {
    /// Takes note of an error line of Redis; of most there is nothing to note.
    pub fn note(&self, line: &str, at_ms: u64, now_ns: u64) {
        let Some(refusal) = StoreRefusal::of(line) else { return };
        self.counts[refusal as usize].increment();
        *self.latest.lock() = Some(LatestRefusal { refusal, at_ms, said: line.to_owned() });
        if let Some(hushed) = self.quiet[refusal as usize].speaks(now_ns) {
            let (reason, advice) = (refusal.as_str(), refusal.advice());
            tracing::warn!(reason, said = line, advice, hushed, "the store refuses what it is asked");
        }
    }

    /// The latest.
    #[must_use]
    pub fn latest(&self) -> Option<LatestRefusal> {
        self.latest.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_the_store_is_told_from_what_concerns_the_caller() {
        for (line, expect) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Some("full")),
            ("READONLY You can't write against a read only replica.", Some("read-only")),
            ("NOPERM User default has no permissions", Some("not-allowed")),
            ("ERR value is not an integer", None),
            ("WRONGTYPE Operation against a key", None),
            ("OOMPH", None),
            ("", None),
        ] {
            assert_eq!(StoreRefusal::of(line).map(StoreRefusal::as_str), expect, "{line}");
        }
    }

    #[test]
    fn the_latest_is_remembered_and_each_is_counted() {
        let refusals = StoreRefusals::default();
        refusals.note("ERR no", 1, 1);
        assert_eq!(refusals.latest(), None);
        for at_ms in [2, 3] {
            refusals.note("OOM full", at_ms, 1);
        }
        let latest = refusals.latest().unwrap();
        assert_eq!((latest.refusal, latest.at_ms, latest.said.as_str()), (StoreRefusal::Full, 3, "OOM full"));
        assert_eq!(StoreRefusal::ALL.map(|it| refusals.counts[it as usize].get()), [2, 0, 0, 0, 0, 0]);
    }
}
