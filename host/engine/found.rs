//! An enveloped entry as it was found in the store: opened, judged by the rules of now, compared with what was invalidated.
//!
//! Invariant: an entry that is only stamped anew keeps its value as it lies there, compressed or not. Deliberately absent: whether a reader gets it
//! (`sight.rs`).

use std::sync::Arc;

use bytes::Bytes;

use super::core::Engine;
use super::entry::Stamps;
use super::envelope::{self, EnvelopeError};
use super::freshness::Freshness;
use super::generation::Standing;
use super::judge::{Place, Verdict};
use crate::error::Result;
use crate::ports::policy::{Candidate, Cause, Operation};
use crate::ports::store::{Expect, Expire};

/// An enveloped entry as the store has it, under the rules of now.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its stamps under the rules of now.
    pub(super) stamps: Stamps,
    /// The value; empty for an absence.
    pub(super) value: Bytes,
    /// Whether it was stored anew, or should have been: judged by other rules, or ended by an invalidation.
    pub(super) changed: bool,
    /// Whether it was invalidated softly since it was loaded.
    pub(super) invalidated: bool,
}

impl Found {
    /// Whether a reader gets it: fresh or stale, and not an absence.
    pub(super) fn is_served(&self, now_ms: u64) -> bool {
        !self.stamps.terms.absent && self.stamps.at(now_ms) <= Freshness::Stale
    }
}

impl Engine {
    /// Opens an envelope. If other rules had judged it, judges it anew from what they were told; if it was invalidated softly, its
    /// fresh time ends. `None`: nothing that may be served or changed lies there.
    ///
    /// # Errors
    /// A failure of the policy or of the store.
    pub(super) async fn open(&self, place: &Place<'_>, held: &Bytes, now_ms: u64) -> Result<Option<Found>> {
        let opened = match envelope::open(held) {
            Ok(opened) => opened,
            Err(error) => {
                self.note_foreign(place, error);
                return Ok(None);
            }
        };
        let before = opened.stamps;
        let Some(value) = self.unpack(opened.packed).await else {
            self.note_foreign(place, EnvelopeError::Damaged);
            return Ok(None);
        };
        let mut stamps = before.clone();
        if stamps.terms.rules_id != place.live().rules_id {
            place.live().metrics.rejudged.increment();
            let Some(judged) = self.rejudge(place, &stamps, &value)? else { return Ok(None) };
            stamps = judged;
        }
        let standing = self.standing(place, &stamps).await?;
        if let Some(mode) = standing.mode() {
            place.live().metrics.found_invalidated[mode as usize].increment();
        }
        match standing {
            Standing::Current => {}
            Standing::Soft => stamps = stamps.ended(now_ms),
            Standing::Hard => return Ok(None),
        }
        let changed = !Arc::ptr_eq(&stamps.terms, &before.terms);
        if changed && stamps.life_left_ms(now_ms) != before.life_left_ms(now_ms) {
            // The store's expiry follows the rules of now; whoever changed the entry meanwhile has done better.
            let _ = self.put_back(place, held, &stamps, now_ms).await;
        }
        let invalidated = standing == Standing::Soft;
        Ok(Some(Found { stamps, value, changed, invalidated }))
    }

    /// What the rules of now make of an entry that others judged; `None`: they would not have it.
    pub(super) fn rejudge(&self, place: &Place<'_>, stamps: &Stamps, value: &Bytes) -> Result<Option<Stamps>> {
        let terms = &stamps.terms;
        if terms.absent {
            return Ok(None);
        }
        let operation = match terms.cause.into() {
            Cause::Write => Operation::Write,
            Cause::Fill => Operation::Fill,
            Cause::Load => Operation::Load,
            Cause::Refresh => Operation::Refresh,
        };
        let candidate: Candidate<'_> = terms.candidate(value);
        match self.admit(place, operation, &candidate)? {
            Verdict::Store(terms) => Ok(Some(stamps.judged(terms))),
            Verdict::Pass(_) => Ok(None),
        }
    }

    /// Stores an entry with other stamps if it still is the one that was read. Whether it was.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn put_back(&self, place: &Place<'_>, held: &Bytes, stamps: &Stamps, now_ms: u64) -> Result<bool> {
        let (Some(prefix), Ok(opened)) = (envelope::prefix(held), envelope::open(held)) else { return Ok(false) };
        let bytes = self.seal(place, stamps, &opened.packed)?;
        let expire = expire_for(stamps, now_ms);
        self.store
            .replace(&place.store_key, Expect::Prefix(prefix), bytes, expire)
            .await
            .map_err(|e| self.store_error(e))
    }

    fn note_foreign(&self, place: &Place<'_>, error: EnvelopeError) {
        place.live().metrics.foreign_bytes.increment();
        tracing::debug!(domain = %place.live().domain, %error, "not our bytes under a storage key: a miss");
    }
}

/// The expiry that the store is to give an entry.
pub(super) fn expire_for(stamps: &Stamps, now_ms: u64) -> Expire {
    stamps.life_left_ms(now_ms).map_or(Expire::Never, Expire::InMs)
}
