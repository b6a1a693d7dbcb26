//! `larder serve`: the wiring of the host, as a straight list. The only place that names every adapter.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use larder::adapters::allocator::Jemalloc;
use larder::adapters::breaker::{BreakerBoard, BreakerStore, CircuitBreaker};
use larder::adapters::clock::SystemClock;
use larder::adapters::logging::{self, Format};
use larder::adapters::memory::{MemoryLocks, MemorySettings, MemoryStore};
use larder::adapters::origin::HttpOrigins;
use larder::adapters::prometheus::Exporter;
use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore, TlsSettings, Tracking, TrackingSettings};
use larder::adapters::wasm::{RegistryConfig, WasmRegistry, prepare_thread};
use larder::config::{Config, StoreAccess, StoreChoice};
use larder::engine::l1::room::keep_room;
use larder::engine::locks::LockKeeper;
use larder::engine::{Engine, Ports, TickSchedule};
use larder::limits::{
    FILES_BESIDE_CONNECTIONS, MEMORY_SWEEP_KEYS, MEMORY_SWEEP_MS, RECOVERY_LOOK_MS, STORE_SLOW_PERCENT, TICK_LOOK_MS,
    TRACKING_LOOK_MS,
};
use larder::ports::clock::Clock;
use larder::ports::coherence::ChangeListener;
use larder::ports::lock::LockStore;
use larder::ports::metrics::Metrics;
use larder::ports::store::Store;
use larder::ports::table::Policies;
use larder::wire::front::Front;
use larder::wire::http::{App, HttpServer, MetricsPage, Surface};
use larder::wire::resp::{RespConfig, RespServer};
use larder::wire::tls::Tls;
use larder::wire::workers::Workers;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::parts::{breaker_settings, engine_settings, key_rules, lock_settings};
use super::reload::Reloader;
use super::state::StateLock;
use super::telling::{Traces, begin_summaries};
use super::{OWN_PROGRAM, ServeArgs, settings};

/// The exit code of a host that was asked to end twice: that of a process that SIGTERM ended.
const ENDED_AT_ONCE: i32 = 128 + 15;

/// Reads the settings, then serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    let (layers, config) = settings::read(args)?;
    let log = logging::init(&config.log_level, Format::from_word(&config.log_format).unwrap_or(Format::Auto))?;
    for warning in settings::warnings(&config) {
        tracing::warn!("{warning}");
    }
    let files_for_connections = open_files(&config);
    let _state = StateLock::take(&config.state_folder)?;
    let metrics = Arc::new(Metrics::default());
    let mut front = Front::new(metrics.clone());
    front.log = Some(log);
    front.files_for_connections = files_for_connections;
    let traces = Traces::new(config.tracing.as_ref(), &metrics)?;
    front.tracer = traces.tracer.clone();
    front.tls = config.tls.as_ref().map(Tls::load).transpose()?;
    front.gate.replace(&config.users);
    front.apply(&config);
    let front = Arc::new(front);
    let reloader = Reloader::new(args.clone(), layers, config.users.clone(), front.clone(), metrics.clone());
    // The workers have runtimes of their own; this one accepts, waits and keeps house.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(serve(config, front, metrics, reloader, traces))
}

