//! Loads for which a reader waits: one for all readers in the cluster, under a lease.
//!
//! The load itself is work of its own ([`super::refresh`]): a reader that goes away, or that is given something stale after the soft
//! timeout, does not end it. Invariants: a reader waits no longer than the origin's patience and a margin for the store; what bridges a failed
//! load is looked at again before it is served, as `max-stale` may have passed meanwhile. Deliberately absent: tries after a
//! failure. The origin's adapter and the next reader make them.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::api::{Answer, Forward, LoadSeen};
use super::core::Engine;
use super::entry::Stamps;
use super::envelope;
use super::fetch::{Fetched, NotFetched};
use super::fill::{Turn, Waiting};
use super::found::expire_for;
use super::freshness::Freshness;
use super::judge::{Place, Verdict};
use super::refresh::Job;
use super::sight::Sight;
use super::transition::{Event, Life, Reader, step};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LOAD_MARGIN_MS, TURNS_MAX};
use crate::ports::lease::FillOutcome;
use crate::ports::load::{LoadOutcome, LoadReason, StaleReason};
use crate::ports::metrics::State;
use crate::ports::origin::Origin;
use crate::ports::store::Expect;

impl Engine {
    /// Loads what a reader found missing or must not be given yet.
    ///
    /// # Errors
    /// The load's, if nothing stale bridges it.
    pub(super) async fn load(&self, place: &Place<'_>, sight: Sight) -> Result<Answer> {
        let Some(origin) = place.live().origin.as_deref() else { return Ok(Answer::absent(State::Miss)) };
        let work = self.load_in_turn(place, origin, &sight, whole_wait(origin));
        self.bridge(place, origin, &sight, work).await
    }

