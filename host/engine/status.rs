//! How the host is right now, for the dashboard and `larder top`: counts since the start, which a reader turns into rates.
//!
//! Nothing here is counted anew and nothing waits: it is what [`crate::ports::metrics`] holds, in one piece. Deliberately absent: windows,
//! quantiles and history, which whoever shows them makes from two of these.

use std::collections::BTreeMap;

use serde::Serialize;

use super::core::Engine;
use crate::limits::STORE_REFUSAL_TOLD_MS;
use crate::ports::breaker::{BreakerStatus, Mode, State as BreakerState};
use crate::ports::metrics::{BUCKETS_NS, DomainMetrics, Histogram, State};
use crate::ports::policy::Operation;

/// Counts by the word of a state; states that never came are left out.
pub type ByState = BTreeMap<&'static str, u64>;

/// How the host is.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The host's version.
    pub version: &'static str,
    /// Wall time, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Milliseconds since the start, on a clock that never goes back.
    pub uptime_ms: u64,
    /// Between a domain and the rest of a key.
    pub separator: String,
    /// Open connections.
    pub connections: Connections,
    /// The node's own memory.
    pub l1: L1Status,
    /// Commands to the store.
    pub store: StoreStatus,
    /// What is wrong with what the host needs, and what to do, in words; empty: nothing is known to be.
    pub troubles: Vec<String>,
    /// Locks that were taken through this host and live.
    pub locks: u64,
    /// Requests for a domain that no policy serves.
    pub unknown_domain: u64,
    /// Upper bounds of the buckets of every latency, in nanoseconds; each has one more bucket for what is above.
    pub latency_bounds_ns: [u64; BUCKETS_NS.len()],
    /// The domains, in order of their names.
    pub domains: Vec<DomainStatus>,
}

/// Open connections.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Connections {
    /// Over RESP.
    pub resp: u64,
    /// Over HTTP.
    pub http: u64,
}

/// The node's own memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct L1Status {
    /// Bytes, as it weighs them.
    pub bytes: u64,
    /// How many it may hold; 0: it is off.
    pub bytes_max: u64,
    /// Entries.
    pub entries: u64,
}

/// Commands to the store.
#[derive(Clone, Debug, Serialize)]
pub struct StoreStatus {
    /// Those that it did not answer, or answered with a failure.
    pub errors: u64,
    /// How long they took, in buckets.
    pub latency: Vec<u64>,
}

/// What was counted for one domain.
#[derive(Clone, Debug, Serialize)]
pub struct DomainStatus {
    /// Its name.
    pub domain: String,
    /// The generation of its policy that serves; 0: none.
    pub generation: u64,
    /// Reads, by what became of them.
    pub reads: ByState,
    /// Everything else, by what became of it.
    pub changes: ByState,
    /// How long all of them took, in buckets.
    pub latency: Vec<u64>,
    /// Calls of the policy.
    pub policy_calls: u64,
    /// Failures of the policy.
    pub policy_faults: u64,
    /// Policies that went live.
    pub swaps: u64,
    /// Invalidations that were done.
    pub invalidations: u64,
}

impl Engine {
    fn troubles(&self) -> Vec<String> {
        let breakers = self.breakers().list().into_iter().filter(|it| it.state != BreakerState::Closed.as_str());
        let mut troubles: Vec<String> = breakers.map(|it| in_words(&it)).collect();
        let latest = self.metrics().store_refusals.latest();
        if let Some(it) = latest.filter(|it| self.now_ms().saturating_sub(it.at_ms) < STORE_REFUSAL_TOLD_MS) {
            let advice = it.refusal.advice();
            troubles.push(format!("the store refuses what it is asked ({}): {advice}", it.said));
        }
        let waiting = self.metrics().recovery.waiting.get();
        if waiting > 0 {
            let what = if waiting == 1 { "invalidation waits" } else { "invalidations wait" };
            troubles.push(format!("{waiting} {what} for the store, until it answers"));
        }
        troubles
    }

    /// How the host is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.report();
        let metrics = self.metrics();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            at_ms: self.now_ms(),
            uptime_ms: self.uptime_ms(),
            separator: char::from(self.separator()).to_string(),
            connections: Connections { resp: metrics.resp_connections.get(), http: metrics.http_connections.get() },
            l1: L1Status {
                bytes: metrics.l1_bytes.get(),
                bytes_max: self.l1_bytes_max(),
                entries: metrics.l1_entries.get(),
            },
            store: StoreStatus {
                errors: metrics.store_errors.get(),
                latency: sum(std::slice::from_ref(&metrics.store_latency)),
            },
            troubles: self.troubles(),
            locks: metrics.active_locks.get(),
            unknown_domain: metrics.unknown_domain.get(),
            latency_bounds_ns: BUCKETS_NS,
            domains: metrics.domains().iter().map(|(name, metrics)| domain(name, metrics)).collect(),
        }
    }
}

/// What is to be known of a breaker that is not closed.
fn in_words(breaker: &BreakerStatus) -> String {
    let BreakerStatus { name, state, mode, retry_in_ms, last_failure, .. } = breaker;
    let mut words = format!("the breaker '{name}' is {state}");
    if let Some(failure) = last_failure {
        words += &format!(", as calls failed, the latest: {failure}");
    }
    if let Some(ms) = retry_in_ms {
        words += &format!("; it tries again in {} s", ms.div_ceil(1_000));
    }
    if *mode != Mode::Auto.as_str() {
        words += &format!("; an operator forced it, until `larder breakers force {name} auto`");
    }
    words
}

fn domain(name: &str, metrics: &DomainMetrics) -> DomainStatus {
    let answers = |wanted: &dyn Fn(Operation) -> bool| {
        let operations = || Operation::ALL.into_iter().filter(|&operation| wanted(operation));
        let count = |state| operations().map(|operation| metrics.answers(operation, state)).sum::<u64>();
        State::ALL.map(|state| (state.as_str(), count(state))).into_iter().filter(|(_, n)| *n > 0).collect()
    };
    DomainStatus {
        domain: name.to_owned(),
        generation: metrics.generation.get(),
        reads: answers(&|operation| operation == Operation::Read),
        changes: answers(&|operation| operation != Operation::Read),
        latency: sum(&metrics.latency),
        policy_calls: metrics.policy_calls.iter().map(crate::ports::metrics::Counter::get).sum(),
        policy_faults: metrics.policy_faults.iter().map(crate::ports::metrics::Counter::get).sum(),
        swaps: metrics.swaps.get(),
        invalidations: metrics.invalidations.iter().flatten().map(crate::ports::metrics::Counter::get).sum(),
    }
}

fn sum(histograms: &[Histogram]) -> Vec<u64> {
    let mut all = vec![0; BUCKETS_NS.len() + 1];
    for histogram in histograms {
        let (counts, _) = histogram.snapshot();
        all.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    all
}
