//! A collection under another name, moved to the entry of a lease: one script where both names share a slot. In a cluster they seldom do.
//!
//! Across slots it is copied under the lease, then removed from where it was if it still is the same, and only then the lease ends. If it is not the
//! same, the copy goes, unless the lease was ended meanwhile: then whoever did that has changed or removed the copy. A host that dies between
//! the steps leaves both; the older one is removed by whoever changes the key next. Deliberately absent: collections whose
//! dump another version of Redis does not read; its error is the answer.

use bytes::Bytes;
use redis::{Pipeline, Value};

use super::address::RedisAddress;
use super::cluster::slot;
use super::leases::odd;
use super::{Form, RedisStore, command, missing_answer, value};
use crate::ports::lease::{Adopting, LeaseKeys, LeaseStore, LeaseToken, Lost};
use crate::ports::store::{StoreKey, StoreResult, Ttl};

impl RedisStore {
    pub(super) async fn adopt_from(
        &self,
        keys: &LeaseKeys,
        token: LeaseToken,
        from: &StoreKey,
    ) -> StoreResult<Adopting> {
        let apart = matches!(self.form, Form::Cluster(_)) && slot(keys.entry.as_bytes()) != slot(from.as_bytes());
        if apart {
            return self.adopt_across(keys, token, from).await;
        }
        let named = [&keys.entry, &keys.lease, from];
        self.script(&self.leases.adopt, &named, &[token.to_string().as_bytes()], adopting).await
    }

    async fn adopt_across(&self, keys: &LeaseKeys, token: LeaseToken, from: &StoreKey) -> StoreResult<Adopting> {
        let Some((dump, life)) = self.dump(from).await? else { return Ok(Adopting::Nothing) };
        let holder = token.to_string();
        let of_lease = [&keys.entry, &keys.lease];
        let arguments: [&[u8]; 3] = [holder.as_bytes(), life.as_bytes(), &dump];
        let restored = self.script(&self.leases.restore, &of_lease, &arguments, adopting).await?;
        if restored != Adopting::Adopted {
            return Ok(restored);
        }
        if self.script(&self.leases.remove_dump, &[from], &[&dump], value::yes).await? {
            self.give_back(keys, token).await?;
            return Ok(Adopting::Adopted);
        }
        self.script(&self.leases.undo, &of_lease, &[holder.as_bytes()], value::yes).await?;
        Ok(Adopting::Lost(Lost::Gone))
    }

    /// What a collection is made of anew, and its life in milliseconds, 0 for one without an end; `None`: there is none.
    async fn dump(&self, key: &StoreKey) -> StoreResult<Option<(Bytes, String)>> {
        let mut commands = Pipeline::with_capacity(3);
        for name in ["TYPE", "DUMP", "PTTL"] {
            commands.add_command(command::on(name, key));
        }
        let read = |address: &RedisAddress, answers: Vec<Value>| {
            let [kind, dump, ttl] = <[Value; 3]>::try_from(answers).map_err(|_| missing_answer())?;
            let is_string = matches!(&kind, Value::SimpleString(kind) if kind == "string");
            let Some(dump) = value::string(address, dump)?.filter(|_| !is_string) else { return Ok(None) };
            Ok(match value::ttl(address, &ttl)? {
                Ttl::Missing => None,
                Ttl::Never => Some((dump, "0".to_owned())),
                Ttl::Ms(ms) => Some((dump, ms.max(1).to_string())),
            })
        };
        self.many(commands, read).await
    }
}

fn adopting(address: &RedisAddress, answer: Value) -> StoreResult<Adopting> {
    let word = value::string(address, answer)?.unwrap_or_default();
    Ok(match &*word {
        b"adopted" => Adopting::Adopted,
        b"nothing" => Adopting::Nothing,
        b"taken" => Adopting::Taken,
        b"written" => Adopting::Lost(Lost::Written),
        b"deleted" => Adopting::Lost(Lost::Deleted),
        b"gone" => Adopting::Lost(Lost::Gone),
        _ => return Err(odd()),
    })
}
