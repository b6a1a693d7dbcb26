//! Leases in Redis: a string with the token beside its entry. Every change is one script over both keys, which share a slot.

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Pipeline, Value};

use super::address::RedisAddress;
use super::script::Script;
use super::{RedisStore, command, missing_answer, value};
use crate::limits::{LEASE_MS, TTL_MS_MAX};
use crate::ports::lease::{Adopting, Ending, Filling, LeaseKeys, LeaseState, LeaseStore, LeaseToken, Lost, Taking};
use crate::ports::store::{Expect, Expire, StoreError, StoreKey, StoreResult, Ttl};

/// The scripts of leases.
pub(super) struct LeaseScripts {
    take: Script,
    renew: Script,
    give_back: Script,
    fill: Script,
    pub(super) adopt: Script,
    pub(super) restore: Script,
    pub(super) undo: Script,
    pub(super) remove_dump: Script,
}

impl Default for LeaseScripts {
    fn default() -> Self {
        Self {
            take: Script::lease_take(),
            renew: Script::lease_renew(),
            give_back: Script::lease_give_back(),
            fill: Script::lease_fill(),
            adopt: Script::lease_adopt(),
            restore: Script::lease_restore(),
            undo: Script::lease_undo(),
            remove_dump: Script::remove_dump(),
        }
    }
}

#[async_trait]
impl LeaseStore for RedisStore {
    async fn take(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64, seen: &Expect) -> StoreResult<Taking> {
        let (token, ttl) = (token.to_string(), command::life(ttl_ms));
        let seen: &[u8] = match seen {
            Expect::Absent => b"",
            Expect::Prefix(prefix) => prefix,
        };
        self.script(&self.leases.take, &[&keys.entry, &keys.lease], &[token.as_bytes(), ttl.as_bytes(), seen], taking)
            .await
    }

    async fn renew(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64) -> StoreResult<bool> {
        let (token, ttl) = (token.to_string(), command::life(ttl_ms));
        self.script(&self.leases.renew, &[&keys.lease], &[token.as_bytes(), ttl.as_bytes()], value::yes).await
    }

    async fn give_back(&self, keys: &LeaseKeys, token: LeaseToken) -> StoreResult<bool> {
        self.script(&self.leases.give_back, &[&keys.lease], &[token.to_string().as_bytes()], value::yes).await
    }

    async fn fill(&self, keys: &LeaseKeys, token: LeaseToken, value: Bytes, expire: Expire) -> StoreResult<Filling> {
        let (token, expire) = (token.to_string(), command::expiry_word(expire));
        let life = command::life(LEASE_MS);
        let arguments: [&[u8]; 4] = [token.as_bytes(), &value, expire.as_bytes(), life.as_bytes()];
        self.script(&self.leases.fill, &[&keys.entry, &keys.lease], &arguments, filling).await
    }

    async fn adopt(&self, keys: &LeaseKeys, token: LeaseToken, from: &StoreKey) -> StoreResult<Adopting> {
        self.adopt_from(keys, token, from).await
    }

    async fn state(&self, keys: &LeaseKeys) -> StoreResult<LeaseState> {
        let mut commands = Pipeline::with_capacity(2);
        commands.add_command(command::on("GET", &keys.lease)).add_command(command::on("PTTL", &keys.lease));
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let [held, ttl] = <[Value; 2]>::try_from(answers).map_err(|_| missing_answer())?;
            let Some(held) = value::string(address, held)? else { return Ok(LeaseState::Free) };
            if let Some(ending) = Ending::of(&held) {
                return Ok(LeaseState::Ended(ending));
            }
            Ok(match value::ttl(address, &ttl)? {
                Ttl::Missing => LeaseState::Free,
                Ttl::Never => LeaseState::HeldFor { ms: TTL_MS_MAX },
                Ttl::Ms(ms) => LeaseState::HeldFor { ms },
            })
        };
        self.many(commands, read).await
    }
}

fn taking(address: &RedisAddress, answer: Value) -> StoreResult<Taking> {
    Ok(match value::integer(address, &answer)? {
        -1 => Taking::Taken,
        -2 => Taking::Changed,
        left => Taking::HeldFor { ms: u64::try_from(left).map_err(|_| odd())? },
    })
}

fn filling(address: &RedisAddress, answer: Value) -> StoreResult<Filling> {
    if answer == Value::Okay {
        return Ok(Filling::Stored);
    }
    let word = value::string(address, answer)?.unwrap_or_default();
    Ok(match &*word {
        b"written" => Filling::Lost(Lost::Written),
        b"deleted" => Filling::Lost(Lost::Deleted),
        b"gone" => Filling::Lost(Lost::Gone),
        _ => return Err(odd()),
    })
}

pub(super) fn odd() -> StoreError {
    StoreError::Protocol("a lease's answer was expected, something else came".to_owned())
}
