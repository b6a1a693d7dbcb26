//! Many keys at once: L1 first, one policy call for each domain, one round trip for what is left.
//!
//! Each key has an answer of its own: one that is refused costs the others nothing. What many keys share (the store is gone) is told
//! for each of them.

use bytes::Bytes;
use futures_util::future::join_all;

use super::api::{Answer, Demand};
use super::core::Engine;
use super::judge::{Place, Wanted};
use super::sight::Sight;
use crate::error::{Error, Result};
use crate::limits::BATCH_LOADS_MAX;
use crate::ports::metrics::State;
use crate::ports::policy::{Operation, Shape};
use crate::ports::store::{Command, Reply};

impl Engine {
    /// Reads many strings; one answer for each key, in order.
    ///
    /// # Errors
    /// As [`Self::get`]: the first one is the answer for all of them.
    pub async fn get_many(&self, keys: &[Bytes]) -> Result<Vec<Answer>> {
        Self::check_batch(keys.len())?;
        self.get_each(keys).await.into_iter().collect()
    }

    /// Reads many strings: for each key, in order, what [`Self::get`] would answer. The caller bounds their number.
    pub async fn get_each(&self, keys: &[Bytes]) -> Vec<Result<Answer>> {
        self.get_each_demanding(keys, None).await
    }

