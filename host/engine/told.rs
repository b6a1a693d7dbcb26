//! What this node is told of generations by others: that a record was changed, that all are gone, that an invalidation of its own waits
//! for the store.
//!
//! Invariant: what is told only ever takes knowledge away. It costs a question to the store, and never a wrong answer.

use std::sync::Arc;

use super::compare::Since;
use super::entry::Stamps;
use super::known::{Domain, Name};
use super::standing::Domains;

impl Domain {
    /// The store was emptied: no record is left.
    pub(super) fn told_all(&self) {
        let names: Vec<Name> = {
            let known = self.known.lock();
            known.tags.iter().map(|(tag, _)| Name::Tag(tag.clone())).collect()
        };
        names.iter().chain([&Name::Domain]).for_each(|name| self.told(name));
        self.forget_copies();
    }

    /// An invalidation could not reach the store: until [`Self::caught_up`] nothing is believed of what it names.
    pub(super) fn fell_behind(&self, name: &Name) {
        {
            let mut known = self.known.lock();
            if !known.pending.contains(name) {
                known.pending.push(name.clone());
            }
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
