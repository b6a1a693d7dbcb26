//! What a store does with locks.

use async_trait::async_trait;
use bytes::Bytes;

use super::name::Token;
use crate::ports::store::{StoreKey, StoreResult};

/// The storage keys of one lock. In a cluster both lie in one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockKeys {
    /// Who holds it; expires with its life.
    pub lock: StoreKey,
    /// Its last fence.
    pub fence: StoreKey,
}

/// Which storage keys are locks: those with this beginning and this end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockPattern {
    /// What they begin with.
    pub head: Bytes,
    /// What they end with.
    pub tail: Bytes,
}

/// What became of one try to take a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It is the caller's.
    Taken {
        /// Higher than every earlier holder's.
        fence: u64,
    },
    /// It is somebody else's, for so long if nothing happens.
    HeldFor {
        /// What is left of its life, in milliseconds.
        ms: u64,
    },
}

/// Who holds a lock, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its token.
    pub token: Token,
    /// Its fence.
    pub fence: u64,
    /// Its label.
    pub owner: String,
    /// What is left of its life, in milliseconds.
    pub ttl_ms: u64,
}

/// Locks that a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Their keys and holders, in no order.
    pub locks: Vec<(StoreKey, Holder)>,
    /// Whether these are all; `false` if a bound ended the search.
    pub complete: bool,
}

/// What a store does with locks: each method is one atomic step. Every method has a deadline of the adapter's.
#[async_trait]
pub trait LockStore: Send + Sync {
    /// Takes a lock if nobody holds it.
    async fn take(&self, keys: &LockKeys, token: &Token, owner: &str, ttl_ms: u64) -> StoreResult<Attempt>;

    /// Begins the life of a lock anew if this token holds it. Whether it does.
    async fn extend(&self, keys: &LockKeys, token: &Token, ttl_ms: u64) -> StoreResult<bool>;

    /// Frees a lock if this token holds it. Whether it did.
    async fn release(&self, keys: &LockKeys, token: &Token) -> StoreResult<bool>;

    /// Frees a lock, whoever holds it. Whether anybody did. Its fence stays.
    async fn force_release(&self, keys: &LockKeys) -> StoreResult<bool>;

    /// Who holds a lock.
    async fn holder(&self, keys: &LockKeys) -> StoreResult<Option<Holder>>;

    /// All locks of a pattern, `max` at most. Not one step: what changes meanwhile may be told or not.
    async fn find(&self, pattern: &LockPattern, max: usize) -> StoreResult<Found>;
}