/// Takes as many open files as the system allows: a connection is one. How many connections that leaves room for.
fn open_files(config: &Config) -> usize {
    let wanted = (config.resp_connections_max + config.http_connections_max) as u64 + FILES_BESIDE_CONNECTIONS;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(allowed) if allowed < wanted => {
            let connections = allowed.saturating_sub(FILES_BESIDE_CONNECTIONS).max(allowed / 2);
            let advice = "raise the limit of the service (LimitNOFILE, ulimit -n), or lower the connections";
            tracing::warn!(
                allowed,
                wanted,
                connections,
                advice,
                "fewer files may be open than connections are allowed"
            );
            return usize::try_from(connections).unwrap_or(usize::MAX);
        }
        Ok(allowed) => tracing::info!(allowed, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
    usize::MAX
}

async fn serve(
    config: Config,
    front: Arc<Front>,
    metrics: Arc<Metrics>,
    reloader: Reloader,
    mut traces: Traces,
) -> Result<()> {
    // From here on no signal ends the host but through its own end.
    let mut asked = Asked::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let policies = Arc::new(Policies::default());
    let breakers = Arc::new(BreakerBoard::new(breaker_settings(&config), clock.clone(), metrics.clone()));
    let (store, lock_store, shared) = stores(&config, &breakers, &clock, &metrics)?;
    let lock_store = traces.around_locks(lock_store);
    let locks = LockKeeper::new(lock_settings(&config), key_rules(&config), lock_store, clock.clone(), metrics.clone());
    let (allowed, ca_file) = (config.origins_allowed.clone(), config.origins_ca_file.as_deref());
    let origins = HttpOrigins::new(allowed, ca_file, breakers.clone(), metrics.clone(), clock.clone())?;
    let registry_config = RegistryConfig {
        policies_dir: config.policies_folder.clone(),
        state_dir: config.state_folder.clone(),
        overrides: config.policy_overrides.clone(),
        compile_with: Some(OWN_PROGRAM.into()),
        key_separator: config.key_separator,
        origins: Arc::new(origins),
    };
    let registry = WasmRegistry::start(registry_config, policies.clone(), metrics.clone(), clock.clone())?;
    let ports = Ports {
        policies: policies.clone(),
        registry: registry.clone(),
        store: traces.around(store),
        clock: clock.clone(),
        metrics: metrics.clone(),
        locks: Arc::new(locks),
        breakers,
    };
    let engine = Engine::new(engine_settings(&config), ports);
    let _following = shared.map(|(address, breaker)| follow(&config, address, breaker, &engine, &clock, &metrics));
    let exporter = Arc::new(Exporter::new(&metrics, clock.clone(), vec![registry.metrics_source()])?);
    let windows = exporter.windows().clone();
    begin_summaries(&config, &engine, &windows, &clock);
    traces.begin();
    tokio::spawn(async move { windows.sample_for_ever().await });
    tokio::spawn(upkeep(engine.clone()));
    tokio::spawn(keep_room(engine.clone(), Arc::new(Jemalloc)));
    tokio::spawn(look_after_trackers(engine.clone()));
    if config.warm_on_start {
        let engine = engine.clone();
        tokio::spawn(async move { engine.warm_at_start().await });
    }
    tokio::spawn(reloader.run(asked.reload()?));
    tokio::spawn(catch_up(engine.clone()));
    let workers = Workers::start(config.workers, |_| prepare_thread())?;
    let addresses = listen(&config, &engine, &front, Arc::new(move || exporter.page()), &workers).await?;
    let ready = format!("larder {} ready {addresses}", env!("CARGO_PKG_VERSION"));
    let live = policies.table().iter().count();
    // The one line on the standard output: what scripts wait for. A closed pipe is nobody's problem.
    let _ = writeln!(std::io::stdout(), "{ready} policies={live} workers={}", workers.count());
    tracing::info!(policies = live, workers = workers.count(), "{ready}");

    let reason = asked.next_signal().await;
    tracing::info!(signal = reason, "ending: not ready any more, then no new clients; what was read is answered");
    front.leave();
    let drain = async {
        tokio::time::sleep(Duration::from_millis(config.drain_delay_ms)).await;
        let in_time = workers.shutdown(Duration::from_millis(config.drain_ms)).await;
        // What readers began is worth keeping: it is stored for those of other hosts.
        let in_time = engine.drain(Duration::from_millis(config.drain_ms)).await && in_time;
        traces.end().await;
        in_time
    };
    tokio::select! {
        in_time = drain => tracing::info!(in_time, "ended"),
        reason = asked.next_signal() => {
            tracing::warn!(signal = reason, "asked twice: ending at once, whatever is under way");
            end_at_once();
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "who asks twice waits for no Drop; what is on disk is safe against a crash"
)]
fn end_at_once() -> ! {
    std::process::exit(ENDED_AT_ONCE)
}

/// Lets the front ends listen; where they do.
async fn listen(
    config: &Config,
    engine: &Arc<Engine>,
    front: &Arc<Front>,
    page: MetricsPage,
    workers: &Arc<Workers>,
) -> Result<String> {
    let mut addresses = Vec::new();
    if let Some(addr) = config.resp_address {
        let resp = RespConfig { addr, tls: config.resp_tls, front: front.clone() };
        let server = RespServer::bind(&resp, engine.clone()).await?;
        addresses.push(format!("resp={}", server.local_addr()));
        tokio::spawn(server.run(workers.clone()));
    }
    let public = if config.admin_address.is_some() { Surface::Public } else { Surface::Whole };
    for (name, flag, addr, surface) in
        [("http", "--http", config.http_address, public), ("admin", "--admin", config.admin_address, Surface::Whole)]
    {
        let Some(addr) = addr else { continue };
        let app = App::new(engine.clone(), page.clone(), front.clone(), surface);
        let server = HttpServer::bind(addr, flag, config.http_tls, app).await?;
        addresses.push(format!("{name}={}", server.local_addr()));
        tokio::spawn(server.run(workers.clone()));
    }
    Ok(addresses.join(" "))
}

/// Where entries and locks live, and where changes of others are told of, with the breaker before it.
type Stores = (Arc<dyn Store>, Arc<dyn LockStore>, Option<(RedisAddress, Arc<CircuitBreaker>)>);

fn stores(config: &Config, breakers: &BreakerBoard, clock: &Arc<dyn Clock>, metrics: &Arc<Metrics>) -> Result<Stores> {
    match &config.store {
        StoreChoice::Memory => {
            let settings = MemorySettings { memory_bytes_max: config.store_memory_bytes_max };
            let store = Arc::new(MemoryStore::new(settings, clock.clone()));
            tokio::spawn(sweep(store.clone()));
            Ok((store, Arc::new(MemoryLocks::new(clock.clone())), None))
        }
        StoreChoice::Redis(url) => {
            let address = redis_address(url, &config.store_access)?;
            let shared = address.clone();
            let settings = RedisSettings {
                store_ms: config.store_timeout_ms,
                own_max: config.forward_connections_max,
                ..RedisSettings::new(address)
            };
            let store = Arc::new(RedisStore::new(settings, clock.clone(), metrics.clone()));
            let breaker = breakers.store(config.store_timeout_ms * STORE_SLOW_PERCENT / 100);
            let guarded = Arc::new(BreakerStore::new(store, breaker.clone()));
            Ok((guarded.clone(), guarded, Some((shared, breaker))))
        }
    }
}

/// Follows what others change in the store, if that is wanted.
fn follow(
    config: &Config,
    address: RedisAddress,
    breaker: Arc<CircuitBreaker>,
    engine: &Arc<Engine>,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Option<Tracking> {
    if !config.l1_tracking || config.l1_bytes_max == 0 || config.l1_trust_ms == 0 {
        return None;
    }
    let settings = TrackingSettings {
        store: address,
        trust_ms: config.l1_trust_ms,
        probe_prefix: format!("{{{}{}", config.key_prefix, char::from(config.key_separator)),
    };
    let listener = Arc::new(Recovering { engine: engine.clone(), breaker });
    Some(Tracking::start(settings, listener, clock, metrics))
}

/// Tells the engine, and the store's breaker that the store answers: an outage ends when it ends.
struct Recovering {
    engine: Arc<Engine>,
    breaker: Arc<CircuitBreaker>,
}

impl ChangeListener for Recovering {
    fn wanted(&self) -> Vec<Bytes> {
        self.engine.wanted()
    }

    fn began(&self, whole: bool) {
        self.engine.began(whole);
    }

    fn heard(&self, as_of_ms: u64) {
        self.engine.heard(as_of_ms);
        self.breaker.hint();
    }

    fn changed(&self, key: &[u8]) {
        self.engine.changed(key);
    }

    fn changed_all(&self) {
        self.engine.changed_all();
    }

    fn lost(&self) {
        self.engine.lost();
    }
}

/// Does the invalidations that could not reach the store, when it is back.
async fn catch_up(engine: Arc<Engine>) {
    let mut interval = tokio::time::interval(Duration::from_millis(RECOVERY_LOOK_MS));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if engine.is_behind() {
            engine.catch_up().await;
        }
    }
}

/// Where Redis is, with what else is said of the way there.
fn redis_address(url: &str, access: &StoreAccess) -> Result<RedisAddress> {
    let address = RedisAddress::parse(url)?.with_sentinel_account(&access.sentinel_user, &access.sentinel_password);
    if !access.names_tls() {
        return Ok(address);
    }
    if !address.is_tls() {
        bail!("store.tls_… is set, and the store's address asks for no TLS; write rediss://…, or set store.tls");
    }
    let path = |text: &str| Some(text).filter(|text| !text.is_empty()).map(PathBuf::from);
    let settings = TlsSettings {
        ca_file: path(&access.ca_file),
        certificate_file: path(&access.certificate_file),
        key_file: path(&access.key_file),
        server_name: Some(access.server_name.clone()).filter(|name| !name.is_empty()),
    };
    Ok(address.with_tls(&settings)?)
}

/// Lets policies do their upkeep when it is due.
async fn upkeep(engine: Arc<Engine>) {
    let mut schedule = TickSchedule::default();
    let mut interval = tokio::time::interval(Duration::from_millis(TICK_LOOK_MS));
    loop {
        interval.tick().await;
        for due in schedule.due(&engine) {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { engine.tick(due).await });
        }
    }
}

/// Tells clients that keep copies of their own what time and new rules have ended.
async fn look_after_trackers(engine: Arc<Engine>) {
    let mut interval = tokio::time::interval(Duration::from_millis(TRACKING_LOOK_MS));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        engine.look_after_trackers();
    }
}

/// Removes what nobody asks for any more, a little at a time.
async fn sweep(store: Arc<MemoryStore>) {
    let mut interval = tokio::time::interval(Duration::from_millis(MEMORY_SWEEP_MS));
    loop {
        interval.tick().await;
        store.sweep(MEMORY_SWEEP_KEYS);
    }
}

/// What the system asks of the host.
struct Asked {
    terminate: Signal,
    interrupt: Signal,
}

impl Asked {
    fn listen() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    fn reload(&self) -> Result<Signal> {
        Ok(signal(SignalKind::hangup())?)
    }

    async fn next_signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
