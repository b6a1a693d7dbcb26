//! The store as a Redis to which commands are forwarded.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};
use tokio::sync::mpsc::UnboundedSender;

use super::address::RedisAddress;
use super::{Form, RedisStore, command, table, value};
use crate::ports::store::{Command, Reply, Store, StoreError, StoreResult};
use crate::ports::upstream::{CommandTable, Dedicated, Heard, Types, Upstream};

#[async_trait]
impl Upstream for RedisStore {
    fn known(&self) -> Option<Arc<CommandTable>> {
        let now = self.common.epoch.load(Ordering::Relaxed);
        self.table.load().as_ref().filter(|known| known.0 == now).map(|known| Arc::clone(&known.1))
    }

    async fn commands(&self) -> StoreResult<Arc<CommandTable>> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let mut question = Cmd::new();
        question.arg("COMMAND");
        let read = |address: &RedisAddress, answer: Value| match answer {
            Value::ServerError(error) => Err(super::error::refused(address, &error)),
            answer => table::read(answer)
                .ok_or_else(|| StoreError::Protocol("its table of commands makes no sense".to_owned())),
        };
        let table = Arc::new(self.one(question, read).await?);
        // What another thread connects to meanwhile is asked again: once too often rather than never.
        let epoch = self.common.epoch.load(Ordering::Relaxed);
        self.table.store(Some(Arc::new((epoch, Arc::clone(&table)))));
        Ok(table)
    }

    async fn keys_of(&self, command: &Command) -> StoreResult<Vec<Bytes>> {
        let mut question = Cmd::new();
        question.arg("COMMAND").arg("GETKEYS");
        for argument in &command.args {
            question.arg(&argument[..]);
        }
        self.one(question, |address, answer| match answer {
            Value::ServerError(error) if error.details().is_some_and(|text| text.contains("no key arguments")) => {
                Ok(Vec::new())
            }
            answer => Ok(value::strings(address, answer)?.into_iter().flatten().collect()),
        })
        .await
    }

    async fn forward(&self, command: Command, types: Types) -> StoreResult<Reply> {
        let command = command::raw(&command);
        self.run(|deadline| self.send_one(&command, types, deadline), value::reply).await
    }

    async fn forward_all(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>> {
        let mut sent = Pipeline::with_capacity(commands.len());
        for command in &commands {
            sent.add_command(command::raw(command));
        }
        drop(commands);
        self.run(|deadline| self.send_many(&sent, types, deadline), value::replies).await
    }

    async fn atomic(&self, commands: Vec<Command>, types: Types) -> StoreResult<Vec<Reply>> {
        self.block(commands, types).await
    }

    async fn open(&self, command: &Command, types: Types) -> StoreResult<Box<dyn Dedicated>> {
        match &self.form {
            Form::One(node) => node.own(types, None).await,
            Form::Cluster(cluster) => cluster.own(&command::raw(command), types, None, self.common.deadline()).await,
        }
    }

    async fn listen(&self, command: &Command, heard: UnboundedSender<Heard>) -> StoreResult<Box<dyn Dedicated>> {
        match &self.form {
            Form::One(node) => node.own(Types::Rich, Some(heard)).await,
            Form::Cluster(cluster) => {
                cluster.own(&command::raw(command), Types::Rich, Some(heard), self.common.deadline()).await
            }
        }
    }

    fn has_databases(&self) -> bool {
        self.may_select()
    }

    async fn database(&self, number: u32) -> StoreResult<Arc<dyn Store>> {
        Ok(self.other_database(number).await?)
    }

    async fn keyspace(&self) -> StoreResult<Vec<(u32, String)>> {
        self.databases_in_use().await
    }

    async fn blocked(&self) -> StoreResult<Option<u64>> {
        self.clients_blocked().await
    }
}
