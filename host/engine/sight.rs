//! What a read found, and what is made of it: its life under the rules and at the time of now, and the answer by the one
//! table ([`super::transition`]).
//!
//! Invariants: a stale value is answered before anything is loaded; a value that may not be served is never in an answer; a policy is asked only
//! about what may be served, and nothing that it answers goes beyond `max-stale` or makes fresh what was invalidated.

use bytes::Bytes;

use super::api::{Answer, Forward};
use super::core::Engine;
use super::entry::Stamps;
use super::envelope;
use super::found::Found;
use super::freshness::{Freshness, early_window_ms, is_early};
use super::judge::Place;
use super::l1::entry::Entry;
use super::transition::{Begins, Event, Life, Reader, step};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::hooks::{Ability, EntryState, EntryStatus, Revalidation};
use crate::ports::load::{LoadReason, StaleReason};
use crate::ports::metrics::State;
use crate::ports::policy::{Miss, Operation, Request};
use crate::ports::store::Expect;

/// What a read found.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    /// Where it is in its life.
    pub(super) life: Life,
    /// The entry; `None` if it is gone.
    pub(super) found: Option<Found>,
    /// Its bytes in the store, if that was asked.
    pub(super) held: Option<Bytes>,
    /// How a fresh value of it is answered.
    pub(super) hit: State,
    /// Whether the policy has decided its life.
    pub(super) by_policy: bool,
    /// Whether its age is known.
    pub(super) age_known: bool,
    /// The life that others would be served from, if this reader would not.
    pub(super) refused: Option<Life>,
}

impl Sight {
    /// Nothing is there.
    pub(super) const fn gone() -> Self {
        Self {
            life: Life::Gone,
            found: None,
            held: None,
            hit: State::Miss,
            by_policy: false,
            age_known: false,
            refused: None,
        }
    }

    /// An entry from the store.
    pub(super) fn stored(life: Life, found: Found, held: Bytes) -> Self {
        Self { life, found: Some(found), held: Some(held), hit: State::StoreHit, age_known: true, ..Self::gone() }
    }

    /// A copy in L1.
    pub(super) fn copy(life: Life, entry: &Entry) -> Self {
        let found = Found { stamps: entry.stamps.clone(), value: entry.value(), changed: false, invalidated: false };
        let age_known = entry.age_known;
        Self { life, found: Some(found), hit: State::L1Hit, age_known, ..Self::gone() }
    }

    /// What the store holds of it: what whoever replaces it expects to find.
    pub(super) fn seen(&self) -> Expect {
        self.held
            .as_ref()
            .map_or(Expect::Absent, |held| Expect::Prefix(held.slice(..held.len().min(envelope::PREFIX_LEN))))
    }

    /// What a reader is told of it.
    pub(super) fn answer(&self, state: State, now_ms: u64) -> Answer {
        let Some(found) = &self.found else { return Answer::absent(state) };
        Answer {
            value: (!found.stamps.terms.absent).then(|| found.value.clone()),
            age_ms: self.age_known.then(|| found.stamps.age_ms(now_ms)),
            fresh_left_ms: found.stamps.fresh_left_ms(now_ms),
            ..Answer::absent(state)
        }
    }

    /// The same, stale for this reason.
    pub(super) fn stale(&self, reason: StaleReason, now_ms: u64) -> Answer {
        Answer { stale: Some(reason), ..self.answer(State::Stale, now_ms) }
    }

    /// Why it is loaded, if it is.
    pub(super) const fn reason(&self) -> LoadReason {
        match self.life {
            _ if self.refused.is_some() => LoadReason::Requested,
            Life::Fresh | Life::Early => LoadReason::Early,
            Life::Stale => LoadReason::Stale,
            Life::StaleIfError => LoadReason::First,
            Life::Kept => LoadReason::Kept,
            Life::Gone | Life::Negative => LoadReason::Miss,
            Life::Uncacheable => LoadReason::Uncacheable,
        }
    }

