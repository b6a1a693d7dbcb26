//! What is counted of clients that keep copies of their own.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::metrics::Metrics;

/// Its families.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let tracking = &metrics.tracking;
    let gauges = [
        ("larder_tracking_clients", "Connections with CLIENT TRACKING on", tracking.clients.get() as f64),
        ("larder_tracking_keys", "Keys that are remembered for them", tracking.keys.get() as f64),
        ("larder_tracking_bytes", "About what that takes", tracking.bytes.get() as f64),
    ];
    let counters = [
        ("larder_tracking_told_total", "Keys that a client was told not to keep", tracking.told.get() as f64),
        (
            "larder_tracking_flushes_total",
            "Times that a client was told to keep nothing",
            tracking.flushes.get() as f64,
        ),
        (
            "larder_tracking_overflowed_total",
            "Times that a client was told so because it did not read what it was told",
            tracking.overflowed.get() as f64,
        ),
        (
            "larder_tracking_evicted_total",
            "Keys that were forgotten because there were too many, and told to their readers",
            tracking.evicted.get() as f64,
        ),
    ];
    let gauges = gauges.map(Family::plain_gauge);
    let counters = counters.map(Family::plain_counter);
    gauges.into_iter().chain(counters).collect()
}
