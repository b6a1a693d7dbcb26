//! The engine's parts, its settings, and what all its operations share: the hit path, counting, the store's errors.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::coherence::Coherence;
use super::compress::Compressor;
use super::fill::Fills;
use super::forward::ForwardRules;
use super::hot::HotKeys;
use super::judge::Place;
use super::key::KeyRules;
use super::l1::L1;
use super::l1::entry::Entry;
use super::pool::TermsPool;
use super::recent::Recent;
use super::recovery::Recovery;
use super::refresh::Loads;
use super::settings::{Ports, Settings};
use super::standing::Domains;
use super::tracking::Tracker;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::TTL_MS_MAX;
use crate::ports::breaker::Breakers;
use crate::ports::budget;
use crate::ports::clock::Clock;
use crate::ports::lock::Locks;
use crate::ports::metrics::{DomainMetrics, Gauge, Metrics, State};
use crate::ports::policy::Operation;
use crate::ports::quiet::Quiet;
use crate::ports::registry::Registry;
use crate::ports::store::{Sharing, Store, StoreError};
use crate::ports::table::{OnStoreFailure, Policies};
use crate::ports::trace;

/// The cache. One per host, shared by all front ends.
pub struct Engine {
    pub(super) policies: Arc<Policies>,
    registry: Arc<dyn Registry>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    locks: Arc<dyn Locks>,
    breakers: Arc<dyn Breakers>,
    pub(super) l1: L1,
    /// Clients that keep copies of their own.
    pub(super) tracker: Arc<Tracker>,
    pub(super) coherence: Arc<Coherence>,
    pub(super) hot: HotKeys,
    pub(super) keys: KeyRules,
    pub(super) domains: Domains,
    pub(super) terms: TermsPool,
    pub(super) trust_ms: u64,
    pub(super) on_store_failure: OnStoreFailure,
    pub(super) recovery: Recovery,
    /// Failed invalidations, in the log.
    pub(super) quiet: Quiet,
    /// How far scans have come is said now and then.
    pub(super) scans_told: Quiet,
    budget_ms: u64,
    started_ns: u64,
    l1_bytes_max: u64,
    value_bytes_max: usize,
    pub(super) old_versions: Vec<String>,
    pub(super) warm_keys_per_s: u64,
    /// Held while a step of a warming runs.
    pub(super) warming: tokio::sync::Mutex<()>,
    pub(super) batch_keys_max: usize,
    pub(super) compressor: Compressor,
    pub(super) flush_on: bool,
    pub(super) workflows: Gauge,
    /// The latest loads.
    pub(super) recent: Recent,
    /// The loads that are under way.
    pub(super) loads: Loads,
    /// Itself, for work that outlives the call that began it.
    pub(super) me: Weak<Self>,
    pub(super) fills: Fills,
    pub(super) forward_rules: ForwardRules,
}

impl Engine {
    /// An engine over these ports.
    #[must_use]
    pub fn new(settings: Settings, ports: Ports) -> Arc<Self> {
        let trust_ms = (ports.store.sharing() == Sharing::Shared).then_some(settings.trust_ms);
        let fills = Fills::new(&ports.store, &ports.clock);
        let coherence = Arc::new(Coherence::new(settings.trust_ms, Arc::clone(&ports.metrics)));
        let recovery = Recovery::new(Arc::clone(&ports.clock));
        let tracker = Arc::new(Tracker::new(Arc::clone(&ports.metrics)));
        let engine = Arc::new_cyclic(|me| Self {
            started_ns: ports.clock.monotonic_ns(),
            l1_bytes_max: settings.l1.bytes_max,
            l1: L1::following(settings.l1, Arc::clone(&coherence), Arc::clone(&ports.metrics)).telling(&tracker),
            tracker,
            hot: HotKeys::default(),
            policies: ports.policies,
            registry: ports.registry,
            store: ports.store,
            clock: ports.clock,
            metrics: ports.metrics,
            locks: ports.locks,
            breakers: ports.breakers,
            keys: settings.keys,
            domains: Domains::new(trust_ms, Arc::clone(&coherence)),
            coherence,
            terms: TermsPool::default(),
            trust_ms: settings.trust_ms,
            value_bytes_max: settings.value_bytes_max,
            old_versions: settings.old_versions,
            warm_keys_per_s: settings.warm_keys_per_s,
            warming: tokio::sync::Mutex::default(),
            batch_keys_max: settings.batch_keys_max,
            compressor: Compressor::new(settings.compress),
            on_store_failure: settings.on_store_failure,
            recovery,
            quiet: Quiet::default(),
            scans_told: Quiet::default(),
            budget_ms: settings.budget_ms,
            flush_on: settings.flush_on,
            workflows: Gauge::default(),
            fills,
            forward_rules: settings.forward,
            recent: Recent::default(),
            loads: Loads::default(),
            me: Weak::clone(me),
        });
        engine.tracker.watch(&*engine.store, Arc::downgrade(&engine));
        engine
    }