    /// What a reader is told of why it is loaded.
    pub(super) fn forward(&self) -> Forward {
        match self.refused {
            Some(Life::Fresh | Life::Early | Life::Negative) => Forward::Request,
            _ if self.found.is_some() => Forward::Stale,
            _ => Forward::Miss,
        }
    }
}

impl Engine {
    /// Where an entry is in its life, by its stamps. Throws the die of early refresh.
    pub(super) fn life(&self, place: &Place<'_>, stamps: &Stamps, now_ms: u64) -> Life {
        let (terms, freshness) = (&stamps.terms, stamps.at(now_ms));
        match freshness {
            Freshness::Fresh if terms.uncacheable => Life::Uncacheable,
            Freshness::Fresh if terms.absent => Life::Negative,
            _ if terms.absent => Life::Gone,
            Freshness::Fresh if self.is_early(place, stamps, now_ms) => Life::Early,
            freshness => Life::of_value(freshness),
        }
    }

    fn is_early(&self, place: &Place<'_>, stamps: &Stamps, now_ms: u64) -> bool {
        let terms = &stamps.terms;
        let window_ms = self.early_window_ms(place, stamps);
        let left_ms = stamps.fresh_until_ms().map_or(u64::MAX, |until_ms| until_ms.saturating_sub(now_ms));
        left_ms < window_ms && is_early(left_ms, terms.load_ms, terms.early_refresh_beta, self.clock.random())
    }

    /// How long before its end an entry may be refreshed early; 0: never.
    pub(super) fn early_window_ms(&self, place: &Place<'_>, stamps: &Stamps) -> u64 {
        let terms = &stamps.terms;
        // What slides is in use for as long as it lives, and would be loaded for ever.
        if terms.sliding || terms.absent || !place.loads() {
            0
        } else {
            early_window_ms(terms.load_ms, terms.early_refresh_beta)
        }
    }

    /// Asks the policy about an entry that is no longer fresh, if it wants to be asked. An extension is stored, so that nobody asks again
    /// before it is over.
    pub(super) async fn judged_by_hook(&self, place: &Place<'_>, mut sight: Sight, now_ms: u64) -> Sight {
        let live = place.live();
        let asks = matches!(sight.life, Life::Stale | Life::StaleIfError)
            && live.policy.abilities().contains(Ability::Revalidation);
        let Some(found) = sight.found.as_mut().filter(|_| asks) else { return sight };
        let status = match sight.life {
            _ if found.invalidated => EntryStatus::Invalidated,
            Life::Stale => EntryStatus::Stale,
            _ => EntryStatus::StaleIfError,
        };
        let state = EntryState {
            request: Request { key: &place.key.rest, operation: Operation::Read, shape: place.shape },
            status,
            age_ms: found.stamps.age_ms(now_ms),
            size_bytes: u32::try_from(found.value.len()).unwrap_or(u32::MAX),
            load_ms: found.stamps.terms.load_ms,
            origin_healthy: live.origin.as_ref().is_none_or(|origin| origin.is_healthy()),
        };
        // A failure is counted and logged where the policy is called; the stamped deadlines are as good as any.
        let verdict = live.policy.revalidate(&state).unwrap_or(Revalidation::AsStamped);
        let life = sight.life.judged(verdict, found.invalidated);
        sight.by_policy = verdict != Revalidation::AsStamped;
        sight.life = life;
        if let (Revalidation::Extend(ms), Life::Fresh) = (verdict, life) {
            let extended = found.stamps.extended(now_ms, u64::from(ms));
            if extended.is_fresh(now_ms) {
                found.stamps = extended;
                if let Some(held) = &sight.held {
                    // If it fails or somebody was faster, the next reader asks again.
                    let _ = self.put_back(place, held, &found.stamps, now_ms).await;
                }
            } else {
                sight.life = Life::of_value(found.stamps.at(now_ms));
            }
        }
        if life == Life::Gone {
            sight = Sight { held: sight.held, ..Sight::gone() };
        }
        sight
    }

