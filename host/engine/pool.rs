//! Shares equal terms between entries: most values of a domain are judged alike, and an entry in L1 should cost its value, not
//! the decision about it.
//!
//! Only the last terms of each slot are remembered: a miss costs one comparison and nothing else.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::entry::Terms;

/// Domains that are judged at the same time share slots by their rules' ids.
const SLOTS: usize = 64;

/// The last terms of each domain.
pub(super) struct TermsPool {
    last: [ArcSwapOption<Terms>; SLOTS],
}

impl Default for TermsPool {
    fn default() -> Self {
        Self { last: std::array::from_fn(|_| ArcSwapOption::empty()) }
    }
}

impl TermsPool {
    /// Equal terms, shared with other entries if the last ones of the domain were equal.
    #[must_use]
    pub(super) fn share(&self, terms: Arc<Terms>) -> Arc<Terms> {
        let slot = &self.last[(terms.rules_id % SLOTS as u64) as usize];
        let last = slot.load();
        match last.as_ref() {
            Some(last) if **last == *terms => Arc::clone(last),
            _ => {
                slot.store(Some(Arc::clone(&terms)));
                terms
            }
        }
    }
}
