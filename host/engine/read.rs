//! Reading a string: L1, then the store; an entry of other rules is judged anew on the way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::future::join;

use super::api::Answer;
use super::copy::sliding_step_ms;
use super::core::Engine;
use super::entry::{Stamps, Terms};
use super::found::Found;
use super::freshness::{Freshness, is_early};
use super::judge::{Place, Verdict, Wanted};
use super::known::Domain;
use super::l1::Ticket;
use super::l1::entry::Entry;
use super::sight::Sight;
use super::transition::Life;
use crate::error::Result;
use crate::ports::hooks::Ability;
use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::store::{Expect, Expire, Held, Ttl};
use crate::ports::trace;

impl Engine {
    /// Reads a string.
    ///
    /// # Errors
    /// A bad key, a refusal or failure of the policy, a failure of the store, `WRONGTYPE`.
    pub async fn get(&self, key: &[u8]) -> Result<Answer> {
        let started_ns = self.monotonic_ns();
        let now_ms = self.now_ms();
        if let Some(entry) = self.hit(key, now_ms) {
            let answer = entry.answer(State::L1Hit, now_ms);
            trace::note_answer(entry.domain(), Operation::Read.as_str(), State::L1Hit.as_str());
            self.count_hits(entry.metrics(), 1, self.monotonic_ns().saturating_sub(started_ns));
            return Ok(answer);
        }
        let place = self.locate(key, Operation::Read, Wanted::String)?;
        let answer = self.budgeted(self.read(&place, now_ms)).await;
        let answer = match answer {
            Ok(answer) => Ok(answer),
            Err(error) => self.without_store(&place, now_ms, error).await,
        };
        self.tally_result(&place, Operation::Read, answer, |answer| answer.state, started_ns)
    }

    pub(super) async fn read(&self, place: &Place<'_>, now_ms: u64) -> Result<Answer> {
        self.hot.seen(place.name, &place.domain.name, now_ms);
        Ok(self.read_seen(place, now_ms).await?.0)
    }

    /// The same, with what the store had: what whoever fills it instead expects to find. Of no meaning for an answer from L1. Whoever
    /// reads again while it waits is one reader, so this counts for no hot key.
    pub(super) async fn read_seen(&self, place: &Place<'_>, now_ms: u64) -> Result<(Answer, Expect)> {
        if let Some(sight) = self.read_copy(place, now_ms).await {
            return Ok((self.serve(place, sight, now_ms).await?, Expect::Absent));
        }
        let sight = self.look(place, now_ms).await?;
        let seen = sight.seen();
        Ok((self.serve(place, sight, now_ms).await?, seen))
    }

    /// The copy in L1, as [`Self::read_l1`] finds it, if the reader takes it.
    pub(super) async fn read_copy(&self, place: &Place<'_>, now_ms: u64) -> Option<Sight> {
        if place.passes_over_l1() {
            return None;
        }
        let sight = self.read_l1(place, now_ms).await?;
        let found = sight.found.as_ref()?;
        let refused = place.refuses(&found.stamps, sight.age_known, sight.life == Life::Stale, now_ms);
        (!refused).then_some(sight)
    }

    /// What the store has, whatever L1 has, as the reader regards it; a copy is kept.
    pub(super) async fn look(&self, place: &Place<'_>, now_ms: u64) -> Result<Sight> {
        Ok(place.regards(self.look_as_it_is(place, now_ms).await?, now_ms))
    }

    async fn look_as_it_is(&self, place: &Place<'_>, now_ms: u64) -> Result<Sight> {
        let ticket = self.l1.ticket(place.name);
        let held = self.store.get(&place.store_key, self.wants_ttl(place));
        let (held, ()) = join(held, self.refresh(place, now_ms)).await;
        match held.map_err(|e| self.store_error(e))? {
            Some(held) => self.read_held(place, ticket, held, false, now_ms).await,
            None if place.migrates => Box::pin(self.look_behind(place, now_ms)).await,
            None => Ok(Sight::gone()),
        }
    }

    /// What an older key version has, carried over; nothing if none has anything.
    pub(super) async fn look_behind(&self, place: &Place<'_>, now_ms: u64) -> Result<Sight> {
        if !self.bring(place).await? {
            return Ok(Sight::gone());
        }
        // What was carried over is newer than a ticket of before.
        let ticket = self.l1.ticket(place.name);
        let held = self.store.get(&place.store_key, self.wants_ttl(place)).await;
        match held.map_err(|e| self.store_error(e))? {
            Some(held) => self.read_held(place, ticket, held, true, now_ms).await,
            None => Ok(Sight::gone()),
        }
    }

