//! Many reads at once: L1 first, one policy call for each domain, one round trip for what is left.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::api::Answer;
use super::core::Engine;
use super::judge::{Place, Wanted, policy_error};
use super::key::DomainKey;
use super::sight::Sight;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BATCH_KEYS_MAX, BATCH_LOADS_MAX};
use crate::ports::metrics::State;
use crate::ports::policy::{Operation, Plan, PolicyError, Request, Shape};
use crate::ports::store::Held;
use crate::ports::table::Live;

impl Engine {
    /// Reads many strings; one answer for each key, in order.
    ///
    /// # Errors
    /// As [`Self::get`]: the first one is the answer for all of them.
    pub async fn get_many(&self, keys: &[Bytes]) -> Result<Vec<Answer>> {
        if keys.len() > BATCH_KEYS_MAX {
            let message = format!("{} keys in one batch, {BATCH_KEYS_MAX} are allowed", keys.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let started_ns = self.monotonic_ns();
        let now_ms = self.now_ms();
        let mut answers: Vec<Option<Answer>> = keys.iter().map(|key| self.hit_answer(key, now_ms)).collect();
        let missing: Vec<usize> = (0..keys.len()).filter(|&i| answers[i].is_none()).collect();
        let wanted: Vec<&[u8]> = missing.iter().map(|&i| keys[i].as_ref()).collect();
        let places = self.locate_reads(&wanted)?;
        let found = self.budgeted(self.read_many(&places, now_ms)).await;
        let found = found.or_else(|error| {
            places.iter().map(|place| self.without_store(place, now_ms, error.clone())).collect::<Result<Vec<_>>>()
        });
        let mean_ns = self.monotonic_ns().saturating_sub(started_ns) / keys.len().max(1) as u64;
        for (n, place) in places.iter().enumerate() {
            let state = found.as_ref().map_or_else(|e| Self::state_of(e.kind), |found| found[n].state);
            place.live().metrics.answered(Operation::Read, state);
            place.live().metrics.latency[Operation::Read as usize].observe_ns(mean_ns);
        }
        for (i, answer) in missing.into_iter().zip(found?) {
            answers[i] = Some(answer);
        }
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(|| Answer::absent(State::Miss))).collect())
    }

    fn hit_answer(&self, key: &[u8], now_ms: u64) -> Option<Answer> {
        let entry = self.hit(key, now_ms)?;
        entry.metrics().answered(Operation::Read, State::L1Hit);
        Some(entry.answer(State::L1Hit, now_ms))
    }

    async fn read_many(&self, places: &[Place<'_>], now_ms: u64) -> Result<Vec<Answer>> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let tickets: Vec<_> = places.iter().map(|place| self.l1.ticket(place.name)).collect();
        let store_keys: Vec<_> = places.iter().map(|place| place.store_key.clone()).collect();
        let with_ttl = places.iter().any(|place| self.wants_ttl(place));
        let held = self.store.get_many(&store_keys, with_ttl).await.map_err(|e| self.store_error(e))?;
        self.foresee(places, &held).await;
        let mut answers = Vec::with_capacity(places.len());
        for ((place, ticket), held) in places.iter().zip(tickets).zip(held) {
            let held: Option<Held> = held;
            answers.push(match held {
                Some(held) => self.read_held(place, ticket, held, now_ms).await?,
                None => Sight::gone(),
            });
        }
        let (mut served, mut group) = (Vec::with_capacity(places.len()), Vec::new());
        for (place, sight) in places.iter().zip(answers) {
            group.push(self.serve(place, sight, now_ms));
            if group.len() == BATCH_LOADS_MAX {
                served.extend(join_all(std::mem::take(&mut group)).await);
            }
        }
        served.extend(join_all(group).await);
        served.into_iter().collect()
    }

    /// Places for many reads: neighbours of one domain are planned in one crossing.
    fn locate_reads<'a>(&self, names: &[&'a [u8]]) -> Result<Vec<Place<'a>>> {
        if let [name] = names {
            return Ok(vec![self.locate(name, Operation::Read, Wanted::String)?]);
        }
        let mut resolved = Vec::with_capacity(names.len());
        for name in names {
            let (epoch, key) = self.resolve(name)?;
            resolved.push((*name, epoch, key));
        }
        let mut places = Vec::with_capacity(names.len());
        let mut rest = resolved.into_iter().peekable();
        while let Some(first) = rest.next() {
            let live = Arc::clone(&first.2.live);
            let mut run = vec![first];
            while let Some(next) = rest.next_if(|(_, _, key)| Arc::ptr_eq(&key.live, &live)) {
                run.push(next);
            }
            self.plan_run(&live, run, &mut places)?;
        }
        Ok(places)
    }

    fn plan_run<'a>(
        &self,
        live: &Live,
        run: Vec<(&'a [u8], u64, DomainKey<'a>)>,
        places: &mut Vec<Place<'a>>,
    ) -> Result<()> {
        let shapes = live.description.shapes;
        let shape = if shapes.contains(Shape::Value) { Shape::Value } else { Shape::Counter };
        if !shapes.contains(shape) {
            let message = format!("the domain '{}' serves no strings, by its policy", live.domain);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let requests: Vec<_> =
            run.iter().map(|(_, _, key)| Request { key: &key.rest, operation: Operation::Read, shape }).collect();
        let plans = live.policy.plan_batch(&requests).map_err(|e| policy_error(live, e))?;
        drop(requests);
        for ((name, epoch, key), plan) in run.into_iter().zip(plans) {
            let plan: std::result::Result<Plan, PolicyError> = plan;
            let plan = plan.map_err(|e| policy_error(live, e))?;
            places.push(self.place(name, epoch, key, shape, &plan)?);
        }
        Ok(())
    }
}
