//! Key versions: what an older one left in the store is carried over to the one of now when it is first asked for.
//!
//! For domains whose policy exports `migration`, while `key.old_versions` names older versions. A miss looks under the same suffix of each of
//! them, asks the policy what has become of the value, and stores that with the life that is left. It keeps its age and the generations
//! that it was loaded under, so whatever was invalidated stays so. Commands that change a key where it is carry it over first;
//! those that replace or remove it remove what is old as well. So an old value never comes back after a newer one is gone.
//!
//! Whoever carries a value over first takes it away from the old place: of two nodes one does, and a removal that comes before it wins.
//! A node that dies in between loses the entry. Deliberately absent: a removal that comes between the two steps is not seen; both
//! take less than a round trip.

use futures_util::future::join_all;

use super::core::Engine;
use super::entry::Stamps;
use super::envelope::{self, EnvelopeError, PREFIX_LEN};
use super::freshness::Freshness;
use super::generation::Standing;
use super::judge::{Place, Verdict, policy_error};
use super::read::expire_for;
use super::write::stamps_now;
use crate::error::Result;
use crate::ports::hooks::Ability;
use crate::ports::policy::KeyScope;
use crate::ports::store::{Expect, Expire, Held, StoreKey, Ttl};
use crate::ports::table::Live;

impl Engine {
    /// Older versions that the domain reads from, the newest first.
    fn old_versions<'a>(&'a self, live: &'a Live) -> impl Iterator<Item = &'a str> {
        let migrates = !self.old_versions.is_empty()
            && live.description.key_scope == KeyScope::Domain
            && live.policy.abilities().contains(Ability::Migration);
        let versions = if migrates { &self.old_versions[..] } else { &[] };
        versions.iter().map(String::as_str).filter(|version| *version != live.description.key_version)
    }

    /// Whether keys of this domain may have to be carried over.
    pub(super) fn migrates(&self, live: &Live) -> bool {
        self.old_versions(live).next().is_some()
    }

    /// Carries over what an older version has, if this one has nothing. Whether there is something now that was not there before.
    ///
    /// # Errors
    /// A failure of the store or of the policy.
    pub(super) async fn carry_over(&self, place: &Place<'_>) -> Result<bool> {
        for version in self.old_versions(place.live()) {
            let old_key = self.keys.of_version(place.live(), version, &place.store_key);
            let held = self.store.get(&old_key, true).await.map_err(|e| self.store_error(e))?;
            let Some(held) = held else { continue };
            // An envelope's beginning tells its version; anything else is compared as a whole.
            let sealed = place.enveloped() && envelope::open(&held.bytes).is_ok();
            let claimed = held.bytes.slice(..if sealed { PREFIX_LEN } else { held.bytes.len() });
            let carried = self.carried(place, version, held).await?;
            if !self.store.remove(&old_key, claimed).await.map_err(|e| self.store_error(e))? {
                // Another node carries it over, or somebody removed it. What it became is in its new place, if anywhere.
                return Ok(true);
            }
            // What still older versions have is older still.
            if self.old_versions(place.live()).nth(1).is_some() {
                self.forget_old(std::iter::once(place)).await?;
            }
            let Some((bytes, expire)) = carried else { return Ok(false) };
            let done = self.store.replace(&place.store_key, Expect::Absent, bytes, expire).await;
            place.live().metrics.migrated.increment();
            return done.map(|_| true).map_err(|e| self.store_error(e));
        }
        Ok(false)
    }

    /// What is to be stored for an older value; `None`: nothing.
    async fn carried(&self, place: &Place<'_>, version: &str, held: Held) -> Result<Option<(bytes::Bytes, Expire)>> {
        let live = place.live();
        let migrated = |value: &[u8]| {
            let migrated = live.policy.migrate(version, &place.key.rest, value);
            migrated.map(|value| value.map(bytes::Bytes::from)).map_err(|error| policy_error(live, error))
        };
        let (left_ms, expire) = match held.ttl {
            Ttl::Ms(left_ms) => (Some(left_ms.max(1)), Expire::InMs(left_ms.max(1))),
            Ttl::Never | Ttl::Missing => (None, Expire::Never),
        };
        if !place.enveloped() {
            let Some(value) = migrated(&held.bytes)? else { return Ok(None) };
            self.check_value(&value)?;
            return Ok(Some((value, expire)));
        }
        let now_ms = self.now_ms();
        let (stamps, value) = match envelope::open(&held.bytes) {
            Ok(opened) if opened.stamps.terms.absent => return Ok(None),
            Ok(opened) => {
                let Some(value) = self.unpack(opened.packed).await else { return Ok(None) };
                let Some(value) = migrated(&value)? else { return Ok(None) };
                let Some(stamps) = self.rejudge(place, &opened.stamps, &value)? else { return Ok(None) };
                match self.standing(place, &stamps).await? {
                    Standing::Current => (stamps, value),
                    Standing::Soft => (stamps.ended(now_ms), value),
                    Standing::Hard => return Ok(None),
                }
            }
            // The older version was raw.
            Err(EnvelopeError::Foreign) => {
                let Some(value) = migrated(&held.bytes)? else { return Ok(None) };
                let Verdict::Store(terms) = self.admit_write(place, &value, left_ms)? else { return Ok(None) };
                let under = self.under(place, &terms).await?;
                (stamps_now(terms, now_ms, &under), value)
            }
            Err(_) => return Ok(None),
        };
        self.check_value(&value)?;
        if stamps.at(now_ms) == Freshness::Gone {
            return Ok(None);
        }
        let packed = self.pack(place, &stamps.terms, &value).await;
        let stamps: &Stamps = &stamps;
        Ok(Some((self.seal(place, stamps, &packed)?, expire_for(stamps, now_ms))))
    }

    /// Carries over what a command is about to look at or change where it is.
    ///
    /// # Errors
    /// As [`Self::carry_over`].
    pub(super) async fn arrive(&self, places: &[Place<'_>]) -> Result<()> {
        let places = places.iter().filter(|place| self.migrates(place.live()));
        let carried = join_all(places.map(|place| async move {
            let there = self.store.ttl(&place.store_key).await.map_err(|e| self.store_error(e))?;
            if there == Ttl::Missing { self.carry_over(place).await } else { Ok(false) }
        }));
        carried.await.into_iter().try_for_each(|carried| carried.map(drop))
    }

    /// Removes what older versions have of these keys: for each, whether there was something.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn forget_old<'a>(&self, places: impl Iterator<Item = &'a Place<'a>>) -> Result<Vec<bool>> {
        let mut there = Vec::new();
        let (mut at, mut keys): (Vec<usize>, Vec<StoreKey>) = Default::default();
        for (i, place) in places.enumerate() {
            there.push(false);
            for version in self.old_versions(place.live()) {
                at.push(i);
                keys.push(self.keys.of_version(place.live(), version, &place.store_key));
            }
        }
        if !keys.is_empty() {
            let removed = self.store.delete(&keys).await.map_err(|e| self.store_error(e))?;
            at.into_iter().zip(removed).for_each(|(i, removed)| there[i] |= removed);
        }
        Ok(there)
    }
}
