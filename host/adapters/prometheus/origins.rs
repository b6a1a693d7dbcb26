//! What is counted for the origin of each domain. Labels are closed: domains, classes of answers, kinds of errors.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::metrics::Metrics;
use crate::ports::origin::{OriginError, OriginMetrics};

/// The families of the origins.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut loads = Family::counter("larder_origin_loads_total", "Loads from an origin, by how they ended");
    let mut time = Family::histogram("larder_origin_load_duration_seconds", "Time of a load from an origin");
    let mut in_flight = Family::gauge("larder_origin_loads_in_flight", "Loads from an origin that are under way");
    let mut retries = Family::counter(
        "larder_origin_retries_total",
        "Requests to an origin whose connection broke: those sent again, and those for which the budget was used up",
    );
    for (domain, metrics) in metrics.domains() {
        let origin = &metrics.origin;
        for (outcome, count) in OriginMetrics::CLASSES.iter().zip(&origin.answers) {
            loads.count_some(&[("domain", &domain), ("outcome", outcome)], count.get());
        }
        for (outcome, count) in OriginError::WORDS.iter().zip(&origin.errors) {
            loads.count_some(&[("domain", &domain), ("outcome", outcome)], count.get());
        }
        time.durations(&[("domain", &domain)], &origin.time);
        if origin.time.snapshot().0.iter().any(|&count| count > 0) || origin.in_flight.get() > 0 {
            in_flight.level(&[("domain", &domain)], origin.in_flight.get() as f64);
        }
        retries.count_some(&[("domain", &domain), ("outcome", "sent")], origin.retries.get());
        retries.count_some(&[("domain", &domain), ("outcome", "refused")], origin.retries_refused.get());
    }
    [loads, time, in_flight, retries].map(Family::done).into()
}
