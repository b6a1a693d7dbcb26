//! The records of generations that this node has seen, whether it still believes them or not.
//!
//! Two questions are answered from here. What did the store know before it lost a record? And what is an entry compared with, or a write
//! marked with, while changes are told faster than the store can be asked: the last answer, which may be too old and is never too new.
//!
//! Invariant: from the moment an invalidation begins on this node, no answer is given from before it. Deliberately absent: what is
//! believed (`known.rs`).

use std::sync::Arc;

use quick_cache::UnitWeighter;
use quick_cache::unsync::Cache;

use super::fetched::Fetched;
use super::generation::Record;
use super::known::{Name, by_tag};

/// Of all names of a domain, as many as there is room for.
pub(super) struct Seen(Cache<Box<str>, One, UnitWeighter, foldhash::fast::RandomState>);

/// Of one name.
#[derive(Default)]
struct One {
    /// The newest that the store has not lost since.
    newest: Option<Arc<Record>>,
    /// What the store answered last.
    last: Option<Fetched>,
}

impl Default for Seen {
    fn default() -> Self {
        Self(by_tag())
    }
}

impl Seen {
    /// Takes note of an answer that no invalidation on this node has overtaken, whether it is believed or not.
    pub(super) fn answered(&mut self, name: &Name, fetched: &Fetched) {
        self.with(name, |one| {
            if one.last.as_ref().is_none_or(|last| last.number <= fetched.number) {
                let lost = lost(one.newest.as_ref(), fetched.record.as_deref()).cloned();
                one.last = Some(Fetched { lost, ..fetched.clone() });
            }
        });
    }

    /// An invalidation on this node overtakes the last answer.
    pub(super) fn forget(&mut self, name: &Name) {
        if let Some(mut one) = self.0.get_mut(name.text()) {
            one.last = None;
        }
    }

    /// The store keeps the record of the last answer until then.
    pub(super) fn lengthened(&mut self, name: &Name, ends_ms: Option<u64>) {
        self.with(name, |one| one.last.iter_mut().for_each(|last| last.ends_ms = ends_ms));
    }

    /// Takes note of a record that is believed from now on. What was seen before, if the store's record comes from after a loss and knows
    /// nothing of it.
    pub(super) fn believed(&mut self, name: &Name, record: Option<&Arc<Record>>) -> Option<Arc<Record>> {
        let lost = lost(self.newest(name), record.map(Arc::as_ref)).cloned();
        if let (Some(record), None) = (record, &lost) {
            self.with(name, |one| one.newest = Some(Arc::clone(record)));
        }
        lost
    }

    /// The newest record that the store has not lost since.
    pub(super) fn newest(&self, name: &Name) -> Option<&Arc<Record>> {
        self.0.peek(name.text())?.newest.as_ref()
    }

    /// The last answer; of a domain, the name is empty.
    pub(super) fn last(&self, name: &str) -> Option<&Fetched> {
        self.0.peek(name)?.last.as_ref()
    }

    /// The same, if the question was asked after another one.
    pub(super) fn after(&self, name: &str, question: u64) -> Option<&Fetched> {
        self.last(name).filter(|last| last.number > question)
    }

    fn with(&mut self, name: &Name, change: impl FnOnce(&mut One)) {
        if let Some(mut one) = self.0.get_mut(name.text()) {
            change(&mut one);
            return;
        }
        let mut one = One::default();
        change(&mut one);
        self.0.insert(name.text().into(), one);
    }
}

/// What was seen before, if what the store has now comes from after a loss and knows nothing of it.
fn lost<'a>(seen: Option<&'a Arc<Record>>, now: Option<&Record>) -> Option<&'a Arc<Record>> {
    seen.filter(|seen| now.is_none_or(|now| now.follows_loss_of(seen)))
}
