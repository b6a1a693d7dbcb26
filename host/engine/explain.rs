//! Why a key is answered as it is: everything that the host knows, and nothing changed by looking.

use super::api::{Explanation, LoadExplained};
use super::compare::Loaded;
use super::compress::Form;
use super::core::Engine;
use super::entry::Stamps;
use super::envelope;
use super::freshness::Freshness;
use super::generation::Standing;
use super::judge::{Place, Wanted};
use super::key::escaped;
use super::l1::entry::Entry;
use super::outage::is_outage;
use super::transition::{Life, step};
use crate::error::Result;
use crate::ports::invalidation::Mode;
use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::store::Ttl;

/// What was found under a key.
struct Seen {
    stamps: Option<Stamps>,
    stored_rules: Option<u64>,
    size_bytes: u64,
    stored: Option<(u64, Form)>,
    store_ttl_ms: Option<u64>,
    from: &'static str,
    standing: Standing,
    invalidated_by: Vec<String>,
    /// Whether the store is away.
    away: bool,
}

impl Engine {
    /// Why a key is answered as it is.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn explain(&self, key: &[u8]) -> Result<Explanation> {
        let place = self.locate(key, Operation::Read, Wanted::Any)?;
        let now_ms = self.now_ms();
        let l1 = self.hit(key, now_ms);
        let seen = match self.budgeted(self.seen(&place, l1.as_ref())).await {
            Ok(seen) => seen,
            Err(error) if is_outage(error.kind) => {
                let bridged = Some(self.bridged(&place, now_ms).ok_or(error)?);
                return Ok(self.explanation(&place, bridged.as_ref(), now_ms));
            }
            Err(error) => return Err(error),
        };
        let mut explanation = self.explanation(&place, seen.as_ref(), now_ms);
        explanation.kind = match &seen {
            // An entry of this host's own is a string.
            Some(Seen { stamps: Some(_), .. }) => Some("string".to_owned()),
            Some(_) => Some(self.budgeted(self.type_of(&place)).await?),
            None => None,
        };
        self.with_lease(&place, explanation).await
    }

    async fn seen(&self, place: &Place<'_>, l1: Option<&Entry>) -> Result<Option<Seen>> {
        let ttl = self.store.ttl(&place.store_key).await.map_err(|e| self.store_error(e))?;
        let store_ttl_ms = match ttl {
            Ttl::Ms(ms) => Some(ms),
            Ttl::Never | Ttl::Missing => None,
        };
        let bare = Seen {
            stamps: None,
            stored_rules: None,
            size_bytes: 0,
            stored: None,
            store_ttl_ms,
            from: if l1.is_some() { "l1" } else { "store" },
            standing: Standing::Current,
            invalidated_by: Vec::new(),
            away: false,
        };
        if let Some(entry) = l1 {
            let stamps = Some(entry.stamps.clone());
            let stored_rules = Some(entry.stamps.terms.rules_id);
            return Ok(Some(Seen { stamps, stored_rules, size_bytes: entry.bytes().len() as u64, ..bare }));
        }
        if ttl == Ttl::Missing {
            return Ok(None);
        }
        // A collection has no string to look at; that it is there is all there is to say.
        let Ok(Some(held)) = self.store.get(&place.store_key, false).await else { return Ok(Some(bare)) };
        if !place.enveloped() {
            return Ok(Some(Seen { size_bytes: held.bytes.len() as u64, ..bare }));
        }
        let Ok(opened) = envelope::open(&held.bytes) else { return Ok(None) };
        let stored = Some((opened.packed.bytes.len() as u64, opened.packed.form));
        let Some(value) = self.unpack(opened.packed).await else { return Ok(None) };
        let stored_rules = Some(opened.stamps.terms.rules_id);
        let stamps = if stored_rules == Some(place.live().rules_id) {
            Some(opened.stamps)
        } else {
            self.rejudge(place, &opened.stamps, &value)?
        };
        let Some(stamps) = stamps else { return Ok(None) };
        let standing = self.standing(place, &stamps).await?;
        let invalidated_by =
            Loaded::of(&stamps, &place.key.rest).map(|loaded| place.domain.differences(loaded)).unwrap_or_default();
        let stamps = if standing == Standing::Current { stamps } else { stamps.ended(self.now_ms()) };
        let size_bytes = value.len() as u64;
        Ok(Some(Seen { stamps: Some(stamps), stored_rules, size_bytes, stored, standing, invalidated_by, ..bare }))
    }

    /// What a reader gets while the store is away.
    fn bridged(&self, place: &Place<'_>, now_ms: u64) -> Option<Seen> {
        let (entry, stamps) = self.bridging(place, now_ms)?;
        Some(Seen {
            stored: None,
            stamps: Some(stamps),
            stored_rules: Some(entry.stamps.terms.rules_id),
            size_bytes: entry.bytes().len() as u64,
            store_ttl_ms: None,
            from: "l1",
            standing: Standing::Current,
            invalidated_by: Vec::new(),
            away: true,
        })
    }

    fn explanation(&self, place: &Place<'_>, seen: Option<&Seen>, now_ms: u64) -> Explanation {
        let live = place.live();
        let stamps = seen.and_then(|seen| seen.stamps.as_ref());
        let terms = stamps.map(|stamps| stamps.terms.as_ref());
        let fresh_left_ms = match (stamps, seen) {
            (Some(stamps), _) => stamps.fresh_left_ms(now_ms),
            (None, Some(seen)) => seen.store_ttl_ms.and_then(|ms| i64::try_from(ms).ok()),
            (None, None) => None,
        };
        let life = life_of(seen, now_ms);
        Explanation {
            key: escaped(place.name).into_owned(),
            domain: live.domain.to_string(),
            policy_digest: live.digest.to_string(),
            policy_version: live.description.version.clone(),
            generation: live.generation,
            storage_key: escaped(place.store_key.as_bytes()).into_owned(),
            encoding: live.description.encoding.as_str(),
            on_miss: place.miss.as_str(),
            lease: None,
            lease_ttl_ms: None,
            lease_waiting: None,
            state: state_of(seen, now_ms).as_str().to_owned(),
            from: seen.map_or("nowhere", |seen| seen.from),
            kind: None,
            size_bytes: seen.map(|seen| seen.size_bytes),
            born_ms: stamps.filter(|_| place.enveloped()).map(|stamps| stamps.born_ms),
            stored_bytes: seen.and_then(|seen| seen.stored).map(|(bytes, _)| bytes),
            compression: seen.and_then(|seen| seen.stored).map(|(_, form)| form.as_str()),
            age_ms: stamps.filter(|_| place.enveloped()).map(|stamps| stamps.age_ms(now_ms)),
            fresh_ms: terms.and_then(|terms| terms.fresh_ms),
            stale_while_revalidate_ms: terms.map(|terms| terms.stale_while_revalidate_ms),
            stale_if_error_ms: terms.map(|terms| terms.stale_if_error_ms),
            keep_ms: terms.map(|terms| terms.keep_ms),
            max_stale_ms: terms.and_then(|terms| terms.max_stale_ms),
            life: life.as_str(),
            on_read: step(life, self.event_of_read(place)).in_words(),
            load: self.load_explained(place, now_ms),
            fresh_left_ms,
            store_ttl_ms: seen.and_then(|seen| seen.store_ttl_ms),
            rules_stored: seen.and_then(|seen| seen.stored_rules).map(|rules| format!("{rules:016x}")),
            rules_now: format!("{:016x}", live.rules_id),
            rejudged: seen.and_then(|seen| seen.stored_rules).is_some_and(|rules| rules != live.rules_id),
            tags: terms.map(|terms| terms.tags.clone()).unwrap_or_default(),
            generations: stamps.map(generations).unwrap_or_default(),
            invalidated: seen.and_then(|seen| seen.standing.mode()).map(Mode::as_str),
            invalidated_by: seen.map(|seen| seen.invalidated_by.clone()).unwrap_or_default(),
        }
    }
}