    /// The copy of a key if L1 may answer by itself: no await, no policy, no allocation. Counts nothing; whoever serves it
    /// tells [`Self::count_hits`], once for a batch.
    #[must_use]
    pub fn hit(&self, key: &[u8], now_ms: u64) -> Option<Entry> {
        let entry = self.l1.get(key)?;
        let epoch = self.policies.epoch();
        let serves = entry.serves(epoch, now_ms, &self.coherence) || self.recheck(&entry, key, epoch, now_ms);
        if serves {
            self.hot.seen(key, &entry.domain.name, now_ms);
        }
        serves.then_some(entry)
    }

    /// Counts `n` hits on entries of this domain that took `elapsed_ns` together.
    pub fn count_hits(&self, metrics: &DomainMetrics, n: u64, elapsed_ns: u64) {
        metrics.answered_many(Operation::Read, State::L1Hit, n);
        metrics.latency[Operation::Read as usize].observe_ns(elapsed_ns / n.max(1));
    }

    /// Wall time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// Monotonic time in nanoseconds, for durations.
    #[must_use]
    pub fn monotonic_ns(&self) -> u64 {
        self.clock.monotonic_ns()
    }

    /// What is counted.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Brings the gauges in [`Self::metrics`] up to date; before they are shown.
    pub fn report(&self) {
        self.l1.report();
        self.recovery.report(&self.metrics.recovery);
        self.locks.report();
    }

    /// Operators' view of the policies.
    #[must_use]
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// Locks of applications and policies.
    #[must_use]
    pub fn locks(&self) -> &Arc<dyn Locks> {
        &self.locks
    }

    /// Operators' view of the breakers.
    #[must_use]
    pub fn breakers(&self) -> &Arc<dyn Breakers> {
        &self.breakers
    }

    /// Milliseconds since the start.
    pub(super) fn uptime_ms(&self) -> u64 {
        self.monotonic_ns().saturating_sub(self.started_ns) / 1_000_000
    }

    /// Bytes that L1 may hold; 0: it is off.
    pub(super) const fn l1_bytes_max(&self) -> u64 {
        self.l1_bytes_max
    }

    /// What one operation may wait for the store, in nanoseconds.
    #[must_use]
    pub const fn budget_ns(&self) -> u64 {
        self.budget_ms.saturating_mul(1_000_000)
    }

    /// The separator between a domain and the rest of a key.
    #[must_use]
    pub const fn separator(&self) -> u8 {
        self.keys.separator
    }

    /// Whether a policy serves exactly this domain.
    #[must_use]
    pub fn is_served(&self, domain: &str) -> bool {
        self.policies.table().get(domain).is_some()
    }

    /// Whether a request can be served: the store answers, and some policy is live.
    ///
    /// # Errors
    /// What is missing.
    pub async fn ready(&self) -> Result<()> {
        if self.policies.table().iter().next().is_none() {
            let message = "no policy is live; see `larder policy list` for what went wrong";
            return Err(Error::new(ErrorKind::UnknownDomain, message));
        }
        self.store.ping().await.map_err(|error| self.store_error(error))
    }

