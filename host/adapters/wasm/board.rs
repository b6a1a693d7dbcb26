//! What operators see of all domains, written by the one thread that decides and read by any.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::refused::{Reason, Refused};
use crate::limits;
use crate::ports::registry::{PolicyState, PolicyStatus};

/// Every domain's status, by name.
#[derive(Default)]
pub(super) struct Board {
    statuses: RwLock<BTreeMap<Arc<str>, PolicyStatus>>,
    /// Those that are not of domains, but of files that are no policies.
    strays: Mutex<BTreeSet<Arc<str>>>,
}

impl Board {
    /// All of them, in order of their names.
    pub(super) fn all(&self) -> Vec<PolicyStatus> {
        self.statuses.read().values().cloned().collect()
    }

    /// One of them.
    pub(super) fn one(&self, domain: &str) -> Option<PolicyStatus> {
        self.statuses.read().get(domain).cloned()
    }

    /// Replaces a domain's.
    pub(super) fn publish(&self, status: PolicyStatus) {
        self.statuses.write().insert(Arc::clone(&status.domain), status);
    }

    /// Takes a domain's away.
    pub(super) fn withdraw(&self, domain: &str) {
        self.statuses.write().remove(domain);
    }

    /// Files that cannot be policies stand here under their own names, so that nobody wonders why they do nothing.
    pub(super) fn show_strays(&self, found: &BTreeMap<String, String>) {
        let (mut statuses, mut shown) = (self.statuses.write(), self.strays.lock());
        shown.retain(|name| {
            let stays = found.contains_key(&**name);
            if !stays {
                statuses.remove(name);
            }
            stays
        });
        for (stem, problem) in found.iter().take(limits::DOMAINS_MAX) {
            if statuses.contains_key(stem.as_str()) {
                continue;
            }
            let name: Arc<str> = stem.as_str().into();
            let refused = Refused::new(Reason::Name, problem.as_str());
            refused.report(&name);
            statuses.insert(Arc::clone(&name), stray(Arc::clone(&name), refused.message));
            shown.insert(name);
        }
    }
}

fn stray(domain: Arc<str>, problem: String) -> PolicyStatus {
    PolicyStatus {
        domain,
        state: PolicyState::Failed,
        generation: 0,
        digest: Arc::from(""),
        version: String::new(),
        key_version: String::new(),
        encoding: "",
        size_bytes: 0,
        load_ms: 0,
        live_since_ms: 0,
        previous: Vec::new(),
        last_error: Some(problem),
        quarantined: Vec::new(),
        history: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_is_shown_as_long_as_it_is_there() {
        let board = Board::default();
        board.publish(stray(Arc::from("profile"), String::new()));
        board.show_strays(&BTreeMap::from([("Orders".to_owned(), "rename it".to_owned())]));
        let shown = board.one("Orders").expect("it is shown");
        assert_eq!((shown.state, shown.last_error.as_deref()), (PolicyState::Failed, Some("rename it")));
        board.show_strays(&BTreeMap::new());
        assert_eq!(board.all().iter().map(|status| &*status.domain).collect::<Vec<_>>(), ["profile"]);
    }
}
