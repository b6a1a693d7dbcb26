//! What is counted. Plain atomics, so that counting costs a few nanoseconds and knows no exporter; an adapter exports them.
//!
//! Labels are finite: domains with a policy, closed enums. Never a key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::breaker::BreakerMetrics;
use super::coherence::{CoherenceMetrics, TrackingMetrics};
use super::compression::{CompressionMethod, CompressionMetrics};
use super::guard::GuardMetrics;
pub use super::hooks::Hook;
use super::invalidation::{Mode, RecoveryMetrics, SelectorKind};
use super::lease::{FillOutcome, Lost};
use super::load::LoadMetrics;
use super::lock::LockOutcome;
use super::origin::OriginMetrics;
use super::policy::{Fault, Operation};
use super::refusal::StoreRefusals;
use super::series::PolicySeries;
pub use super::state::{Counts, State};
use super::trace::TraceMetrics;
use super::warming::WarmOutcome;

/// Counts up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the buckets of every [`Histogram`], in nanoseconds; one more bucket takes what is above. One is a little above a second, for
/// which readers of a missing key wait by default: quantiles are read within a bucket, and would be far off in a wide one.
pub const BUCKETS_NS: [u64; 24] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    1_250_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Durations in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_NS.len() + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Adds one duration.
    pub fn observe_ns(&self, ns: u64) {
        let bucket = BUCKETS_NS.partition_point(|&bound| bound < ns);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Counts of the buckets, not cumulative, and the sum of all durations in nanoseconds.
    #[must_use]
    pub fn snapshot(&self) -> ([u64; BUCKETS_NS.len() + 1], u64) {
        (std::array::from_fn(|i| self.buckets[i].load(Ordering::Relaxed)), self.sum_ns.load(Ordering::Relaxed))
    }
}

/// What is counted for one domain, over all generations of its policy.
#[derive(Debug, Default)]
pub struct DomainMetrics {
    answers: [[Counter; State::COUNT]; Operation::COUNT],
    /// Time from the engine's call to its answer. Hits in L1 are timed per pipelined batch: one observation of the mean.
    pub latency: [Histogram; Operation::COUNT],
    /// Calls of each hook.
    pub policy_calls: [Counter; Hook::COUNT],
    /// Calls that were spared, as the same was asked before.
    pub policy_remembered: Counter,
    /// Time in each hook. Sampled: one call in 16 is timed.
    pub policy_time: [Histogram; Hook::COUNT],
    /// Failures of the policy.
    pub policy_faults: [Counter; Fault::COUNT],
    /// Calls of its workflow that run.
    pub workflows_running: Gauge,
    /// Instances made.
    pub instances_created: Counter,
    /// What the policy itself counts.
    pub own: PolicySeries,
    /// Lines that the policy logged beyond its bounds.
    pub log_lines_dropped: Counter,
    /// Policies that went live.
    pub swaps: Counter,
    /// Files that were refused.
    pub rejections: Counter,
    /// Components that were taken out of service because they failed too often.
    pub quarantines: Counter,
    /// Whether what serves fails too often, with nothing to go back to: 1 or 0.
    pub failing: Gauge,
    /// The generation that serves; 0: none.
    pub generation: Gauge,
    /// Entries that were judged again because the rules changed.
    pub rejudged: Counter,
    /// Foreign or damaged bytes that were found under a storage key.
    pub foreign_bytes: Counter,
    /// Compression of values, by method.
    pub compression: [CompressionMetrics; CompressionMethod::COUNT],
    /// Keys that were warmed.
    pub warmed: [Counter; WarmOutcome::COUNT],
    /// Entries of older key versions that were carried over.
    pub migrated: Counter,
    /// Invalidations that were done.
    pub invalidations: [[Counter; Mode::COUNT]; SelectorKind::COUNT],
    /// Invalidations that failed.
    pub invalidations_failed: [Counter; SelectorKind::COUNT],
    /// Entries in the store that a reader or writer found invalidated.
    pub found_invalidated: [Counter; Mode::COUNT],
    /// Keys of the store that invalidations by scan have looked at, about.
    pub invalidation_scanned: Counter,
    /// Keys that they have removed or made stale.
    pub invalidation_keys: Counter,
    /// Times that a whole domain was invalidated because of too many prefixes.
    pub prefixes_overflowed: Counter,
    /// Loads from the origin and stale answers.
    pub loads: LoadMetrics,
    /// What its origin is asked.
    pub origin: OriginMetrics,
    /// Leases that callers of this node took.
    pub leases_taken: Counter,
    /// How loads ended, and readers that waited too long for one.
    pub fill_outcomes: [Counter; FillOutcome::COUNT],
    /// Fills that were not stored because their lease was lost.
    pub fills_lost: [Counter; Lost::COUNT],
    /// Time that readers waited for loads of others.
    pub fill_wait: Histogram,
    /// Readers that wait for loads of others.
    pub fill_waiting: Gauge,
}

