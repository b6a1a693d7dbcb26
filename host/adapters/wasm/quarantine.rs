//! The components of one domain that are not taken again, because they failed too often.
//!
//! What counts is the rules: the same component with other settings or limits may be better, and is taken.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::ports::registry::Quarantined;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    rules_id: u64,
    #[serde(flatten)]
    shown: Quarantined,
}

/// All of one domain, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Quarantine {
    held: VecDeque<Held>,
}

impl Quarantine {
    /// Adds one; the oldest goes if there are too many.
    pub(super) fn add(&mut self, rules_id: u64, shown: Quarantined) {
        self.held.retain(|it| it.rules_id != rules_id);
        self.held.truncate(limits::QUARANTINED_MAX - 1);
        self.held.push_front(Held { rules_id, shown });
    }

    /// Why these rules are held, if they are.
    pub(super) fn why(&self, rules_id: u64) -> Option<&str> {
        self.held.iter().find(|it| it.rules_id == rules_id).map(|it| it.shown.detail.as_str())
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.held.clear();
    }

    /// For operators.
    pub(super) fn shown(&self) -> Vec<Quarantined> {
        self.held.iter().map(|it| it.shown.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_each_once() {
        let mut quarantine = Quarantine::default();
        for n in (0..100).chain([99]) {
            quarantine.add(n, Quarantined { at_ms: n, digest: "x".into(), detail: format!("detail {n}") });
        }
        assert_eq!(quarantine.shown().len(), limits::QUARANTINED_MAX);
        assert_eq!((quarantine.why(99), quarantine.why(0)), (Some("detail 99"), None));
        let text = serde_json::to_string(&quarantine).expect("it is plain data");
        assert_eq!(serde_json::from_str::<Quarantine>(&text).expect("its own words"), quarantine);
    }
}
