//! `larder serve`: the wiring of the host, as a straight list. The only place that names every adapter.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use larder::adapters::breaker::{BreakerBoard, BreakerStore};
use larder::adapters::clock::SystemClock;
use larder::adapters::logging::{self, Format};
use larder::adapters::memory::{MemoryLocks, MemorySettings, MemoryStore};
use larder::adapters::origin::HttpOrigins;
use larder::adapters::prometheus::Exporter;
use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore, TlsSettings};
use larder::adapters::wasm::{RegistryConfig, WasmRegistry, prepare_thread};
use larder::config::layers::Layers;
use larder::config::{Config, StoreAccess, StoreChoice};
use larder::engine::forward::ForwardRules;
use larder::engine::key::KeyRules;
use larder::engine::locks::{LockKeeper, LockSettings};
use larder::engine::{Engine, Ports, Settings, TickSchedule};
use larder::limits::{DRAIN_MS_MAX, MEMORY_SWEEP_KEYS, MEMORY_SWEEP_MS, STORE_SLOW_PERCENT, TICK_LOOK_MS};
use larder::ports::breaker::BreakerSettings;
use larder::ports::clock::Clock;
use larder::ports::lock::LockStore;
use larder::ports::metrics::Metrics;
use larder::ports::store::Store;
use larder::ports::table::Policies;
use larder::wire::http::{App, HttpServer};
use larder::wire::resp::{RespConfig, RespServer};
use larder::wire::workers::Workers;
use tokio::signal::unix::{SignalKind, signal};

use super::{OWN_PROGRAM, ServeArgs};

/// Reads the settings, then serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    let config = settings(args)?;
    logging::init(&config.log_level, Format::from_word(&config.log_format).unwrap_or(Format::Auto))?;
    // The workers have runtimes of their own; this one accepts, waits and keeps house.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(serve(config))
}

fn settings(args: &ServeArgs) -> Result<Config> {
    let mut layers = Layers::defaults();
    let file = args.config.as_deref().unwrap_or_else(|| Path::new("larder.toml"));
    match std::fs::read_to_string(file) {
        Ok(text) => layers = layers.file(&file.display().to_string(), &text)?,
        Err(error) if args.config.is_some() => {
            return Err(error).with_context(|| format!("cannot read the settings file {}", file.display()));
        }
        Err(_) => {}
    }
    let environment = |name: &str| std::env::var(name).ok();
    layers = layers.environment(environment);
    let flags = [
        ("policies.folder", &args.policies),
        ("state.folder", &args.state),
        ("resp.address", &args.resp),
        ("http.address", &args.http),
        ("store.url", &args.store),
    ];
    for (name, value) in flags {
        if let Some(value) = value {
            layers = layers.flag(name, value.clone())?;
        }
    }
    for pair in &args.set {
        let (name, value) = pair.split_once('=').with_context(|| format!("--set {pair}: write --set NAME=VALUE"))?;
        layers = layers.flag(name, value.to_owned())?;
    }
    Ok(Config::new(&layers, environment)?)
}

