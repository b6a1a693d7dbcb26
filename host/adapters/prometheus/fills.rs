//! What is counted of fills, for each domain.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::lease::{FillOutcome, Lost};
use crate::ports::metrics::Metrics;

/// The families of fills.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut taken = Family::counter("larder_leases_taken_total", "Leases that callers of this host took");
    let mut outcomes =
        Family::counter("larder_fill_outcomes_total", "How loads ended, and readers that waited too long for one");
    let mut lost = Family::counter("larder_fills_lost_total", "Fills that were not stored as their lease was lost");
    let mut wait = Family::histogram("larder_fill_wait_seconds", "Time that readers waited for loads of others");
    let mut waiting = Family::gauge("larder_fill_waiting", "Readers that wait for loads of others");
    for (domain, metrics) in metrics.domains() {
        let labels = [("domain", &*domain)];
        taken.count(&labels, metrics.leases_taken.get());
        for outcome in FillOutcome::ALL {
            let labels = [labels[0], ("outcome", outcome.as_str())];
            outcomes.count_some(&labels, metrics.fill_outcomes[outcome as usize].get());
        }
        for how in Lost::ALL {
            lost.count_some(&[labels[0], ("how", how.as_str())], metrics.fills_lost[how as usize].get());
        }
        wait.durations(&labels, &metrics.fill_wait);
        waiting.level(&labels, metrics.fill_waiting.get() as f64);
    }
    [taken, outcomes, lost, wait, waiting].map(Family::done).into()
}
