//! Generations on the way of reads and writes: how an entry from the store stands, and what a new one is loaded under.
//!
//! A read compares: records that are old are asked for along with the entry, in the same round trip; what turns out to be missing, in
//! one more. A write carries the generations that were current *before* it began. It takes those that this node knows, and asks along
//! with the write whether they still are; if another node has invalidated in the meantime, the write counts as the later one and
//! is marked anew, unless the key was written again. What an invalidation on this node overtakes stays overtaken.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use futures_util::future::{BoxFuture, join_all};

use super::coherence::Coherence;
use super::compare::Loaded;
use super::core::Engine;
use super::entry::{Stamps, Terms};
use super::envelope;
use super::generation::{NONE, Record, Standing};
use super::judge::Place;
use super::key::escaped;
use super::known::{Domain, Name, Ticket};
use super::l1::entry::Entry;
use super::under::ByDomain;
use crate::error::Result;
use crate::limits::{GENERATION_QUESTIONS_MAX, TAG_LIFE_MS_MIN, TTL_MS_MAX};
use crate::ports::store::{Expect, Expire, Held, StoreKey, Ttl};
use crate::ports::table::{DEFAULT_DOMAIN, Live};

/// All domains that were asked for since the start: as many as have had a policy.
pub(super) struct Domains {
    pub(super) all: ArcSwap<HashMap<Arc<str>, Arc<Domain>, RandomState>>,
    trust_ms: Option<u64>,
    coherence: Arc<Coherence>,
    unchecked: Arc<AtomicBool>,
}

impl Domains {
    pub(super) fn new(trust_ms: Option<u64>, coherence: Arc<Coherence>) -> Self {
        Self { all: ArcSwap::default(), trust_ms, coherence, unchecked: Arc::default() }
    }

    /// The domain of a live policy.
    pub(super) fn of(&self, live: &Live) -> Arc<Domain> {
        if let Some(found) = self.all.load().get(&live.domain) {
            return Arc::clone(found);
        }
        let (name, metrics) = (Arc::clone(&live.domain), Arc::clone(&live.metrics));
        let coherence = Arc::clone(&self.coherence);
        let new = Arc::new(Domain::new(name, metrics, self.trust_ms, coherence, Arc::clone(&self.unchecked)));
        self.all.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.entry(Arc::clone(&live.domain)).or_insert_with(|| Arc::clone(&new));
            all
        });
        self.all.load().get(&live.domain).map_or(new, Arc::clone)
    }
}

impl Engine {
    /// Serves entries whatever was invalidated. For a test that the tests of invalidation can fail; never for anything else.
    #[doc(hidden)]
    pub fn compare_no_generations(&self) {
        self.domains.unchecked.store(true, Ordering::Relaxed);
    }

    /// Whether a copy in L1 may be served although something was invalidated in its domain since it was last looked at, or it may be
    /// refreshed early and chance says not yet. Asks nobody, neither the store nor a policy.
    #[cold]
    #[inline(never)]
    pub(super) fn recheck(&self, entry: &Entry, key: &[u8], epoch: u64, now_ms: u64) -> bool {
        let mark = entry.mark.load(Ordering::Acquire);
        // Before the comparison: what changes after it is seen by the next one.
        let mark_now = entry.domain.mark_now(epoch);
        let served = now_ms < entry.serve_until_ms || self.waits(entry, now_ms);
        if !served || !entry.is_believed(now_ms, &self.coherence) || !entry.domain.may_recheck(mark, epoch) {
            return false;
        }
        if mark == mark_now {
            return true;
        }
        let own_len = if &*entry.domain.name == DEFAULT_DOMAIN { 0 } else { entry.domain.name.len() + 1 };
        let rest = escaped(key.get(own_len..).unwrap_or_default());
        let current = Loaded::of(&entry.stamps, &rest).is_none_or(|loaded| {
            let judged = entry.domain.judge(loaded, None, 0);
            judged.open.is_empty() && judged.standing == Standing::Current
        });
        if current {
            entry.mark.store(mark_now, Ordering::Release);
        }
        current
    }