async fn serve(config: Config) -> Result<()> {
    for name in &config.unused_variables {
        tracing::warn!(variable = name, "is set, and this version of the host does not use it yet");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let metrics = Arc::new(Metrics::default());
    let policies = Arc::new(Policies::default());
    let breakers = Arc::new(BreakerBoard::new(breaker_settings(&config), clock.clone(), metrics.clone()));
    let (store, lock_store) = stores(&config, &breakers, &clock, &metrics)?;
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
        store,
        clock: clock.clone(),
        metrics: metrics.clone(),
        locks: Arc::new(locks),
        breakers,
    };
    let engine = Arc::new(Engine::new(engine_settings(&config), ports));
    let exporter = Arc::new(Exporter::new(&metrics, clock.clone(), vec![registry.metrics_source()])?);
    let windows = exporter.windows().clone();
    tokio::spawn(async move { windows.sample_for_ever().await });
    tokio::spawn(upkeep(engine.clone()));
    let workers = Workers::start(config.workers, |_| prepare_thread())?;

    let mut ready = format!("larder {} ready ", env!("CARGO_PKG_VERSION"));
    if let Some(addr) = config.resp_address {
        let resp =
            RespConfig { addr, password: config.resp_password.clone(), connections_max: config.resp_connections_max };
        let server = RespServer::bind(&resp, engine.clone()).await?;
        ready += &format!(" resp={}", server.local_addr());
        tokio::spawn(server.run(workers.clone()));
    }
    if let Some(addr) = config.http_address {
        let page = Arc::new(move || exporter.page());
        let server = HttpServer::bind(addr, config.http_connections_max, App::new(engine.clone(), page)).await?;
        ready += &format!(" http={}", server.local_addr());
        tokio::spawn(server.run(workers.clone()));
    }
    let live = policies.table().iter().count();
    // The one line on the standard output: what scripts wait for. A closed pipe is nobody's problem.
    let _ = writeln!(std::io::stdout(), "{ready} policies={live} workers={}", workers.count());
    tracing::info!(policies = live, workers = workers.count(), "{}", ready.trim());

    let reason = asked_to_end().await?;
    tracing::info!(signal = reason, "ending: no new clients; what was read is answered");
    let in_time = workers.shutdown(Duration::from_millis(DRAIN_MS_MAX)).await;
    tracing::info!(in_time, "ended");
    Ok(())
}

fn key_rules(config: &Config) -> KeyRules {
    KeyRules { prefix: config.key_prefix.clone(), separator: config.key_separator, key_bytes_max: config.key_bytes_max }
}

fn lock_settings(config: &Config) -> LockSettings {
    // The name by which the machine knows itself; where there is none, the process alone has to do.
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    LockSettings {
        ttl_ms: config.lock_ttl_ms,
        retry_ms: config.lock_retry_ms,
        retries_max: config.lock_retries_max as u64,
        node: format!("larder {} {}", machine.trim(), std::process::id()),
    }
}

fn breaker_settings(config: &Config) -> BreakerSettings {
    BreakerSettings {
        failure_threshold: config.breaker_failure_threshold,
        recovery_ms: config.breaker_recovery_ms,
        monitoring_ms: config.breaker_monitoring_ms,
        half_open_calls_max: config.breaker_half_open_calls_max,
        slow_ms: None,
    }
}

fn engine_settings(config: &Config) -> Settings {
    Settings {
        keys: key_rules(config),
        l1_bytes_max: config.l1_bytes_max,
        trust_ms: config.l1_trust_ms,
        value_bytes_max: config.value_bytes_max,
        forward: ForwardRules { allow: config.forward_allow.clone(), deny: config.forward_deny.clone() },
    }
}

/// Where entries and locks live.
type Stores = (Arc<dyn Store>, Arc<dyn LockStore>);

fn stores(config: &Config, breakers: &BreakerBoard, clock: &Arc<dyn Clock>, metrics: &Arc<Metrics>) -> Result<Stores> {
    match &config.store {
        StoreChoice::Memory => {
            let settings = MemorySettings { memory_bytes_max: config.store_memory_bytes_max };
            let store = Arc::new(MemoryStore::new(settings, clock.clone()));
            tokio::spawn(sweep(store.clone()));
            Ok((store, Arc::new(MemoryLocks::new(clock.clone()))))
        }
        StoreChoice::Redis(url) => {
            let address = redis_address(url, &config.store_access)?;
            let settings = RedisSettings {
                store_ms: config.store_timeout_ms,
                own_max: config.forward_connections_max,
                ..RedisSettings::new(address)
            };
            let store = Arc::new(RedisStore::new(settings, clock.clone(), metrics.clone()));
            let breaker = breakers.store(config.store_timeout_ms * STORE_SLOW_PERCENT / 100);
            let guarded = Arc::new(BreakerStore::new(store, breaker));
            Ok((guarded.clone(), guarded))
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

/// Removes what nobody asks for any more, a little at a time.
async fn sweep(store: Arc<MemoryStore>) {
    let mut interval = tokio::time::interval(Duration::from_millis(MEMORY_SWEEP_MS));
    loop {
        interval.tick().await;
        store.sweep(MEMORY_SWEEP_KEYS);
    }
}

async fn asked_to_end() -> Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
