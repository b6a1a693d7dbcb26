//! Storing what was loaded, under its lease.

use std::sync::Arc;

use bytes::Bytes;

use super::fence::Fence;
use super::lease::Lease;
use crate::engine::api::{Answer, Forward, LoadSeen};
use crate::engine::core::Engine;
use crate::engine::entry::{Stamps, Terms};
use crate::engine::found::expire_for;
use crate::engine::generation::{Ids, Standing};
use crate::engine::judge::{Place, Verdict};
use crate::error::Result;
use crate::ports::lease::Lost;
use crate::ports::load::LoadOutcome;
use crate::ports::metrics::State;
use crate::ports::policy::{Candidate, Cause, Operation};

/// What a load brought.
pub(in crate::engine) struct Offer<'a> {
    /// The value.
    pub(in crate::engine) value: Bytes,
    /// [`Cause::Fill`], [`Cause::Load`] or [`Cause::Refresh`].
    pub(in crate::engine) cause: Cause,
    /// The lifetime that the caller asked for.
    pub(in crate::engine) asked_ttl_ms: Option<u64>,
    /// The origin's status.
    pub(in crate::engine) origin_status: Option<u16>,
    /// The origin's headers that the policy sees.
    pub(in crate::engine) origin_headers: &'a [(String, String)],
}

/// What those who waited are told of a load that was not stored.
const PASSED: Option<LoadSeen> =
    Some(LoadSeen { outcome: LoadOutcome::Passed, status: None, collapsed: true, forward: Forward::Miss });

/// What became of a fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// [`State::Done`], [`State::Passed`] (the policy would not have it stored), or [`State::Unmet`] (the lease was lost).
    pub state: State,
    /// How the lease was lost.
    pub lost: Option<Lost>,
    /// What the caller of the load gets, and those who waited if nothing overtook it.
    pub answer: Answer,
}

impl Engine {
    /// Ends a load with its value: asks the policy, stores it if nothing has overtaken it, and tells those who wait.
    ///
    /// # Errors
    /// A value over the limit, a refusal or a failure of the policy, a failure of the store. Those who wait get the policy's and the
    /// store's error, too.
    pub(in crate::engine) async fn fill(&self, place: &Place<'_>, lease: Lease, offer: Offer<'_>) -> Result<Filled> {
        let verdict = match self.check_value(&offer.value) {
            Ok(()) => self.admit_offer(place, &lease.fence, &offer),
            Err(error) => Err(error),
        };
        match verdict {
            Ok(Verdict::Store(terms)) => self.fill_as(place, lease, offer.value, terms).await,
            Ok(Verdict::Pass(marker_ms)) => self.pass_on(place, lease, offer.value, false, marker_ms).await,
            Err(error) => {
                lease.fail(error.clone());
                Err(error)
            }
        }
    }

    fn admit_offer(&self, place: &Place<'_>, fence: &Fence, offer: &Offer<'_>) -> Result<Verdict> {
        Self::check_asked(offer.asked_ttl_ms)?;
        let operation = match offer.cause {
            Cause::Write => Operation::Write,
            Cause::Fill => Operation::Fill,
            Cause::Load => Operation::Load,
            Cause::Refresh => Operation::Refresh,
        };
        let candidate = Candidate {
            cause: offer.cause,
            size_bytes: u32::try_from(offer.value.len()).unwrap_or(u32::MAX),
            asked_ttl_ms: offer.asked_ttl_ms,
            origin_status: offer.origin_status,
            origin_headers: offer.origin_headers,
            load_ms: u32::try_from(self.now_ms().saturating_sub(fence.began_ms)).unwrap_or(u32::MAX),
            bytes: &offer.value,
        };
        self.admit(place, operation, &candidate)
    }

    /// Ends a load with a value whose terms are known, as [`Self::fill`] does. Terms that say "absent" store the absence.
    ///
    /// # Errors
    /// A failure of the store; those who wait get it, too.
    pub(in crate::engine) async fn fill_as(
        &self,
        place: &Place<'_>,
        mut lease: Lease,
        value: Bytes,
        terms: Terms,
    ) -> Result<Filled> {
        match self.store_under(place, &mut lease, value, terms).await {
            Ok((filled, is_current)) => {
                // Dropping the lease lets those who wait look for themselves.
                if is_current {
                    lease.share(filled.answer.clone());
                }
                Ok(filled)
            }
            Err(error) => {
                lease.fail(error.clone());
                Err(error)
            }
        }
    }

