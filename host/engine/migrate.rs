//! Key versions: what an older one left in the store is carried over to the one of now when it is first asked for.
//!
//! For domains whose policy exports `migration`, while `key.old_versions` names older versions. A miss looks under the same suffix of each of
//! them, asks the policy what has become of the value, and stores that with the life that is left. It keeps its age and the generations
//! that it was loaded under, so whatever was invalidated stays so; a raw value says nothing of that, so it counts as loaded before all
//! invalidations that the domain still knows of. The hook is about values: hashes, lists and sets are moved as they are, with their expiry, where the
//! domain has some; what they hold is the application's own, command by command.
//!
//! Invariant: after a write or a removal under the version of now nothing older comes back. Every command that changes a key first carries
//! over what it may look at ([`Engine::arrive`]), removes what is old ([`Engine::forget_old`]) and then ends the key's lease along with
//! its change. Whoever carries over holds that lease from before it reads the old value until it stores the new one. So the order decides: what was read
//! before the removal is not stored after it. Only then the old value goes; if somebody took it away in between, what was stored goes,
//! too. Deliberately absent: older versions in what lists keys (`SCAN`, `KEYS`), and an eye on hosts of the older version, whose writes are
//! newer than what was removed before them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use tokio::time::sleep;

use super::batch::serves_collections;
use super::core::Engine;
use super::entry::{Stamps, Terms};
use super::envelope::{self, EnvelopeError, Opened, PREFIX_LEN};
use super::fill::{Alone, Lease};
use super::found::expire_for;
use super::freshness::Freshness;
use super::generation::{Ids, NONE, Standing};
use super::judge::{Place, Verdict, policy_error};
use super::known::Name;
use super::write::stamps_now;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BATCH_LOADS_MAX, MIGRATION_PAUSE_MS_MIN, MIGRATION_TURNS_MAX};
use crate::ports::hooks::Ability;
use crate::ports::lease::Adopting;
use crate::ports::policy::KeyScope;
use crate::ports::store::{Command, Expire, Held, Reply, StoreKey, Ttl};
use crate::ports::table::{Live, PolicyTable};

/// What an older version has of a key.
struct Old<'a> {
    version: &'a str,
    key: StoreKey,
    had: Had,
}

/// What that is.
enum Had {
    Value(Held),
    /// A hash, a list or a set.
    Collection,
}

