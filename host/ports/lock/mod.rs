//! Distributed locks: names, tokens, fences, and the two traits around them.
//!
//! [`LockStore`] is what a store does, each method one atomic step; one contract suite runs on every adapter. [`Locks`] is what
//! callers ask: it waits in line, keeps guards alive and gives them back. A lock is never the fill lease of a key.
//!
//! Invariants: at most one token holds a lock; whoever takes a lock after somebody else gets a higher fence, whatever expired,
//! was forced or was lost in between. A lock protects what checks the fence; without that check a holder that was held up for
//! longer than its life may still write late. Deliberately absent: quorums over several stores, re-entrant and shared locks.

mod name;
mod store;

use async_trait::async_trait;
use serde::Serialize;

pub use self::name::{LockName, POLICY_MARK, Token, lock_owner, lock_prefix};
pub use self::store::{Attempt, Found, Holder, LockKeys, LockPattern, LockStore};

use crate::error::Result;

/// What a caller wants of a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// How long it lives if nobody extends it, in milliseconds; `None`: as the settings say.
    pub ttl_ms: Option<u64>,
    /// How long to wait for it, in milliseconds; `None`: as the settings say; 0: not at all.
    pub wait_ms: Option<u64>,
    /// A label that listings show; `None`: this host.
    pub owner: Option<String>,
    /// Whether the guard extends it by itself for as long as it lives. Of no meaning where the caller keeps the token.
    pub renew: bool,
}

/// A lock that a caller has, who keeps the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What extends and releases it.
    pub token: Token,
    /// Higher than every earlier holder's: to be sent along with what the lock protects.
    pub fence: u64,
    /// Its life, in milliseconds.
    pub ttl_ms: u64,
}

/// What everybody may know of a held lock: not its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockInfo {
    /// Its name.
    pub name: String,
    /// Its holder's fence.
    pub fence: u64,
    /// What is left of its life, in milliseconds.
    pub ttl_ms: u64,
    /// Its holder's label.
    pub owner: String,
}

/// Held locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockList {
    /// In order of their names.
    pub locks: Vec<LockInfo>,
    /// Whether these are all; `false` if a bound ended the search.
    pub complete: bool,
}

/// Which locks a bulk release frees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// Those whose names begin so.
    Prefix(&'a str),
    /// Those of holders with this label.
    Owner(&'a str),
}

/// What a bulk release did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// How many it freed.
    pub released: u64,
    /// Whether it saw all; `false`: ask again.
    pub complete: bool,
}

/// What became of an operation on a lock. Closed: the label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockOutcome {
    /// Taken.
    Acquired,
    /// Not taken: somebody else held it for as long as the caller would wait.
    Contended,
    /// Its life began anew.
    Extended,
    /// Given back by its holder.
    Released,
    /// Extended or released by a token that does not hold it (any more).
    NotHeld,
    /// A guard found that its lock is not its own any more.
    Lost,
    /// Freed by an operator.
    Forced,
    /// The store failed.
    StoreFailed,
}

impl LockOutcome {
    /// How many there are.
    pub const COUNT: usize = 8;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Acquired,
        Self::Contended,
        Self::Extended,
        Self::Released,
        Self::NotHeld,
        Self::Lost,
        Self::Forced,
        Self::StoreFailed,
    ];

    /// The word in metrics and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Contended => "contended",
            Self::Extended => "extended",
            Self::Released => "released",
            Self::NotHeld => "not-held",
            Self::Lost => "lost",
            Self::Forced => "forced",
            Self::StoreFailed => "store-failed",
        }
    }
}

/// A held lock. Dropping it gives it back, in the background; its renewal, if it has one, ends before that.
pub type Held = Box<dyn HeldLock>;

/// What can be done with a held lock.
#[async_trait]
pub trait HeldLock: Send + Sync {
    /// Grows with every holder of this lock.
    fn fence(&self) -> u64;

    /// Whether it is known or must be feared to be somebody else's: its life is over, a renewal came too late, it was forced,
    /// it was released.
    fn is_lost(&self) -> bool;

    /// Ends when [`Self::is_lost`] becomes true.
    async fn lost(&self);

    /// Begins its life anew. Whether it was still held.
    ///
    /// # Errors
    /// A life out of bounds, a failure of the store: it may or may not have been extended.
    async fn extend(&self, ttl_ms: u64) -> Result<bool>;

    /// Gives it back; ends its renewal before. Whether it was still held; the second call answers `false`.
    ///
    /// # Errors
    /// A failure of the store; dropping the guard tries again.
    async fn release(&mut self) -> Result<bool>;
}

/// Locks, for front ends and policies. All futures may be dropped at any await: a lock that was taken for nobody is given back.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Takes a lock for a caller who keeps the token. `None`: somebody else held it for as long as the caller would wait.
    /// Callers of one host are served in their order.
    ///
    /// # Errors
    /// A life, wait or label out of bounds; too many locks or waiters; a failure of the store.
    async fn take(&self, name: &LockName, ask: Ask) -> Result<Option<Grant>>;

    /// The same with a guard.
    ///
    /// # Errors
    /// As [`Self::take`].
    async fn hold(&self, name: &LockName, ask: Ask) -> Result<Option<Held>>;

    /// Takes a lock of a domain's policy, with a guard. `None` as in [`Self::take`].
    ///
    /// # Errors
    /// As [`Self::take`]; a bad name.
    async fn acquire(&self, domain: &str, name: &str, ttl_ms: u64, wait_ms: u64) -> Result<Option<Held>> {
        let owner = Some(format!("{POLICY_MARK}{domain}"));
        let ask = Ask { ttl_ms: Some(ttl_ms), wait_ms: Some(wait_ms), owner, renew: false };
        self.hold(&LockName::policy(domain, name)?, ask).await
    }

    /// Begins the life of a lock anew, for who has its token; `None`: as long as the settings say. The life it has now;
    /// `None`: the token does not hold it.
    ///
    /// # Errors
    /// A life out of bounds, a failure of the store.
    async fn extend(&self, name: &LockName, token: &Token, ttl_ms: Option<u64>) -> Result<Option<u64>>;

    /// Gives a lock back, for who has its token. Whether the token held it.
    ///
    /// # Errors
    /// A failure of the store.
    async fn release(&self, name: &LockName, token: &Token) -> Result<bool>;

    /// Who holds a lock.
    ///
    /// # Errors
    /// A failure of the store.
    async fn info(&self, name: &LockName) -> Result<Option<LockInfo>>;

    /// The held locks whose names begin so.
    ///
    /// # Errors
    /// A failure of the store.
    async fn list(&self, prefix: &str) -> Result<LockList>;

    /// Frees a lock, whoever holds it. Whether anybody did.
    ///
    /// # Errors
    /// A failure of the store.
    async fn force_release(&self, name: &LockName) -> Result<bool>;

    /// Frees many locks, whoever holds them. One that changes hands meanwhile stays.
    ///
    /// # Errors
    /// A failure of the store; some may be freed.
    async fn force_release_all(&self, which: Which<'_>) -> Result<Freed>;

    /// Brings the gauge of held locks up to date; before it is shown.
    fn report(&self);
}