    /// Whether the answer may be shared comes along.
    async fn store_under(
        &self,
        place: &Place<'_>,
        lease: &mut Lease,
        value: Bytes,
        terms: Terms,
    ) -> Result<(Filled, bool)> {
        let under = self.under_fence(place, &terms, &lease.fence).await?;
        let stamps = loaded(&lease.fence, terms, under);
        let (bytes, value) = self.packed(place, &stamps, value).await?;
        let writing = self.l1.writing(place.name);
        self.forget_old(std::iter::once(place)).await?;
        let stored = lease.store(bytes, expire_for(&stamps, self.now_ms())).await?;
        let now_ms = self.now_ms();
        let answer = answer(&stamps, &value, now_ms);
        let Err(lost) = stored else {
            let is_current = self.standing(place, &stamps).await? == Standing::Current;
            writing.done(self.l1_entry(place, value, stamps, now_ms));
            return Ok((Filled { state: State::Done, lost: None, answer }, is_current));
        };
        writing.done(None);
        Ok((Filled { state: State::Unmet, lost: Some(lost), answer }, false))
    }

    /// Ends a load with a value, or an absence, that is not to be stored: what was there before is out of date. Those who wait get it; for
    /// `marker_ms` nobody waits for another one's load of the key.
    ///
    /// # Errors
    /// A failure of the store; those who wait get it, too.
    pub(in crate::engine) async fn pass_on(
        &self,
        place: &Place<'_>,
        lease: Lease,
        value: Bytes,
        absent: bool,
        marker_ms: u32,
    ) -> Result<Filled> {
        let value = (!absent).then_some(value);
        if marker_ms > 0 {
            self.pass_marked(place, lease, value, marker_ms).await
        } else {
            self.pass_unmarked(place, lease, value, true).await
        }
    }

    /// Ends a load with a value, or an absence, that its reader would not have stored: what is there stays. Those who wait get it.
    ///
    /// # Errors
    /// A failure of the store; those who wait get it, too.
    pub(in crate::engine) async fn share_unkept(
        &self,
        place: &Place<'_>,
        lease: Lease,
        value: Bytes,
        absent: bool,
    ) -> Result<Filled> {
        self.pass_unmarked(place, lease, (!absent).then_some(value), false).await
    }

    async fn pass_marked(
        &self,
        place: &Place<'_>,
        mut lease: Lease,
        value: Option<Bytes>,
        marker_ms: u32,
    ) -> Result<Filled> {
        let marker = self.marker_terms(place.live(), marker_ms);
        let (filled, is_current) = match self.store_under(place, &mut lease, Bytes::new(), marker).await {
            Ok(stored) => stored,
            Err(error) => {
                lease.fail(error.clone());
                return Err(error);
            }
        };
        let answer = Answer { fresh_left_ms: Some(0), value, state: State::StoreHit, load: PASSED, ..filled.answer };
        if is_current {
            lease.share(answer.clone());
        }
        let state = if filled.lost.is_some() { filled.state } else { State::Passed };
        Ok(Filled { state, answer, ..filled })
    }

    /// `outdates`: what was there before goes.
    async fn pass_unmarked(
        &self,
        place: &Place<'_>,
        mut lease: Lease,
        value: Option<Bytes>,
        outdates: bool,
    ) -> Result<Filled> {
        let passed = self.give_back_current(place, &mut lease).await;
        let (stamps, held, is_current) = match passed {
            Ok(passed) => passed,
            Err(error) => {
                lease.fail(error.clone());
                return Err(error);
            }
        };
        let age_ms = Some(stamps.age_ms(self.now_ms()));
        let answer = Answer { value, age_ms, fresh_left_ms: Some(0), load: PASSED, ..Answer::absent(State::StoreHit) };
        if is_current {
            lease.share(answer.clone());
        }
        if held && outdates {
            self.remove_raw(place).await?;
        }
        Ok(Filled { state: State::Passed, lost: None, answer })
    }

    /// Gives a lease back whose value is not stored: its stamps, whether it was still held, and whether nothing at all overtook it.
    async fn give_back_current(&self, place: &Place<'_>, lease: &mut Lease) -> Result<(Stamps, bool, bool)> {
        let terms = Terms::raw(place.live().rules_id, Some(1));
        let under = self.under_fence(place, &terms, &lease.fence).await?;
        let stamps = loaded(&lease.fence, terms, under);
        let held = lease.give_back().await?;
        let is_current = held && self.standing(place, &stamps).await? == Standing::Current;
        Ok((stamps, held, is_current))
    }
}

/// The stamps of what was loaded: its life counts from the start of the load.
fn loaded(fence: &Fence, terms: Terms, under: Arc<Ids>) -> Stamps {
    Stamps { born_ms: fence.began_ms, since_ms: fence.began_ms, terms: Arc::new(terms), under: Some(under) }
}

fn answer(stamps: &Stamps, value: &Bytes, now_ms: u64) -> Answer {
    Answer {
        value: (!stamps.terms.absent).then(|| value.clone()),
        age_ms: Some(stamps.age_ms(now_ms)),
        fresh_left_ms: stamps.fresh_left_ms(now_ms),
        ..Answer::absent(if stamps.terms.absent { State::Negative } else { State::StoreHit })
    }
}
