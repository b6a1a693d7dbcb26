//! What is counted of the stream of changes, and of what waits for a store that is away.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::metrics::Metrics;

/// The families of both.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let (stream, recovery) = (&metrics.coherence, &metrics.recovery);
    let counters = [
        (
            "larder_coherence_changes_total",
            "Changes that the store told of, this host's own included",
            stream.changes.get() as f64,
        ),
        ("larder_coherence_dropped_total", "Copies in L1 that such a change has dropped", stream.dropped.get() as f64),
        (
            "larder_coherence_flushes_total",
            "Times that all copies were given up, because the stream of changes began anew or the store was emptied",
            stream.flushes.get() as f64,
        ),
        (
            "larder_coherence_suspect_seconds_total",
            "Time in which the stream of changes was broken or silent; complete when it is over",
            stream.suspect_ms.get() as f64 / 1_000.0,
        ),
        (
            "larder_coherence_refused_total",
            "Times that the store refused to tell of changes",
            stream.refused.get() as f64,
        ),
        (
            "larder_recovery_queued_total",
            "Invalidations that could not reach the store and began to wait",
            recovery.queued.get() as f64,
        ),
        ("larder_recovery_replayed_total", "Of those, the ones that are over", recovery.replayed.get() as f64),
        (
            "larder_recovery_superseded_total",
            "Of those, the ones whose key was written anew before",
            recovery.superseded.get() as f64,
        ),
        (
            "larder_recovery_overflowed_total",
            "Times that a whole domain was invalidated instead, because too many waited",
            recovery.overflowed.get() as f64,
        ),
    ];
    let gauges = [
        (
            "larder_coherence_state",
            "The stream of changes: 0 there is none, 1 it runs, 2 it is broken or silent",
            stream.state.get() as f64,
        ),
        ("larder_recovery_waiting", "Invalidations that wait for the store", recovery.waiting.get() as f64),
        (
            "larder_recovery_oldest_seconds",
            "How long the oldest of them has waited",
            recovery.oldest_ms.get() as f64 / 1_000.0,
        ),
    ];
    let counters = counters.map(Family::plain_counter);
    let gauges = gauges.map(Family::plain_gauge);
    let mut lag = Family::histogram(
        "larder_coherence_lag_seconds",
        "Time from a change of the host's own to its being told: how late copies are",
    );
    lag.durations(&[], &stream.lag);
    counters.into_iter().chain(gauges).chain([lag.done()]).collect()
}
