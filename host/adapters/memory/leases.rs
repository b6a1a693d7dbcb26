//! Leases in the embedded store: strings beside their entries. Every method holds the locks of both keys.

use async_trait::async_trait;
use bytes::Bytes;

use super::shard::NEVER;
use super::value::Value;
use super::view::View;
use super::{MemoryStore, begins_with, expires_ms, ttl};
use crate::limits::TTL_MS_MAX;
use crate::ports::lease::{Adopting, Ending, Filling, LeaseKeys, LeaseState, LeaseStore, LeaseToken, Lost, Taking};
use crate::ports::store::{Expect, Expire, StoreKey, StoreResult, Ttl};

impl MemoryStore {
    fn lock_lease(&self, keys: &LeaseKeys) -> View<'_> {
        self.space.lock([keys.entry.as_bytes(), keys.lease.as_bytes()].into_iter())
    }
}

/// What lies under the lease's key; anything but a string is nobody's.
fn held(view: &mut View<'_>, keys: &LeaseKeys) -> Option<(Bytes, u64)> {
    let now_ms = view.now_ms;
    let entry = view.get(keys.lease.as_bytes())?;
    let left_ms = match ttl(entry, now_ms) {
        Ttl::Ms(ms) => ms,
        Ttl::Never | Ttl::Missing => TTL_MS_MAX,
    };
    Some((entry.value.as_string().ok()?.read(), left_ms))
}

fn is_held_by(view: &mut View<'_>, keys: &LeaseKeys, token: LeaseToken) -> bool {
    held(view, keys).is_some_and(|(held, _)| held == token.to_string())
}

/// How this token lost the lease; `None`: it holds it.
fn lost(view: &mut View<'_>, keys: &LeaseKeys, token: LeaseToken) -> Option<Lost> {
    match held(view, keys).map(|(held, _)| Ending::of(&held)) {
        Some(Some(Ending::Written)) => Some(Lost::Written),
        Some(Some(Ending::Deleted)) => Some(Lost::Deleted),
        Some(None) if is_held_by(view, keys, token) => None,
        Some(None) | None => Some(Lost::Gone),
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn take(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64, seen: &Expect) -> StoreResult<Taking> {
        self.space.room(keys.lease.as_bytes().len())?;
        let mut view = self.lock_lease(keys);
        if let Some((held, ms)) = held(&mut view, keys)
            && Ending::of(&held).is_none()
        {
            return Ok(Taking::HeldFor { ms });
        }
        let there = view.get(keys.entry.as_bytes());
        let as_seen = match seen {
            Expect::Absent => there.is_none(),
            Expect::Prefix(prefix) => there.is_some_and(|entry| begins_with(entry, prefix)),
        };
        if !as_seen {
            return Ok(Taking::Changed);
        }
        let expires_ms = expires_ms(Expire::InMs(ttl_ms), None, view.now_ms);
        view.put(keys.lease.as_bytes(), Value::string(token.to_string().as_bytes()), expires_ms);
        Ok(Taking::Taken)
    }

    async fn renew(&self, keys: &LeaseKeys, token: LeaseToken, ttl_ms: u64) -> StoreResult<bool> {
        let mut view = self.lock_lease(keys);
        let is_held = is_held_by(&mut view, keys, token);
        if is_held {
            let until_ms = expires_ms(Expire::InMs(ttl_ms), None, view.now_ms);
            view.change(keys.lease.as_bytes(), |entry| entry.expires_ms = until_ms);
        }
        Ok(is_held)
    }

    async fn give_back(&self, keys: &LeaseKeys, token: LeaseToken) -> StoreResult<bool> {
        let mut view = self.lock_lease(keys);
        Ok(is_held_by(&mut view, keys, token) && view.discard(keys.lease.as_bytes()))
    }

    async fn fill(&self, keys: &LeaseKeys, token: LeaseToken, value: Bytes, expire: Expire) -> StoreResult<Filling> {
        self.space.room(keys.entry.as_bytes().len() + value.len())?;
        let mut view = self.lock_lease(keys);
        if let Some(lost) = lost(&mut view, keys, token) {
            if lost == Lost::Written {
                view.discard(keys.entry.as_bytes());
            }
            return Ok(Filling::Lost(lost));
        }
        let expires_ms = expires_ms(expire, Some(NEVER), view.now_ms);
        view.put(keys.entry.as_bytes(), Value::string(&value), expires_ms);
        view.discard(keys.lease.as_bytes());
        Ok(Filling::Stored)
    }

    async fn adopt(&self, keys: &LeaseKeys, token: LeaseToken, from: &StoreKey) -> StoreResult<Adopting> {
        let named = [keys.entry.as_bytes(), keys.lease.as_bytes(), from.as_bytes()];
        let mut view = self.space.lock(named.into_iter());
        if let Some(lost) = lost(&mut view, keys, token) {
            return Ok(Adopting::Lost(lost));
        }
        if view.get(from.as_bytes()).is_none_or(|entry| entry.value.as_string().is_ok()) {
            return Ok(Adopting::Nothing);
        }
        if view.has(keys.entry.as_bytes()) {
            return Ok(Adopting::Taken);
        }
        if let Some(entry) = view.remove(from.as_bytes()) {
            view.put(keys.entry.as_bytes(), entry.value, entry.expires_ms);
            view.set_form(keys.entry.as_bytes(), entry.form);
        }
        view.discard(keys.lease.as_bytes());
        Ok(Adopting::Adopted)
    }

    async fn state(&self, keys: &LeaseKeys) -> StoreResult<LeaseState> {
        let mut view = self.lock_lease(keys);
        Ok(match held(&mut view, keys) {
            None => LeaseState::Free,
            Some((held, ms)) => Ending::of(&held).map_or(LeaseState::HeldFor { ms }, LeaseState::Ended),
        })
    }
}
