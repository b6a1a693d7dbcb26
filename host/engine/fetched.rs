//! What the store answered when it was asked for a record of generations, and what was known before it lost one.
//!
//! Deliberately absent: whether it is still believed (`known.rs`).

use std::sync::Arc;

use super::generation::{Judged, Record};

/// A record that the store has, or that it has none.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) record: Option<Arc<Record>>,
    /// What was known before the store lost that and somebody began anew: of that the store's record knows nothing.
    pub(super) lost: Option<Arc<Record>>,
    /// Until when the store keeps it, as far as is known; `None`: for ever.
    pub(super) ends_ms: Option<u64>,
    /// From before the store was asked: wall time in milliseconds.
    pub(super) as_of_ms: u64,
    /// Its place among all questions of this domain.
    pub(super) number: u64,
    /// The stream of changes that ran before the store was asked.
    pub(super) stream: u32,
}

impl Fetched {
    /// How something stands by the record; where that knows nothing of it, by what was lost.
    pub(super) fn judge(&self, judge: &dyn Fn(Option<&Record>) -> Judged) -> Judged {
        let found = judge(self.record.as_deref());
        match &self.lost {
            Some(lost) if !found.certain => found.and(judge(Some(lost))),
            _ => found,
        }
    }

    /// Whether the store keeps it at least until then.
    pub(super) fn outlives(&self, ends_ms: Option<u64>) -> bool {
        match (self.ends_ms, ends_ms) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own_ms), Some(ends_ms)) => own_ms >= ends_ms,
        }
    }
}
