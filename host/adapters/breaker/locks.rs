//! The locks of a store behind its breaker: they are calls to the same server.

use async_trait::async_trait;

use super::BreakerStore;
use crate::ports::lock::{Attempt, Found, Holder, LockKeys, LockPattern, LockStore, Token};
use crate::ports::store::StoreResult;

#[async_trait]
impl<S: LockStore> LockStore for BreakerStore<S> {
    async fn take(&self, keys: &LockKeys, token: &Token, owner: &str, ttl_ms: u64) -> StoreResult<Attempt> {
        self.guard(self.inner.take(keys, token, owner, ttl_ms)).await
    }

    async fn extend(&self, keys: &LockKeys, token: &Token, ttl_ms: u64) -> StoreResult<bool> {
        self.guard(self.inner.extend(keys, token, ttl_ms)).await
    }

    async fn release(&self, keys: &LockKeys, token: &Token) -> StoreResult<bool> {
        self.guard(self.inner.release(keys, token)).await
    }

    async fn force_release(&self, keys: &LockKeys) -> StoreResult<bool> {
        self.guard(self.inner.force_release(keys)).await
    }

    async fn holder(&self, keys: &LockKeys) -> StoreResult<Option<Holder>> {
        self.guard(self.inner.holder(keys)).await
    }

    /// A listing takes many calls and may take long: it is no sign of a slow store.
    async fn find(&self, pattern: &LockPattern, max: usize) -> StoreResult<Found> {
        self.guard_untimed(self.inner.find(pattern, max)).await
    }
}