    /// The state that an error is counted as.
    #[must_use]
    pub const fn state_of(kind: ErrorKind) -> State {
        match kind {
            ErrorKind::InvalidKey
            | ErrorKind::InvalidValue
            | ErrorKind::InvalidArgument
            | ErrorKind::UnknownDomain
            | ErrorKind::Unsupported
            | ErrorKind::Refused
            | ErrorKind::StoreReply => State::Refused,
            ErrorKind::StoreUnavailable | ErrorKind::StoreTimeout | ErrorKind::StoreData => State::StoreFailed,
            ErrorKind::OriginUnavailable | ErrorKind::OriginFailed | ErrorKind::OriginTimeout => State::OriginFailed,
            ErrorKind::PolicyFailed | ErrorKind::PolicyUnavailable => State::PolicyFailed,
            ErrorKind::Overloaded | ErrorKind::Internal => State::HostFailed,
        }
    }

    /// Does some work as one operation: its calls of the store together take no longer than the budget.
    pub(super) fn budgeted<W: Future>(&self, work: W) -> impl Future<Output = W::Output> + use<W> {
        budget::within(self.budget_ms, work)
    }

    /// Counts what became of an operation.
    pub(super) fn tally(&self, place: &Place<'_>, operation: Operation, state: State, started_ns: u64) {
        self.tally_lasted(place, operation, state, self.clock.monotonic_ns().saturating_sub(started_ns));
    }

    /// The same of one that is known to have lasted so long.
    pub(super) fn tally_lasted(&self, place: &Place<'_>, operation: Operation, state: State, lasted_ns: u64) {
        let metrics = &place.live().metrics;
        metrics.answered(operation, state);
        trace::note_answer(&place.live().domain, operation.as_str(), state.as_str());
        metrics.latency[operation as usize].observe_ns(lasted_ns);
    }

    /// Counts what became of an operation that has no finer outcome than success.
    pub(super) fn tally_result<T>(
        &self,
        place: &Place<'_>,
        operation: Operation,
        result: Result<T>,
        state: impl Fn(&T) -> State,
        started_ns: u64,
    ) -> Result<T> {
        let counted = result.as_ref().map_or_else(|error| Self::state_of(error.kind), state);
        self.tally(place, operation, counted, started_ns);
        result
    }

    /// The store's error as the caller sees it.
    pub(super) fn store_error(&self, error: StoreError) -> Error {
        store_error(error)
    }

    /// # Errors
    /// A value over the limit.
    pub(super) fn check_value(&self, value: &Bytes) -> Result<()> {
        if value.len() <= self.value_bytes_max {
            return Ok(());
        }
        let message = format!("the value has {} bytes, {} are allowed", value.len(), self.value_bytes_max);
        Err(Error::new(ErrorKind::InvalidValue, message))
    }

    /// # Errors
    /// A lifetime over the limit.
    pub(super) fn check_asked(asked_ttl_ms: Option<u64>) -> Result<()> {
        if asked_ttl_ms.is_none_or(|ms| ms <= TTL_MS_MAX) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidArgument, format!("invalid expire time: more than {TTL_MS_MAX} ms from now")))
    }
}

/// The store's error as the caller sees it.
#[must_use]
pub fn store_error(error: StoreError) -> Error {
    let kind = match &error {
        StoreError::Unavailable(_) | StoreError::Connecting(_) => ErrorKind::StoreUnavailable,
        // Whether the work was done is unknown in both cases, which is what the kind says.
        StoreError::Timeout(_) | StoreError::Broken(_) => ErrorKind::StoreTimeout,
        StoreError::Reply(_) => ErrorKind::StoreReply,
        StoreError::Busy(_) => ErrorKind::Overloaded,
        StoreError::Protocol(_) => ErrorKind::StoreData,
    };
    Error::new(kind, error.to_string())
}
