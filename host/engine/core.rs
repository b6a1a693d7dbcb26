//! The engine's parts, its settings, and what all its operations share: the hit path, counting, the store's errors.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::coherence::{Coherence, NO_STREAM, UNTOLD};
use super::entry::{Entry, Stamps};
use super::fill::Fills;
use super::forward::ForwardRules;
use super::judge::Place;
use super::key::KeyRules;
use super::known::Domain;
use super::l1::L1;
use super::pool::TermsPool;
use super::recent::Recent;
use super::recovery::Recovery;
use super::refresh::Loads;
use super::standing::Domains;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{L1_COPY_BYTES_MAX, SLIDING_STEP_MS_MAX, TTL_MS_MAX};
use crate::ports::breaker::Breakers;
use crate::ports::budget;
use crate::ports::clock::Clock;
use crate::ports::lock::Locks;
use crate::ports::metrics::{DomainMetrics, Gauge, Metrics, State};
use crate::ports::policy::{KeyScope, Operation};
use crate::ports::quiet::Quiet;
use crate::ports::registry::Registry;
use crate::ports::store::{Sharing, Store, StoreError};
use crate::ports::table::{OnStoreFailure, Policies};
use crate::ports::trace;

/// What the engine is told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How keys are written.
    pub keys: KeyRules,
    /// Bytes of L1; 0 turns it off.
    pub l1_bytes_max: u64,
    /// How long a copy in L1 is believed where others share the store, in milliseconds: the bound *B*.
    pub trust_ms: u64,
    /// Largest value, in bytes.
    pub value_bytes_max: usize,
    /// What is forwarded to a Redis.
    pub forward: ForwardRules,
    /// Whether applications may remove every key that this host serves (`FLUSHDB`).
    pub flush_on: bool,
    /// How long one operation may wait for the store, over all its calls, in milliseconds (`CACHE_MAX_LATENCY_MS`).
    pub budget_ms: u64,
    /// What readers get while the store is away, where their domain does not say.
    pub on_store_failure: OnStoreFailure,
}

