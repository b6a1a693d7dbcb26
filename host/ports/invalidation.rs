//! The closed words of invalidation: what was selected, and how hard it is meant. What is selected is [`Selector`], in the
//! words of the contract.

use serde::{Deserialize, Serialize};

use super::metrics::{Counter, Gauge};
use super::policy::Selector;

/// What becomes of an entry that is invalidated. In order: a harder one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Its fresh time is over: it is served as its stale windows allow, while it is loaded anew.
    Soft,
    /// It is a miss.
    Hard,
}

impl Mode {
    /// How many there are.
    pub const COUNT: usize = 2;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Soft, Self::Hard];

    /// The word in commands, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// A [`Selector`] without its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelectorKind {
    /// One key.
    Key,
    /// All entries that carry a tag.
    Tag,
    /// All keys that begin so.
    Prefix,
    /// All keys that match a glob.
    Pattern,
    /// The whole domain.
    Domain,
}

impl SelectorKind {
    /// How many there are.
    pub const COUNT: usize = 5;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Key, Self::Tag, Self::Prefix, Self::Pattern, Self::Domain];

    /// The word in commands, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tag => "tag",
            Self::Prefix => "prefix",
            Self::Pattern => "pattern",
            Self::Domain => "domain",
        }
    }
}

impl Selector {
    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> SelectorKind {
        match self {
            Self::Key(_) => SelectorKind::Key,
            Self::Tag(_) => SelectorKind::Tag,
            Self::Prefix(_) => SelectorKind::Prefix,
            Self::Pattern(_) => SelectorKind::Pattern,
            Self::Domain => SelectorKind::Domain,
        }
    }
}

/// What is counted of the invalidations that could not reach the store.
#[derive(Debug, Default)]
pub struct RecoveryMetrics {
    /// How many wait.
    pub waiting: Gauge,
    /// How long the oldest has waited, in milliseconds.
    pub oldest_ms: Gauge,
    /// How many began to wait.
    pub queued: Counter,
    /// How many the store knows of by now.
    pub replayed: Counter,
    /// How many were not replayed, because what they name was written anew.
    pub superseded: Counter,
    /// Times that a whole domain was invalidated instead, because too many waited.
    pub overflowed: Counter,
}