    /// The same for a reader with demands: for each key what [`Self::get_demanding`] would answer without a lease; a miss where that says
    /// nothing.
    pub async fn get_each_demanding(&self, keys: &[Bytes], demand: Option<Demand>) -> Vec<Result<Answer>> {
        let started_ns = self.monotonic_ns();
        let now_ms = self.now_ms();
        let asking = demand.map(|demand| self.asking(demand));
        let hit = |key: &Bytes| self.hit_answer(key, now_ms).map(Ok);
        let mut answers: Vec<Option<Result<Answer>>> =
            keys.iter().map(|key| if asking.is_none() { hit(key) } else { None }).collect();
        let left: Vec<usize> = (0..keys.len()).filter(|&i| answers[i].is_none()).collect();
        let names: Vec<&[u8]> = left.iter().map(|&i| keys[i].as_ref()).collect();
        let (mut at, mut places) = (Vec::with_capacity(left.len()), Vec::with_capacity(left.len()));
        for (i, place) in left.into_iter().zip(self.plan_many(&names, Operation::Read, Wanted::String)) {
            match place {
                Ok(place) => {
                    at.push(i);
                    places.push(match &asking {
                        Some(asking) => place.asked(asking),
                        None => place,
                    });
                }
                Err(error) => answers[i] = Some(Err(error)),
            }
        }
        let found = self.budgeted(self.read_many(&places, now_ms)).await;
        let found = self.answer_without_store(&places, found, now_ms).await;
        let mean_ns = self.monotonic_ns().saturating_sub(started_ns) / keys.len().max(1) as u64;
        for ((i, place), answer) in at.into_iter().zip(&places).zip(found) {
            let state = answer.as_ref().map_or_else(|e| Self::state_of(e.kind), |answer| answer.state);
            place.live().metrics.answered(Operation::Read, state);
            place.live().metrics.latency[Operation::Read as usize].observe_ns(mean_ns);
            answers[i] = Some(answer);
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Ok(Answer::absent(State::Miss)))).collect()
    }

    /// The same answers, and in the place of those that the store did not give what a single read would get.
    async fn answer_without_store(
        &self,
        places: &[Place<'_>],
        found: Vec<Result<Answer>>,
        now_ms: u64,
    ) -> Vec<Result<Answer>> {
        if found.iter().all(Result::is_ok) {
            return found;
        }
        let mut answers = Vec::with_capacity(found.len());
        let mut found = places.iter().zip(found);
        loop {
            let some: Vec<_> = found.by_ref().take(BATCH_LOADS_MAX).collect();
            if some.is_empty() {
                return answers;
            }
            let each = some.into_iter().map(|(place, answer)| async move {
                match answer {
                    Ok(answer) => Ok(answer),
                    Err(error) => self.without_store(place, now_ms, error).await,
                }
            });
            answers.extend(join_all(each).await);
        }
    }

    fn hit_answer(&self, key: &[u8], now_ms: u64) -> Option<Answer> {
        let entry = self.hit(key, now_ms)?;
        entry.metrics().answered(Operation::Read, State::L1Hit);
        Some(entry.answer(State::L1Hit, now_ms))
    }

    /// Reads places that are no plain hits.
    pub(super) async fn read_many(&self, places: &[Place<'_>], now_ms: u64) -> Vec<Result<Answer>> {
        let mut sights: Vec<Option<Result<Sight>>> = Vec::with_capacity(places.len());
        for place in places {
            self.hot.seen(place.name, &place.domain.name, now_ms);
            // What slides is renewed in the store: that one goes there with the others.
            let copy = self.l1.get(place.name).filter(|entry| !entry.stamps.terms.sliding);
            sights.push(if copy.is_some() { self.read_copy(place, now_ms).await.map(Ok) } else { None });
        }
        let left: Vec<usize> = (0..places.len()).filter(|&i| sights[i].is_none()).collect();
        let asked: Vec<&Place<'_>> = left.iter().map(|&i| &places[i]).collect();
        for (i, sight) in left.into_iter().zip(self.look_many(&asked, now_ms).await) {
            sights[i] = Some(sight);
        }
        let (mut answers, mut found): (Vec<Option<Result<Answer>>>, Vec<_>) = (Vec::new(), Vec::new());
        for (place, sight) in places.iter().zip(sights) {
            answers.push(match sight.unwrap_or_else(|| Ok(Sight::gone())) {
                Ok(sight) => {
                    found.push((place, sight));
                    None
                }
                Err(error) => Some(Err(error)),
            });
        }
        let mut served = self.serve_many(found, now_ms).await.into_iter();
        let next = |answer: Option<Result<Answer>>| answer.or_else(|| served.next());
        answers.into_iter().filter_map(next).collect()
    }

    /// What the store has of each of these, in one round trip; copies are kept.
    async fn look_many(&self, places: &[&Place<'_>], now_ms: u64) -> Vec<Result<Sight>> {
        if places.is_empty() {
            return Vec::new();
        }
        let tickets: Vec<_> = places.iter().map(|place| self.l1.ticket(place.name)).collect();
        let store_keys: Vec<_> = places.iter().map(|place| place.store_key.clone()).collect();
        let with_ttl = places.iter().any(|place| self.wants_ttl(place));
        let held = match self.store.get_many(&store_keys, with_ttl).await {
            Ok(held) => held,
            Err(error) => return for_all(places.len(), &self.store_error(error)),
        };
        self.foresee(places, &held).await;
        let mut sights: Vec<Result<Sight>> = Vec::with_capacity(places.len());
        let mut missed = Vec::new();
        for (i, ((place, ticket), held)) in places.iter().zip(tickets).zip(held).enumerate() {
            sights.push(match held {
                Some(held) => self.read_held(place, ticket, held, false, now_ms).await,
                None => {
                    missed.push((i, *place));
                    Ok(Sight::gone())
                }
            });
        }
        for (i, sight) in self.look_behind_many(missed, now_ms).await {
            sights[i] = sight;
        }
        let regarded = |(place, sight): (&&Place<'_>, Result<Sight>)| sight.map(|sight| place.regards(sight, now_ms));
        places.iter().zip(sights).map(regarded).collect()
    }

    /// What older key versions have of keys that the one of now has not, each with its place in the batch.
    async fn look_behind_many(&self, mut missed: Vec<(usize, &Place<'_>)>, now_ms: u64) -> Vec<(usize, Result<Sight>)> {
        missed.retain(|(_, place)| place.migrates);
        let places: Vec<&Place<'_>> = missed.iter().map(|(_, place)| *place).collect();
        let behind = match self.are_behind(&places).await {
            Ok(behind) => behind,
            Err(error) => return missed.into_iter().map(|(i, _)| (i, Err(error.clone()))).collect(),
        };
        let mut behind = behind.into_iter();
        missed.retain(|_| behind.next().unwrap_or_default());
        let mut carried = Vec::with_capacity(missed.len());
        for some in missed.chunks(BATCH_LOADS_MAX) {
            let looks = some.iter().map(|&(i, place)| async move { (i, self.look_behind(place, now_ms).await) });
            carried.extend(join_all(looks).await);
        }
        carried
    }

    /// How many of the keys are there, as a reader would see them; one that is named twice counts twice.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn exists(&self, keys: &[Bytes]) -> Result<u64> {
        Self::check_batch(keys.len())?;
        let started_ns = self.monotonic_ns();
        let places = self.locate_all(keys, Operation::Read)?;
        let there = self
            .budgeted(async {
                self.arrive(places.iter()).await?;
                self.are_there(&places).await
            })
            .await;
        let mut count = 0;
        for (n, place) in places.iter().enumerate() {
            let state = match &there {
                Ok(there) if there[n] => State::StoreHit,
                Ok(_) => State::Miss,
                Err(error) => Self::state_of(error.kind),
            };
            count += u64::from(state == State::StoreHit);
            self.tally(place, Operation::Read, state, started_ns);
        }
        there.map(|_| count)
    }

    async fn are_there(&self, places: &[Place<'_>]) -> Result<Vec<bool>> {
        let mut there = vec![false; places.len()];
        let covered = |i: &usize| self.recovery.covers(&places[*i]);
        let asked: Vec<usize> = (0..places.len()).filter(|i| !covered(i)).collect();
        let (enveloped, mut raw): (Vec<usize>, Vec<usize>) = asked.into_iter().partition(|&i| places[i].enveloped());
        if !enveloped.is_empty() {
            let now_ms = self.now_ms();
            let asked: Vec<&Place<'_>> = enveloped.iter().map(|&i| &places[i]).collect();
            let keys: Vec<_> = asked.iter().map(|place| place.store_key.clone()).collect();
            let held = self.store.get_many(&keys, false).await.map_err(|e| self.store_error(e))?;
            self.foresee(&asked, &held).await;
            for (i, held) in enveloped.into_iter().zip(held) {
                let Some(held) = held else {
                    // No string; a collection is as good where the domain has some.
                    if serves_collections(&places[i]) {
                        raw.push(i);
                    }
                    continue;
                };
                let found = self.open(&places[i], &held.bytes, now_ms).await?;
                there[i] = found.is_some_and(|found| found.is_served(now_ms));
            }
        }
        if !raw.is_empty() {
            let ask = |&i: &usize| Command::new("EXISTS").arg(places[i].store_key.0.clone());
            let replies = self.store.pipeline(raw.iter().map(ask).collect()).await.map_err(|e| self.store_error(e))?;
            for (i, reply) in raw.into_iter().zip(replies) {
                there[i] = reply == Reply::Integer(1);
            }
        }
        Ok(there)
    }

    /// Places for many keys of any shape.
    ///
    /// # Errors
    /// The first one of [`Self::locate`].
    pub(super) fn locate_all<'a>(&self, keys: &'a [Bytes], operation: Operation) -> Result<Vec<Place<'a>>> {
        let names: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        self.plan_many(&names, operation, Wanted::Any).into_iter().collect()
    }
}

/// Whether the domain has values that are no strings.
pub(super) fn serves_collections(place: &Place<'_>) -> bool {
    let shapes = place.live().description.shapes;
    [Shape::Hash, Shape::List, Shape::Set].into_iter().any(|shape| shapes.contains(shape))
}

/// One failure that so many keys share.
pub(super) fn for_all<T>(keys: usize, error: &Error) -> Vec<Result<T>> {
    std::iter::repeat_with(|| Err(error.clone())).take(keys).collect()
}
