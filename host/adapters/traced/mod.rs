//! A store whose calls are spans, for hosts that trace: each call of a request that is traced, and nothing else, gets one.
//!
//! It stands before the breaker, so that a call which was refused shows as well. Deliberately absent: keys and values. A trace leaves
//! the house.

mod leases;
mod locks;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

pub use self::locks::TracedLocks;
use crate::ports::coherence::Watcher;
use crate::ports::lease::LeaseStore;
use crate::ports::store::{
    Command, Expect, Expire, Held, Reply, Sharing, Store, StoreError, StoreKey, StoreResult, Ttl, Watch,
};
use crate::ports::trace::{self, Layer};
use crate::ports::upstream::{CommandTable, Dedicated, Heard, Types, Upstream};

/// Another store with spans around its calls.
pub struct TracedStore {
    inner: Arc<dyn Store>,
}

impl TracedStore {
    /// This store with spans.
    #[must_use]
    pub const fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner }
    }

    fn upstream_of(&self) -> StoreResult<&dyn Upstream> {
        self.inner.upstream().ok_or_else(|| StoreError::Unavailable("it is no Redis".to_owned()))
    }
}

/// One call in a span of this name.
async fn spanned<T>(name: &'static str, call: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
    let span = trace::span(Layer::Store, name);
    let answer = span.within(call).await;
    if let Err(error) = &answer {
        span.fail(word(error));
    }
    answer
}

const fn word(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Connecting(_) => "connecting",
        StoreError::Broken(_) => "broken",
        StoreError::Timeout(_) => "timed-out",
        StoreError::Busy(_) => "busy",
        StoreError::Reply(_) => "error-reply",
        StoreError::Protocol(_) => "not-understood",
    }
}

#[async_trait]
impl Store for TracedStore {
    fn sharing(&self) -> Sharing {
        self.inner.sharing()
    }

    fn is_one_server(&self) -> bool {
        self.inner.is_one_server()
    }

    fn leases(&self) -> &dyn LeaseStore {
        self
    }

    fn tell(&self, watcher: Watcher) -> bool {
        self.inner.tell(watcher)
    }

    async fn get(&self, key: &StoreKey, with_ttl: bool) -> StoreResult<Option<Held>> {
        spanned("get", self.inner.get(key, with_ttl)).await
    }

    async fn get_many(&self, keys: &[StoreKey], with_ttl: bool) -> StoreResult<Vec<Option<Held>>> {
        spanned("get-many", self.inner.get_many(keys, with_ttl)).await
    }

    async fn set(&self, key: &StoreKey, value: Bytes, expire: Expire) -> StoreResult<()> {
        spanned("set", self.inner.set(key, value, expire)).await
    }

    async fn set_many(&self, items: Vec<(StoreKey, Bytes, Expire)>) -> StoreResult<()> {
        spanned("set-many", self.inner.set_many(items)).await
    }

    async fn replace(&self, key: &StoreKey, expect: Expect, value: Bytes, expire: Expire) -> StoreResult<bool> {
        spanned("replace", self.inner.replace(key, expect, value, expire)).await
    }

    async fn remove(&self, key: &StoreKey, prefix: Bytes) -> StoreResult<bool> {
        spanned("remove", self.inner.remove(key, prefix)).await
    }

    async fn increment(&self, key: &StoreKey, delta: i64, ttl_ms: Option<u64>) -> StoreResult<i64> {
        spanned("increment", self.inner.increment(key, delta, ttl_ms)).await
    }

    async fn delete(&self, keys: &[StoreKey]) -> StoreResult<Vec<bool>> {
        spanned("delete", self.inner.delete(keys)).await
    }

    async fn ttl(&self, key: &StoreKey) -> StoreResult<Ttl> {
        spanned("ttl", self.inner.ttl(key)).await
    }

    async fn expire(&self, key: &StoreKey, expire: Expire) -> StoreResult<bool> {
        spanned("expire", self.inner.expire(key, expire)).await
    }

    async fn call(&self, command: Command) -> StoreResult<Reply> {
        spanned("call", self.inner.call(command)).await
    }

    async fn pipeline(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        spanned("pipeline", self.inner.pipeline(commands)).await
    }

    async fn atomic(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        spanned("atomic", self.inner.atomic(commands)).await
    }

    async fn sequence(&self, blocks: Vec<Vec<Command>>) -> StoreResult<Vec<StoreResult<Vec<Reply>>>> {
        spanned("sequence", self.inner.sequence(blocks)).await
    }

    async fn watch(&self, keys: &[StoreKey]) -> StoreResult<Box<dyn Watch>> {
        spanned("watch", self.inner.watch(keys)).await
    }

    async fn ping(&self) -> StoreResult<()> {
        spanned("ping", self.inner.ping()).await
    }

    fn upstream(&self) -> Option<&dyn Upstream> {
        self.inner.upstream().is_some().then_some(self)
    }
}

#[async_trait]
impl Upstream for TracedStore {
    fn known(&self) -> Option<Arc<CommandTable>> {
        self.inner.upstream()?.known()
    }

    async fn commands(&self) -> StoreResult<Arc<CommandTable>> {
        self.upstream_of()?.commands().await
    }

    async fn keys_of(&self, command: &Command) -> StoreResult<Vec<Bytes>> {
        spanned("keys-of", self.upstream_of()?.keys_of(command)).await
    }

    async fn forward(&self, command: Command, types: Types) -> StoreResult<Reply> {
        spanned("forward", self.upstream_of()?.forward(command, types)).await
    }

    async fn forward_all(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>> {
        spanned("forward-all", self.upstream_of()?.forward_all(commands, types)).await
    }

    async fn atomic(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>> {
        spanned("atomic", self.upstream_of()?.atomic(commands, types)).await
    }

    async fn open(&self, command: &Command, types: Types) -> StoreResult<Box<dyn Dedicated>> {
        spanned("open", self.upstream_of()?.open(command, types)).await
    }

    async fn listen(&self, command: &Command, heard: UnboundedSender<Heard>) -> StoreResult<Box<dyn Dedicated>> {
        spanned("listen", self.upstream_of()?.listen(command, heard)).await
    }

    fn has_databases(&self) -> bool {
        self.inner.upstream().is_some_and(Upstream::has_databases)
    }

    async fn database(&self, number: u32) -> StoreResult<Arc<dyn Store>> {
        let inner = spanned("database", self.upstream_of()?.database(number)).await?;
        Ok(Arc::new(Self::new(inner)))
    }

    async fn keyspace(&self) -> StoreResult<Vec<(u32, String)>> {
        spanned("keyspace", self.upstream_of()?.keyspace()).await
    }

    async fn blocked(&self) -> StoreResult<Option<u64>> {
        spanned("blocked", self.upstream_of()?.blocked()).await
    }
}