impl Engine {
    fn load_explained(&self, place: &Place<'_>, now_ms: u64) -> Option<LoadExplained> {
        let origin = place.live().origin.as_ref().filter(|_| place.loads())?;
        let bare =
            LoadExplained { origin: origin.name().to_owned(), healthy: origin.is_healthy(), ..Default::default() };
        let Some(past) = self.recent.of(place.store_key.as_bytes()) else { return Some(bare) };
        Some(LoadExplained {
            outcome: Some(past.outcome.as_str()),
            status: past.status,
            error: past.error.as_ref().map(|error| error.message.clone()),
            ago_ms: Some(now_ms.saturating_sub(past.at_ms)),
            took_ms: Some(past.took_ms),
            throttled_ms: Some(past.throttled_ms(self.monotonic_ns())).filter(|ms| *ms > 0),
            ..bare
        })
    }
}

/// The generations that an entry was loaded under, in words.
fn generations(stamps: &Stamps) -> Vec<String> {
    let Some(ids) = &stamps.under else { return Vec::new() };
    let tags = stamps.terms.tags.iter().zip(&ids.tags).map(|(tag, id)| format!("tag {tag} {id:016x}"));
    let prefixes = ids.prefixes.iter().map(|id| format!("prefix {id:016x}"));
    std::iter::once(format!("domain {:016x}", ids.domain)).chain(tags).chain(prefixes).collect()
}

/// Where it is in its life. A raw value is there or not.
fn life_of(seen: Option<&Seen>, now_ms: u64) -> Life {
    let Some(seen) = seen.filter(|seen| seen.standing != Standing::Hard) else { return Life::Gone };
    let Some(stamps) = &seen.stamps else { return Life::Fresh };
    match stamps.at(now_ms) {
        Freshness::Fresh if stamps.terms.uncacheable => Life::Uncacheable,
        Freshness::Fresh if stamps.terms.absent => Life::Negative,
        _ if stamps.terms.absent => Life::Gone,
        freshness => Life::of_value(freshness),
    }
}

/// How a read would be answered.
fn state_of(seen: Option<&Seen>, now_ms: u64) -> State {
    let Some(seen) = seen else { return State::Miss };
    if seen.away {
        let absent = seen.stamps.as_ref().is_some_and(|stamps| stamps.terms.absent);
        return if absent { State::Negative } else { State::StaleOutage };
    }
    let hit = if seen.from == "l1" { State::L1Hit } else { State::StoreHit };
    let Some(stamps) = &seen.stamps else { return hit };
    if seen.standing == Standing::Hard {
        return State::Miss;
    }
    match stamps.at(now_ms) {
        Freshness::Fresh if stamps.terms.uncacheable => State::Miss,
        Freshness::Fresh if stamps.terms.absent => State::Negative,
        Freshness::Fresh => hit,
        Freshness::Stale if !stamps.terms.absent => State::Stale,
        _ => State::Miss,
    }
}
