//! Leases: the one right to fill a key, and what a store does with them.
//!
//! A lease lies beside its entry, in the same slot of a cluster: a string that holds the token of whoever may fill, and expires
//! with the lease. It is both stampede lock and fence: a fill is stored only while its token is still there. A write or a
//! delete through a host puts a word in the token's place ([`LeaseKeys::ending`]), so an older load can never overwrite it,
//! and its fill learns what it was overtaken by.
//!
//! Invariants: at most one token holds a lease; a fill that is stored ends its lease in the same step; a lease that has ended is
//! free to be taken, and one that expired or was evicted fills nothing. Every method is one atomic step, but [`LeaseStore::adopt`] across nodes. Deliberately absent:
//! order among those who wait, and any list of leases. A lease is never a lock of applications (`ports/lock/`).

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::store::{Command, Expect, Expire, StoreKey, StoreResult};

/// Hex digits of a token.
const TOKEN_DIGITS: usize = 32;

/// Where an entry and its lease lie. In a cluster both are in one slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseKeys {
    /// The entry.
    pub entry: StoreKey,
    /// Its lease.
    pub lease: StoreKey,
}

impl LeaseKeys {
    /// The command that ends the lease, if there is one: to be sent in one pipeline with the change of the entry, *before* it.
    /// A fill between the two is lost; after the change it would be stored.
    #[must_use]
    pub fn ending(&self, how: Ending) -> Command {
        let word = Bytes::from_static(how.as_str().as_bytes());
        let lease = self.lease.0.clone();
        Command::new("SET").arg(lease).arg(word).arg(&b"XX"[..]).arg(&b"KEEPTTL"[..])
    }
}

/// What proves that one holds a lease. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(u128);

impl LeaseToken {
    /// From bytes that nobody can guess.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(secret))
    }

    /// From the text that [`fmt::Display`] gives; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == TOKEN_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken(…)")
    }
}

/// What ended a lease before its fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Somebody wrote the key: nobody can say which value is newer.
    Written,
    /// Somebody removed or invalidated it.
    Deleted,
}

impl Ending {
    /// The word that the store holds in the token's place.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Deleted => "deleted",
        }
    }

    /// What a word says.
    #[must_use]
    pub fn of(word: &[u8]) -> Option<Self> {
        [Self::Written, Self::Deleted].into_iter().find(|ending| ending.as_str().as_bytes() == word)
    }
}

/// What became of one try to take a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It is the caller's.
    Taken,
    /// Somebody else holds it, for so long if nothing happens.
    HeldFor {
        /// What is left of its life, in milliseconds.
        ms: u64,
    },
    /// The entry is not what the caller saw: it should read again. Nothing was taken.
    Changed,
}

/// What became of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// It is stored, and the lease is over.
    Stored,
    /// Nothing was stored. After [`Lost::Written`] the entry was removed in the same step.
    Lost(Lost),
}

/// What became of moving a collection to the entry of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopting {
    /// It is the entry, with the expiry that it had, and the lease is over.
    Adopted,
    /// There was none.
    Nothing,
    /// The entry is there already.
    Taken,
    /// Nothing was moved; or the collection was changed meanwhile, and is where it was ([`Lost::Gone`]).
    Lost(Lost),
}

/// How a lease was lost. Closed: a word in answers and explanations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// To a write.
    Written,
    /// To a delete or an invalidation.
    Deleted,
    /// It expired, was evicted, or is somebody else's by now.
    Gone,
}

impl Lost {
    /// The word in answers, logs and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "lost-to-write",
            Self::Deleted => "lost-to-delete",
            Self::Gone => "lease-gone",
        }
    }
}

impl Lost {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Written, Self::Deleted, Self::Gone];
}

/// How a load ended for those who took part in it. Closed: the label of a metric, a word in answers and explanations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FillOutcome {
    /// The leader has a value (or knows that there is none), stored or not: all have it.
    Done,
    /// The leader failed: all have its error.
    TransientError,
    /// The leader says that there is nothing to wait for: each goes its own way.
    GiveUp,
    /// The leader is gone without a word, or was overtaken by a write, a delete or an invalidation: the next one leads.
    Dangling,
    /// A reader has waited as long as its plan allows. The load may still be running.
    WaitTimeout,
    /// The leader held the lease for as long as anybody may.
    AgeTimeout,
}

impl FillOutcome {
    /// How many there are.
    pub const COUNT: usize = 6;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Done, Self::TransientError, Self::GiveUp, Self::Dangling, Self::WaitTimeout, Self::AgeTimeout];

    /// The word in answers, metrics and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::TransientError => "transient-error",
            Self::GiveUp => "give-up",
            Self::Dangling => "dangling",
            Self::WaitTimeout => "wait-timeout",
            Self::AgeTimeout => "age-timeout",
        }
    }
}

/// Whose load a reader waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leader {
    /// A caller of this node.
    ThisNode,
    /// A caller of another node that shares the store.
    OtherNode,
}

impl Leader {
    /// The word in answers and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ThisNode => "this-node",
            Self::OtherNode => "other-node",
        }
    }
}

/// That a reader waited, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// For how long, in milliseconds.
    pub ms: u64,
    /// For whose load, at last.
    pub leader: Leader,
    /// What came of it.
    pub outcome: FillOutcome,
}

/// What lies under the key of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Nothing.
    Free,
    /// Somebody's token.
    HeldFor {
        /// What is left of its life, in milliseconds.
        ms: u64,
    },
    /// What ended it.
    Ended(Ending),
}

/// What a store does with leases. Every method has a deadline of the adapter's; all may be cancelled at any await: whether it was
/// done is then unknown.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes the lease if nobody holds it and the entry still is what the caller `seen`: absent, or a string that begins so.
    async fn take(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64, seen: &Expect) -> StoreResult<Taking>;

    /// Begins the life of the lease anew if this token holds it. Whether it does.
    async fn renew(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64) -> StoreResult<bool>;

    /// Frees the lease if this token holds it. Whether it did.
    async fn give_back(&self, keys: &LeaseKeys, token: LeaseToken) -> StoreResult<bool>;

    /// Stores the entry if this token holds the lease, and ends the lease. If a write ended it before, removes the entry.
    async fn fill(&self, keys: &LeaseKeys, token: LeaseToken, value: Bytes, expire: Expire) -> StoreResult<Filling>;

    /// Moves the hash, list, set or whatever else is no string from `from` to the entry, which is absent, if this token holds the lease. One step
    /// where both lie in one node; else copied, removed and, if it was changed in between, undone.
    async fn adopt(&self, keys: &LeaseKeys, token: LeaseToken, from: &StoreKey) -> StoreResult<Adopting>;

    /// What lies under the lease's key.
    async fn state(&self, keys: &LeaseKeys) -> StoreResult<LeaseState>;
}