    /// Waits for a load as long as this reader may, and gives it what is stale if that bridges what came of it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(super) async fn bridge(
        &self,
        place: &Place<'_>,
        origin: &dyn Origin,
        sight: &Sight,
        work: impl Future<Output = Result<Answer>>,
    ) -> Result<Answer> {
        let (soft, whole) = (origin.patience().soft, whole_wait(origin));
        let bridged = step(sight.life, Event::SoftTimeout).reader == Reader::Stale;
        let wait = if bridged { soft.min(whole) } else { whole };
        let (event, reason, error) = match timeout(wait, work).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => (Event::LoadFailed, StaleReason::LoadFailed, error),
            Err(_) => {
                let message =
                    format!("the origin of '{}' did not answer within {} ms", place.live().domain, wait.as_millis());
                (Event::SoftTimeout, StaleReason::SoftTimeout, Error::new(ErrorKind::OriginTimeout, message))
            }
        };
        let now_ms = self.now_ms();
        let served = sight.found.as_ref().is_some_and(|found| found.stamps.at(now_ms) <= Freshness::StaleIfError);
        if step(sight.life, event).reader != Reader::Stale || !served {
            return Err(error);
        }
        tracing::debug!(domain = %place.live().domain, %error, reason = reason.as_str(), "a stale value bridges a load");
        let load = self.recent.of(place.store_key.as_bytes()).filter(|_| event == Event::LoadFailed);
        let load = load.map(|past| LoadSeen {
            outcome: past.outcome,
            status: past.status,
            collapsed: false,
            forward: sight.forward(),
        });
        Ok(self.count_stale(place, Answer { load, ..sight.stale(reason, now_ms) }))
    }

    pub(super) async fn load_in_turn(
        &self,
        place: &Place<'_>,
        origin: &dyn Origin,
        sight: &Sight,
        whole: Duration,
    ) -> Result<Answer> {
        let keys = place.lease_keys().filter(|_| sight.life != Life::Uncacheable);
        let Some(keys) = keys else { return self.load_alone(place, origin, sight).await };
        let forward = sight.forward();
        let wait_ms = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
        let mut waiting = Waiting::new(wait_ms);
        let mut sight = sight.clone();
        for _ in 0..TURNS_MAX {
            match self.fill_turn(place, &keys, &sight.seen(), &mut waiting, wait_ms).await? {
                Turn::Lead(lease) => {
                    let job = Job::new(place, lease, &sight);
                    if let Some(answer) = self.lead(job).await? {
                        return Ok(answer);
                    }
                }
                Turn::Followed(FillOutcome::Done, Some(answer)) => {
                    return Ok(Answer { waited: waiting.told(FillOutcome::Done), ..collapsed(answer, forward) });
                }
                Turn::Followed(FillOutcome::WaitTimeout, _) => {
                    let message = format!("the load of this key in the domain '{}' took too long", place.live().domain);
                    return Err(Error::new(ErrorKind::OriginTimeout, message));
                }
                Turn::Followed(..) => return self.load_alone(place, origin, &sight).await,
                Turn::Changed => {}
            }
            // Somebody else was faster, or what was being loaded was overtaken: what is there now?
            let now_ms = self.now_ms();
            sight = self.look(place, now_ms).await?;
            let answer = match sight.life {
                Life::Fresh | Life::Early => sight.answer(State::StoreHit, now_ms),
                Life::Negative => sight.answer(State::Negative, now_ms),
                Life::Stale => self.count_stale(place, sight.stale(StaleReason::Revalidating, now_ms)),
                Life::Uncacheable => return self.load_alone(place, origin, &sight).await,
                Life::StaleIfError | Life::Kept | Life::Gone => continue,
            };
            waiting.share(&answer, place.seq);
            let waited = waiting.told(FillOutcome::Done);
            let shared = waited.is_some() && answer.state != State::Stale;
            let answer = if shared { collapsed(answer, forward) } else { answer };
            return Ok(Answer { waited, ..answer });
        }
        Err(Error::new(ErrorKind::Overloaded, "the key is changed by many callers at once; retry"))
    }

    /// Has the load done by work of its own, and waits for it. `None`: it was overtaken, and what is there now counts.
    async fn lead(&self, job: Job) -> Result<Option<Answer>> {
        let (tell, told) = oneshot::channel();
        let begun = self.begin(job.live(), |engine| async move {
            // If nobody waits any more, it was for those who come.
            let _ = tell.send(engine.perform(job).await);
        });
        if !begun {
            return Err(Error::new(ErrorKind::Overloaded, "this host has as many loads under way as it may; retry"));
        }
        let given_up = || Err(Error::new(ErrorKind::Overloaded, "the host is going down and ended the load; retry"));
        told.await.unwrap_or_else(|_| given_up())
    }

    /// A load for this reader alone: where nobody may wait for another one's, or no lease can be had.
    async fn load_alone(&self, place: &Place<'_>, origin: &dyn Origin, sight: &Sight) -> Result<Answer> {
        let reason = if sight.life == Life::Uncacheable { LoadReason::Uncacheable } else { sight.reason() };
        let began_ms = self.now_ms();
        let (fetched, answer) = self.fetch_alone(place, origin, reason, place.stores(), sight.forward()).await?;
        if place.stores() {
            self.keep_alone(place, sight, &fetched, began_ms).await;
        }
        Ok(answer)
    }

    /// A load of which nothing is stored, as there is no store now.
    pub(super) async fn load_here(&self, place: &Place<'_>, origin: &dyn Origin) -> Result<Answer> {
        Ok(self.fetch_alone(place, origin, LoadReason::Miss, false, Forward::Miss).await?.1)
    }

    async fn fetch_alone(
        &self,
        place: &Place<'_>,
        origin: &dyn Origin,
        reason: LoadReason,
        stores: bool,
        forward: Forward,
    ) -> Result<(Fetched, Answer)> {
        let _slot = self.loads.slot().ok_or_else(|| {
            Error::new(ErrorKind::Overloaded, "this host has as many loads under way as it may; retry")
        })?;
        let (began_ms, began_ns) = (self.now_ms(), self.monotonic_ns());
        place.live().metrics.loads.begun[reason as usize].increment();
        let throttles = reason != LoadReason::Uncacheable;
        let fetched = match self.fetch(place, origin, None).await {
            Ok(fetched) => fetched,
            Err(not) => return Err(self.note_failed(place, reason, &not, began_ns, throttles)),
        };
        let outcome = match fetched.absent {
            _ if !stores => LoadOutcome::Unkept,
            true => LoadOutcome::Absent,
            false => LoadOutcome::Passed,
        };
        self.note_load(place, reason, outcome, Some(fetched.status), began_ns);
        let load = Some(LoadSeen { outcome, status: Some(fetched.status), collapsed: false, forward });
        let age_ms = Some(self.now_ms().saturating_sub(began_ms));
        let value = (!fetched.absent).then(|| fetched.value.clone());
        let answer = Answer { value, age_ms, load, ..Answer::absent(State::Loaded) };
        Ok((fetched, answer))
    }

    /// What a load without a lease leaves behind: a raw value where there still is none; and no marker where the value may be stored
    /// after all, so that the next reader stores it.
    async fn keep_alone(&self, place: &Place<'_>, sight: &Sight, fetched: &Fetched, began_ms: u64) {
        let Verdict::Store(terms) = &fetched.verdict else { return };
        if self.forget_old(std::iter::once(place)).await.is_err() {
            return;
        }
        let writing = self.l1.writing(place.name);
        let done = match sight.held.as_ref().and_then(envelope::prefix) {
            Some(prefix) if sight.life == Life::Uncacheable => self.store.remove(&place.store_key, prefix).await,
            _ if place.enveloped() || terms.absent => return,
            _ => {
                let terms = terms.clone().into();
                let stamps = Stamps { born_ms: began_ms, since_ms: began_ms, terms, under: None };
                let expire = expire_for(&stamps, self.now_ms());
                self.store.replace(&place.store_key, Expect::Absent, fetched.value.clone(), expire).await
            }
        };
        writing.done(None);
        if let Err(error) = done {
            tracing::debug!(domain = %place.live().domain, %error, "what was loaded could not be stored");
        }
    }

    /// Remembers and counts a load that failed; its error.
    pub(super) fn note_failed(
        &self,
        place: &Place<'_>,
        reason: LoadReason,
        not: &NotFetched,
        began_ns: u64,
        throttles: bool,
    ) -> Error {
        // What was not asked is not spared by a pause: the breaker, or the bound, sees to that.
        let throttles = throttles && not.outcome != LoadOutcome::Held;
        let error = Some((&not.error, throttles));
        self.remember(place, reason, not.outcome, not.status, error, began_ns);
        tracing::debug!(domain = %place.live().domain, outcome = not.outcome.as_str(), error = %not.error, "a load failed");
        not.error.clone()
    }
}

/// How long a reader waits for a load that nothing bridges.
pub(super) fn whole_wait(origin: &dyn Origin) -> Duration {
    origin.patience().hard + Duration::from_millis(LOAD_MARGIN_MS)
}

/// The answer of another reader's load.
pub(super) fn collapsed(answer: Answer, forward: Forward) -> Answer {
    let outcome = if answer.value.is_some() { LoadOutcome::Stored } else { LoadOutcome::Absent };
    let before = answer.load.unwrap_or(LoadSeen { outcome, status: None, collapsed: true, forward });
    Answer { state: State::Loaded, load: Some(LoadSeen { collapsed: true, forward, ..before }), ..answer }
}