    /// Whether a copy with these stamps may be in L1: what is known says that it is current, or that it is stale as it says itself.
    pub(super) fn stands(&self, place: &Place<'_>, stamps: &Stamps, now_ms: u64) -> bool {
        match self.known_standing(place, stamps) {
            Some(Standing::Current) => true,
            Some(Standing::Soft) => !stamps.is_fresh(now_ms),
            Some(Standing::Hard) | None => false,
        }
    }

    /// How a copy stands by what is known, however long ago; `None`: not all of it is known.
    pub(super) fn known_standing(&self, place: &Place<'_>, stamps: &Stamps) -> Option<Standing> {
        let Some(loaded) = Loaded::of(stamps, &place.key.rest) else { return Some(Standing::Current) };
        let judged = place.domain.judge(loaded, None, 0);
        judged.open.is_empty().then_some(judged.standing)
    }

    /// Asks for records whose time is running out, along with a read. What L1 had says which tags to expect.
    pub(super) async fn refresh(&self, place: &Place<'_>, now_ms: u64) {
        if !place.enveloped() || place.domain.trust_ms.is_none() {
            return;
        }
        let before = self.l1.get(place.name);
        let tags = before.as_ref().map_or(&[][..], |entry| &entry.stamps.terms.tags);
        let due = place.domain.due(tags, now_ms);
        if !due.is_empty() {
            // If that fails, whoever needs to know asks again, and says so.
            let _ = self.ask(&place.domain, &due).await;
        }
    }

    /// Asks at once for what many entries that were just read will need to know.
    pub(super) async fn foresee(&self, places: &[&Place<'_>], held: &[Option<Held>]) {
        let mut wanted = ByDomain::default();
        for (place, held) in places.iter().zip(held) {
            let needed = place.enveloped() && place.domain.trust_ms.is_some();
            let opened = held.as_ref().filter(|_| needed).map(|held| envelope::open(&held.bytes));
            if let Some(Ok(opened)) = opened {
                wanted.add(&place.domain, &opened.stamps.terms.tags, None);
            }
        }
        for (domain, tags, _) in &wanted.0 {
            let tags: Vec<String> = tags.iter().cloned().collect();
            let due = domain.due(&tags, self.now_ms());
            if !due.is_empty() {
                // If that fails, whoever needs to know asks again, and says so.
                let _ = self.ask(domain, &due).await;
            }
        }
    }

    /// How an entry stands that was just read from the store.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn standing(&self, place: &Place<'_>, stamps: &Stamps) -> Result<Standing> {
        let Some(loaded) = Loaded::of(stamps, &place.key.rest) else { return Ok(Standing::Soft) };
        let after = place.domain.questions();
        for _ in 0..GENERATION_QUESTIONS_MAX {
            let judged = place.domain.judge(loaded, Some(self.now_ms()), after);
            if judged.open.is_empty() {
                return Ok(judged.standing);
            }
            self.ask(&place.domain, &judged.open).await?;
        }
        // Invalidations keep overtaking the question: then one may well concern this entry, and be a hard one.
        Ok(Standing::Hard)
    }

    /// When the store forgets an entry with these terms that is written now; `None`: never.
    pub(super) fn ends_ms(&self, terms: &Terms) -> Option<u64> {
        terms.windows().life_ms().map(|life_ms| self.now_ms().saturating_add(life_ms))
    }

