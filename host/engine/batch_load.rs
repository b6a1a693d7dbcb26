//! Loads of many keys at once: one request to the origin for those of a domain that nobody loads yet, where the policy
//! knows such a request (`batch-request-for`, `split`).
//!
//! Each key has its own lease and its own flight, as in a load of one: a key that somebody else loads is waited for like any other, and readers of one
//! key wait for this load. Invariants: what an answer says of a key is judged by `admit` like any value; a lease that was taken is
//! filled, failed or given back. An answer for many keys has no validators: they would be those of the whole. Deliberately absent: the
//! policy's `accept`, which is about an answer for one key; a batch is a value if its status says so.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{FutureExt as _, join_all};
use tokio::sync::oneshot;

use super::api::Answer;
use super::core::Engine;
use super::fetch::{Fetched, NotFetched};
use super::judge::{Place, policy_error};
use super::load::whole_wait;
use super::refresh::Job;
use super::sight::Sight;
use super::transition::{Begins, step};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BATCH_LOADS_MAX, LOAD_BATCH_KEYS_MAX};
use crate::ports::hooks::Ability;
use crate::ports::metrics::State;
use crate::ports::origin::{Acceptance, Origin, OriginResponse};
use crate::ports::policy::{Operation, Request};
use crate::ports::table::Live;

/// What a reader is told of a load that was done for it: `None`: it was overtaken.
pub(super) type Told = oneshot::Receiver<Result<Option<Answer>>>;
type Tell = oneshot::Sender<Result<Option<Answer>>>;

