//! The live policies: one immutable table, replaced as a whole, and the epoch that tells entries it has been.
//!
//! Invariant: the epoch grows *after* the table is in place. So a judgement that read the epoch before the table is stamped
//! with an epoch that is at most too old, and is then only judged once more than needed, never once less.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;

use super::metrics::{Counter, DomainMetrics};
use super::origin::Origin;
use super::policy::{Description, Policy};

/// The domain whose policy serves every key without a domain of its own.
pub const DEFAULT_DOMAIN: &str = "default";

/// What a reader gets while the store is away and there is no copy to serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// An error: the value may well be there, and nobody is told that it is not.
    #[default]
    Error,
    /// A miss: the application goes to where the value comes from.
    Miss,
}

impl OnStoreFailure {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Error, Self::Miss];

    /// The word in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Miss => "miss",
        }
    }

    /// What a word means.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// A live policy of one domain.
pub struct Live {
    /// The domain it serves.
    pub domain: Arc<str>,
    /// Counts the swaps of this domain on this node, from 1.
    pub generation: u64,
    /// Identifies the rules on every node: the first eight bytes of the SHA-256 over component, settings and origin. What an
    /// envelope carries to say who judged it.
    pub rules_id: u64,
    /// SHA-256 of the component, in hex.
    pub digest: Arc<str>,
    /// What the policy said of itself.
    pub description: Description,
    /// Its hooks.
    pub policy: Arc<dyn Policy>,
    /// Keys of other domains that its workflow may use, by the operator's grant.
    pub reach: Arc<[Reach]>,
    /// Where it is loaded from on a miss, if the operator set that.
    pub origin: Option<Arc<dyn Origin>>,
    /// The domain's counters; the same for all generations.
    pub metrics: Arc<DomainMetrics>,
    /// Failures that are this component's own: what takes it out of service if they are too many.
    pub faults: Arc<Counter>,
    /// What readers get while the store is away; `None`: as the host's setting says.
    pub on_store_failure: Option<OnStoreFailure>,
    /// Whether readers may demand more than the policy says ([`crate::engine::api::Demand`]).
    pub obeys_requests: bool,
}

/// Keys of another domain that a workflow may use: `unread`, or only those whose names begin so: `unread/7:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// The other domain.
    pub domain: String,
    /// What the names of the keys begin with; empty: all of them.
    pub prefix: String,
}

impl Reach {
    /// Whether it covers a key of this name, or all keys that begin so.
    #[must_use]
    pub fn covers(&self, domain: &str, name: &str) -> bool {
        self.domain == domain && name.starts_with(&self.prefix)
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.prefix.as_str() {
            "" => f.write_str(&self.domain),
            prefix => write!(f, "{}/{prefix}", self.domain),
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("domain", &self.domain)
            .field("generation", &self.generation)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// One state of all live policies.
#[derive(Debug, Default)]
pub struct PolicyTable {
    domains: HashMap<Box<str>, Arc<Live>, RandomState>,
}

impl PolicyTable {
    /// The policy of exactly this domain.
    #[must_use]
    pub fn get(&self, domain: &str) -> Option<&Arc<Live>> {
        self.domains.get(domain)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Live>> {
        self.domains.values()
    }

    /// This table with one domain replaced or added.
    #[must_use]
    pub fn with(&self, live: Arc<Live>) -> Self {
        let mut domains = self.domains.clone();
        domains.insert(live.domain.as_ref().into(), live);
        Self { domains }
    }

    /// This table without one domain.
    #[must_use]
    pub fn without(&self, domain: &str) -> Self {
        let mut domains = self.domains.clone();
        domains.remove(domain);
        Self { domains }
    }
}

/// The place where the table is read and replaced.
#[derive(Debug, Default)]
pub struct Policies {
    table: ArcSwap<PolicyTable>,
    epoch: AtomicU64,
}

impl Policies {
    /// The epoch of what entries may be stamped with. Read it *before* [`Self::table`].
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The table as it is now. Whoever holds it keeps its policies alive: for one call, not longer.
    pub fn table(&self) -> Guard<Arc<PolicyTable>> {
        self.table.load()
    }

    /// Replaces the table by what `change` makes of it, and lets every entry be judged again on its next touch.
    pub fn replace(&self, change: impl Fn(&PolicyTable) -> PolicyTable) {
        self.table.rcu(|table| change(table));
        self.epoch.fetch_add(1, Ordering::Release);
    }
}