    /// Whether a read of this place needs the life left in the store: raw values say nothing of it themselves.
    pub(super) fn wants_ttl(&self, place: &Place<'_>) -> bool {
        !place.enveloped() && (self.raw_in_l1(place) || place.live().description.wants_raw_reads)
    }

    /// What the store holds, under the rules of now; keeps a copy. `own`: this host has just put it there, and will be told so.
    pub(super) async fn read_held(
        &self,
        place: &Place<'_>,
        ticket: Ticket,
        held: Held,
        own: bool,
        now_ms: u64,
    ) -> Result<Sight> {
        if self.recovery.covers(place) {
            return Ok(Sight { held: Some(held.bytes), ..Sight::gone() });
        }
        if !place.enveloped() {
            return self.read_raw(place, ticket, held, own, now_ms).await;
        }
        let Some(found) = self.open(place, &held.bytes, now_ms).await? else {
            return Ok(Sight { held: Some(held.bytes), ..Sight::gone() });
        };
        let life = self.life(place, &found.stamps, now_ms);
        let changed = found.changed;
        let mut sight = self.judged_by_hook(place, Sight::stored(life, found, held.bytes), now_ms).await;
        let (Some(found), Some(held)) = (&mut sight.found, &sight.held) else { return Ok(sight) };
        // Reading something does not make it fresh again.
        if matches!(sight.life, Life::Fresh | Life::Early) {
            found.stamps = self.slid(place, held, found.stamps.clone(), now_ms).await;
        }
        // What the policy judged is judged again by the next reader, unless it is fresh by that.
        let kept = matches!(sight.life, Life::Fresh | Life::Early | Life::Negative)
            || sight.life == Life::Stale && !sight.by_policy;
        let renewed = own || changed || found.stamps.since_ms == now_ms;
        if kept && let Some(entry) = self.l1_entry(place, found.value.clone(), found.stamps.clone(), now_ms) {
            self.keep(ticket, place.name, entry, renewed);
        }
        Ok(sight)
    }

    /// The copy in L1 where [`Self::hit`] would not serve it by itself: its rules have to be compared, it is stale, absent, or
    /// due for a sliding renewal.
    async fn read_l1(&self, place: &Place<'_>, now_ms: u64) -> Option<Sight> {
        let entry = self.l1.get(place.name)?;
        let terms = &entry.stamps.terms;
        let trusted = terms.rules_id == place.live().rules_id && entry.is_believed(now_ms, &self.coherence);
        let forgotten = place.domain.is_forgotten(entry.mark.load(Ordering::Acquire));
        if !trusted || forgotten || !self.stands(place, &entry.stamps, now_ms) {
            return None;
        }
        entry.mark.store(Domain::mark(place.epoch, place.seq), Ordering::Release);
        match entry.stamps.at(now_ms) {
            Freshness::Fresh if terms.uncacheable => None,
            Freshness::Fresh if terms.absent => Some(Sight::copy(Life::Negative, &entry)),
            Freshness::Fresh if terms.sliding && now_ms >= entry.serve_until_ms => {
                Box::pin(self.slide_l1(place, &entry, now_ms)).await
            }
            Freshness::Fresh if entry.is_due.swap(false, Ordering::AcqRel) => Some(Sight::copy(Life::Early, &entry)),
            Freshness::Fresh => Some(Sight::copy(Life::Fresh, &entry)),
            // The policy is asked about what the store holds.
            Freshness::Stale if terms.absent || place.live().policy.abilities().contains(Ability::Revalidation) => None,
            Freshness::Stale => Some(Sight::copy(Life::Stale, &entry)),
            _ => None,
        }
    }

    /// Whether a fresh copy in L1 that may be refreshed early is left as it is by this read.
    pub(super) fn waits(&self, entry: &Entry, now_ms: u64) -> bool {
        let (stamps, terms) = (&entry.stamps, &entry.stamps.terms);
        let until_ms = stamps.fresh_until_ms().unwrap_or(u64::MAX).min(entry.trust_until_ms);
        if terms.absent || terms.sliding || now_ms >= until_ms {
            return false;
        }
        let left_ms = stamps.fresh_until_ms().map_or(u64::MAX, |fresh_until_ms| fresh_until_ms - now_ms);
        if is_early(left_ms, terms.load_ms, terms.early_refresh_beta, self.clock.random()) {
            entry.is_due.store(true, Ordering::Release);
        }
        !entry.is_due.load(Ordering::Acquire)
    }