impl Engine {
    /// The answers for what was found, each as [`Self::serve`] gives it.
    pub(super) async fn serve_many(&self, found: Vec<(&Place<'_>, Sight)>, now_ms: u64) -> Vec<Result<Answer>> {
        let mut told = self.load_together(&found).await;
        let mut answers = Vec::with_capacity(found.len());
        let mut group = Vec::new();
        for (at, (place, sight)) in found.into_iter().enumerate() {
            let told = told.get_mut(at).and_then(Option::take);
            group.push(async move {
                match told {
                    Some(told) => Box::pin(self.await_load(place, sight, told)).await,
                    None => self.serve(place, sight, now_ms).await,
                }
            });
            if group.len() == BATCH_LOADS_MAX {
                answers.extend(join_all(std::mem::take(&mut group)).await);
            }
        }
        answers.extend(join_all(group).await);
        answers
    }

    /// Begins one load for what of this has to be loaded and can be together; what each of them is told.
    async fn load_together(&self, found: &[(&Place<'_>, Sight)]) -> Vec<Option<Told>> {
        let mut told: Vec<Option<Told>> = found.iter().map(|_| None).collect();
        let mut groups: Vec<(Arc<Live>, Vec<usize>)> = Vec::new();
        for (at, (place, sight)) in found.iter().enumerate() {
            if !self.loads_with_others(place, sight) {
                continue;
            }
            match groups.iter_mut().find(|(live, _)| Arc::ptr_eq(live, place.live())) {
                Some((_, group)) => group.push(at),
                None => groups.push((Arc::clone(place.live()), vec![at])),
            }
        }
        for (live, group) in groups.into_iter().filter(|(_, group)| group.len() > 1) {
            for some in group.chunks(LOAD_BATCH_KEYS_MAX) {
                self.begin_together(&live, found, some, &mut told).await;
            }
        }
        told
    }

    fn loads_with_others(&self, place: &Place<'_>, sight: &Sight) -> bool {
        place.live().policy.abilities().contains(Ability::Loading)
            && place.is_leased()
            && step(sight.life, self.event_of_read(place)).begins == Begins::Load
    }

    async fn begin_together(
        &self,
        live: &Arc<Live>,
        found: &[(&Place<'_>, Sight)],
        group: &[usize],
        told: &mut [Option<Told>],
    ) {
        let Some(origin) = &live.origin else { return };
        let life_ms = u64::try_from(whole_wait(&**origin).as_millis()).unwrap_or(u64::MAX);
        let mut jobs = Vec::with_capacity(group.len());
        for some in group.chunks(BATCH_LOADS_MAX) {
            // What their fences have in common is asked for once.
            let Some(domain) = some.first().map(|&at| &found[at].0.domain) else { continue };
            let common = self.fences(domain).boxed().shared();
            let led = some.iter().map(|&at| {
                let common = common.clone();
                async move {
                    let (place, sight) = &found[at];
                    let fence = async { Ok(self.fence_of(place, common.await?)) };
                    let lease = match place.lease_keys() {
                        Some(keys) => self.try_lead_under(place, &keys, &sight.seen(), life_ms, fence).await,
                        None => Ok(None),
                    };
                    (at, lease)
                }
            });
            for (at, lease) in join_all(led).await {
                // Somebody else loads it, or the store fails: this one goes the way of a single read.
                let Ok(Some(lease)) = lease else { continue };
                let (place, sight) = &found[at];
                let (tell, hears) = oneshot::channel();
                jobs.push((Job::new(place, lease, sight), tell));
                told[at] = Some(hears);
            }
        }
        if !jobs.is_empty() {
            // If there are too many loads, the leases go back, and who waits is told so.
            self.begin(Arc::clone(live), |engine| async move { engine.perform_many(jobs).await });
        }
    }

    /// Loads, stores, and tells all who wait, each of its key.
    async fn perform_many(&self, jobs: Vec<(Job, Tell)>) {
        let names: Vec<Bytes> = jobs.iter().map(|(job, _)| job.name().clone()).collect();
        let (mut places, mut ready) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for ((job, tell), name) in jobs.into_iter().zip(&names) {
            match self.place_of(job, name) {
                Ok((place, job)) => {
                    places.push(place);
                    ready.push((job, tell));
                }
                // Whether anybody still waits is no matter here, nor below.
                Err(error) => drop(tell.send(Err(error))),
            }
        }
        let Some(first) = places.first() else { return };
        let live = Arc::clone(first.live());
        let Some(origin) = live.origin.clone() else { return };
        let shared = places.len() > 1 && places.iter().all(|place| Arc::ptr_eq(place.live(), &live));
        let began_ns = self.monotonic_ns();
        let fetched = if shared { self.fetch_many(&places, &*origin).await } else { Ok(None) };
        let answers = match fetched {
            // One by one, as many at once as for a batch without such a request.
            Ok(None) => return self.perform_each(ready).await,
            Ok(Some(fetched)) => fetched,
            Err(not) => places.iter().map(|_| Err(not.clone())).collect(),
        };
        let landings = places.iter().zip(ready).zip(answers).map(|((place, (job, tell)), fetched)| async move {
            let told = self.land(place, job, fetched, began_ns).await;
            drop(tell.send(told));
        });
        join_all(landings).await;
    }

    async fn perform_each(&self, jobs: Vec<(Job, Tell)>) {
        let mut jobs = jobs.into_iter();
        loop {
            let group = jobs.by_ref().take(BATCH_LOADS_MAX).map(|(job, tell)| async move {
                drop(tell.send(self.perform(job).await));
            });
            if join_all(group).await.is_empty() {
                return;
            }
        }
    }

    /// Asks the origin for many keys at once. `None`: the policy knows no request for them.
    async fn fetch_many(
        &self,
        places: &[Place<'_>],
        origin: &dyn Origin,
    ) -> std::result::Result<Option<Vec<std::result::Result<Fetched, NotFetched>>>, NotFetched> {
        let Some(first) = places.first() else { return Ok(None) };
        let live = first.live();
        let request = |place: &'_ Place<'_>| (place.key.rest.clone().into_owned(), place.shape);
        let keys: Vec<_> = places.iter().map(request).collect();
        let requests: Vec<Request<'_>> =
            keys.iter().map(|(key, shape)| Request { key, operation: Operation::Load, shape: *shape }).collect();
        let broken = |error| NotFetched::broken(policy_error(live, error));
        let Some(ask) = live.policy.batch_request(&requests).map_err(broken)? else { return Ok(None) };
        let began_ns = self.monotonic_ns();
        let response = origin.load(&ask, origin.patience().hard).await;
        let OriginResponse { status, headers, body } = response.map_err(|error| NotFetched::origin(live, &error))?;
        let load_ms = u32::try_from(self.monotonic_ns().saturating_sub(began_ns) / 1_000_000).unwrap_or(u32::MAX);
        if Acceptance::of_status(status) != Acceptance::Value {
            let why = format!("it answered a request for {} keys with {status}", keys.len());
            return Err(NotFetched::answered(live, status, &why));
        }
        let values = live.policy.split(&requests, &body).map_err(broken)?;
        let values = values.map_err(|why| NotFetched::answered(live, status, &why))?;
        let headers: Vec<_> =
            headers.into_iter().filter(|(name, _)| name != "etag" && name != "last-modified").collect();
        let each = places.iter().zip(&requests).zip(values).map(|((place, request), value)| {
            let (status, acceptance) = match value {
                Some(_) => (status, Acceptance::Value),
                None => (404, Acceptance::Absent),
            };
            let body = value.map(Bytes::from).unwrap_or_default();
            let response = OriginResponse { status, headers: headers.clone(), body };
            self.judged(place, request, response, acceptance, load_ms)
        });
        Ok(Some(each.collect()))
    }

    /// The answer of a load that another task does for this reader.
    async fn await_load(&self, place: &Place<'_>, sight: Sight, told: Told) -> Result<Answer> {
        let Some(origin) = place.live().origin.as_deref() else { return Ok(Answer::absent(State::Miss)) };
        let whole = whole_wait(origin);
        let work = async {
            let given_up = || {
                Err(Error::new(
                    ErrorKind::Overloaded,
                    "this host has too many loads under way, or is going down; retry",
                ))
            };
            match told.await.unwrap_or_else(|_| given_up())? {
                Some(answer) => Ok(answer),
                // It was overtaken: what is there now?
                None => self.load_in_turn(place, origin, &sight, whole).await,
            }
        };
        self.bridge(place, origin, &sight, work).await
    }
}
