//! The store's own methods as commands of Redis.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};

use super::address::RedisAddress;
use super::watch::Watching;
use super::{Form, RedisStore, command, missing_answer, value};
use crate::ports::lease::LeaseStore;
use crate::ports::store::{
    Command, Expect, Expire, Held, Reply, Sharing, Store, StoreError, StoreKey, StoreResult, Ttl, Watch,
};
use crate::ports::upstream::{Types, Upstream};

/// The value and the life left to it, from the answers of `GET` and `PTTL`: a key that expired between them has none left.
fn held(address: &RedisAddress, bytes: Value, ttl: Option<&Value>) -> StoreResult<Option<Held>> {
    let Some(bytes) = value::string(address, bytes)? else { return Ok(None) };
    let ttl = match ttl.map(|ttl| value::ttl(address, ttl)).transpose()? {
        None => Ttl::Missing,
        Some(Ttl::Missing) => Ttl::Ms(0),
        Some(left) => left,
    };
    Ok(Some(Held { bytes, ttl }))
}

#[async_trait]
impl Store for RedisStore {
    fn sharing(&self) -> Sharing {
        Sharing::Shared
    }

    fn is_one_server(&self) -> bool {
        matches!(self.form, Form::One(_))
    }

    fn leases(&self) -> &dyn LeaseStore {
        self
    }

    async fn get(&self, key: &StoreKey, with_ttl: bool) -> StoreResult<Option<Held>> {
        if !with_ttl {
            return self.one(command::on("GET", key), |address, bytes| held(address, bytes, None)).await;
        }
        let mut commands = Pipeline::with_capacity(2);
        commands.add_command(command::on("GET", key)).add_command(command::on("PTTL", key));
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let [bytes, ttl] = <[Value; 2]>::try_from(answers).map_err(|_| missing_answer())?;
            held(address, bytes, Some(&ttl))
        };
        self.many(commands, read).await
    }

    async fn get_many(&self, keys: &[StoreKey], with_ttl: bool) -> StoreResult<Vec<Option<Held>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::with_capacity(1 + keys.len());
        commands.add_command(command::on_all("MGET", keys));
        for key in keys.iter().filter(|_| with_ttl) {
            commands.add_command(command::on("PTTL", key));
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let mut answers = answers.into_iter();
            let found = value::strings(address, answers.next().ok_or_else(missing_answer)?)?;
            let held = |bytes: Option<Bytes>| {
                let ttl = answers.next();
                held(address, bytes.map_or(Value::Nil, |bytes| Value::BulkString(bytes.into())), ttl.as_ref())
            };
            found.into_iter().map(held).collect()
        };
        self.many(commands, read).await
    }

    async fn set(&self, key: &StoreKey, value: Bytes, expire: Expire) -> StoreResult<()> {
        let command = command::set(key, &value, expire);
        self.one(command, |address, answer| value::done(address, &answer)).await?;
        Ok(())
    }

    async fn set_many(&self, items: Vec<(StoreKey, Bytes, Expire)>) -> StoreResult<()> {
        if items.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::with_capacity(items.len());
        for (key, value, expire) in &items {
            commands.add_command(command::set(key, value, *expire));
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            answers.iter().try_for_each(|answer| value::done(address, answer).map(drop))
        };
        self.many(commands, read).await
    }

    async fn replace(&self, key: &StoreKey, expect: Expect, value: Bytes, expire: Expire) -> StoreResult<bool> {
        match expect {
            Expect::Absent => {
                let command = command::set_new(key, &value, expire);
                self.one(command, |address, answer| value::done(address, &answer)).await
            }
            Expect::Prefix(prefix) => {
                let expire = command::expiry_word(expire);
                self.script(&self.replace, &[key], &[&prefix, &value, expire.as_bytes()], value::yes).await
            }
        }
    }

    async fn remove(&self, key: &StoreKey, prefix: Bytes) -> StoreResult<bool> {
        self.script(&self.remove, &[key], &[&prefix], value::yes).await
    }

    async fn increment(&self, key: &StoreKey, delta: i64, ttl_ms: Option<u64>) -> StoreResult<i64> {
        let life = ttl_ms.map(command::life).unwrap_or_default();
        let arguments: [&[u8]; 2] = [&delta.to_string().into_bytes(), life.as_bytes()];
        self.script(&self.increment, &[key], &arguments, value::number).await
    }

    async fn delete(&self, keys: &[StoreKey]) -> StoreResult<Vec<bool>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::with_capacity(keys.len());
        for key in keys {
            commands.add_command(command::on("UNLINK", key));
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            answers.iter().map(|answer| Ok(value::integer(address, answer)? == 1)).collect()
        };
        self.many(commands, read).await
    }

    async fn ttl(&self, key: &StoreKey) -> StoreResult<Ttl> {
        self.one(command::on("PTTL", key), |address, answer| value::ttl(address, &answer)).await
    }

    async fn expire(&self, key: &StoreKey, expire: Expire) -> StoreResult<bool> {
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let answers = answers.iter().map(|answer| value::integer(address, answer));
            Ok(answers.collect::<StoreResult<Vec<_>>>()?.last() == Some(&1))
        };
        self.many(command::expire(key, expire), read).await
    }

    async fn call(&self, command: Command) -> StoreResult<Reply> {
        match command::refusal(&command) {
            Some(refusal) => Ok(refusal),
            None => {
                let reply = self.one(command::raw(&command), value::reply).await;
                if let Ok(Reply::Error(line)) = &reply {
                    self.common.heard(line);
                }
                reply
            }
        }
    }

    async fn pipeline(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        let refusals: Vec<Option<Reply>> = commands.iter().map(command::refusal).collect();
        let mut sent = Pipeline::with_capacity(commands.len());
        for (command, _) in commands.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none()) {
            sent.add_command(command::raw(command));
        }
        drop(commands);
        if sent.is_empty() {
            return Ok(refusals.into_iter().flatten().collect());
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let mut answers = value::replies(address, answers)?.into_iter();
            let reply = |refusal: Option<Reply>| refusal.or_else(|| answers.next()).ok_or_else(missing_answer);
            refusals.into_iter().map(reply).collect()
        };
        self.many(sent, read).await
    }

    async fn atomic(&self, commands: Vec<Command>) -> StoreResult<Vec<Reply>> {
        self.block(commands, Types::Rich).await
    }

    async fn sequence(&self, blocks: Vec<Vec<Command>>) -> StoreResult<Vec<StoreResult<Vec<Reply>>>> {
        match &self.form {
            Form::One(_) => self.blocks(blocks).await,
            Form::Cluster(_) => self.blocks_by_node(blocks).await,
        }
    }

    async fn watch(&self, keys: &[StoreKey]) -> StoreResult<Box<dyn Watch>> {
        let begin = |deadline| async move {
            match &self.form {
                Form::One(node) => Watching::begin(Arc::clone(node), keys, deadline).await,
                Form::Cluster(cluster) => cluster.watch(keys, deadline).await,
            }
        };
        let watching = self.common.within(begin).await;
        if watching.as_ref().is_err_and(|error| !matches!(error, StoreError::Reply(_))) {
            self.common.metrics.store_errors.increment();
        }
        Ok(Box::new(watching?))
    }

    async fn ping(&self) -> StoreResult<()> {
        let read = |address: &RedisAddress, answer| match value::reply(address, answer)? {
            Reply::Error(line) => Err(StoreError::Reply(line)),
            _ => Ok(()),
        };
        let mut command = Cmd::new();
        command.arg("PING");
        self.one(command, read).await
    }

    fn upstream(&self) -> Option<&dyn Upstream> {
        Some(self)
    }
}
