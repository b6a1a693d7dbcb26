//! What is counted of who is let in and who is turned away.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::metrics::Metrics;

/// The families of the guards.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let guard = &metrics.guard;
    let mut logins = Family::counter("larder_logins_total", "Passwords and tokens that were said, by what they were");
    for (outcome, counter) in
        [("right", &guard.logins), ("wrong", &guard.logins_wrong), ("paused", &guard.logins_paused)]
    {
        logins.count(&[("outcome", outcome)], counter.get());
    }
    let mut reloads = Family::counter("larder_config_reloads_total", "Times that the settings were read again");
    for (outcome, counter) in [("done", &guard.reloads), ("failed", &guard.reloads_failed)] {
        reloads.count(&[("outcome", outcome)], counter.get());
    }
    let mut waiting =
        Family::gauge("larder_config_settings_waiting", "Settings that were changed and wait for the next start");
    waiting.level(&[], guard.settings_waiting.get() as f64);
    let counters = [
        ("larder_denials_total", "Requests of callers who are not allowed what they asked for", &guard.denials),
        ("larder_rate_limited_total", "Requests beyond a rate", &guard.rate_limited),
        ("larder_tls_failures_total", "Connections that came to no agreement on TLS", &guard.tls_failures),
        (
            "larder_resp_idle_ended_total",
            "RESP connections that were ended because they said nothing",
            &guard.idle_ended,
        ),
    ];
    let counters = counters.map(|(name, help, counter)| {
        let mut family = Family::counter(name, help);
        family.count(&[], counter.get());
        family.done()
    });
    counters.into_iter().chain([logins.done(), reloads.done(), waiting.done()]).collect()
}
