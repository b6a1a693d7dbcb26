//! What becomes of what this node knows of generations: an invalidation is under way here, or waits for the store, or the store was emptied; and
//! since when the rest is known.
//!
//! Invariant: until the store has taken an invalidation nothing is believed of what it names. That costs a question to the store, and never
//! a wrong answer.

use std::sync::Arc;

use super::compare::Since;
use super::entry::Stamps;
use super::fetched::Fetched;
use super::generation::Record;
use super::known::{Domain, Name, Ticket};
use super::standing::Domains;

impl Domain {
    /// An invalidation begins here: what is known is forgotten, and copies in L1 are compared again before they are served.
    pub(super) fn invalidating(&self, name: Name) -> Invalidating<'_> {
        self.change(&name, None);
        Invalidating { domain: self, name, settled: false }
    }

    /// The store was emptied: no record is left.
    pub(super) fn told_all(&self) {
        self.forget_records();
        self.forget_copies();
    }

    /// An invalidation could not reach the store: until [`Self::caught_up`] nothing is believed of what it names.
    pub(super) fn fell_behind(&self, name: &Name) {
        {
            let mut known = self.known.lock();
            if !known.pending.contains(name) {
                known.pending.push(name.clone());
            }
            known.seen.forget(name);
        }
        self.told(name);
    }

    /// Only of these invalidations does the store not know yet.
    pub(super) fn caught_up(&self, waits: impl Fn(&Name) -> bool) {
        self.known.lock().pending.retain(|name| waits(name));
    }

    /// Since when that is known which says something of an entry with these stamps. `None`: some of it is not known.
    pub(super) fn since(&self, stamps: &Stamps, now_ms: u64) -> Option<Since> {
        let stream = self.coherence.running();
        let mut since = Since { as_of_ms: u64::MAX, stream };
        if self.trust_ms.is_none() || stamps.under.is_none() {
            return Some(since);
        }
        let known = self.known.lock();
        let tags = stamps.terms.tags.iter().map(|tag| known.tags.peek(tag.as_str()));
        for fetched in std::iter::once(known.domain.as_ref()).chain(tags) {
            let fetched = fetched?;
            let told = self.coherence.covers(fetched.stream, now_ms);
            let as_of_ms = if told { fetched.as_of_ms.max(self.coherence.as_of_ms()) } else { fetched.as_of_ms };
            since.as_of_ms = since.as_of_ms.min(as_of_ms);
            if fetched.stream != stream {
                since.stream = super::coherence::UNTOLD;
            }
        }
        Some(since)
    }
}

impl Domains {
    /// The domain of this name, if it was ever asked for.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Domain>> {
        self.all.load().get(name).map(Arc::clone)
    }

    /// The store was emptied.
    pub(super) fn forget_all(&self) {
        self.all.load().values().for_each(|domain| domain.told_all());
    }
}

/// An invalidation that is under way here.
pub(super) struct Invalidating<'a> {
    domain: &'a Domain,
    name: Name,
    settled: bool,
}

impl Invalidating<'_> {
    /// The store holds this record now.
    pub(super) fn done(mut self, ticket: Ticket, record: Record, ends_ms: Option<u64>) {
        self.settled = true;
        let Ticket { number, as_of_ms, stream, .. } = ticket;
        let fetched = Fetched { record: Some(Arc::new(record)), lost: None, ends_ms, as_of_ms, number, stream };
        self.domain.change(&self.name, Some((ticket, fetched)));
    }
}

impl Drop for Invalidating<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.domain.change(&self.name, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::coherence::Coherence;

    #[test]
    fn an_invalidation_that_another_one_overtook_is_not_believed() {
        let domain = {
            let coherence = Arc::new(Coherence::new(1_000, Arc::default()));
            Domain::new("d".into(), Arc::default(), Some(1_000), coherence, Arc::default())
        };
        let look_up = || domain.known.lock().domain.clone();
        let [old, new] = [1, 2].map(Record::born);
        let one = domain.invalidating(Name::Domain);
        let other = domain.invalidating(Name::Domain);
        let first = domain.ticket(0);
        // It reads the record before the first one replaces it, and hears of that after the first one has ended.
        let second = domain.ticket(0);
        one.done(first, new.clone(), None);
        assert_eq!(look_up().unwrap().record.unwrap().current(), 2);
        other.done(second, old, None);
        assert!(look_up().is_none(), "the store must be asked");
        let alone = domain.invalidating(Name::Domain);
        alone.done(domain.ticket(0), new, None);
        assert!(look_up().is_some());
    }
}
