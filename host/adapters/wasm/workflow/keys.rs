//! `redis` for workflows: one function of the contract, one command of Redis on the domain's own keys.

use bytes::Bytes;

use super::bindings::host::host_errors::HostError;
use super::bindings::host::redis;
use super::reply::{self, argument};
use super::state::CallState;
use crate::ports::store::Reply;
use crate::ports::workflow::{HostError as PortError, OwnCommand};

/// What a function of the contract answers; the outer error ends the call.
type Answer<T> = wasmtime::Result<Result<T, HostError>>;
type Data = Vec<u8>;

fn reads(name: &'static str, keys: Vec<String>, arguments: Vec<Bytes>) -> OwnCommand {
    OwnCommand { name, keys, arguments, writes: false }
}

fn writes(name: &'static str, keys: Vec<String>, arguments: Vec<Bytes>) -> OwnCommand {
    OwnCommand { name, keys, arguments, writes: true }
}

fn owned(items: Vec<Data>) -> Vec<Bytes> {
    items.into_iter().map(Bytes::from).collect()
}

fn pairs(fields: Vec<(String, Data)>) -> Vec<Bytes> {
    fields.into_iter().flat_map(|(field, value)| [Bytes::from(field), Bytes::from(value)]).collect()
}

fn invalid<T>(text: &str) -> Answer<T> {
    Ok(Err(HostError::Invalid(text.to_owned())))
}

const NOTHING_GIVEN: &str = "nothing was given: name at least one";
const NO_LIFE: &str = "a life of 0 ms is none; use delete";

impl CallState {
    async fn run<T>(&mut self, command: OwnCommand, read: impl FnOnce(Reply) -> Result<T, PortError>) -> Answer<T> {
        let host = self.begin_host_call()?;
        let answer = host.keys(command).await;
        self.end_host_call();
        Ok(answer.and_then(read).map_err(HostError::from))
    }

    async fn store(&mut self, name: String, value: Data, ttl_ms: Option<u64>, if_absent: bool) -> Answer<bool> {
        if ttl_ms == Some(0) {
            return invalid(NO_LIFE);
        }
        let mut arguments = vec![Bytes::from(value)];
        if let Some(ttl_ms) = ttl_ms {
            arguments.extend([Bytes::from_static(b"PX"), argument(ttl_ms)]);
        }
        if if_absent {
            arguments.push(Bytes::from_static(b"NX"));
        }
        self.run(writes("SET", vec![name], arguments), |answer| reply::did(&answer)).await
    }

    async fn push(&mut self, command: &'static str, name: String, items: Vec<Data>) -> Answer<u32> {
        if items.is_empty() {
            return invalid(NOTHING_GIVEN);
        }
        self.run(writes(command, vec![name], owned(items)), |answer| reply::count(&answer)).await
    }

    async fn pop(&mut self, command: &'static str, name: String, count: u32) -> Answer<Vec<Data>> {
        self.run(writes(command, vec![name], vec![argument(count)]), reply::items).await
    }
}

impl redis::Host for CallState {
    async fn get(&mut self, name: String) -> Answer<Option<Data>> {
        self.run(reads("GET", vec![name], Vec::new()), reply::bytes).await
    }

    async fn get_many(&mut self, names: Vec<String>) -> Answer<Vec<Option<Data>>> {
        if names.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        self.run(reads("MGET", names, Vec::new()), reply::options).await
    }

    async fn set(&mut self, name: String, value: Data, ttl_ms: Option<u64>) -> Answer<()> {
        Ok(self.store(name, value, ttl_ms, false).await?.map(drop))
    }

    async fn set_if_absent(&mut self, name: String, value: Data, ttl_ms: Option<u64>) -> Answer<bool> {
        self.store(name, value, ttl_ms, true).await
    }

    async fn delete(&mut self, names: Vec<String>) -> Answer<u32> {
        if names.is_empty() {
            return Ok(Ok(0));
        }
        self.run(writes("DEL", names, Vec::new()), |answer| reply::count(&answer)).await
    }

    async fn exists(&mut self, name: String) -> Answer<bool> {
        self.run(reads("EXISTS", vec![name], Vec::new()), |answer| reply::flag(&answer)).await
    }

    async fn ttl_ms(&mut self, name: String) -> Answer<Option<u64>> {
        let left = |answer: Reply| reply::integer(&answer).map(|left_ms| u64::try_from(left_ms).ok());
        self.run(reads("PTTL", vec![name], Vec::new()), left).await
    }

