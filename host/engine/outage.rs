//! What a reader gets while the store cannot be reached: the copy in L1 if its policy allows, else what the origin says where there is one, else a miss or
//! an error, as the domain says.
//!
//! A copy that is past the bound *B* may be out of date, so it is served as stale, however fresh it says it is, and never where its
//! policy says `max-stale = 0`. It must be within its fresh time or one of its stale windows: the store's failure is the failure of a
//! load. Invariant: what this node knows to be invalidated or changed is not served, however long the store is away; where it does not
//! know, because its knowledge was evicted, neither. What is loaded meanwhile is stored nowhere: each node loads a key once for all who ask at the same time, as many keys at
//! the same time as the origin's bound says, and after a failure the key rests, as ever.

use std::sync::atomic::Ordering;

use super::api::Answer;
use super::core::Engine;
use super::entry::Stamps;
use super::freshness::Freshness;
use super::generation::Standing;
use super::judge::Place;
use super::l1::entry::Entry;
use super::load::whole_wait;
use super::transition::Event;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::metrics::State;
use crate::ports::origin::Origin;
use crate::ports::table::OnStoreFailure;

impl Engine {
    /// The answer to a read that the store did not answer. An error that is none of the store's being away stays one.
    ///
    /// # Errors
    /// The same one, or the load's, if there is nothing to serve and the domain wants errors.
    pub(super) async fn without_store(&self, place: &Place<'_>, now_ms: u64, error: Error) -> Result<Answer> {
        if !is_outage(error.kind) {
            return Err(error);
        }
        let bridging = self
            .bridging(place, now_ms)
            .filter(|(entry, stamps)| !place.refuses(stamps, entry.age_known, !stamps.is_fresh(now_ms), now_ms));
        if let Some((entry, stamps)) = bridging {
            let state = if stamps.terms.absent { State::Negative } else { State::StaleOutage };
            let answer = entry.answer(state, now_ms);
            return Ok(Answer { fresh_left_ms: stamps.fresh_left_ms(now_ms), ..answer });
        }
        let error = match place.live().origin.as_deref().filter(|_| place.loads() && !place.loads_nothing()) {
            // A load is rare and its future is large.
            Some(origin) => match Box::pin(self.load_without_store(place, origin)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            },
            None => error,
        };
        match place.live().on_store_failure.unwrap_or(self.on_store_failure) {
            OnStoreFailure::Miss => Ok(Answer::absent(State::MissOutage)),
            OnStoreFailure::Error => Err(error),
        }
    }

    /// # Errors
    /// The load's; why there is none now.
    async fn load_without_store(&self, place: &Place<'_>, origin: &dyn Origin) -> Result<Answer> {
        let event = self.event_of_read(place);
        if event != Event::Read {
            return Err(self.why_not_loaded(place, event));
        }
        self.share_load(place, whole_wait(origin), self.load_here(place, origin)).await
    }

    /// The copy that may be served while the store is away, with the stamps that it has by the rules of now.
    pub(super) fn bridging(&self, place: &Place<'_>, now_ms: u64) -> Option<(Entry, Stamps)> {
        let entry = self.l1.get(place.name)?;
        if place.domain.is_forgotten(entry.mark.load(Ordering::Acquire)) || self.recovery.covers(place) {
            return None;
        }
        let mut stamps = entry.stamps.clone();
        // How long a raw value lives, the store had said.
        if place.enveloped() && stamps.terms.rules_id != place.live().rules_id {
            stamps = self.rejudge(place, &stamps, &entry.value()).ok()??;
        }
        let terms = &stamps.terms;
        // The copy was made at most *B* before its trust ended.
        let made_ms = entry.trust_until_ms.saturating_sub(self.trust_ms);
        let capped = terms.l1_ms.is_some_and(|cap_ms| now_ms >= made_ms.saturating_add(cap_ms));
        if capped || terms.max_stale_ms == Some(0) && !entry.is_believed(now_ms, &self.coherence) {
            return None;
        }
        let served = match stamps.at(now_ms) {
            Freshness::Fresh => true,
            Freshness::Stale | Freshness::StaleIfError => !terms.absent,
            Freshness::Kept | Freshness::Gone => false,
        };
        match self.known_standing(place, &stamps)? {
            Standing::Current => served.then_some((entry, stamps)),
            Standing::Soft => {
                // The stale windows begin when that is noticed: it is noted, so that they end as well.
                let ended = stamps.ended(now_ms);
                let serves = matches!(ended.at(now_ms), Freshness::Stale | Freshness::StaleIfError) && !terms.absent;
                self.l1.replace(place.name, &entry, entry.with(ended.clone()));
                serves.then_some((entry, ended))
            }
            Standing::Hard => None,
        }
    }
}

/// Whether an error means that the store is away, for this call at least.
pub(super) const fn is_outage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StoreUnavailable | ErrorKind::StoreTimeout)
}
