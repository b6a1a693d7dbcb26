//! An engine in virtual time: the memory store, and policies that are Rust functions instead of components.

use std::sync::Arc;

use async_trait::async_trait;
use larder::adapters::breaker::BreakerBoard;
use larder::adapters::memory::{MemoryLocks, MemorySettings, MemoryStore};
use larder::engine::compress::CompressSettings;
use larder::engine::forward::ForwardRules;
use larder::engine::key::KeyRules;
use larder::engine::l1::L1Settings;
use larder::engine::locks::{LockKeeper, LockSettings};
use larder::engine::{Engine, Ports, Settings};
use larder::ports::breaker::BreakerSettings;
use larder::ports::clock::VirtualClock;
use larder::ports::hooks::{Abilities, Ability, EntryState, Hooks, Revalidation};
use larder::ports::invalidation::Mode;
use larder::ports::metrics::Metrics;
use larder::ports::origin::Origin;
use larder::ports::policy::{
    Absence, Admission, Candidate, Description, Encoding, KeyScope, Lifetime, Miss, Plan, Policy, PolicyError, Request,
    Selector, Shapes,
};
use larder::ports::registry::{PolicyStatus, Registry, RegistryError};
use larder::ports::store::Store;
use larder::ports::table::{Live, OnStoreFailure, Policies};

use super::script::Script;

