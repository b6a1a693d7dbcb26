//! What one reader asks of an answer beyond what the policy says: the request directives of HTTP (RFC 9111 §5.2.1), without HTTP.
//!
//! A reader may refuse what others are given, take what is stale, or forbid loading and storing. An entry that it refuses is to it as one
//! that is [kept](Life::Kept): never served, and helps a conditional load. So the one table ([`super::transition`]) decides here, too. Invariants: a
//! refused entry is loaded like a miss, in the same flight and under the same lease, one load of a key at a time; nothing past the policy's windows or
//! `max-stale` is served because somebody would take it; what was loaded since the reader asked is never refused.
//! Deliberately absent: refusals where nothing is loaded from an origin, as what the store holds is the newest there is; and in raw domains, whose
//! loads know no lease and would be as many as the readers.

use super::api::{Answer, Demand};
use super::core::Engine;
use super::entry::Stamps;
use super::fill::{Leased, Who};
use super::judge::{Place, Wanted};
use super::sight::Sight;
use super::transition::Life;
use crate::error::Result;
use crate::ports::policy::Operation;

/// A demand and when it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    demand: Demand,
    /// Wall time: for what another node loaded.
    since_ms: u64,
    /// Monotonic time: for what this node loads.
    since_ns: u64,
}

impl Demand {
    /// Whether a value may be given that is stale by so much.
    fn takes_stale(&self, by_ms: u64) -> bool {
        match self.stale_ms_max {
            Some(most_ms) => by_ms <= most_ms,
            // RFC 9111 §5.2.1.1: who sets an age and says nothing of staleness wants none.
            None => self.age_ms_max.is_none(),
        }
    }
}

impl Asking {
    fn refuses(&self, stamps: &Stamps, age_known: bool, stale: bool, now_ms: u64) -> bool {
        if age_known && stamps.born_ms >= self.since_ms {
            return false;
        }
        let age_ms = age_known.then(|| stamps.age_ms(now_ms));
        self.demand.anew || self.is_outside(age_ms, stamps.fresh_left_ms(now_ms), stale)
    }

    fn is_outside(&self, age_ms: Option<u64>, left_ms: Option<i64>, stale: bool) -> bool {
        let Demand { age_ms_max, fresh_ms_min, .. } = self.demand;
        let too_old = age_ms_max.is_some_and(|most_ms| age_ms.is_none_or(|age_ms| age_ms > most_ms));
        let least_ms = fresh_ms_min.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        let too_short = least_ms.zip(left_ms).is_some_and(|(least_ms, left_ms)| left_ms < least_ms);
        let too_stale = stale && !self.demand.takes_stale(past_ms(left_ms));
        too_old || too_short || too_stale
    }
}

/// How long ago the fresh time ended.
fn past_ms(left_ms: Option<i64>) -> u64 {
    left_ms.map_or(0, |left_ms| u64::try_from(left_ms.saturating_neg()).unwrap_or(0))
}

impl Place<'_> {
    fn demand(&self) -> Option<&Demand> {
        self.asking.map(|asking| &asking.demand)
    }

    /// Whether nothing may be loaded for this reader.
    pub(super) fn loads_nothing(&self) -> bool {
        self.demand().is_some_and(|demand| demand.only_cached)
    }

    /// Whether what is loaded for this reader may be stored.
    pub(super) fn stores(&self) -> bool {
        self.demand().is_none_or(|demand| !demand.unstored)
    }

    /// Whether this node's copy is passed over, whatever it is.
    pub(super) fn passes_over_l1(&self) -> bool {
        self.demand().is_some_and(|demand| demand.anew)
    }

    /// Whether this reader would not have a copy with these stamps.
    pub(super) fn refuses(&self, stamps: &Stamps, age_known: bool, stale: bool, now_ms: u64) -> bool {
        self.asking.is_some_and(|asking| asking.refuses(stamps, age_known, stale, now_ms))
    }

    /// Whether this reader takes the answer of a load that others began at `led_ns`; `None`: it was read, or another node loaded it.
    pub(super) fn takes(&self, answer: &Answer, led_ns: Option<u64>) -> bool {
        let Some(asking) = self.asking else { return true };
        if led_ns.is_some_and(|led_ns| led_ns >= asking.since_ns) {
            return true;
        }
        let stale = answer.fresh_left_ms.is_some_and(|left_ms| left_ms < 0);
        !asking.demand.anew && !asking.is_outside(answer.age_ms, answer.fresh_left_ms, stale)
    }

    /// What was found, as this reader regards it.
    pub(super) fn regards(&self, sight: Sight, now_ms: u64) -> Sight {
        let (Some(asking), Some(found)) = (self.asking, &sight.found) else { return sight };
        let past_ms = past_ms(found.stamps.fresh_left_ms(now_ms));
        let life = match sight.life {
            // A policy that says that it is loaded first has the last word.
            Life::StaleIfError
                if !sight.by_policy && asking.demand.stale_ms_max.is_some_and(|most| past_ms <= most) =>
            {
                Life::Stale
            }
            life => life,
        };
        let served = matches!(life, Life::Fresh | Life::Early | Life::Stale | Life::Negative);
        let loads = self.loads() && self.is_leased();
        let refused = served && loads && asking.refuses(&found.stamps, sight.age_known, life == Life::Stale, now_ms);
        match life {
            Life::Negative if refused => Sight { life: Life::Gone, refused: Some(life), ..sight },
            _ if refused => Sight { life: Life::Kept, refused: Some(life), ..sight },
            _ => Sight { life, ..sight },
        }
    }
}

impl Engine {
    /// Reads a string for a reader with demands, and takes its lease as [`Self::get_or_lease`] does if somebody would fill it. `None`: there is nothing
    /// that it may be given without a load, and it forbids that.
    ///
    /// # Errors
    /// As [`Self::get_or_lease`].
    pub async fn get_demanding(&self, key: &[u8], demand: Demand, who: Option<Who<'_>>) -> Result<Option<Leased>> {
        let started_ns = self.monotonic_ns();
        let asking = self.asking(demand);
        let place = self.locate(key, Operation::Read, Wanted::String)?;
        let place = place.asked(&asking);
        // Neither who stores nothing nor who wants nothing loaded will fill it.
        let who = who.filter(|_| place.stores() && !place.loads_nothing());
        let leased = self.read_place(&place, who, asking.since_ms).await;
        let leased = self.tally_result(&place, Operation::Read, leased, |leased| leased.answer.state, started_ns)?;
        let held = leased.answer.value.is_some() || leased.answer.state.is_hit();
        Ok((held || !place.loads_nothing()).then_some(leased))
    }

    pub(super) fn asking(&self, demand: Demand) -> Asking {
        Asking { demand, since_ms: self.now_ms(), since_ns: self.monotonic_ns() }
    }
}

impl<'a> Place<'a> {
    /// The same for a reader with demands, where the domain's operator lets readers have some.
    pub(super) fn asked(self, asking: &'a Asking) -> Self {
        let obeys = self.live().obeys_requests;
        Self { asking: obeys.then_some(asking), ..self }
    }
}
