//! What is counted for the host as a whole.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::lock::LockOutcome;
use crate::ports::metrics::Metrics;
use crate::ports::refusal::StoreRefusal;

/// The families of the host.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let counters = [
        ("larder_resp_connections_total", "RESP connections since the start", &metrics.resp_connections_total),
        (
            "larder_resp_connections_refused_total",
            "RESP connections that were turned away at the limit",
            &metrics.resp_connections_refused,
        ),
        (
            "larder_resp_protocol_errors_total",
            "RESP connections that ended because of a malformed frame",
            &metrics.resp_protocol_errors,
        ),
        (
            "larder_http_connections_refused_total",
            "HTTP connections that were turned away at the limit",
            &metrics.http_connections_refused,
        ),
        ("larder_http_requests_total", "HTTP requests", &metrics.http_requests),
        ("larder_store_errors_total", "Store commands without an answer or with a failure", &metrics.store_errors),
        ("larder_unknown_domain_total", "Requests for a domain that no policy serves", &metrics.unknown_domain),
    ];
    let gauges = [
        ("larder_resp_connections", "Open RESP connections", &metrics.resp_connections),
        ("larder_http_connections", "Open HTTP connections", &metrics.http_connections),
        ("cache_active_locks", "Locks that were taken through this host and live", &metrics.active_locks),
        ("larder_l1_bytes", "Bytes that L1 holds, as it weighs them", &metrics.l1_bytes),
        (
            "larder_l1_room_bytes",
            "Bytes that L1 may hold, so that what the process holds for them is within l1.size",
            &metrics.l1_room_bytes,
        ),
        ("larder_l1_entries", "Entries in L1", &metrics.l1_entries),
    ];
    let counters = counters.map(|(name, help, counter)| {
        let mut family = Family::counter(name, help);
        family.count(&[], counter.get());
        family.done()
    });
    let gauges = gauges.map(|(name, help, gauge)| {
        let mut family = Family::gauge(name, help);
        family.level(&[], gauge.get() as f64);
        family.done()
    });
    let mut store = Family::histogram("larder_store_command_duration_seconds", "Time of store commands");
    store.durations(&[], &metrics.store_latency);
    let mut locks = Family::counter("larder_lock_operations_total", "Operations on locks, by what became of them");
    for outcome in LockOutcome::ALL {
        locks.count_some(&[("outcome", outcome.as_str())], metrics.lock_outcomes[outcome as usize].get());
    }
    let mut refusals = Family::counter("larder_store_refusals_total", "What the store refused for reasons of its own");
    for refusal in StoreRefusal::ALL {
        refusals.count_some(&[("reason", refusal.as_str())], metrics.store_refusals.counts[refusal as usize].get());
    }
    let mut shares = Family::gauge("larder_l1_share_bytes", "Bytes that a domain's own part of L1 holds");
    for (domain, bytes) in metrics.l1_shares.get().map_or(&[][..], Vec::as_slice) {
        shares.level(&[("domain", domain)], bytes.get() as f64);
    }
    let mut build = Family::gauge("larder_build_info", "The version that runs; always 1");
    build.level(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    counters
        .into_iter()
        .chain(gauges)
        .chain([store.done(), locks.done(), refusals.done(), shares.done(), build.done()])
        .collect()
}