type PlanFn = dyn Fn(&Request<'_>) -> Result<Plan, PolicyError> + Send + Sync;
type RevalidateFn = dyn Fn(&EntryState<'_>) -> Result<Revalidation, PolicyError> + Send + Sync;
type AdmitFn = dyn Fn(&Request<'_>, &Candidate<'_>) -> Result<Admission, PolicyError> + Send + Sync;

/// A policy that is a few Rust functions.
pub struct Rules {
    pub plan: Box<PlanFn>,
    pub admit: Box<AdmitFn>,
    pub revalidate: Option<Box<RevalidateFn>>,
}

impl Hooks for Rules {
    fn abilities(&self) -> Abilities {
        self.revalidate.iter().map(|_| Ability::Revalidation).collect()
    }

    fn revalidate(&self, entry: &EntryState<'_>) -> Result<Revalidation, PolicyError> {
        self.revalidate.as_ref().map_or(Ok(Revalidation::AsStamped), |revalidate| revalidate(entry))
    }
}

impl Policy for Rules {
    fn plan(&self, request: &Request<'_>) -> Result<Plan, PolicyError> {
        (self.plan)(request)
    }

    fn plan_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Plan, PolicyError>>, PolicyError> {
        Ok(requests.iter().map(|request| (self.plan)(request)).collect())
    }

    fn admit(&self, request: &Request<'_>, candidate: &Candidate<'_>) -> Result<Admission, PolicyError> {
        (self.admit)(request, candidate)
    }
}

/// Keeps keys where they are and gives every value this lifetime; an asked one caps it.
pub fn lives(lifetime: Lifetime) -> Rules {
    Rules {
        plan: Box::new(|_| Ok(Plan { suffix: None, miss: Miss::Answer, collapse_wait_ms: 0 })),
        admit: Box::new(move |_, candidate| {
            let fresh_ms = match (lifetime.fresh_ms, candidate.asked_ttl_ms) {
                (Some(fresh), Some(asked)) => Some(fresh.min(asked)),
                (fresh, asked) => fresh.or(asked),
            };
            Ok(Admission::Store(Lifetime { fresh_ms, ..lifetime.clone() }))
        }),
        revalidate: None,
    }
}

/// The same, loaded from the origin when it is missed; 404 is remembered for 20 s, and what begins with `private` is passed on, with
/// a marker of 20 s.
pub fn loaded(lifetime: Lifetime) -> Rules {
    Rules {
        plan: Box::new(|_| Ok(Plan { suffix: None, miss: Miss::Load, collapse_wait_ms: 1_000 })),
        admit: Box::new(move |_, candidate| {
            Ok(match candidate.origin_status {
                Some(404) => Admission::Absent(Absence { fresh_ms: 20_000, tags: Vec::new() }),
                _ if candidate.bytes.starts_with(b"private") => Admission::Pass(20_000),
                _ => Admission::Store(lifetime.clone()),
            })
        }),
        revalidate: None,
    }
}

/// The same, with the tags that a key names itself: `user:42@red+blue` has `red` and `blue`.
pub fn tagged(lifetime: Lifetime) -> Rules {
    Rules {
        admit: Box::new(move |request, _| {
            let tags = request.key.split_once('@').map_or("", |(_, tags)| tags);
            let tags = tags.split('+').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
            Ok(Admission::Store(Lifetime { tags, ..lifetime.clone() }))
        }),
        ..lives(Lifetime::fresh(None))
    }
}

/// What a test's policy says of itself.
pub fn description(encoding: Encoding) -> Description {
    Description {
        version: "1".into(),
        key_version: "v1".into(),
        key_scope: KeyScope::Domain,
        encoding,
        shapes: Shapes::ALL,
        wants_bytes: false,
        wants_all_origin_headers: false,
        wants_raw_reads: false,
        tick_ms: None,
    }
}

/// An engine and what a test moves and watches.
pub struct World {
    pub engine: Arc<Engine>,
    pub clock: Arc<VirtualClock>,
    pub policies: Arc<Policies>,
    pub store: Arc<dyn Store>,
    pub metrics: Arc<Metrics>,
    pub breakers: Arc<BreakerBoard>,
    /// What policies that go live from now on say of a store that is away.
    pub on_store_failure: std::cell::Cell<Option<OnStoreFailure>>,
    /// Whether they let readers demand anything.
    pub obeys_requests: std::cell::Cell<bool>,
    generation: std::cell::Cell<u64>,
}

impl World {
    /// With the memory store.
    pub fn new() -> Self {
        let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
        let store = Arc::new(MemoryStore::new(MemorySettings::default(), clock.clone()));
        Self::over(store, clock)
    }

    /// With another store; the clock is the engine's.
    pub fn over(store: Arc<dyn Store>, clock: Arc<VirtualClock>) -> Self {
        Self::named(store, clock, "chat")
    }

    /// The same with another L1.
    pub fn with_l1(store: Arc<dyn Store>, clock: Arc<VirtualClock>, l1: L1Settings) -> Self {
        Self::made(store, clock, "chat", l1, 1 << 20, ForwardRules::default())
    }

    /// The same with another prefix of storage keys.
    pub fn named(store: Arc<dyn Store>, clock: Arc<VirtualClock>, prefix: &str) -> Self {
        Self::with(store, clock, prefix, 1 << 20, ForwardRules::default())
    }

    /// Over a Redis, with rules of what is forwarded to it.
    pub fn forwarding(store: Arc<dyn Store>, clock: Arc<VirtualClock>, forward: ForwardRules) -> Self {
        Self::with(store, clock, "chat", 1 << 20, forward)
    }

    /// With values up to this size, in bytes.
    pub fn sized(store: Arc<dyn Store>, clock: Arc<VirtualClock>, prefix: &str, value_bytes_max: usize) -> Self {
        Self::with(store, clock, prefix, value_bytes_max, ForwardRules::default())
    }

    fn with(
        store: Arc<dyn Store>,
        clock: Arc<VirtualClock>,
        prefix: &str,
        value_bytes_max: usize,
        forward: ForwardRules,
    ) -> Self {
        let l1 = L1Settings { bytes_max: 64 << 20, separator: b':', ..L1Settings::default() };
        Self::made(store, clock, prefix, l1, value_bytes_max, forward)
    }

    fn made(
        store: Arc<dyn Store>,
        clock: Arc<VirtualClock>,
        prefix: &str,
        l1: L1Settings,
        value_bytes_max: usize,
        forward: ForwardRules,
    ) -> Self {
        let metrics = Arc::new(Metrics::default());
        let policies = Arc::new(Policies::default());
        let settings = Settings {
            keys: KeyRules { prefix: prefix.into(), separator: b':', key_bytes_max: 250 },
            l1,
            trust_ms: 1_000,
            value_bytes_max,
            old_versions: vec!["v1".into(), "v0".into()],
            warm_keys_per_s: 1_000_000,
            batch_keys_max: 100,
            compress: CompressSettings::default(),
            forward,
            flush_on: true,
            budget_ms: 10_000,
            on_store_failure: OnStoreFailure::Error,
        };
        let locks = LockKeeper::new(
            LockSettings { ttl_ms: 30_000, retry_ms: 100, retries_max: 3, node: "test".into() },
            settings.keys.clone(),
            Arc::new(MemoryLocks::new(clock.clone())),
            clock.clone(),
            metrics.clone(),
        );
        let breakers = Arc::new(BreakerBoard::new(BREAKERS, clock.clone(), metrics.clone()));
        let ports = Ports {
            policies: policies.clone(),
            registry: Arc::new(NoRegistry),
            store: store.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            locks: Arc::new(locks),
            breakers: breakers.clone(),
        };
        let engine = Engine::new(settings, ports);
        let (on_store_failure, obeys_requests, generation) = (None.into(), true.into(), 0.into());
        Self { engine, clock, policies, store, metrics, breakers, on_store_failure, obeys_requests, generation }
    }

    /// Makes a policy live, with rules that no policy before had.
    pub fn go_live(&self, domain: &str, description: Description, rules: impl Policy + 'static) {
        self.go_live_from(domain, description, rules, None);
    }

    /// The same with an origin.
    pub fn go_live_from(
        &self,
        domain: &str,
        description: Description,
        rules: impl Policy + 'static,
        origin: Option<Arc<dyn Origin>>,
    ) {
        let rules_id = 0x1000 + self.generation.get() + 1;
        self.go_live_as(domain, description, rules, origin, rules_id);
    }

    /// The same as rules that were live before.
    pub fn go_live_as(
        &self,
        domain: &str,
        description: Description,
        rules: impl Policy + 'static,
        origin: Option<Arc<dyn Origin>>,
        rules_id: u64,
    ) {
        let generation = self.generation.get() + 1;
        self.generation.set(generation);
        let live = Arc::new(Live {
            domain: domain.into(),
            generation,
            rules_id,
            digest: format!("{generation:064x}").into(),
            description,
            policy: Arc::new(rules),
            origin: origin.clone(),
            reach: Arc::default(),
            metrics: self.metrics.domain(domain),
            faults: Arc::default(),
            on_store_failure: self.on_store_failure.get(),
            obeys_requests: self.obeys_requests.get(),
        });
        self.policies.replace(|table| table.with(live.clone()));
    }

    /// An enveloped domain with one lifetime.
    pub fn enveloped(&self, domain: &str, lifetime: Lifetime) {
        self.go_live(domain, description(Encoding::Enveloped), lives(lifetime));
    }

    /// An enveloped domain that is loaded from a script.
    pub fn loading(&self, domain: &str, rules: Rules) -> Arc<Script> {
        let script = Script::new(&self.clock);
        self.go_live_from(domain, description(Encoding::Enveloped), rules, Some(script.clone()));
        script
    }

    /// A raw domain with one lifetime.
    pub fn raw(&self, domain: &str, lifetime: Lifetime) {
        self.go_live(domain, description(Encoding::Raw), lives(lifetime));
    }

    /// `default`, as Redis would do it.
    pub fn default_domain(&self) {
        let description = Description { key_scope: KeyScope::Verbatim, ..description(Encoding::Raw) };
        self.go_live("default", description, lives(Lifetime::fresh(None)));
    }
}

/// The defaults of the settings.
pub const BREAKERS: BreakerSettings = BreakerSettings {
    failure_threshold: 5,
    recovery_ms: 60_000,
    monitoring_ms: 300_000,
    half_open_calls_max: 3,
    slow_ms: None,
};

struct NoRegistry;

#[async_trait]
impl Registry for NoRegistry {
    fn list(&self) -> Vec<PolicyStatus> {
        Vec::new()
    }

    fn status(&self, _domain: &str) -> Option<PolicyStatus> {
        None
    }

    async fn rollback(&self, domain: &str) -> Result<PolicyStatus, RegistryError> {
        Err(RegistryError::UnknownDomain(domain.into()))
    }

    async fn remove(&self, domain: &str) -> Result<(), RegistryError> {
        Err(RegistryError::UnknownDomain(domain.into()))
    }

    async fn unquarantine(&self, domain: &str) -> Result<PolicyStatus, RegistryError> {
        Err(RegistryError::UnknownDomain(domain.into()))
    }
}

/// What an invalidation is told in a script: `tag red`, `prefix user:4`, `domain`, `key user:42`, each with `soft` at the end or not.
pub fn selector_of(words: &[&str]) -> (Selector, Mode) {
    let (words, mode) = match words {
        [words @ .., "soft"] => (words, Mode::Soft),
        words => (words, Mode::Hard),
    };
    let selector = match words {
        ["key", key] => Selector::Key((*key).to_owned()),
        ["tag", tag] => Selector::Tag((*tag).to_owned()),
        ["prefix", prefix] => Selector::Prefix((*prefix).to_owned()),
        ["pattern", pattern] => Selector::Pattern((*pattern).to_owned()),
        ["domain"] => Selector::Domain,
        other => panic!("no selector: {other:?}"),
    };
    (selector, mode)
}
