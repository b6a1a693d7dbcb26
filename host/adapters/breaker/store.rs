//! A store behind a breaker: what cannot be reached, breaks off or does not answer in time counts against it.
//!
//! An error of Redis itself is an answer, so it counts as a success; calls of which this host has too many under way say
//! nothing of the store. While the breaker is open every call fails at once, and nothing is sent.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{CircuitBreaker, Permit};
use crate::ports::breaker::Outcome;
use crate::ports::budget;
use crate::ports::lease::LeaseStore;
use crate::ports::store::{
    Command, Expect, Expire, Held, Reply, Sharing, Store, StoreError, StoreKey, StoreResult, Ttl, Watch,
};
use crate::ports::upstream::{Types, Upstream};

/// Another store behind a breaker.
#[derive(Debug)]
pub struct BreakerStore<S: ?Sized> {
    pub(super) inner: Arc<S>,
    pub(super) breaker: Arc<CircuitBreaker>,
}

impl<S: ?Sized> BreakerStore<S> {
    /// This store behind this breaker.
    #[must_use]
    pub const fn new(inner: Arc<S>, breaker: Arc<CircuitBreaker>) -> Self {
        Self { inner, breaker }
    }

    /// The same for what takes many calls of its own: how long it takes says nothing.
    pub(super) async fn guard_untimed<T>(&self, call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
        let permit = self.breaker.acquire().map_err(|rejection| StoreError::Unavailable(rejection.to_string()))?;
        let answer = call.await;
        tell(&permit, &answer);
        permit.report_untimed(outcome(&answer));
        answer
    }

    /// Carries out one call, if it may be made.
    pub(super) async fn guard<T>(&self, call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
        guard(&self.breaker, call).await
    }
}

async fn guard<T>(breaker: &Arc<CircuitBreaker>, call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
    if budget::is_spent() {
        // Nothing is sent, so it says nothing of the store.
        return call.await;
    }
    let permit = breaker.acquire().map_err(|rejection| StoreError::Unavailable(rejection.to_string()))?;
    let answer = call.await;
    tell(&permit, &answer);
    permit.report(outcome(&answer));
    answer
}

/// What a failure was, for people.
fn tell<T>(permit: &Permit, answer: &StoreResult<T>) {
    if let (Outcome::Failure, Err(error)) = (outcome(answer), answer) {
        permit.met(error);
    }
}

fn outcome<T>(answer: &StoreResult<T>) -> Outcome {
    match answer {
        Ok(_) | Err(StoreError::Reply(_)) => Outcome::Success,
        Err(StoreError::Busy(_) | StoreError::Connecting(_)) => Outcome::Ignored,
        Err(StoreError::Unavailable(_) | StoreError::Broken(_) | StoreError::Timeout(_) | StoreError::Protocol(_)) => {
            Outcome::Failure
        }
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for BreakerStore<S> {
    fn sharing(&self) -> Sharing {
        self.inner.sharing()
    }

    fn is_one_server(&self) -> bool {
        self.inner.is_one_server()
    }

    fn leases(&self) -> &dyn LeaseStore {
        self
    }

    async fn get(&self, key: &StoreKey, with_ttl: bool) -> StoreResult<Option<Held>> {
        self.guard(self.inner.get(key, with_ttl)).await
    }

    async fn get_many(&self, keys: &[StoreKey], with_ttl: bool) -> StoreResult<Vec<Option<Held>>> {
        self.guard(self.inner.get_many(keys, with_ttl)).await
    }

    async fn set(&self, key: &StoreKey, value: Bytes, expire: Expire) -> StoreResult<()> {
        self.guard(self.inner.set(key, value, expire)).await
    }

    async fn set_many(&self, items: Vec<(StoreKey, Bytes, Expire)>) -> StoreResult<()> {
        self.guard(self.inner.set_many(items)).await
    }

    async fn replace(&self, key: &StoreKey, expect: Expect, value: Bytes, expire: Expire) -> StoreResult<bool> {
        self.guard(self.inner.replace(key, expect, value, expire)).await
    }

    async fn remove(&self, key: &StoreKey, prefix: Bytes) -> StoreResult<bool> {
        self.guard(self.inner.remove(key, prefix)).await
    }

    async fn increment(&self, key: &StoreKey, delta: i64, ttl_ms: Option<u64>) -> StoreResult<i64> {
        self.guard(self.inner.increment(key, delta, ttl_ms)).await
    }

    async fn delete(&self, keys: &[StoreKey]) -> StoreResult<Vec<bool>> {
        self.guard(self.inner.delete(keys)).await
    }

    async fn ttl(&self, key: &StoreKey) -> StoreResult<Ttl> {
        self.guard(self.inner.ttl(key)).await
    }

    async fn expire(&self, key: &StoreKey, expire: Expire) -> StoreResult<bool> {
        self.guard(self.inner.expire(key, expire)).await
    }

    async fn call(&self, command: Command) -> StoreResult<Reply> {
        self.guard(self.inner.call(command)).await
    }

    async fn pipeline(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        self.guard(self.inner.pipeline(commands)).await
    }

    async fn atomic(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        self.guard(self.inner.atomic(commands)).await
    }

    async fn sequence(&self, blocks: Vec<Vec<Command>>) -> StoreResult<Vec<StoreResult<Vec<Reply>>>> {
        self.guard(self.inner.sequence(blocks)).await
    }

    async fn watch(&self, keys: &[StoreKey]) -> StoreResult<Box<dyn Watch>> {
        let inner = self.guard(self.inner.watch(keys)).await?;
        Ok(Box::new(BreakerWatch { inner, breaker: Arc::clone(&self.breaker) }))
    }

    async fn ping(&self) -> StoreResult<()> {
        self.guard(self.inner.ping()).await
    }

    fn upstream(&self) -> Option<&dyn Upstream> {
        self.inner.upstream().is_some().then_some(self)
    }
}

/// A watch whose calls go through the breaker.
struct BreakerWatch {
    inner: Box<dyn Watch>,
    breaker: Arc<CircuitBreaker>,
}

#[async_trait]
impl Watch for BreakerWatch {
    async fn add(&mut self, keys: &[StoreKey]) -> StoreResult<()> {
        guard(&self.breaker, self.inner.add(keys)).await
    }

    async fn commit(self: Box<Self>, commands: Vec<Command>, types: Types) -> StoreResult<Option<Vec<Reply>>> {
        guard(&self.breaker, self.inner.commit(commands, types)).await
    }
}
