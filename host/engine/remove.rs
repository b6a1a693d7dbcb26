//! Removing keys, and asking whether they are there.

use bytes::Bytes;

use super::api::Answer;
use super::core::Engine;
use super::judge::{Place, Wanted};
use super::modify::Change;
use crate::error::Result;
use crate::ports::lease::Ending;
use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::store::{Command, Held, Reply};

impl Engine {
    /// Removes keys; how many there were, as a reader would have seen them.
    ///
    /// # Errors
    /// A bad key, a refusal or failure of a policy, a failure of the store.
    pub async fn delete(&self, keys: &[Bytes]) -> Result<u64> {
        Self::check_batch(keys.len())?;
        let started_ns = self.monotonic_ns();
        let places = self.locate_all(keys, Operation::Delete)?;
        let removed = self.budgeted(self.delete_places(&places)).await.map_err(|e| self.owe_keys(&places, e));
        let state = removed.as_ref().map_or_else(|e| Self::state_of(e.kind), |_| State::Done);
        places.iter().for_each(|place| self.tally(place, Operation::Delete, state, started_ns));
        removed.map(count)
    }

    /// Removes what is at these places: for each, whether it was there, as a reader would have seen it.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn delete_places(&self, places: &[Place<'_>]) -> Result<Vec<bool>> {
        let writings: Vec<_> = places.iter().map(|place| self.l1.writing(place.name)).collect();
        let now_ms = self.now_ms();
        let (enveloped, raw): (Vec<usize>, Vec<usize>) = (0..places.len()).partition(|&i| places[i].enveloped());
        let mut there = self.forget_old(places.iter()).await?;
        if !raw.is_empty() {
            let keys: Vec<_> = raw.iter().map(|&i| places[i].store_key.clone()).collect();
            self.end_leases(raw.iter().map(|&i| &places[i]), Ending::Deleted).await?;
            let removed = self.store.delete(&keys).await;
            raw.iter().for_each(|&i| self.fills.overtake(&places[i]));
            let removed = removed.map_err(|e| self.store_error(e))?;
            raw.into_iter().zip(removed).for_each(|(i, removed)| there[i] |= removed);
        }
        if !enveloped.is_empty() {
            // The old bytes tell whether a reader would still have seen the entry. A lease ends before its entry goes.
            let mut commands = Vec::with_capacity(enveloped.len() * 2);
            let mut wanted = Vec::with_capacity(enveloped.len());
            for i in enveloped.iter().copied() {
                commands.extend(self.fills.ending(&places[i], Ending::Deleted));
                wanted.push((i, commands.len()));
                commands.push(Command::new("GETDEL").arg(places[i].store_key.0.clone()));
            }
            let replies = self.store.pipeline(commands).await;
            enveloped.iter().for_each(|&i| self.fills.overtake(&places[i]));
            let mut replies = replies.map_err(|e| self.store_error(e))?;
            for (i, at) in wanted {
                let reply = replies.get_mut(at).map_or(Reply::Nil, |reply| std::mem::replace(reply, Reply::Nil));
                there[i] |= self.was_served(&places[i], reply, now_ms).await?;
            }
        }
        writings.into_iter().for_each(|writing| writing.done(None));
        Ok(there)
    }

    async fn was_served(&self, place: &Place<'_>, reply: Reply, now_ms: u64) -> Result<bool> {
        match reply {
            Reply::Bulk(bytes) => {
                Ok(self.open(place, &bytes, now_ms).await?.is_some_and(|found| found.is_served(now_ms)))
            }
            // Something of another type lies there, which GETDEL leaves: it goes, too.
            Reply::Error(_) => self.remove_raw(place).await,
            _ => Ok(false),
        }
    }

    /// Reads and removes a string (`GETDEL`).
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn take(&self, key: &[u8]) -> Result<Answer> {
        let started_ns = self.monotonic_ns();
        let place = self.locate(key, Operation::Delete, Wanted::String)?;
        let answer = self.budgeted(self.take_place(&place)).await;
        let answer = answer.map_err(|e| self.owe_keys(std::slice::from_ref(&place), e));
        self.tally_result(&place, Operation::Delete, answer, |_| State::Done, started_ns)
    }

    async fn take_place(&self, place: &Place<'_>) -> Result<Answer> {
        self.make_way(std::iter::once(place)).await?;
        let now_ms = self.now_ms();
        if place.enveloped() {
            return self
                .modify(place, now_ms, |found| {
                    let answer = Answer {
                        value: found.map(|found| found.value.clone()),
                        ..Answer::absent(if found.is_some() { State::StoreHit } else { State::Miss })
                    };
                    Ok(if found.is_some() { Change::Remove(answer) } else { Change::None(answer) })
                })
                .await;
        }
        let writing = self.l1.writing(place.name);
        let reply = self.change_one(place, Command::new("GETDEL").arg(place.store_key.0.clone())).await?;
        writing.done(None);
        Ok(match reply {
            Reply::Bulk(value) => Answer { value: Some(value), ..Answer::absent(State::StoreHit) },
            _ => Answer::absent(State::Miss),
        })
    }

    /// An enveloped entry as a reader would see it, without keeping a copy.
    pub(super) async fn peek(&self, place: &Place<'_>) -> Result<Option<super::found::Found>> {
        let now_ms = self.now_ms();
        let held = self.store.get(&place.store_key, false).await.map_err(|e| self.store_error(e))?;
        let Some(Held { bytes, .. }) = held.filter(|_| !self.recovery.covers(place)) else { return Ok(None) };
        let found = self.open(place, &bytes, now_ms).await?;
        Ok(found.filter(|found| found.is_served(now_ms)))
    }
}

/// How many of them are true.
pub(super) fn count(there: Vec<bool>) -> u64 {
    there.into_iter().map(u64::from).sum()
}
