//! Hits in L1, counted once per batch instead of once per hit: a clock read and shared counters would cost as much as the hit
//! itself.
//!
//! The time of a batch is shared out evenly. Nothing is allocated once a connection has seen a batch.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::l1::entry::Entry;
use crate::ports::metrics::DomainMetrics;

/// Domains that are summed at the same time; one more makes room by counting what is there.
const RUNS_MAX: usize = 8;

/// The hits of a batch, by domain.
#[derive(Default)]
pub(super) struct Tally {
    runs: Vec<(Arc<DomainMetrics>, u64)>,
    started_ns: Option<u64>,
}

impl Tally {
    /// To be called before the engine is asked for a hit: the time begins with the first call.
    pub(super) fn begin(&mut self, engine: &Engine) {
        if self.started_ns.is_none() {
            self.started_ns = Some(engine.monotonic_ns());
        }
    }

    /// One hit.
    pub(super) fn add(&mut self, engine: &Engine, entry: &Entry) {
        if let Some((_, n)) = self.runs.iter_mut().find(|(metrics, _)| Arc::ptr_eq(metrics, entry.metrics())) {
            *n += 1;
            return;
        }
        if self.runs.len() == RUNS_MAX {
            self.count(engine);
            self.begin(engine);
        }
        self.runs.push((Arc::clone(entry.metrics()), 1));
    }

    /// Counts what was added, and begins anew.
    pub(super) fn count(&mut self, engine: &Engine) {
        let Some(started_ns) = self.started_ns.take() else { return };
        let total: u64 = self.runs.iter().map(|(_, n)| n).sum();
        if total == 0 {
            return;
        }
        let elapsed_ns = engine.monotonic_ns().saturating_sub(started_ns);
        for (metrics, n) in self.runs.drain(..) {
            engine.count_hits(&metrics, n, elapsed_ns.saturating_mul(n) / total);
        }
    }
}
