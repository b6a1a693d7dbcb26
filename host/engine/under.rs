//! What a write is marked with: the generations that were current before it began, and whether they still are.
//!
//! A write takes those that this node knows, and asks along with itself whether they still are the current ones ([`super::standing`] says why). What
//! goes together asks once for each domain.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::core::Engine;
use super::entry::{Stamps, Terms};
use super::generation::{Ids, NONE};
use super::judge::Place;
use super::known::{Domain, Name, Ticket};
use super::sequence::held;
use crate::error::Result;
use crate::ports::store::{Command, Reply, StoreKey};

/// Tags of several entries, for each domain, and when the last of them ends; `None`: never.
#[derive(Default)]
pub(super) struct ByDomain(pub(super) Vec<(Arc<Domain>, BTreeSet<String>, Option<u64>)>);

impl ByDomain {
    pub(super) fn add(&mut self, domain: &Arc<Domain>, tags: &[String], ends_ms: Option<u64>) {
        let at = self.0.iter().position(|(known, ..)| Arc::ptr_eq(known, domain));
        let at = at.unwrap_or_else(|| {
            self.0.push((Arc::clone(domain), BTreeSet::new(), Some(0)));
            self.0.len() - 1
        });
        let (_, all, last_ms) = &mut self.0[at];
        all.extend(tags.iter().cloned());
        *last_ms = last_ms.zip(ends_ms).map(|(one, other)| one.max(other));
    }
}

/// What a write is marked with.
#[derive(Clone, Debug)]
pub(super) struct Under {
    /// `None`: a raw value carries nothing.
    pub(super) ids: Option<Arc<Ids>>,
    /// Whether they were asked for since the write began, or nobody else could have changed them.
    sure: bool,
    /// The last question to the store before.
    after: u64,
}

impl Under {
    /// Whether there is nothing to confirm.
    const fn is_sure(&self) -> bool {
        self.sure || self.ids.is_none()
    }

    /// Those of a value that is changed: it is no newer than what it is made from.
    pub(super) fn kept(ids: &Arc<Ids>) -> Self {
        Self { ids: Some(Arc::clone(ids)), sure: true, after: 0 }
    }
}

/// A question for the domain's record that goes along with a write, in one pipeline.
pub(super) struct Along {
    key: StoreKey,
    ticket: Ticket,
}

impl Along {
    /// The command that asks.
    pub(super) fn command(&self) -> Command {
        Command::new("GET").arg(self.key.0.clone())
    }
}

impl Engine {
    /// The question that confirms a write without tags, where one server holds all keys. `None`: there is nothing to confirm, or it is asked by
    /// itself ([`Self::confirm`]).
    pub(super) fn asks_along(&self, place: &Place<'_>, terms: &Terms, under: &Under) -> Option<Along> {
        let may = !under.is_sure() && terms.tags.is_empty() && self.store.is_one_server();
        may.then(|| Along {
            key: self.generation_key(&place.domain, &Name::Domain),
            ticket: place.domain.ticket(self.now_ms()),
        })
    }

    /// Remembers the answer. Without one the write stays as it is marked, which is never too new.
    pub(super) async fn hear_along(&self, place: &Place<'_>, asked: Along, answer: Option<Reply>) {
        let answer = answer.unwrap_or_else(|| Reply::Error(String::new()));
        if let Ok(held) = held(Ok(answer), None) {
            let _ = self.heard(&place.domain, asked.ticket, &Name::Domain, &asked.key, held).await;
        }
    }

