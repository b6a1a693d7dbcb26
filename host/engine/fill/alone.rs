//! The lease of one who has the value already and only brings it to its place: it waits for nobody, and nobody waits for it longer than
//! for a few calls of the store.

use super::flight::Boarding;
use super::lease::Taken;
use super::{Fence, Lease};
use crate::engine::core::Engine;
use crate::engine::judge::Place;
use crate::error::Result;
use crate::limits::MIGRATION_MS_MAX;
use crate::ports::store::Expect;

/// What became of one try to take a key's lease while the key is absent.
pub(in crate::engine) enum Alone {
    /// It is the caller's.
    Lead(Lease),
    /// The key is there.
    Changed,
    /// Somebody else fills it.
    Busy,
    /// A key like this has no lease.
    Never,
}

impl Engine {
    /// Takes the lease of an absent key at once, or not at all.
    ///
    /// # Errors
    /// A failure of the store.
    pub(in crate::engine) async fn lead_alone(&self, place: &Place<'_>) -> Result<Alone> {
        let Some(keys) = place.fence_keys() else { return Ok(Alone::Never) };
        let metrics = &place.live().metrics;
        let Boarding::Seat(seat) = self.fills.desk.flights.board(&place.store_key.0, metrics) else {
            return Ok(Alone::Busy);
        };
        let token = self.lease_token()?;
        let fence = Fence::bare(self.now_ms(), place.domain.seq());
        let taken = self.fills.desk.take(&keys, token, &Expect::Absent).await;
        Ok(match taken.map_err(|e| self.store_error(e))? {
            Taken::Held(held) => Alone::Lead(self.fills.desk.lease(held, seat, fence, metrics, MIGRATION_MS_MAX)),
            Taken::HeldFor(_) => Alone::Busy,
            Taken::Changed => Alone::Changed,
        })
    }
}
