//! Invalidation: a key, a tag, the keys with a prefix, those that match a pattern, a whole domain.
//!
//! | what | enveloped domains | raw domains |
//! |---|---|---|
//! | key | removed (hard), or its fresh time ended (soft) | removed |
//! | tag | a new generation of the tag | – (raw values carry no tags) |
//! | prefix, domain | a new generation in the domain's record | removed by a scan |
//! | pattern | removed, or their fresh time ended, by a scan | removed by a scan |
//!
//! A new generation costs two commands however many entries it concerns. Invariants: this node stops serving its own copies before the
//! store is asked, so also if the store cannot be reached; an invalidation is acknowledged only after the store has it; one that
//! was dropped half-way may have happened or not, and never un-happens. What cannot reach the store waits (`recovery`), and its caller
//! gets an error that says so.

use std::sync::Arc;

use super::api::Outcome;
use super::core::Engine;
use super::envelope;
use super::found::expire_for;
use super::generation::{Part, Record};
use super::judge::{Place, Wanted};
use super::known::{Domain, Name};
use super::remove::count;
use super::scan::{InvalidateStep, Invalidated};
use super::standing::ends_ms;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    INVALIDATE_STEP_KEYS_MAX, PATTERN_BYTES_MAX, PREFIX_BYTES_MAX, REPLACE_ATTEMPTS_MAX, TAG_BYTES_MAX, TAG_LIFE_MS_MIN,
};
use crate::ports::invalidation::{Mode, SelectorKind};
use crate::ports::lease::Ending;
use crate::ports::policy::{Encoding, Operation, Selector};
use crate::ports::store::{Expect, Expire, StoreKey};
use crate::ports::table::{DEFAULT_DOMAIN, Live};

impl Engine {
    /// Invalidates what a selector names within a domain. When it returns `Ok`, this node serves nothing older as fresh (soft) or at
    /// all (hard), and no other node does so *B* later.
    ///
    /// # Errors
    /// An unserved domain, a selector that the domain cannot serve, a failure of the store. After the last one this node serves
    /// nothing of what the selector names until the store knows of it, which it is told as soon as it is back; other nodes do.
    pub async fn invalidate(&self, domain: &str, selector: &Selector, mode: Mode) -> Result<Outcome> {
        let live = self.live(domain)?;
        check(&live, selector, mode)?;
        let outcome = self.invalidate_in(&live, selector, mode).await;
        self.tracker.invalidated(domain, selector);
        let outcome = outcome.map_err(|error| self.owe(&live, selector.clone(), mode, error));
        self.note(&live, selector.kind(), mode, &outcome);
        outcome
    }