    /// Asks anew for everything that many writes are about to be marked with, so that none needs to be confirmed.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn provide_all<'a>(&self, writes: impl Iterator<Item = (&'a Place<'a>, &'a Terms)>) -> Result<()> {
        let mut wanted = ByDomain::default();
        for (place, terms) in writes.filter(|(place, _)| place.enveloped()) {
            wanted.add(&place.domain, &terms.tags, self.ends_ms(terms));
        }
        for (domain, tags, ends_ms) in &wanted.0 {
            if domain.trust_ms.is_some() {
                let mut names = vec![Name::Domain];
                names.extend(tags.iter().map(|tag| Name::tag(tag)));
                self.ask(domain, &names).await?;
            }
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            self.provide(domain, &tags, *ends_ms).await?;
        }
        Ok(())
    }

    /// What a value is loaded under whose write or load began with `place`.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn under(&self, place: &Place<'_>, terms: &Terms) -> Result<Under> {
        if !place.enveloped() {
            return Ok(Under { ids: None, sure: true, after: 0 });
        }
        let after = place.domain.questions();
        let tags: Vec<&str> = terms.tags.iter().map(String::as_str).collect();
        self.provide(&place.domain, &tags, self.ends_ms(terms)).await?;
        let current = place.domain.current(&terms.tags, &place.key.rest, place.seq, after);
        let Some((ids, fresh)) = current else {
            let tags = terms.tags.iter().map(|_| NONE).collect();
            return Ok(Under { ids: Some(Arc::new(Ids { tags, ..Ids::default() })), sure: true, after });
        };
        Ok(Under { ids: Some(ids), sure: fresh || place.domain.trust_ms.is_none(), after })
    }

    /// Asks, along with a write, whether its generations still are the current ones. The current ones if not.
    pub(super) async fn confirm(&self, place: &Place<'_>, terms: &Terms, under: &Under) -> Option<Arc<Ids>> {
        if under.is_sure() {
            return None;
        }
        let mut names = vec![Name::Domain];
        names.extend(terms.tags.iter().map(|tag| Name::tag(tag)));
        self.ask(&place.domain, &names).await.ok()?;
        self.newer(place, terms, under)
    }

    /// Asks the same for many writes: once for each domain.
    pub(super) fn ask_for_all<'p, 'n: 'p>(
        &self,
        writes: impl Iterator<Item = (&'p Place<'n>, &'p Terms, &'p Under)>,
    ) -> Option<BoxFuture<'_, ()>> {
        let mut wanted = ByDomain::default();
        for (place, terms, _) in writes.filter(|(.., under)| !under.is_sure()) {
            wanted.add(&place.domain, &terms.tags, None);
        }
        if wanted.0.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            for (domain, tags, _) in &wanted.0 {
                let mut names = vec![Name::Domain];
                names.extend(tags.iter().map(|tag| Name::tag(tag)));
                // Whoever finds no answer leaves its write as it is.
                let _ = self.ask(domain, &names).await;
            }
        }))
    }

    /// What a write would be marked with now, if somebody else has invalidated in the meantime. Without an answer to a later question it
    /// stays as it is marked, which is never too new.
    pub(super) fn newer(&self, place: &Place<'_>, terms: &Terms, under: &Under) -> Option<Arc<Ids>> {
        let before = under.ids.as_ref().filter(|_| !under.sure)?;
        let (ids, fresh) = place.domain.current(&terms.tags, &place.key.rest, place.seq, under.after)?;
        let overtaken = ids.domain == NONE || ids.tags.contains(&NONE);
        (fresh && !overtaken && ids != *before).then_some(ids)
    }

    /// Marks what was just stored anew, if it is still there; the stamps it then has.
    ///
    /// # Errors
    /// A failure of the store: what was stored is there, and invalid.
    pub(super) async fn mark_anew(
        &self,
        place: &Place<'_>,
        stored: &Bytes,
        stamps: Stamps,
        newer: Option<Arc<Ids>>,
    ) -> Result<Option<Stamps>> {
        let Some(ids) = newer else { return Ok(Some(stamps)) };
        let stamps = Stamps { under: Some(ids), ..stamps };
        let done = Box::pin(self.put_back(place, stored, &stamps, self.now_ms())).await?;
        Ok(done.then_some(stamps))
    }
}
