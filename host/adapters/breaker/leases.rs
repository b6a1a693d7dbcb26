//! The leases of a store behind its breaker: they are calls to the same server.

use async_trait::async_trait;
use bytes::Bytes;

use super::BreakerStore;
use crate::ports::lease::{Adopting, Filling, LeaseKeys, LeaseState, LeaseStore, LeaseToken, Taking};
use crate::ports::store::{Expect, Expire, Store, StoreKey, StoreResult};

#[async_trait]
impl<S: Store + ?Sized> LeaseStore for BreakerStore<S> {
    async fn take(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64, seen: &Expect) -> StoreResult<Taking> {
        self.guard(self.inner.leases().take(keys, token, ttl_ms, seen)).await
    }

    async fn renew(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64) -> StoreResult<bool> {
        self.guard(self.inner.leases().renew(keys, token, ttl_ms)).await
    }

    async fn give_back(&self, keys: &LeaseKeys, token: LeaseToken) -> StoreResult<bool> {
        self.guard(self.inner.leases().give_back(keys, token)).await
    }

    async fn fill(&self, keys: &LeaseKeys, token: LeaseToken, value: Bytes, expire: Expire) -> StoreResult<Filling> {
        self.guard(self.inner.leases().fill(keys, token, value, expire)).await
    }

    async fn adopt(&self, keys: &LeaseKeys, token: LeaseToken, from: &StoreKey) -> StoreResult<Adopting> {
        self.guard(self.inner.leases().adopt(keys, token, from)).await
    }

    async fn state(&self, keys: &LeaseKeys) -> StoreResult<LeaseState> {
        self.guard(self.inner.leases().state(keys)).await
    }
}