/// What the engine reaches the world through.
#[derive(Clone)]
pub struct Ports {
    /// The live policies.
    pub policies: Arc<Policies>,
    /// Operators' view of them.
    pub registry: Arc<dyn Registry>,
    /// Where entries live.
    pub store: Arc<dyn Store>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Locks of applications and policies.
    pub locks: Arc<dyn Locks>,
    /// The host's breakers.
    pub breakers: Arc<dyn Breakers>,
}

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
    pub(super) coherence: Arc<Coherence>,
    pub(super) keys: KeyRules,
    pub(super) domains: Domains,
    terms: TermsPool,
    pub(super) trust_ms: u64,
    pub(super) on_store_failure: OnStoreFailure,
    pub(super) recovery: Recovery,
    /// Failed invalidations, in the log.
    pub(super) quiet: Quiet,
    budget_ms: u64,
    started_ns: u64,
    l1_bytes_max: u64,
    value_bytes_max: usize,
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
        Arc::new_cyclic(|me| Self {
            started_ns: ports.clock.monotonic_ns(),
            l1: L1::following(settings.l1_bytes_max, Arc::clone(&coherence), Arc::clone(&ports.metrics)),
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
            on_store_failure: settings.on_store_failure,
            recovery,
            quiet: Quiet::default(),
            budget_ms: settings.budget_ms,
            l1_bytes_max: settings.l1_bytes_max,
            value_bytes_max: settings.value_bytes_max,
            flush_on: settings.flush_on,
            workflows: Gauge::default(),
            fills,
            forward_rules: settings.forward,
            recent: Recent::default(),
            loads: Loads::default(),
            me: Weak::clone(me),
        })
    }

    /// The copy of a key if L1 may answer by itself: no await, no policy, no allocation. Counts nothing; whoever serves it
    /// tells [`Self::count_hits`], once for a batch.
    #[must_use]
    pub fn hit(&self, key: &[u8], now_ms: u64) -> Option<Arc<Entry>> {
        let entry = self.l1.get(key)?;
        let epoch = self.policies.epoch();
        (entry.serves(epoch, now_ms, &self.coherence) || self.recheck(&entry, key, epoch, now_ms)).then_some(entry)
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
    pub(super) async fn budgeted<T>(&self, work: impl Future<Output = T>) -> T {
        budget::within(self.budget_ms, work).await
    }

    /// Counts what became of an operation.
    pub(super) fn tally(&self, place: &Place<'_>, operation: Operation, state: State, started_ns: u64) {
        let metrics = &place.live().metrics;
        metrics.answered(operation, state);
        trace::note_answer(&place.live().domain, operation.as_str(), state.as_str());
        metrics.latency[operation as usize].observe_ns(self.clock.monotonic_ns().saturating_sub(started_ns));
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

    /// Whether copies of raw values may be kept in L1: only where nobody else can change them unseen.
    pub(super) fn raw_in_l1(&self, place: &Place<'_>) -> bool {
        let told = || self.is_told(place) && self.coherence.running() != NO_STREAM;
        self.l1_bytes_max > 0 && (self.store.sharing() == Sharing::Exclusive || told())
    }

    /// Whether the stream of changes, if one runs, tells of this place in words that lead back to its key.
    fn is_told(&self, place: &Place<'_>) -> bool {
        let verbatim = place.live().description.key_scope == KeyScope::Verbatim;
        !place.renamed && (!verbatim || self.coherence.is_whole())
    }

    /// An entry for L1; `None` if it is not to be kept there.
    pub(super) fn l1_entry(
        &self,
        place: &Place<'_>,
        value: Bytes,
        mut stamps: Stamps,
        now_ms: u64,
    ) -> Option<Arc<Entry>> {
        let terms = &stamps.terms;
        let in_l1 = self.l1_bytes_max > 0
            && terms.l1_ms != Some(0)
            && (place.enveloped() || self.raw_in_l1(place))
            && !place.is_changed_unseen();
        if !in_l1 || !self.stands(place, &stamps, now_ms) {
            return None;
        }
        let since = place.domain.since(&stamps, now_ms)?;
        let trust_until_ms = match self.store.sharing() {
            Sharing::Exclusive => u64::MAX,
            Sharing::Shared => now_ms.min(since.as_of_ms).saturating_add(self.trust_ms),
        };
        let serve_until_ms = if terms.absent {
            0
        } else {
            let slide_ms = if terms.sliding { now_ms + sliding_step_ms(terms.fresh_ms) } else { u64::MAX };
            let cap_ms = terms.l1_ms.map_or(u64::MAX, |cap_ms| now_ms.saturating_add(cap_ms));
            let fresh_until_ms = stamps.fresh_until_ms().unwrap_or(u64::MAX);
            // From then on each read throws the die of early refresh: see `Engine::waits`.
            let early_from_ms = match self.early_window_ms(place, &stamps) {
                0 => u64::MAX,
                window_ms => fresh_until_ms.saturating_sub(window_ms),
            };
            fresh_until_ms.min(slide_ms).min(cap_ms).min(early_from_ms)
        };
        let stream = if self.is_told(place) { since.stream } else { UNTOLD };
        stamps.terms = self.terms.share(stamps.terms);
        stamps.under = stamps.under.map(|ids| place.domain.share(ids));
        Some(Arc::new(Entry {
            value: compact(value),
            stamps,
            serve_until_ms,
            trust_until_ms,
            stream: stream.into(),
            echo: false.into(),
            age_known: place.enveloped(),
            is_due: AtomicBool::new(false),
            mark: Domain::mark(place.epoch, place.seq).into(),
            domain: Arc::clone(&place.domain),
        }))
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

/// A small value in memory of its own, exactly as large: as a slice it would keep its envelope, and a count of its readers.
fn compact(value: Bytes) -> Bytes {
    if value.len() <= L1_COPY_BYTES_MAX { Bytes::copy_from_slice(&value) } else { value }
}

/// How long the reads of a sliding entry may go without renewing it: a hundredth of its life.
pub(super) fn sliding_step_ms(fresh_ms: Option<u64>) -> u64 {
    fresh_ms.map_or(SLIDING_STEP_MS_MAX, |fresh_ms| (fresh_ms / 100).clamp(1, SLIDING_STEP_MS_MAX))
}
