//! A copy for L1: whether there may be one, until when it serves, and how long it is believed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::coherence::{NO_STREAM, UNTOLD};
use super::core::Engine;
use super::entry::Stamps;
use super::judge::Place;
use super::known::Domain;
use super::l1::entry::{Entry, Facts};
use crate::limits::SLIDING_STEP_MS_MAX;
use crate::ports::policy::KeyScope;
use crate::ports::store::Sharing;

impl Engine {
    /// Whether copies of raw values may be kept in L1: only where nobody else can change them unseen.
    pub(super) fn raw_in_l1(&self, place: &Place<'_>) -> bool {
        let told = || self.is_told(place) && self.coherence.running() != NO_STREAM;
        self.l1_bytes_max() > 0 && (self.store.sharing() == Sharing::Exclusive || told())
    }

    /// Whether the stream of changes, if one runs, tells of this place in words that lead back to its key.
    fn is_told(&self, place: &Place<'_>) -> bool {
        let verbatim = place.live().description.key_scope == KeyScope::Verbatim;
        !place.renamed && (!verbatim || self.coherence.is_whole())
    }

    /// An entry for L1; `None` if it is not to be kept there.
    pub(super) fn l1_entry(&self, place: &Place<'_>, value: Bytes, mut stamps: Stamps, now_ms: u64) -> Option<Entry> {
        let terms = &stamps.terms;
        let in_l1 = self.l1_bytes_max() > 0
            && terms.l1_ms != Some(0)
            && (place.enveloped() || self.raw_in_l1(place))
            && !place.is_changed_unseen();
        if !in_l1 || !self.stands(place, &stamps, now_ms) {
            return None;
        }
        let since = place.domain.since(&stamps, now_ms)?;
        let trust_until_ms = match self.store.sharing() {
            Sharing::Exclusive => u64::MAX,
            Sharing::Shared => now_ms.min(since.as_of_ms).saturating_add(self.trust_ms),
        };
        let serve_until_ms = if terms.absent {
            0
        } else {
            let slide_ms = if terms.sliding { now_ms + sliding_step_ms(terms.fresh_ms) } else { u64::MAX };
            let cap_ms = terms.l1_ms.map_or(u64::MAX, |cap_ms| now_ms.saturating_add(cap_ms));
            let fresh_until_ms = stamps.fresh_until_ms().unwrap_or(u64::MAX);
            // From then on each read throws the die of early refresh: see `Engine::waits`.
            let early_from_ms = match self.early_window_ms(place, &stamps) {
                0 => u64::MAX,
                window_ms => fresh_until_ms.saturating_sub(window_ms),
            };
            fresh_until_ms.min(slide_ms).min(cap_ms).min(early_from_ms)
        };
        let stream = if self.is_told(place) { since.stream } else { UNTOLD };
        stamps.terms = self.terms.share(stamps.terms);
        stamps.under = stamps.under.map(|ids| place.domain.share(ids));
        let facts = Facts {
            stamps,
            serve_until_ms,
            trust_until_ms,
            stream: stream.into(),
            echo: false.into(),
            age_known: place.enveloped(),
            is_due: AtomicBool::new(false),
            mark: Domain::mark(place.epoch, place.seq).into(),
            domain: Arc::clone(&place.domain),
        };
        Some(Entry::new(place.name, value, facts))
    }
}

/// How long the reads of a sliding entry may go without renewing it: a hundredth of its life.
pub(super) fn sliding_step_ms(fresh_ms: Option<u64>) -> u64 {
    fresh_ms.map_or(SLIDING_STEP_MS_MAX, |fresh_ms| (fresh_ms / 100).clamp(1, SLIDING_STEP_MS_MAX))
}
