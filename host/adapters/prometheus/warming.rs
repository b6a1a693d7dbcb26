//! What warming and the carrying over of older key versions have done, for each domain.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::metrics::Metrics;
use crate::ports::warming::WarmOutcome;

/// The families of warming.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut warmed = Family::counter("larder_warmed_keys_total", "Keys that were warmed, by what became of them");
    let mut migrated = Family::counter(
        "larder_migrated_total",
        "Entries of older key versions that were carried over to the one of now",
    );
    for (domain, metrics) in metrics.domains() {
        for outcome in WarmOutcome::ALL {
            let labels = [("domain", &*domain), ("outcome", outcome.as_str())];
            warmed.count_some(&labels, metrics.warmed[outcome as usize].get());
        }
        migrated.count_some(&[("domain", &*domain)], metrics.migrated.get());
    }
    [warmed, migrated].map(Family::done).into()
}
