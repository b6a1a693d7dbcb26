//! What is counted for each domain. Labels are closed: domains with a policy, operations, states, hooks, faults.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::invalidation::{Mode, SelectorKind};
use crate::ports::load::{LoadMetrics, LoadOutcome, LoadReason, StaleReason};
use crate::ports::metrics::{DomainMetrics, Hook, Metrics, State};
use crate::ports::policy::{Fault, Operation};

/// The families of the domains.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut families = Families::new();
    for (domain, metrics) in metrics.domains() {
        families.requests(&domain, &metrics);
        families.policy(&domain, &metrics);
        families.invalidation(&domain, &metrics);
        families.loads(&domain, &metrics.loads);
    }
    families.done()
}

/// All of them, while they are filled.
struct Families {
    requests: Family,
    request_time: Family,
    calls: Family,
    remembered: Family,
    call_time: Family,
    faults: Family,
    swaps: Family,
    rejections: Family,
    quarantines: Family,
    failing: Family,
    generation: Family,
    instances: Family,
    rejudged: Family,
    foreign: Family,
    invalidations: Family,
    invalidations_failed: Family,
    found_invalidated: Family,
    scanned: Family,
    invalidated_keys: Family,
    overflowed: Family,
    loads: Family,
    loads_begun: Family,
    throttled: Family,
    stale_served: Family,
    refreshes_dropped: Family,
}

impl Families {
    fn new() -> Self {
        Self {
            requests: Family::counter("larder_requests_total", "Answers, by what became of the request"),
            request_time: Family::histogram(
                "larder_request_duration_seconds",
                "Time from a request's arrival at the engine to its answer; pipelined hits count once per batch",
            ),
            calls: Family::counter("larder_policy_calls_total", "Calls of a policy's hooks"),
            remembered: Family::counter(
                "larder_policy_remembered_total",
                "Decisions that needed no call, as the policy was asked the same before",
            ),
            call_time: Family::histogram(
                "larder_policy_call_duration_seconds",
                "Time in a policy's hooks, of a sample of the calls",
            ),
            faults: Family::counter("larder_policy_faults_total", "Failures of a policy"),
            swaps: Family::counter("larder_policy_swaps_total", "Policies that went live"),
            rejections: Family::counter("larder_policy_rejections_total", "Policy files that were refused"),
            quarantines: Family::counter(
                "larder_policy_quarantines_total",
                "Policies that failed too often and were replaced by the one before",
            ),
            failing: Family::gauge(
                "larder_policy_failing",
                "Whether the policy fails too often, with none before it to go back to: 1 or 0",
            ),
            generation: Family::gauge("larder_policy_generation", "The generation that serves; 0: none"),
            instances: Family::counter("larder_policy_instances_created_total", "Instances of a policy that were made"),
            rejudged: Family::counter(
                "larder_rejudged_total",
                "Entries that were judged again because the rules changed",
            ),
            foreign: Family::counter(
                "larder_foreign_bytes_total",
                "Times that foreign or damaged bytes were found under a storage key",
            ),
            invalidations: Family::counter("larder_invalidations_total", "Invalidations that were done"),
            invalidations_failed: Family::counter("larder_invalidations_failed_total", "Invalidations that failed"),
            found_invalidated: Family::counter(
                "larder_found_invalidated_total",
                "Entries in the store that were found to be invalidated when they were read",
            ),
            scanned: Family::counter(
                "larder_invalidation_scanned_keys_total",
                "Keys of the store that invalidations by scan have looked at, about",
            ),
            invalidated_keys: Family::counter(
                "larder_invalidation_removed_keys_total",
                "Keys that invalidations by scan have removed or made stale",
            ),
            overflowed: Family::counter(
                "larder_invalidation_prefixes_overflowed_total",
                "Times that a whole domain was invalidated because of too many prefixes",
            ),
            loads: Family::counter(
                "larder_loads_total",
                "Loads from the origin that have ended, by what became of them",
            ),
            loads_begun: Family::counter("larder_loads_begun_total", "Loads from the origin that were begun, by why"),
            throttled: Family::counter(
                "larder_loads_throttled_total",
                "Reads that found the load of their key paused after a failure",
            ),
            stale_served: Family::counter("larder_stale_served_total", "Stale values that were served, by why"),
            refreshes_dropped: Family::counter(
                "larder_refreshes_dropped_total",
                "Background refreshes that were not begun because too many loads were under way",
            ),
        }
    }