impl DomainMetrics {
    /// Counts an answer.
    pub fn answered(&self, operation: Operation, state: State) {
        self.answers[operation as usize][state as usize].increment();
    }

    /// Counts many equal answers.
    pub fn answered_many(&self, operation: Operation, state: State, n: u64) {
        self.answers[operation as usize][state as usize].add(n);
    }

    /// Counts a failure of the policy, and holds it against its generation if it was its own doing.
    pub fn policy_failed(&self, fault: Fault, of_generation: &Counter) {
        self.policy_faults[fault as usize].increment();
        if fault.is_the_policys() {
            of_generation.increment();
        }
    }

    /// How many answers there were.
    #[must_use]
    pub fn answers(&self, operation: Operation, state: State) -> u64 {
        self.answers[operation as usize][state as usize].get()
    }
}

/// What is counted for the host as a whole, and the domains.
#[derive(Debug, Default)]
pub struct Metrics {
    domains: RwLock<BTreeMap<Arc<str>, Arc<DomainMetrics>>>,
    breakers: RwLock<BTreeMap<Arc<str>, Arc<BreakerMetrics>>>,
    /// Who is let in and who is turned away.
    pub guard: GuardMetrics,
    /// Open RESP connections.
    pub resp_connections: Gauge,
    /// RESP connections since the start.
    pub resp_connections_total: Counter,
    /// RESP connections that were turned away at the limit.
    pub resp_connections_refused: Counter,
    /// RESP connections that ended because of a malformed frame.
    pub resp_protocol_errors: Counter,
    /// Open HTTP connections.
    pub http_connections: Gauge,
    /// HTTP connections that were turned away at the limit.
    pub http_connections_refused: Counter,
    /// HTTP requests.
    pub http_requests: Counter,
    /// Bytes that L1 holds, as it weighs them.
    pub l1_bytes: Gauge,
    /// Bytes that L1 may hold, as it weighs them: fewer than its setting by what the process holds beside them.
    pub l1_room_bytes: Gauge,
    /// Bytes that each domain's share of L1 holds; set when L1 is made.
    pub l1_shares: OnceLock<Vec<(String, Gauge)>>,
    /// Entries in L1.
    pub l1_entries: Gauge,
    /// Commands that the store did not answer or answered with a failure.
    pub store_errors: Counter,
    /// What the store refused for reasons of its own.
    pub store_refusals: StoreRefusals,
    /// Time of store commands.
    pub store_latency: Histogram,
    /// How well the stream of changes runs.
    pub coherence: CoherenceMetrics,
    /// Clients that keep copies of their own.
    pub tracking: TrackingMetrics,
    /// Invalidations that wait for the store.
    pub recovery: RecoveryMetrics,
    /// Requests for a domain that no policy serves.
    pub unknown_domain: Counter,
    /// What becomes of spans.
    pub tracing: TraceMetrics,
    /// Locks that were taken through this host and live.
    pub active_locks: Gauge,
    /// What became of operations on locks.
    pub lock_outcomes: [Counter; LockOutcome::COUNT],
}

impl Metrics {
    /// The counters of a domain; made at the first call. Only for domains that have a policy.
    pub fn domain(&self, domain: &str) -> Arc<DomainMetrics> {
        if let Some(found) = self.domains.read().get(domain) {
            return Arc::clone(found);
        }
        Arc::clone(self.domains.write().entry(domain.into()).or_default())
    }

    /// The counters of a breaker; made at the first call. Their number is the board's to bound.
    pub fn breaker(&self, name: &str) -> Arc<BreakerMetrics> {
        Arc::clone(self.breakers.write().entry(name.into()).or_default())
    }

    /// All breakers, in order of their names.
    #[must_use]
    pub fn breakers(&self) -> Vec<(Arc<str>, Arc<BreakerMetrics>)> {
        self.breakers.read().iter().map(|(name, metrics)| (Arc::clone(name), Arc::clone(metrics))).collect()
    }

    /// Counts what became of an operation on a lock.
    pub fn lock(&self, outcome: LockOutcome) {
        self.lock_outcomes[outcome as usize].increment();
    }

    /// All domains, in order of their names.
    #[must_use]
    pub fn domains(&self) -> Vec<(Arc<str>, Arc<DomainMetrics>)> {
        self.domains.read().iter().map(|(name, metrics)| (Arc::clone(name), Arc::clone(metrics))).collect()
    }
}