    /// Renews a raw sliding entry in the store and in L1. `None`: it has gone from the store, or must be read there.
    async fn slide_l1(&self, place: &Place<'_>, entry: &Entry, now_ms: u64) -> Option<Sight> {
        let fresh_ms = entry.stamps.terms.fresh_ms?;
        if place.enveloped() {
            return None;
        }
        let ticket = self.l1.ticket(place.name);
        match self.store.expire(&place.store_key, Expire::InMs(fresh_ms)).await {
            Ok(true) => {
                let stamps = Stamps { since_ms: now_ms, ..entry.stamps.clone() };
                if let Some(entry) = self.l1_entry(place, entry.value(), stamps, now_ms) {
                    self.keep(ticket, place.name, entry, true);
                }
                Some(Sight::copy(Life::Fresh, entry))
            }
            Ok(false) => None,
            // The copy is still within its stamped life; only its renewal failed.
            Err(_) => Some(Sight::copy(Life::Fresh, entry)),
        }
    }

    async fn read_raw(&self, place: &Place<'_>, ticket: Ticket, held: Held, own: bool, now_ms: u64) -> Result<Sight> {
        let mut left_ms = match held.ttl {
            Ttl::Ms(left_ms) => Some(left_ms),
            Ttl::Never | Ttl::Missing => None,
        };
        let mut renewed = own;
        let mut terms = Terms::raw(place.live().rules_id, left_ms);
        if place.live().description.wants_raw_reads {
            let candidate = terms.candidate(&held.bytes);
            if let Verdict::Store(judged) = self.admit(place, Operation::Read, &candidate)? {
                terms.l1_ms = judged.l1_ms;
                terms.max_stale_ms = judged.max_stale_ms;
                terms.weight_percent = judged.weight_percent;
                if judged.sliding && judged.fresh_ms.is_some() {
                    let before_ms = left_ms;
                    left_ms = self.slide_raw(place, judged.fresh_ms, left_ms).await?;
                    renewed |= left_ms != before_ms;
                    terms.fresh_ms = judged.fresh_ms;
                    terms.sliding = true;
                }
            }
        }
        let since_ms = match (terms.fresh_ms, left_ms) {
            (Some(fresh_ms), Some(left_ms)) => (now_ms + left_ms).saturating_sub(fresh_ms),
            _ => now_ms,
        };
        let stamps = Stamps { born_ms: since_ms, since_ms, terms: Arc::new(terms), under: None };
        // Who did not ask for its expiry does not know how long a copy would be good.
        if held.ttl != Ttl::Missing
            && let Some(entry) = self.l1_entry(place, held.bytes.clone(), stamps.clone(), now_ms)
        {
            self.keep(ticket, place.name, entry, renewed);
        }
        let found = Found { stamps, value: held.bytes.clone(), changed: false, invalidated: false };
        Ok(Sight { age_known: false, ..Sight::stored(Life::Fresh, found, held.bytes) })
    }

    /// Keeps a copy of what was read, and perhaps renewed in the store by that.
    fn keep(&self, ticket: Ticket, name: &[u8], entry: Entry, renewed: bool) {
        if renewed {
            self.l1.insert_renewed(ticket, name, entry);
        } else {
            self.l1.insert(ticket, name, entry);
        }
    }

    /// Begins the fresh time of a raw value anew if enough of it is gone; the life that is left.
    async fn slide_raw(&self, place: &Place<'_>, fresh_ms: Option<u64>, left_ms: Option<u64>) -> Result<Option<u64>> {
        let Some(fresh_ms) = fresh_ms else { return Ok(left_ms) };
        let due = left_ms.is_none_or(|left_ms| left_ms.saturating_add(sliding_step_ms(Some(fresh_ms))) <= fresh_ms);
        if !due {
            return Ok(left_ms);
        }
        self.store.expire(&place.store_key, Expire::InMs(fresh_ms)).await.map_err(|e| self.store_error(e))?;
        Ok(Some(fresh_ms))
    }

    /// The stamps of an enveloped entry after this read: renewed in the store if it slides and enough of its life is gone.
    /// A renewal that fails or comes too late changes nothing.
    async fn slid(&self, place: &Place<'_>, held: &Bytes, stamps: Stamps, now_ms: u64) -> Stamps {
        let due_ms = stamps.since_ms.saturating_add(sliding_step_ms(stamps.terms.fresh_ms));
        if !stamps.terms.sliding || now_ms < due_ms {
            return stamps;
        }
        let renewed = Stamps { since_ms: now_ms, ..stamps.clone() };
        match Box::pin(self.put_back(place, held, &renewed, now_ms)).await {
            Ok(true) => renewed,
            Ok(false) | Err(_) => stamps,
        }
    }
}