    fn requests(&mut self, domain: &str, metrics: &DomainMetrics) {
        for operation in Operation::ALL {
            let labels = [("domain", domain), ("operation", operation.as_str())];
            for state in State::ALL {
                let with_state = [labels[0], labels[1], ("state", state.as_str())];
                self.requests.count_some(&with_state, metrics.answers(operation, state));
            }
            self.request_time.durations(&labels, &metrics.latency[operation as usize]);
        }
    }

    fn policy(&mut self, domain: &str, metrics: &DomainMetrics) {
        for hook in Hook::ALL {
            let labels = [("domain", domain), ("hook", hook.as_str())];
            self.calls.count_some(&labels, metrics.policy_calls[hook as usize].get());
            self.call_time.durations(&labels, &metrics.policy_time[hook as usize]);
        }
        self.remembered.count_some(&[("domain", domain)], metrics.policy_remembered.get());
        for fault in Fault::ALL {
            let labels = [("domain", domain), ("fault", fault.as_str())];
            self.faults.count_some(&labels, metrics.policy_faults[fault as usize].get());
        }
        // These are alerted on: they are there from the start, so that their first step is seen as one.
        let labels = [("domain", domain)];
        self.swaps.count(&labels, metrics.swaps.get());
        self.rejections.count(&labels, metrics.rejections.get());
        self.quarantines.count(&labels, metrics.quarantines.get());
        self.failing.level(&labels, metrics.failing.get() as f64);
        self.generation.level(&labels, metrics.generation.get() as f64);
        self.instances.count(&labels, metrics.instances_created.get());
        self.rejudged.count(&labels, metrics.rejudged.get());
        self.foreign.count(&labels, metrics.foreign_bytes.get());
    }

    fn invalidation(&mut self, domain: &str, metrics: &DomainMetrics) {
        for kind in SelectorKind::ALL {
            for mode in Mode::ALL {
                let labels = [("domain", domain), ("kind", kind.as_str()), ("mode", mode.as_str())];
                self.invalidations.count_some(&labels, metrics.invalidations[kind as usize][mode as usize].get());
            }
            let labels = [("domain", domain), ("kind", kind.as_str())];
            self.invalidations_failed.count_some(&labels, metrics.invalidations_failed[kind as usize].get());
        }
        for mode in Mode::ALL {
            let labels = [("domain", domain), ("mode", mode.as_str())];
            self.found_invalidated.count_some(&labels, metrics.found_invalidated[mode as usize].get());
        }
        let labels = [("domain", domain)];
        self.scanned.count(&labels, metrics.invalidation_scanned.get());
        self.invalidated_keys.count(&labels, metrics.invalidation_keys.get());
        self.overflowed.count(&labels, metrics.prefixes_overflowed.get());
    }

    fn loads(&mut self, domain: &str, loads: &LoadMetrics) {
        for outcome in LoadOutcome::ALL {
            let labels = [("domain", domain), ("outcome", outcome.as_str())];
            self.loads.count_some(&labels, loads.outcomes[outcome as usize].get());
        }
        for reason in LoadReason::ALL {
            let labels = [("domain", domain), ("reason", reason.as_str())];
            self.loads_begun.count_some(&labels, loads.begun[reason as usize].get());
        }
        for reason in StaleReason::ALL {
            let labels = [("domain", domain), ("reason", reason.as_str())];
            self.stale_served.count_some(&labels, loads.stale[reason as usize].get());
        }
        let labels = [("domain", domain)];
        self.throttled.count_some(&labels, loads.throttled.get());
        self.refreshes_dropped.count_some(&labels, loads.refreshes_dropped.get());
    }

    fn done(self) -> Vec<MetricFamily> {
        let all = [
            self.requests,
            self.request_time,
            self.calls,
            self.remembered,
            self.call_time,
            self.faults,
            self.swaps,
            self.rejections,
            self.quarantines,
            self.failing,
            self.generation,
            self.instances,
            self.rejudged,
            self.foreign,
            self.invalidations,
            self.invalidations_failed,
            self.found_invalidated,
            self.scanned,
            self.invalidated_keys,
            self.overflowed,
            self.loads,
            self.loads_begun,
            self.throttled,
            self.stale_served,
            self.refreshes_dropped,
        ];
        all.map(Family::done).into()
    }
}
