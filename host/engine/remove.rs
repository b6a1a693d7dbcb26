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
use crate::ports::store::{Command, Held, Reply, Ttl};

impl Engine {
    /// Removes keys; how many there were, as a reader would have seen them.
    ///
    /// # Errors
    /// A bad key, a refusal or failure of a policy, a failure of the store.
    pub async fn delete(&self, keys: &[Bytes]) -> Result<u64> {
        let started_ns = self.monotonic_ns();
        let places = self.locate_all(keys, Operation::Delete)?;
        let removed = self.budgeted(self.delete_places(&places)).await.map_err(|e| self.owe_keys(&places, e));
        let state = removed.as_ref().map_or_else(|e| Self::state_of(e.kind), |_| State::Done);
        places.iter().for_each(|place| self.tally(place, Operation::Delete, state, started_ns));
        removed
    }

    pub(super) async fn delete_places(&self, places: &[Place<'_>]) -> Result<u64> {
        let writings: Vec<_> = places.iter().map(|place| self.l1.writing(place.name)).collect();
        let now_ms = self.now_ms();
        let (enveloped, raw): (Vec<_>, Vec<_>) = places.iter().partition(|place| place.enveloped());
        let mut count = 0;
        if !raw.is_empty() {
            let keys: Vec<_> = raw.iter().map(|place| place.store_key.clone()).collect();
            let removed = self.store.delete(&keys).await.map_err(|e| self.store_error(e))?;
            count += removed.into_iter().filter(|&there| there).count() as u64;
        }
        if !enveloped.is_empty() {
            // The old bytes tell whether a reader would still have seen the entry. A lease ends before its entry goes.
            let mut commands = Vec::with_capacity(enveloped.len() * 2);
            let mut wanted = Vec::with_capacity(enveloped.len());
            for place in &enveloped {
                commands.extend(self.fills.ending(place, Ending::Deleted));
                wanted.push(commands.len());
                commands.push(Command::new("GETDEL").arg(place.store_key.0.clone()));
            }
            let replies = self.store.pipeline(commands).await;
            enveloped.iter().for_each(|place| self.fills.overtake(place));
            let mut replies = replies.map_err(|e| self.store_error(e))?;
            for (place, at) in enveloped.iter().zip(wanted) {
                let reply = replies.get_mut(at).map_or(Reply::Nil, |reply| std::mem::replace(reply, Reply::Nil));
                count += u64::from(self.was_served(place, reply, now_ms).await?);
            }
        }
        writings.into_iter().for_each(|writing| writing.done(None));
        Ok(count)
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
        let reply = self.call(Command::new("GETDEL").arg(place.store_key.0.clone())).await?;
        writing.done(None);
        Ok(match reply {
            Reply::Bulk(value) => Answer { value: Some(value), ..Answer::absent(State::StoreHit) },
            _ => Answer::absent(State::Miss),
        })
    }

    /// How many of the keys are there, as a reader would see them; one that is named twice counts twice.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn exists(&self, keys: &[Bytes]) -> Result<u64> {
        let started_ns = self.monotonic_ns();
        let places = self.locate_all(keys, Operation::Read)?;
        let mut count = 0;
        for place in &places {
            let there = self.budgeted(self.is_there(place)).await;
            let state = |there: &bool| if *there { State::StoreHit } else { State::Miss };
            count += u64::from(self.tally_result(place, Operation::Read, there, state, started_ns)?);
        }
        Ok(count)
    }

    async fn is_there(&self, place: &Place<'_>) -> Result<bool> {
        if self.recovery.covers(place) {
            return Ok(false);
        }
        if place.enveloped() && !self.holds_collection(place).await? {
            return Ok(self.peek(place).await?.is_some());
        }
        let ttl = self.store.ttl(&place.store_key).await.map_err(|e| self.store_error(e))?;
        Ok(ttl != Ttl::Missing)
    }

    /// An enveloped entry as a reader would see it, without keeping a copy.
    pub(super) async fn peek(&self, place: &Place<'_>) -> Result<Option<super::read::Found>> {
        let now_ms = self.now_ms();
        let held = self.store.get(&place.store_key, false).await.map_err(|e| self.store_error(e))?;
        let Some(Held { bytes, .. }) = held.filter(|_| !self.recovery.covers(place)) else { return Ok(None) };
        let found = self.open(place, &bytes, now_ms).await?;
        Ok(found.filter(|found| found.is_served(now_ms)))
    }

    pub(super) fn locate_all<'a>(&self, keys: &'a [Bytes], operation: Operation) -> Result<Vec<Place<'a>>> {
        keys.iter().map(|key| self.locate(key, operation, Wanted::Any)).collect()
    }
}
