//! A Redis to which commands are forwarded, behind the store's breaker. What a connection of a caller's own takes says nothing of
//! the store: it is the command that waits.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::BreakerStore;
use crate::ports::store::{Command, Reply, Store, StoreError, StoreResult};
use crate::ports::upstream::{CommandTable, Dedicated, Heard, Types, Upstream};
use crate::ports::way;

impl<S: Store + ?Sized> BreakerStore<S> {
    fn inner(&self) -> StoreResult<&dyn Upstream> {
        self.inner.upstream().ok_or_else(|| StoreError::Unavailable("it is no Redis".to_owned()))
    }
}

#[async_trait]
impl<S: Store + ?Sized> Upstream for BreakerStore<S> {
    fn known(&self) -> Option<Arc<CommandTable>> {
        self.inner.upstream()?.known()
    }

    async fn commands(&self) -> StoreResult<Arc<CommandTable>> {
        match self.known() {
            Some(known) => Ok(known),
            None => self.guard_untimed(self.inner()?.commands()).await,
        }
    }

    async fn keys_of(&self, command: &Command) -> StoreResult<Vec<Bytes>> {
        self.guard(self.inner()?.keys_of(command)).await
    }

    async fn forward(&self, command: Command, types: Types) -> StoreResult<Reply> {
        self.guard(self.inner()?.forward(command, types)).await
    }

    async fn forward_all(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>> {
        // As many commands as they are, they may take longer than one.
        self.guard_untimed(self.inner()?.forward_all(commands, types)).await
    }

    async fn atomic(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>> {
        self.guard(self.inner()?.atomic(commands, types)).await
    }

    async fn open(&self, command: &Command, types: Types) -> StoreResult<Box<dyn Dedicated>> {
        if way::frees(&command.args) {
            // It is meant for a store that serves nobody, and says nothing of it.
            return self.inner()?.open(command, types).await;
        }
        self.guard_untimed(self.inner()?.open(command, types)).await
    }

    async fn listen(&self, command: &Command, heard: UnboundedSender<Heard>) -> StoreResult<Box<dyn Dedicated>> {
        self.guard_untimed(self.inner()?.listen(command, heard)).await
    }

    fn has_databases(&self) -> bool {
        self.inner.upstream().is_some_and(Upstream::has_databases)
    }

    async fn database(&self, number: u32) -> StoreResult<Arc<dyn Store>> {
        let inner = self.guard_untimed(self.inner()?.database(number)).await?;
        Ok(Arc::new(BreakerStore { inner, breaker: Arc::clone(&self.breaker) }))
    }

    async fn keyspace(&self) -> StoreResult<Vec<(u32, String)>> {
        self.guard(self.inner()?.keyspace()).await
    }

    async fn blocked(&self) -> StoreResult<Option<u64>> {
        self.guard(self.inner()?.blocked()).await
    }
}