    /// Takes one step of an invalidation. What needs no look through the store is done in one.
    ///
    /// # Errors
    /// As [`Self::invalidate`]; a step of too many keys, or a cursor that none has answered. After a failure of the store the same step
    /// may be taken again.
    pub async fn invalidate_step(
        &self,
        domain: &str,
        selector: &Selector,
        mode: Mode,
        step: &InvalidateStep,
    ) -> Result<Invalidated> {
        if !(1..=INVALIDATE_STEP_KEYS_MAX).contains(&step.count) {
            let message = format!("a step has 1 to {INVALIDATE_STEP_KEYS_MAX} keys");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let live = self.live(domain)?;
        check(&live, selector, mode)?;
        let Reach::Scan(found) = Reach::of(&live, selector) else {
            let Outcome { keys } = self.invalidate(domain, selector, mode).await?;
            return Ok(Invalidated { keys, ..Invalidated::default() });
        };
        let done = self.scan_on(&live, found, mode, step).await;
        self.tracker.invalidated(domain, selector);
        let done = done.map_err(|error| self.owe(&live, selector.clone(), mode, error));
        match &done {
            Ok(Invalidated { cursor: Some(_), .. }) => {}
            Ok(Invalidated { keys, .. }) => self.note(&live, selector.kind(), mode, &Ok(Outcome { keys: *keys })),
            Err(error) => self.note(&live, selector.kind(), mode, &Err(error.clone())),
        }
        done
    }

    pub(super) async fn invalidate_in(&self, live: &Arc<Live>, selector: &Selector, mode: Mode) -> Result<Outcome> {
        match Reach::of(live, selector) {
            Reach::Key(key) => self.invalidate_key(live, key, mode).await,
            Reach::Generation(name, part) => self.end(&self.domains.of(live), name, part, mode).await,
            Reach::Scan(found) => self.scan(live, found, mode).await,
        }
    }

    /// Ends the generation of a tag, a domain or a prefix.
    async fn end(&self, domain: &Domain, name: Name, part: Part<'_>, mode: Mode) -> Result<Outcome> {
        let invalidating = domain.invalidating(name.clone());
        let key = self.generation_key(domain, &name);
        if name != Name::Domain {
            self.note_tag_invalidation(domain).await?;
        }
        let mut first = None;
        for attempt in 0..REPLACE_ATTEMPTS_MAX {
            let ticket = domain.ticket(self.now_ms());
            let held = self.store.get(&key, true).await.map_err(|e| self.store_error(e))?;
            let until_ms = held.as_ref().and_then(|held| ends_ms(held.ttl, self.now_ms()));
            let found = held.as_ref().and_then(|held| Record::decode(&held.bytes));
            if attempt == 0 {
                first.clone_from(&found);
            } else if let Some(found) = found.as_ref().filter(|found| found.has_ended(first.as_ref(), part, mode)) {
                invalidating.done(ticket, found.clone(), until_ms);
                return Ok(Outcome::default());
            }
            let mut record = found.unwrap_or_else(|| domain.begin(&name, self.new_id()));
            if !record.invalidate(part, mode, self.new_id()) {
                domain.metrics.prefixes_overflowed.increment();
                tracing::warn!(domain = %domain.name, "too many prefixes: the whole domain is invalidated; use tags");
            }
            let (expect, expire, until_ms) = match held {
                Some(held) => (Expect::Prefix(held.bytes), Expire::Keep, until_ms),
                None if name == Name::Domain => (Expect::Absent, Expire::Never, None),
                None => {
                    (Expect::Absent, Expire::InMs(TAG_LIFE_MS_MIN), Some(self.now_ms().saturating_add(TAG_LIFE_MS_MIN)))
                }
            };
            let done = self.store.replace(&key, expect, record.encode().into(), expire).await;
            if done.map_err(|e| self.store_error(e))? {
                invalidating.done(ticket, record, until_ms);
                return Ok(Outcome::default());
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "many callers invalidate the same at once; retry"))
    }

    /// Invalidates a key as applications say it, with its domain.
    ///
    /// # Errors
    /// As [`Self::invalidate`]; a bad key.
    pub async fn invalidate_name(&self, name: &[u8], mode: Mode) -> Result<Outcome> {
        let place = self.locate(name, Operation::Delete, Wanted::Any)?;
        let live = Arc::clone(place.live());
        check_mode(&live, mode)?;
        let outcome = self.invalidate_place(&place, mode).await;
        let outcome =
            outcome.map_err(|error| self.owe(&live, Selector::Key(place.key.rest.clone().into_owned()), mode, error));
        self.note(&live, SelectorKind::Key, mode, &outcome);
        outcome
    }

    async fn invalidate_key(&self, live: &Live, key: &str, mode: Mode) -> Result<Outcome> {
        let name = if &*live.domain == DEFAULT_DOMAIN {
            key.as_bytes().to_vec()
        } else {
            [live.domain.as_bytes(), &[self.keys.separator], key.as_bytes()].concat()
        };
        let place = self.locate(&name, Operation::Delete, Wanted::Any)?;
        if place.live().domain != live.domain {
            let message = format!("the key belongs to the domain '{}'", place.live().domain);
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        self.invalidate_place(&place, mode).await
    }

    async fn invalidate_place(&self, place: &Place<'_>, mode: Mode) -> Result<Outcome> {
        let keys = match mode {
            Mode::Hard => count(self.delete_places(std::slice::from_ref(place)).await?),
            Mode::Soft => {
                if let Err(error) = self.arrive(std::iter::once(place)).await {
                    tracing::debug!(domain = %place.live().domain, %error, "what cannot be carried over goes");
                    self.forget_old(std::iter::once(place)).await?;
                }
                let writing = self.l1.writing(place.name);
                self.end_leases(std::iter::once(place), Ending::Deleted).await?;
                let ended = self.end_entry(&place.store_key).await;
                self.fills.overtake(place);
                let ended = ended?;
                writing.done(None);
                u64::from(ended)
            }
        };
        Ok(Outcome { keys: Some(keys) })
    }

    /// Counts and logs what became of an invalidation.
    fn note(&self, live: &Live, kind: SelectorKind, mode: Mode, outcome: &Result<Outcome>) {
        let domain = &*live.domain;
        match outcome {
            Ok(outcome) => {
                live.metrics.invalidations[kind as usize][mode as usize].increment();
                tracing::debug!(domain, kind = kind.as_str(), mode = mode.as_str(), keys = outcome.keys, "invalidated");
            }
            Err(error) => {
                live.metrics.invalidations_failed[kind as usize].increment();
                if let Some(hushed) = self.quiet.speaks(self.monotonic_ns()) {
                    let (kind, mode) = (kind.as_str(), mode.as_str());
                    tracing::warn!(domain, kind, mode, %error, hushed, "an invalidation failed");
                }
            }
        }
    }

    /// Ends the fresh time of an entry where it is stored, for good: on a node with a slower clock, too. Whether there was one.
    ///
    /// # Errors
    /// A failure of the store, contention.
    pub(super) async fn end_entry(&self, key: &StoreKey) -> Result<bool> {
        for _ in 0..REPLACE_ATTEMPTS_MAX {
            let held = self.store.get(key, false).await.map_err(|e| self.store_error(e))?;
            let Some(held) = held else { return Ok(false) };
            let Ok(opened) = envelope::open(&held.bytes) else { return Ok(false) };
            let now_ms = self.now_ms();
            let mut stamps = opened.stamps.ended(now_ms);
            stamps.under = stamps.under.map(|ids| Arc::new(ids.ended()));
            let bytes = envelope::seal(&stamps, self.clock.random(), &opened.packed)
                .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
            let expect = Expect::Prefix(held.bytes.slice(..envelope::PREFIX_LEN));
            let done = self.store.replace(key, expect, bytes, expire_for(&stamps, now_ms)).await;
            if done.map_err(|e| self.store_error(e))? {
                return Ok(true);
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "the key is changed by many callers at once; retry"))
    }
}

/// What a scan looks for among the suffixes of a domain.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// Those that begin so.
    Prefix(&'a str),
    /// Those that match this glob.
    Pattern(&'a str),
}

/// How what a selector names is reached in a domain.
enum Reach<'s> {
    /// One key.
    Key(&'s str),
    /// By ending a generation, or that of a part.
    Generation(Name, Part<'s>),
    /// By looking through the store.
    Scan(Found<'s>),
}

impl<'s> Reach<'s> {
    fn of(live: &Live, selector: &'s Selector) -> Self {
        let raw = live.description.encoding == Encoding::Raw;
        match selector {
            Selector::Key(key) => Self::Key(key),
            Selector::Tag(tag) => Self::Generation(Name::tag(tag), Part::Whole),
            Selector::Prefix(prefix) if raw => Self::Scan(Found::Prefix(prefix)),
            Selector::Prefix(prefix) => Self::Generation(Name::Domain, Part::Prefix(prefix)),
            Selector::Pattern(pattern) => Self::Scan(Found::Pattern(pattern)),
            Selector::Domain if raw => Self::Scan(Found::Prefix("")),
            Selector::Domain => Self::Generation(Name::Domain, Part::Whole),
        }
    }
}

/// # Errors
/// A selector that says nothing, too much, or what the domain cannot do.
fn check(live: &Live, selector: &Selector, mode: Mode) -> Result<()> {
    let kind = selector.kind();
    let (text, bytes_max) = match selector {
        Selector::Key(text) => (text.as_str(), usize::MAX),
        Selector::Tag(text) => (text.as_str(), TAG_BYTES_MAX),
        Selector::Prefix(text) => (text.as_str(), PREFIX_BYTES_MAX),
        Selector::Pattern(text) => (text.as_str(), PATTERN_BYTES_MAX),
        Selector::Domain => ("*", usize::MAX),
    };
    if text.is_empty() || text.len() > bytes_max {
        let message = format!("a {} of {} bytes; 1 to {bytes_max} are allowed", kind.as_str(), text.len());
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    if kind == SelectorKind::Tag && live.description.encoding == Encoding::Raw {
        let message = format!("the domain '{}' is raw: its values carry no tags", live.domain);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    check_mode(live, mode)
}

/// # Errors
/// A soft invalidation of raw values, which cannot be stale.
fn check_mode(live: &Live, mode: Mode) -> Result<()> {
    if mode == Mode::Hard || live.description.encoding == Encoding::Enveloped {
        return Ok(());
    }
    let message = format!("the domain '{}' is raw: its values cannot be stale; invalidate them hard", live.domain);
    Err(Error::new(ErrorKind::Unsupported, message))
}
