//! Locks in Redis: a hash with token, fence and owner that expires with the lock, and the last fence beside it.
//!
//! Every change is one script. A listing scans the keys in portions; it never holds the server up.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::address::RedisAddress;
use super::script::Script;
use super::{RedisStore, command, missing_answer, value};
use crate::limits::{LOCK_FENCE_KEEP_MS, LOCK_SCAN_KEYS, LOCK_SCAN_MS_MAX, TTL_MS_MAX};
use crate::ports::lock::{Attempt, Found, Holder, LockKeys, LockPattern, LockStore, Token};
use crate::ports::store::{StoreError, StoreKey, StoreResult, Ttl};

/// The scripts of locks.
pub(super) struct LockScripts {
    take: Script,
    extend: Script,
    release: Script,
}

impl Default for LockScripts {
    fn default() -> Self {
        Self { take: Script::lock_take(), extend: Script::lock_extend(), release: Script::lock_release() }
    }
}

#[async_trait]
impl LockStore for RedisStore {
    async fn take(&self, keys: &LockKeys, token: &Token, owner: &str, ttl_ms: u64) -> StoreResult<Attempt> {
        let (ttl, keep) = (ttl_ms.to_string(), LOCK_FENCE_KEEP_MS.to_string());
        let arguments: [&[u8]; 4] = [token.bytes(), owner.as_bytes(), ttl.as_bytes(), keep.as_bytes()];
        self.script(&self.locks.take, &[&keys.lock, &keys.fence], &arguments, attempt).await
    }

    async fn extend(&self, keys: &LockKeys, token: &Token, ttl_ms: u64) -> StoreResult<bool> {
        let (ttl, keep) = (ttl_ms.to_string(), LOCK_FENCE_KEEP_MS.to_string());
        let arguments: [&[u8]; 3] = [token.bytes(), ttl.as_bytes(), keep.as_bytes()];
        self.script(&self.locks.extend, &[&keys.lock, &keys.fence], &arguments, value::yes).await
    }

    async fn release(&self, keys: &LockKeys, token: &Token) -> StoreResult<bool> {
        self.script(&self.locks.release, &[&keys.lock], &[token.bytes()], value::yes).await
    }

    async fn force_release(&self, keys: &LockKeys) -> StoreResult<bool> {
        self.one(command::on("DEL", &keys.lock), value::yes).await
    }

    async fn holder(&self, keys: &LockKeys) -> StoreResult<Option<Holder>> {
        let found = self.holders(std::slice::from_ref(&keys.lock)).await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn find(&self, pattern: &LockPattern, max: usize) -> StoreResult<Found> {
        let until = Instant::now() + Duration::from_millis(LOCK_SCAN_MS_MAX);
        let glob = glob(pattern);
        let mut keys = BTreeSet::new();
        let mut cursor = Bytes::from_static(b"0");
        let complete = loop {
            let (next, some) = self.one(scan(&cursor, &glob), portion).await?;
            keys.extend(some);
            match next == "0" {
                true => break keys.len() <= max,
                false if keys.len() > max || Instant::now() >= until => break false,
                false => cursor = next,
            }
        };
        let keys: Vec<StoreKey> = keys.into_iter().take(max).map(StoreKey).collect();
        let mut locks = Vec::with_capacity(keys.len());
        for some in keys.chunks(LOCK_SCAN_KEYS) {
            let holders = self.holders(some).await?;
            locks.extend(some.iter().zip(holders).filter_map(|(key, holder)| Some((key.clone(), holder?))));
        }
        Ok(Found { locks, complete })
    }
}

impl RedisStore {
    /// Who holds these locks. A lock that changes hands in this moment may be told with the life of the next one.
    async fn holders(&self, locks: &[StoreKey]) -> StoreResult<Vec<Option<Holder>>> {
        if locks.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::with_capacity(locks.len() * 2);
        for lock in locks {
            let mut fields = command::on("HMGET", lock);
            fields.arg("token").arg("fence").arg("owner");
            commands.add_command(fields).add_command(command::on("PTTL", lock));
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let mut answers = answers.into_iter();
            let mut next = || answers.next().ok_or_else(missing_answer);
            locks.iter().map(|_| holder(address, next()?, &next()?)).collect()
        };
        self.many(commands, read).await
    }
}

fn attempt(address: &RedisAddress, answer: Value) -> StoreResult<Attempt> {
    let words = value::strings(address, answer)?;
    let [Some(taken), Some(number)] = words.as_slice() else { return Err(odd("a lock's answer")) };
    if taken == "1" {
        return Ok(Attempt::Taken { fence: number_of(number)? });
    }
    // A lock without an expiry is not of this host; only a forced release ends it.
    let ms = if number.starts_with(b"-") { TTL_MS_MAX } else { number_of(number)? };
    Ok(Attempt::HeldFor { ms })
}

fn holder(address: &RedisAddress, fields: Value, ttl: &Value) -> StoreResult<Option<Holder>> {
    // What is there and is no hash is no lock of this host's.
    if matches!(&fields, Value::ServerError(error) if error.code() == "WRONGTYPE") {
        return Ok(None);
    }
    let fields = value::strings(address, fields)?;
    let ttl_ms = match value::ttl(address, ttl)? {
        Ttl::Missing => return Ok(None),
        Ttl::Never => TTL_MS_MAX,
        Ttl::Ms(ms) => ms,
    };
    let [Some(token), Some(fence), Some(owner)] = fields.as_slice() else { return Ok(None) };
    let Ok(token) = Token::claimed(token) else { return Ok(None) };
    let owner = String::from_utf8_lossy(owner).into_owned();
    Ok(Some(Holder { token, fence: number_of(fence)?, owner, ttl_ms }))
}

fn number_of(text: &[u8]) -> StoreResult<u64> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(|| odd("a number"))
}

fn odd(wanted: &str) -> StoreError {
    StoreError::Protocol(format!("{wanted} was expected, something else came"))
}

fn scan(cursor: &[u8], glob: &[u8]) -> Cmd {
    let mut built = Cmd::new();
    built.arg("SCAN").arg(cursor).arg("MATCH").arg(glob).arg("COUNT").arg(LOCK_SCAN_KEYS).arg("TYPE").arg("hash");
    built
}

/// One portion of a scan: the next cursor and some keys.
fn portion(address: &RedisAddress, answer: Value) -> StoreResult<(Bytes, Vec<Bytes>)> {
    let Value::Array(parts) = answer else {
        // Any error of the server is told in its own words.
        return value::string(address, answer).and_then(|_| Err(odd("a portion of keys")));
    };
    let Ok([cursor, keys]) = <[Value; 2]>::try_from(parts) else { return Err(odd("a portion of keys")) };
    let cursor = value::string(address, cursor)?.ok_or_else(|| odd("a cursor"))?;
    Ok((cursor, value::strings(address, keys)?.into_iter().flatten().collect()))
}

/// The pattern as `SCAN` wants it.
fn glob(pattern: &LockPattern) -> Vec<u8> {
    let mut glob = Vec::with_capacity(pattern.head.len() + pattern.tail.len() + 8);
    escape(&pattern.head, &mut glob);
    glob.push(b'*');
    escape(&pattern.tail, &mut glob);
    glob
}

fn escape(text: &[u8], into: &mut Vec<u8>) {
    for &byte in text {
        if b"*?[]\\".contains(&byte) {
            into.push(b'\\');
        }
        into.push(byte);
    }
}
