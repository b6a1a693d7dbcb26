//! The locks of a store with spans around its calls.

use std::sync::Arc;

use async_trait::async_trait;

use super::spanned;
use crate::ports::lock::{Attempt, Found, Holder, LockKeys, LockPattern, LockStore, Token};
use crate::ports::store::StoreResult;

/// Another store's locks with spans around the calls.
pub struct TracedLocks {
    inner: Arc<dyn LockStore>,
}

impl TracedLocks {
    /// These locks with spans.
    #[must_use]
    pub const fn new(inner: Arc<dyn LockStore>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl LockStore for TracedLocks {
    async fn take(&self, keys: &LockKeys, token: &Token, owner: &str, ttl_ms: u64) -> StoreResult<Attempt> {
        spanned("lock-take", self.inner.take(keys, token, owner, ttl_ms)).await
    }

    async fn extend(&self, keys: &LockKeys, token: &Token, ttl_ms: u64) -> StoreResult<bool> {
        spanned("lock-extend", self.inner.extend(keys, token, ttl_ms)).await
    }

    async fn release(&self, keys: &LockKeys, token: &Token) -> StoreResult<bool> {
        spanned("lock-release", self.inner.release(keys, token)).await
    }

    async fn force_release(&self, keys: &LockKeys) -> StoreResult<bool> {
        spanned("lock-force-release", self.inner.force_release(keys)).await
    }

    async fn holder(&self, keys: &LockKeys) -> StoreResult<Option<Holder>> {
        spanned("lock-holder", self.inner.holder(keys)).await
    }

    async fn find(&self, pattern: &LockPattern, max: usize) -> StoreResult<Found> {
        spanned("lock-find", self.inner.find(pattern, max)).await
    }
}
