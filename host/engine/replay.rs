//! Lets invalidations wait that could not reach the store, and does them when it is back.
//!
//! A key's is fenced: an entry is removed only if it is older than the invalidation, and only if it still is the one that was looked
//! at. It counts as newer if both its birth on the wall and what the store's own clock has taken off its life say so; where clocks
//! disagree, it goes. A raw value says nothing of its age: it goes, unless this node wrote it anew. A tag, a prefix and a domain get
//! a new generation, which also ends what was loaded in between: a load more, never an old value.
//!
//! Deliberately absent: keys of a verbatim domain. There the store is the application's own, and what failed is not done later.

use std::sync::Arc;

use futures_util::future::join_all;

use super::core::Engine;
use super::envelope;
use super::judge::{Place, Wanted};
use super::known::Name;
use super::outage::is_outage;
use super::recovery::{Named, Waiting};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{REPLACE_ATTEMPTS_MAX, REPLAYS_INFLIGHT_MAX};
use crate::ports::invalidation::Mode;
use crate::ports::policy::{KeyScope, Operation, Selector};
use crate::ports::store::{Held, StoreError, Ttl};
use crate::ports::table::{DEFAULT_DOMAIN, Live};

impl Engine {
    /// Whether invalidations wait for the store.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.recovery.is_empty()
    }

    /// An invalidation failed: if the store is away, it waits, and the error says so.
    pub(super) fn owe(&self, live: &Arc<Live>, selector: Selector, mode: Mode, error: Error) -> Error {
        if !is_outage(error.kind) {
            return error;
        }
        if live.description.key_scope == KeyScope::Verbatim {
            let message = format!("{}; it is not done later: retry when the store is back", error.message);
            return Error { message, ..error };
        }
        let behind = match &selector {
            Selector::Tag(tag) => Some(Name::tag(tag)),
            Selector::Prefix(_) | Selector::Domain => Some(Name::Domain),
            Selector::Key(_) | Selector::Pattern(_) => None,
        };
        self.metrics.recovery.queued.increment();
        let queued = self.recovery.wait((Arc::clone(&live.domain), selector), mode);
        if let Some(name) = behind {
            self.domains.of(live).fell_behind(&name);
            // It may be over with already.
            self.believe_again(&live.domain);
        }
        if let Some(whole) = queued.overflowed {
            self.metrics.recovery.overflowed.increment();
            tracing::warn!(domain = %whole, "too many invalidations wait for the store: the domain goes as a whole");
            if let Some(domain) = self.domains.find(&whole) {
                domain.fell_behind(&Name::Domain);
                domain.forget_copies();
            }
            self.believe_again(&whole);
        }
        let message = format!(
            "{}; this node serves it no more, and it is done when the store is back, with {} that wait",
            error.message, queued.waiting
        );
        Error { message, ..error }
    }

    /// The same for the keys of a failed delete.
    pub(super) fn owe_keys(&self, places: &[Place<'_>], error: Error) -> Error {
        if !is_outage(error.kind) {
            return error;
        }
        let owed = places.iter().map(|place| {
            self.owe(place.live(), Selector::Key(place.key.rest.clone().into_owned()), Mode::Hard, error.clone())
        });
        owed.last().unwrap_or(error)
    }

    /// A key was written here: what waits for it is of the past.
    pub(super) fn supersede(&self, place: &Place<'_>) {
        if self.recovery.superseded(place) {
            self.metrics.recovery.superseded.increment();
        }
    }

    /// Does what waits, if the store is back. To be called again and again while [`Self::is_behind`].
    pub async fn catch_up(&self) {
        if self.recovery.is_empty() || self.store.ping().await.is_err() {
            return;
        }
        let all = self.recovery.all();
        for some in all.chunks(REPLAYS_INFLIGHT_MAX) {
            let done = join_all(some.iter().map(|(named, waiting)| self.replay(named, *waiting))).await;
            if done.contains(&false) {
                return;
            }
        }
        tracing::info!(invalidations = all.len(), "the store knows of all invalidations that had to wait");
    }

    /// Does one. Whether it is over with.
    async fn replay(&self, named: &Named, waiting: Waiting) -> bool {
        let (domain, selector) = named;
        let outcome = match self.live(domain) {
            Ok(live) => self.do_again(&live, selector, waiting).await,
            // A domain without a policy serves nothing.
            Err(_) => Ok(()),
        };
        match outcome {
            Ok(()) => self.metrics.recovery.replayed.increment(),
            Err(error) if is_outage(error.kind) || error.kind == ErrorKind::Overloaded => return false,
            Err(error) => tracing::warn!(%domain, %error, "an invalidation that had to wait cannot be done"),
        }
        self.recovery.done(named, waiting);
        self.believe_again(domain);
        true
    }

    /// Believes again what no invalidation waits for.
    fn believe_again(&self, name: &Arc<str>) {
        if let Some(domain) = self.domains.find(name) {
            domain.caught_up(|pending| self.recovery.concerns(name, pending));
        }
    }

    async fn do_again(&self, live: &Arc<Live>, selector: &Selector, waiting: Waiting) -> Result<()> {
        let Selector::Key(rest) = selector else {
            return self.invalidate_in(live, selector, waiting.mode).await.map(drop);
        };
        let name = if &*live.domain == DEFAULT_DOMAIN {
            rest.as_bytes().to_vec()
        } else {
            [live.domain.as_bytes(), &[self.keys.separator], rest.as_bytes()].concat()
        };
        let place = self.locate(&name, Operation::Delete, Wanted::Any)?;
        self.remove_older(&place, waiting).await
    }

    /// Removes what lies under a key, or ends its fresh time, unless it is newer than the invalidation.
    async fn remove_older(&self, place: &Place<'_>, waiting: Waiting) -> Result<()> {
        let writing = self.l1.writing(place.name);
        self.forget_old(std::iter::once(place)).await?;
        for _ in 0..REPLACE_ATTEMPTS_MAX {
            let held = match self.store.get(&place.store_key, place.enveloped()).await {
                Ok(Some(held)) => held,
                Ok(None) => break,
                // A list, a set, a hash.
                Err(StoreError::Reply(_)) => {
                    self.store.delete(std::slice::from_ref(&place.store_key)).await.map_err(|e| self.store_error(e))?;
                    break;
                }
                Err(error) => return Err(self.store_error(error)),
            };
            if place.enveloped() && self.is_newer(&held, waiting) {
                self.metrics.recovery.superseded.increment();
                break;
            }
            let done = match waiting.mode {
                Mode::Soft => self.end_entry(&place.store_key).await.map(|_| true)?,
                Mode::Hard => self.store.remove(&place.store_key, held.bytes).await.map_err(|e| self.store_error(e))?,
            };
            if done {
                break;
            }
        }
        writing.done(None);
        Ok(())
    }

    /// Whether an entry was stored after the invalidation began to wait.
    fn is_newer(&self, held: &Held, waiting: Waiting) -> bool {
        let Ok(opened) = envelope::open(&held.bytes) else { return false };
        let waited_ms = self.monotonic_ns().saturating_sub(waiting.since_ns) / 1_000_000;
        let younger = match (opened.stamps.terms.windows().life_ms(), held.ttl) {
            (Some(life_ms), Ttl::Ms(left_ms)) => life_ms.saturating_sub(left_ms) < waited_ms,
            _ => true,
        };
        younger && opened.stamps.born_ms > waiting.since_ms
    }
}