    /// The answer for what was found, by the table; begins what it says.
    ///
    /// # Errors
    /// As a load; what cannot be loaded now.
    pub(super) async fn serve(&self, place: &Place<'_>, sight: Sight, now_ms: u64) -> Result<Answer> {
        if sight.life == Life::Fresh {
            return Ok(sight.answer(sight.hit, now_ms));
        }
        let event = self.event_of_read(place);
        let step = step(sight.life, event);
        if event == Event::ReadThrottled && super::transition::step(sight.life, Event::Read).begins != Begins::Nothing {
            place.live().metrics.loads.throttled.increment();
        }
        match step.begins {
            Begins::Refresh if place.stores() => self.refresh_later(place, &sight),
            // A load is rare and its future is large.
            Begins::Load | Begins::OwnLoad => return Box::pin(self.load(place, sight)).await,
            Begins::Nothing | Begins::Refresh | Begins::Lease | Begins::Throttle => {}
        }
        match step.reader {
            Reader::Value => Ok(sight.answer(sight.hit, now_ms)),
            Reader::Stale => {
                let reason = match event {
                    Event::ReadThrottled => StaleReason::Throttled,
                    Event::ReadUnhealthy => StaleReason::Unhealthy,
                    _ if sight.by_policy => StaleReason::Policy,
                    _ => StaleReason::Revalidating,
                };
                Ok(self.count_stale(place, sight.stale(reason, now_ms)))
            }
            Reader::Absent => Ok(sight.answer(State::Negative, now_ms)),
            Reader::Error => Err(self.why_not_loaded(place, event)),
            // Nobody waits for it, and nobody gets its lease.
            Reader::Miss if sight.life == Life::Uncacheable => Ok(Answer::absent(State::Passed)),
            Reader::Miss | Reader::Nothing | Reader::Waits | Reader::Loaded => Ok(Answer::absent(State::Miss)),
        }
    }

    /// What a read of this place is now.
    pub(super) fn event_of_read(&self, place: &Place<'_>) -> Event {
        if place.loads_nothing() {
            return Event::ReadPlain;
        }
        let Some(origin) = place.live().origin.as_ref().filter(|_| place.loads()) else {
            return if place.miss == Miss::Answer { Event::ReadPlain } else { Event::ReadAside };
        };
        let throttled =
            self.recent.of(place.store_key.as_bytes()).is_some_and(|past| past.throttled_ms(self.monotonic_ns()) > 0);
        if throttled {
            return Event::ReadThrottled;
        }
        if origin.is_healthy() { Event::Read } else { Event::ReadUnhealthy }
    }

    /// Counts a stale answer.
    pub(super) fn count_stale(&self, place: &Place<'_>, answer: Answer) -> Answer {
        if let Some(reason) = answer.stale {
            place.live().metrics.loads.stale[reason as usize].increment();
        }
        answer
    }

    /// Why a read of this place begins no load.
    pub(super) fn why_not_loaded(&self, place: &Place<'_>, event: Event) -> Error {
        let domain = &place.live().domain;
        let past = self.recent.of(place.store_key.as_bytes());
        if let (Event::ReadThrottled, Some(past)) = (event, past) {
            let left_ms = past.throttled_ms(self.monotonic_ns());
            let (kind, why) = past
                .error
                .as_ref()
                .map_or((ErrorKind::OriginUnavailable, "it failed"), |error| (error.kind, error.message.as_str()));
            let message = format!("{why}; the key is loaded again in {left_ms} ms at the earliest");
            return Error::new(kind, message);
        }
        let message = format!("the origin of '{domain}' is not asked: its breaker is open");
        Error::new(ErrorKind::OriginUnavailable, message)
    }
}

impl Place<'_> {
    /// Whether its misses are loaded from an origin.
    pub(super) fn loads(&self) -> bool {
        self.miss == Miss::Load && self.live().origin.is_some()
    }
}