    async fn expire(&mut self, name: String, ttl_ms: Option<u64>) -> Answer<bool> {
        match ttl_ms {
            Some(0) => invalid(NO_LIFE),
            Some(ttl_ms) => {
                let command = writes("PEXPIRE", vec![name], vec![argument(ttl_ms)]);
                self.run(command, |answer| reply::flag(&answer)).await
            }
            None => {
                let persist = writes("PERSIST", vec![name.clone()], Vec::new());
                match self.run(persist, |answer| reply::integer(&answer)).await? {
                    Ok(_) => self.exists(name).await,
                    Err(error) => Ok(Err(error)),
                }
            }
        }
    }

    async fn increment(&mut self, name: String, delta: i64, ttl_ms: Option<u64>) -> Answer<i64> {
        if ttl_ms == Some(0) {
            return invalid(NO_LIFE);
        }
        let host = self.begin_host_call()?;
        let sum = host.increment(name, delta, ttl_ms).await;
        self.end_host_call();
        Ok(sum.map_err(HostError::from))
    }

    async fn hash_get(&mut self, name: String, field: String) -> Answer<Option<Data>> {
        self.run(reads("HGET", vec![name], vec![field.into()]), reply::bytes).await
    }

    async fn hash_get_all(&mut self, name: String) -> Answer<Vec<(String, Data)>> {
        self.run(reads("HGETALL", vec![name], Vec::new()), reply::fields).await
    }

    async fn hash_set(&mut self, name: String, fields: Vec<(String, Data)>) -> Answer<u32> {
        if fields.is_empty() {
            return invalid(NOTHING_GIVEN);
        }
        self.run(writes("HSET", vec![name], pairs(fields)), |answer| reply::count(&answer)).await
    }

    async fn hash_delete(&mut self, name: String, fields: Vec<String>) -> Answer<u32> {
        if fields.is_empty() {
            return Ok(Ok(0));
        }
        let fields = fields.into_iter().map(Bytes::from).collect();
        self.run(writes("HDEL", vec![name], fields), |answer| reply::count(&answer)).await
    }

    async fn hash_increment(&mut self, name: String, field: String, delta: i64) -> Answer<i64> {
        let arguments = vec![field.into(), argument(delta)];
        self.run(writes("HINCRBY", vec![name], arguments), |answer| reply::integer(&answer)).await
    }

    async fn list_push_front(&mut self, name: String, items: Vec<Data>) -> Answer<u32> {
        self.push("LPUSH", name, items).await
    }

    async fn list_push_back(&mut self, name: String, items: Vec<Data>) -> Answer<u32> {
        self.push("RPUSH", name, items).await
    }

    async fn list_pop_front(&mut self, name: String, count: u32) -> Answer<Vec<Data>> {
        self.pop("LPOP", name, count).await
    }

    async fn list_pop_back(&mut self, name: String, count: u32) -> Answer<Vec<Data>> {
        self.pop("RPOP", name, count).await
    }

    async fn list_range(&mut self, name: String, start: i64, stop: i64) -> Answer<Vec<Data>> {
        self.run(reads("LRANGE", vec![name], vec![argument(start), argument(stop)]), reply::items).await
    }

    async fn list_trim(&mut self, name: String, start: i64, stop: i64) -> Answer<()> {
        let command = writes("LTRIM", vec![name], vec![argument(start), argument(stop)]);
        self.run(command, |answer| reply::done(&answer)).await
    }

    async fn list_length(&mut self, name: String) -> Answer<u32> {
        self.run(reads("LLEN", vec![name], Vec::new()), |answer| reply::count(&answer)).await
    }

    async fn list_remove(&mut self, name: String, count: i64, item: Data) -> Answer<u32> {
        let command = writes("LREM", vec![name], vec![argument(count), item.into()]);
        self.run(command, |answer| reply::count(&answer)).await
    }

    async fn set_add(&mut self, name: String, members: Vec<Data>) -> Answer<u32> {
        self.push("SADD", name, members).await
    }

    async fn set_remove(&mut self, name: String, members: Vec<Data>) -> Answer<u32> {
        if members.is_empty() {
            return Ok(Ok(0));
        }
        self.run(writes("SREM", vec![name], owned(members)), |answer| reply::count(&answer)).await
    }

    async fn set_members(&mut self, name: String) -> Answer<Vec<Data>> {
        self.run(reads("SMEMBERS", vec![name], Vec::new()), reply::items).await
    }

    async fn set_contains(&mut self, name: String, member: Data) -> Answer<bool> {
        self.run(reads("SISMEMBER", vec![name], vec![member.into()]), |answer| reply::flag(&answer)).await
    }

    async fn scan(&mut self, prefix: String, cursor: u64, count: u32) -> Answer<(u64, Vec<String>)> {
        let host = self.begin_host_call()?;
        let portion = host.scan(prefix, cursor, count).await;
        self.end_host_call();
        Ok(portion.map_err(HostError::from))
    }
}
