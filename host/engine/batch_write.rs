//! Writing and removing many keys at once: one policy call for each domain's plans, one for each value, one round trip.

use bytes::Bytes;

use super::api::BatchWrite;
use super::batch::for_all;
use super::core::Engine;
use super::found::expire_for;
use super::judge::{Place, Verdict, Wanted};
use super::write::stamps_now;
use crate::error::Result;
use crate::ports::lease::Ending;
use crate::ports::metrics::State;
use crate::ports::policy::Operation;

/// A value that may be stored, or that is to be passed over.
struct Admitted<'a> {
    place: Place<'a>,
    verdict: Verdict,
    value: &'a Bytes,
}

impl Admitted<'_> {
    const fn state(&self) -> State {
        match self.verdict {
            Verdict::Store(_) => State::Done,
            Verdict::Pass(_) => State::Passed,
        }
    }
}

impl Engine {
    /// Writes many strings; all are planned and admitted before the first is stored. Not atomic as a whole.
    ///
    /// # Errors
    /// As [`Self::set`]; the first one, and then nothing was stored, unless it is the store's.
    pub async fn set_many(&self, items: &[(Bytes, Bytes)]) -> Result<()> {
        Self::check_batch(items.len())?;
        let started_ns = self.monotonic_ns();
        let writes = items.iter().map(|(key, value)| (key, value, None));
        let admitted = self.admit_many(writes, started_ns).into_iter().collect::<Result<Vec<_>>>()?;
        let outcome = self.budgeted(self.store_many(&admitted)).await;
        let failed = outcome.as_ref().err().map(|error| Self::state_of(error.kind));
        for it in &admitted {
            self.tally(&it.place, Operation::Write, failed.unwrap_or(State::Done), started_ns);
        }
        outcome
    }

    /// Writes many strings: for each, in order, what became of it. Those that are refused keep no other from being stored. The
    /// caller bounds their number.
    pub async fn set_each(&self, items: &[BatchWrite]) -> Vec<Result<State>> {
        let started_ns = self.monotonic_ns();
        let writes = items.iter().map(|item| (&item.key, &item.value, item.asked_ttl_ms));
        let mut states = Vec::with_capacity(items.len());
        let mut admitted = Vec::with_capacity(items.len());
        for it in self.admit_many(writes, started_ns) {
            states.push(it.map(|it| {
                let state = it.state();
                admitted.push(it);
                state
            }));
        }
        let outcome = self.budgeted(self.store_many(&admitted)).await;
        let failed = outcome.as_ref().err().map(|error| Self::state_of(error.kind));
        for it in &admitted {
            self.tally(&it.place, Operation::Write, failed.unwrap_or_else(|| it.state()), started_ns);
        }
        match outcome {
            Ok(()) => states,
            Err(error) => states.into_iter().map(|state| state.and_then(|_| Err(error.clone()))).collect(),
        }
    }

    /// Removes many keys: for each, in order, whether it was there. The caller bounds their number.
    pub async fn delete_each(&self, keys: &[Bytes]) -> Vec<Result<bool>> {
        let started_ns = self.monotonic_ns();
        let names: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        let mut answers = Vec::with_capacity(keys.len());
        let mut places = Vec::with_capacity(keys.len());
        for place in self.plan_many(&names, Operation::Delete, Wanted::Any) {
            answers.push(place.map(|place| places.push(place)));
        }
        let removed = match self.budgeted(self.delete_places(&places)).await {
            Ok(removed) => removed.into_iter().map(Ok).collect(),
            Err(error) => for_all(places.len(), &self.owe_keys(&places, error)),
        };
        let mut removed = places.iter().zip(removed).map(|(place, removed)| {
            let state = removed.as_ref().map_or_else(|error| Self::state_of(error.kind), |_| State::Done);
            self.tally(place, Operation::Delete, state, started_ns);
            removed
        });
        answers.into_iter().map(|answer| answer.and_then(|()| removed.next().unwrap_or(Ok(false)))).collect()
    }

    /// Plans and admits; what is refused is counted.
    fn admit_many<'a>(
        &self,
        writes: impl Iterator<Item = (&'a Bytes, &'a Bytes, Option<u64>)> + Clone,
        started_ns: u64,
    ) -> Vec<Result<Admitted<'a>>> {
        let names: Vec<&[u8]> = writes.clone().map(|(key, ..)| key.as_ref()).collect();
        let places = self.plan_many(&names, Operation::Write, Wanted::String);
        let admit = |(place, (_, value, asked_ttl_ms)): (Result<Place<'a>>, (_, &'a Bytes, Option<u64>))| {
            let place = place?;
            let verdict = self
                .check_value(value)
                .and_then(|()| Self::check_asked(asked_ttl_ms))
                .and_then(|()| self.admit_write(&place, value, asked_ttl_ms));
            let verdict =
                verdict.inspect_err(|e| self.tally(&place, Operation::Write, Self::state_of(e.kind), started_ns))?;
            Ok(Admitted { place, verdict, value })
        };
        places.into_iter().zip(writes).map(admit).collect()
    }

    async fn store_many(&self, admitted: &[Admitted<'_>]) -> Result<()> {
        let now_ms = self.now_ms();
        let stored = admitted.iter().filter_map(|it| match &it.verdict {
            Verdict::Store(terms) => Some((&it.place, terms)),
            Verdict::Pass(_) => None,
        });
        self.provide_all(stored).await?;
        self.forget_old(admitted.iter().map(|it| &it.place)).await?;
        let mut store = Vec::with_capacity(admitted.len());
        let mut passed = Vec::new();
        let mut writings = Vec::with_capacity(admitted.len());
        for Admitted { place, verdict, value } in admitted {
            let writing = self.l1.writing(place.name);
            let Verdict::Store(terms) = verdict else {
                passed.push(place.store_key.clone());
                writings.push((writing, None));
                continue;
            };
            let under = self.under(place, terms).await?;
            let stamps = stamps_now(terms.clone(), now_ms, &under);
            let (bytes, value) = self.packed(place, &stamps, (*value).clone()).await?;
            store.push((place.store_key.clone(), bytes, expire_for(&stamps, now_ms)));
            writings.push((writing, self.l1_entry(place, value, stamps, now_ms)));
        }
        self.end_leases(admitted.iter().map(|it| &it.place), Ending::Written).await?;
        let stored = self.store.set_many(store).await;
        let removed = if passed.is_empty() { Ok(Vec::new()) } else { self.store.delete(&passed).await };
        admitted.iter().for_each(|it| self.fills.overtake(&it.place));
        stored.and_then(|()| removed.map(drop)).map_err(|e| self.store_error(e))?;
        writings.into_iter().for_each(|(writing, entry)| writing.done(entry));
        admitted.iter().for_each(|it| self.supersede(&it.place));
        Ok(())
    }
}