/// What became of carrying a key over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    /// No older version has anything that is still good.
    Nothing,
    /// There is something under the version of now.
    Here,
    /// Somebody else is just filling the key.
    Busy,
}

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

    /// What all keys of a domain begin with in its older versions.
    pub(super) fn old_beginnings(&self, live: &Live) -> Vec<StoreKey> {
        self.old_versions(live).map(|version| self.keys.in_version(live, version, "")).collect()
    }

    /// Whether a key of the store is one of an older version that some domain reads from.
    pub(super) fn is_old(&self, table: &PolicyTable, key: &[u8]) -> bool {
        table.iter().any(|live| self.old_beginnings(live).iter().any(|all| key.starts_with(all.as_bytes())))
    }

    /// What the newest of the older versions has of each of these keys, in one round trip.
    async fn behind<'p>(&'p self, places: &[&'p Place<'_>]) -> Result<Vec<Option<Old<'p>>>> {
        let (mut at, mut keys) = (Vec::new(), Vec::new());
        for (i, place) in places.iter().enumerate().filter(|(_, place)| place.migrates) {
            for version in self.old_versions(place.live()) {
                at.push((i, version));
                keys.push(self.keys.of_version(place.live(), version, &place.store_key));
            }
        }
        let mut found: Vec<Option<Old<'p>>> = places.iter().map(|_| None).collect();
        if keys.is_empty() {
            return Ok(found);
        }
        let (held, collections) =
            join(self.store.get_many(&keys, true), self.are_collections(places, &at, &keys)).await;
        let (held, collections) = (held.map_err(|e| self.store_error(e))?, collections?);
        for ((((i, version), key), held), collection) in at.into_iter().zip(keys).zip(held).zip(collections) {
            let had = held.map(Had::Value).or_else(|| collection.then_some(Had::Collection));
            if let (None, Some(had)) = (&found[i], had) {
                found[i] = Some(Old { version, key, had });
            }
        }
        Ok(found)
    }

    /// Which of these keys are hashes, lists or sets of domains that have some; asked only for those domains.
    async fn are_collections(
        &self,
        places: &[&Place<'_>],
        at: &[(usize, &str)],
        keys: &[StoreKey],
    ) -> Result<Vec<bool>> {
        let mut are = vec![false; keys.len()];
        let asked: Vec<usize> = (0..keys.len()).filter(|&n| serves_collections(places[at[n].0])).collect();
        if asked.is_empty() {
            return Ok(are);
        }
        let ask = asked.iter().map(|&n| Command::new("TYPE").arg(keys[n].0.clone())).collect();
        let replies = self.store.pipeline(ask).await.map_err(|e| self.store_error(e))?;
        for (n, reply) in asked.into_iter().zip(replies) {
            are[n] = matches!(&reply, Reply::Status(kind) if matches!(&kind[..], b"hash" | b"list" | b"set"));
        }
        Ok(are)
    }

    /// Carries a key over that was not there. Whether something may be there now.
    ///
    /// # Errors
    /// A failure of the store or of the policy.
    pub(super) async fn bring(&self, place: &Place<'_>) -> Result<bool> {
        Ok(self.brought(place).await? == Carried::Here)
    }

    async fn brought(&self, place: &Place<'_>) -> Result<Carried> {
        let mut pause_ms = MIGRATION_PAUSE_MS_MIN;
        for _ in 0..MIGRATION_TURNS_MAX {
            match self.carry_over(place).await? {
                Carried::Busy => sleep(Duration::from_millis(pause_ms)).await,
                carried => return Ok(carried),
            }
            pause_ms *= 2;
        }
        Ok(Carried::Busy)
    }

    /// Which of these keys that are not there an older version has.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn are_behind(&self, places: &[&Place<'_>]) -> Result<Vec<bool>> {
        Ok(self.behind(places).await?.into_iter().map(|old| old.is_some()).collect())
    }

    async fn carry_over(&self, place: &Place<'_>) -> Result<Carried> {
        // Nearly always there is nothing, and then nobody needs a lease to know.
        if self.behind(&[place]).await?.iter().all(Option::is_none) {
            return Ok(Carried::Nothing);
        }
        let mut lease = match self.lead_alone(place).await? {
            Alone::Lead(lease) => lease,
            Alone::Changed => return Ok(Carried::Here),
            Alone::Busy => return Ok(Carried::Busy),
            Alone::Never => return Ok(Carried::Nothing),
        };
        let Some(old) = self.behind(&[place]).await?.into_iter().flatten().next() else { return Ok(Carried::Nothing) };
        let Old { version, key, had } = old;
        let held = match had {
            Had::Value(held) => held,
            Had::Collection => return self.adopt(place, lease, &key).await,
        };
        // An envelope's beginning tells its version; anything else is compared as a whole.
        let claim = |bytes: &Bytes| bytes.slice(..if envelope::open(bytes).is_ok() { PREFIX_LEN } else { bytes.len() });
        let claimed = claim(&held.bytes);
        let Some((bytes, expire)) = self.carried(place, version, held).await? else {
            self.store.remove(&key, claimed).await.map_err(|e| self.store_error(e))?;
            self.forget_old(std::iter::once(place)).await?;
            return Ok(Carried::Nothing);
        };
        let stored = if place.enveloped() { claim(&bytes) } else { bytes.clone() };
        let writing = self.l1.writing(place.name);
        if lease.store(bytes, expire).await?.is_err() {
            return Ok(Carried::Busy);
        }
        writing.done(None);
        if !self.store.remove(&key, claimed).await.map_err(|e| self.store_error(e))? {
            // It was removed while it was carried over: so is what it became.
            self.store.remove(&place.store_key, stored).await.map_err(|e| self.store_error(e))?;
            return Ok(Carried::Nothing);
        }
        // What still older versions have is older still.
        if self.old_versions(place.live()).nth(1).is_some() {
            self.forget_old(std::iter::once(place)).await?;
        }
        place.live().metrics.migrated.increment();
        Ok(Carried::Here)
    }

    /// Moves a collection. Nothing needs to be compared: it is in one place at any time, or is copied under the lease and undone.
    async fn adopt(&self, place: &Place<'_>, mut lease: Lease, from: &StoreKey) -> Result<Carried> {
        let writing = self.l1.writing(place.name);
        let adopting = lease.adopt(from).await?;
        writing.done(None);
        Ok(match adopting {
            Adopting::Adopted => {
                if self.old_versions(place.live()).nth(1).is_some() {
                    self.forget_old(std::iter::once(place)).await?;
                }
                place.live().metrics.migrated.increment();
                Carried::Here
            }
            Adopting::Taken => Carried::Here,
            Adopting::Nothing => Carried::Nothing,
            Adopting::Lost(_) => Carried::Busy,
        })
    }

    /// What is to be stored for an older value; `None`: nothing.
    async fn carried(&self, place: &Place<'_>, version: &str, held: Held) -> Result<Option<(Bytes, Expire)>> {
        let (live, now_ms) = (place.live(), self.now_ms());
        let migrated = |value: &[u8]| {
            let migrated = live.policy.migrate(version, &place.key.rest, value);
            migrated.map(|value| value.map(Bytes::from)).map_err(|error| policy_error(live, error))
        };
        let left_ms = match held.ttl {
            Ttl::Ms(left_ms) => Some(left_ms.max(1)),
            Ttl::Never | Ttl::Missing => None,
        };
        let opened = match envelope::open(&held.bytes) {
            Ok(Opened { stamps, packed }) if !stamps.terms.absent => {
                let Some(value) = self.unpack(packed).await else { return Ok(None) };
                Some((stamps, value))
            }
            // The older version was raw.
            Err(EnvelopeError::Foreign) => None,
            Ok(_) | Err(_) => return Ok(None),
        };
        let Some(value) = migrated(opened.as_ref().map_or(&held.bytes, |(_, value)| value))? else { return Ok(None) };
        self.check_value(&value)?;
        let stamps = match opened {
            Some((stamps, _)) if place.enveloped() => self.rejudge(place, &stamps, &value)?,
            Some((stamps, _)) => Some(stamps),
            None if place.enveloped() => self.unmarked(place, &value, left_ms).await?,
            None => return Ok(Some((value, left_ms.map_or(Expire::Never, Expire::InMs)))),
        };
        let Some(stamps) = stamps else { return Ok(None) };
        let stamps = match self.standing(place, &stamps).await? {
            Standing::Current => stamps,
            Standing::Soft => stamps.ended(now_ms),
            Standing::Hard => return Ok(None),
        };
        if !place.enveloped() {
            // A raw value has a life and cannot be stale.
            let left_ms = stamps.fresh_until_ms().map(|until_ms| until_ms.saturating_sub(now_ms).max(1));
            return Ok(stamps.is_fresh(now_ms).then(|| (value, left_ms.map_or(Expire::Never, Expire::InMs))));
        }
        if stamps.at(now_ms) == Freshness::Gone {
            return Ok(None);
        }
        let packed = self.pack(place, &stamps.terms, &value).await;
        Ok(Some((self.seal(place, &stamps, &packed)?, expire_for(&stamps, now_ms))))
    }

    /// The stamps of a value that had none, as a write of now would give them: but it was there before whatever was invalidated.
    async fn unmarked(&self, place: &Place<'_>, value: &Bytes, left_ms: Option<u64>) -> Result<Option<Stamps>> {
        let Verdict::Store(terms) = self.admit_write(place, value, left_ms)? else { return Ok(None) };
        let (now_ms, domain) = (self.now_ms(), &place.domain);
        if domain.trust_ms.is_some() {
            let names = std::iter::once(Name::Domain).chain(terms.tags.iter().map(|tag| Name::tag(tag)));
            self.ask(domain, &names.collect::<Vec<_>>()).await?;
        }
        let mut under = self.under(place, &terms).await?;
        under.ids = under.ids.map(|ids| Arc::new(self.before_all(place, &terms, &ids)));
        Ok(Some(stamps_now(terms, now_ms, &under)))
    }

    /// These ids, but none where something was invalidated that is still known of.
    fn before_all(&self, place: &Place<'_>, terms: &Terms, ids: &Ids) -> Ids {
        let unless = |name: &Name, id: u64| {
            let record = place.domain.last_of(name).and_then(|fetched| fetched.record);
            if record.is_some_and(|record| record.has_ended_any()) { NONE } else { id }
        };
        let tags = terms.tags.iter().zip(&ids.tags).map(|(tag, &id)| unless(&Name::tag(tag), id)).collect();
        let prefixes = ids.prefixes.iter().map(|_| NONE).collect();
        Ids { domain: unless(&Name::Domain, ids.domain), tags, prefixes, ended: ids.ended }
    }

    /// Carries over what a command is about to look at or change where it is.
    ///
    /// # Errors
    /// A failure of the store or of the policy; somebody else is filling one of the keys for too long.
    pub(super) async fn arrive<'p>(&self, places: impl Iterator<Item = &'p Place<'p>>) -> Result<()> {
        let places: Vec<&Place<'_>> = places.filter(|place| place.migrates).collect();
        if places.is_empty() {
            return Ok(());
        }
        let behind = self.are_behind(&places).await?;
        let wanted: Vec<_> =
            places.into_iter().zip(behind).filter(|(_, behind)| *behind).map(|(place, _)| place).collect();
        for some in wanted.chunks(BATCH_LOADS_MAX) {
            for carried in join_all(some.iter().map(|place| self.brought(place))).await {
                if carried? == Carried::Busy {
                    let message = "the key is just being brought over from an older key version; retry";
                    return Err(Error::new(ErrorKind::Overloaded, message));
                }
            }
        }
        Ok(())
    }

    /// Carries over what a command is about to change where it is, and leaves nothing of it behind.
    ///
    /// # Errors
    /// As [`Self::arrive`].
    pub(super) async fn make_way<'p>(&self, places: impl Iterator<Item = &'p Place<'p>> + Clone) -> Result<()> {
        self.arrive(places.clone()).await?;
        self.forget_old(places).await.map(drop)
    }

    /// The same for a command that looks at all of these and changes some.
    ///
    /// # Errors
    /// As [`Self::arrive`].
    pub(super) async fn make_way_some(&self, places: &[Place<'_>], changed: &[usize]) -> Result<()> {
        self.arrive(places.iter()).await?;
        self.forget_old(changed.iter().filter_map(|&at| places.get(at))).await.map(drop)
    }

    /// Removes what older versions have of these keys: for each, whether there was something.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn forget_old<'p>(&self, places: impl Iterator<Item = &'p Place<'p>>) -> Result<Vec<bool>> {
        let mut there = Vec::new();
        let (mut at, mut keys): (Vec<usize>, Vec<StoreKey>) = Default::default();
        for (i, place) in places.enumerate() {
            there.push(false);
            let old = self.old_keys(place.live(), &place.store_key);
            at.extend(old.iter().map(|_| i));
            keys.extend(old);
        }
        for (i, removed) in at.into_iter().zip(self.remove_old(&keys).await?) {
            there[i] |= removed;
        }
        Ok(there)
    }

    /// Where older versions have a key.
    pub(super) fn old_keys(&self, live: &Live, key: &StoreKey) -> Vec<StoreKey> {
        self.old_versions(live).map(|version| self.keys.of_version(live, version, key)).collect()
    }

    /// # Errors
    /// A failure of the store.
    pub(super) async fn remove_old(&self, keys: &[StoreKey]) -> Result<Vec<bool>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.store.delete(keys).await.map_err(|e| self.store_error(e))
    }
}
