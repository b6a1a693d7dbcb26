//! The leases of a store with spans around its calls.

use async_trait::async_trait;
use bytes::Bytes;

use super::{TracedStore, spanned};
use crate::ports::lease::{Adopting, Filling, LeaseKeys, LeaseState, LeaseStore, LeaseToken, Taking};
use crate::ports::store::{Expect, Expire, StoreKey, StoreResult};

#[async_trait]
impl LeaseStore for TracedStore {
    async fn take(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64, seen: &Expect) -> StoreResult<Taking> {
        spanned("lease-take", self.inner.leases().take(keys, token, ttl_ms, seen)).await
    }

    async fn renew(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64) -> StoreResult<bool> {
        spanned("lease-renew", self.inner.leases().renew(keys, token, ttl_ms)).await
    }

    async fn give_back(&self, keys: &LeaseKeys, token: LeaseToken) -> StoreResult<bool> {
        spanned("lease-give-back", self.inner.leases().give_back(keys, token)).await
    }

    async fn fill(&self, keys: &LeaseKeys, token: LeaseToken, value: Bytes, expire: Expire) -> StoreResult<Filling> {
        spanned("lease-fill", self.inner.leases().fill(keys, token, value, expire)).await
    }

    async fn adopt(&self, keys: &LeaseKeys, token: LeaseToken, from: &StoreKey) -> StoreResult<Adopting> {
        spanned("lease-adopt", self.inner.leases().adopt(keys, token, from)).await
    }

    async fn state(&self, keys: &LeaseKeys) -> StoreResult<LeaseState> {
        spanned("lease-state", self.inner.leases().state(keys)).await
    }
}