    /// Sees to it that generations of the domain and of these tags are known and that the store keeps them until `ends_ms`. It may
    /// fail to if invalidations keep overtaking it: then they stay unknown.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn provide(&self, domain: &Domain, tags: &[&str], ends_ms: Option<u64>) -> Result<()> {
        let after = domain.questions();
        for _ in 0..GENERATION_QUESTIONS_MAX {
            let lacking = domain.lacking(tags, self.now_ms(), ends_ms, after);
            if lacking.is_empty() {
                break;
            }
            self.ask(domain, &lacking).await?;
            let made = Box::pin(join_all(lacking.iter().map(|name| self.make(domain, name, ends_ms)))).await;
            made.into_iter().collect::<Result<()>>()?;
        }
        Ok(())
    }

    /// Gives a name that has no record one, and lets the record of a tag last as long as its entries.
    async fn make(&self, domain: &Domain, name: &Name, ends_ms: Option<u64>) -> Result<()> {
        let Some(known) = domain.last_of(name) else { return Ok(()) };
        let key = self.generation_key(domain, name);
        let now_ms = self.now_ms();
        let (life, until_ms) = match (name, ends_ms) {
            (Name::Domain, _) | (_, None) => (Expire::Never, None),
            (Name::Tag(_), Some(ends_ms)) => {
                let life_ms = (ends_ms.saturating_sub(now_ms) * 2).clamp(TAG_LIFE_MS_MIN, TTL_MS_MAX);
                (Expire::InMs(life_ms), Some(now_ms + life_ms))
            }
        };
        if known.record.is_none() {
            let ticket = domain.ticket(now_ms);
            let record = domain.begin(name, self.new_id());
            let made = self.store.replace(&key, Expect::Absent, record.encode().into(), life).await;
            if made.map_err(|e| self.store_error(e))? {
                domain.learn(ticket, name, Some(Arc::new(record)), until_ms);
            }
        } else if *name != Name::Domain
            && !known.outlives(ends_ms)
            && self.store.expire(&key, life).await.map_err(|e| self.store_error(e))?
        {
            domain.lengthened(name, until_ms);
        }
        Ok(())
    }

    /// Asks the store for records. Boxed, as it is in the way of every read and write and seldom needed.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) fn ask<'a>(&'a self, domain: &'a Domain, names: &'a [Name]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.ask_store(domain, names))
    }

    async fn ask_store(&self, domain: &Domain, names: &[Name]) -> Result<()> {
        let ticket = domain.ticket(self.now_ms());
        let keys: Vec<_> = names.iter().map(|name| self.generation_key(domain, name)).collect();
        let with_ttl = names.iter().any(|name| *name != Name::Domain);
        let held = self.store.get_many(&keys, with_ttl).await.map_err(|e| self.store_error(e))?;
        for ((name, key), held) in names.iter().zip(&keys).zip(held) {
            self.heard(domain, ticket, name, key, held).await?;
        }
        Ok(())
    }

    /// Remembers what the store answered to a question.
    ///
    /// # Errors
    /// A failure of the store, if a damaged record has to be removed.
    pub(super) async fn heard(
        &self,
        domain: &Domain,
        ticket: Ticket,
        name: &Name,
        key: &StoreKey,
        held: Option<Held>,
    ) -> Result<()> {
        let ends_ms = held.as_ref().and_then(|held| ends_ms(held.ttl, self.now_ms()));
        let record = held.as_ref().and_then(|held| Record::decode(&held.bytes));
        if let (None, Some(held)) = (&record, held) {
            // Nobody can read it, so it is as good as lost; but it would be in the way of a new one.
            tracing::warn!(domain = %domain.name, key = %escaped(key.as_bytes()), "a damaged generation is removed");
            self.store.remove(key, held.bytes).await.map_err(|e| self.store_error(e))?;
        }
        domain.learn(ticket, name, record.map(Arc::new), ends_ms);
        Ok(())
    }

    /// Where a record lies.
    pub(super) fn generation_key(&self, domain: &Domain, name: &Name) -> StoreKey {
        match name {
            Name::Domain => self.keys.generation_key(&domain.name, None),
            Name::Tag(tag) => self.keys.generation_key(&domain.name, Some(tag)),
        }
    }

    /// An id that was never used.
    pub(super) fn new_id(&self) -> u64 {
        loop {
            let id = self.clock.random();
            if id != NONE {
                return id;
            }
        }
    }
}

/// When a key with this life is gone; `None`: never, or it was not asked for.
pub(super) fn ends_ms(ttl: Ttl, now_ms: u64) -> Option<u64> {
    match ttl {
        Ttl::Ms(left_ms) => Some(now_ms.saturating_add(left_ms)),
        Ttl::Never | Ttl::Missing => None,
    }
}
