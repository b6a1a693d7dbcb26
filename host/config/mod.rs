//! The settings: read from four layers, checked once, then plain data.
//!
//! An unknown key, a value that cannot be read and a combination that cannot work are errors that name their source.

pub mod allowed;
mod combine;
pub mod layers;
mod lists;
mod reader;
pub mod secret;
pub mod show;
mod store;
pub mod table;
mod tracing;
pub mod users;
pub mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use self::allowed::AllowedOrigins;
use self::layers::{Layers, Source};
use self::reader::Reader;
use self::secret::Secret;
pub use self::store::{StoreAccess, StoreChoice};
use self::table::{POLICY_VARIABLES, RESERVED_VARIABLES};
pub use self::tracing::TracingSettings;
use self::users::User;
use crate::limits::{
    BATCH_SIZE_MAX, DRAIN_MS_MAX, KEY_BYTES_MAX, LOCK_TTL_MS_MAX, LOCK_WAIT_MS_MAX, RATE_MAX, SUMMARY_MS_MAX,
    SUMMARY_MS_MIN, VALUE_BYTES_MAX,
};

/// The longest duration of a breaker.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What is wrong with a setting, and where it was set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(source: &Source, what: &str) -> Self {
        Self(format!("{source}: {what}"))
    }
}

/// What is asked of clients over TLS beside what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    None,
    /// A certificate may be shown; one that is, is checked.
    Ask,
    /// Nobody gets in without one.
    Require,
}

/// How the front ends speak TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The chain, in PEM, the host's own first.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Who signs clients' certificates, in PEM.
    pub client_ca: Option<PathBuf>,
    /// What is asked of clients.
    pub clients: ClientCertificates,
}

/// The settings of a host.
#[derive(Clone)]
pub struct Config {
    /// Where Redis clients connect.
    pub resp_address: Option<SocketAddr>,
    /// How long a RESP connection may say nothing, in milliseconds.
    pub resp_idle_ms: Option<u64>,
    /// Commands per second of one RESP connection.
    pub resp_rate_max: Option<u32>,
    /// Whether RESP clients speak TLS.
    pub resp_tls: bool,
    /// Open RESP connections.
    pub resp_connections_max: usize,
    /// Where HTTP clients connect.
    pub http_address: Option<SocketAddr>,
    /// Open HTTP connections.
    pub http_connections_max: usize,
    /// Requests per second of one HTTP connection.
    pub http_rate_max: Option<u32>,
    /// Whether HTTP clients speak TLS.
    pub http_tls: bool,
    /// Where operators connect over HTTP, if not where all do.
    pub admin_address: Option<SocketAddr>,
    /// Open connections of one address, on each front end.
    pub connections_per_address_max: Option<u32>,
    /// Certificates, if any front end speaks TLS.
    pub tls: Option<TlsSettings>,
    /// Who may do what; empty: everybody everything.
    pub users: Vec<User>,
    /// Whether everybody may do everything on addresses that others reach.
    pub auth_open: bool,
    /// How long the host says that it is not ready before it takes no more clients, in milliseconds.
    pub drain_delay_ms: u64,
    /// How long clients may then take to end, in milliseconds.
    pub drain_ms: u64,
    /// Whether `/metrics` is served.
    pub metrics_enabled: bool,
    /// Worker threads.
    pub workers: usize,
    /// The watched folder.
    pub policies_folder: PathBuf,
    /// Compiled components and the last good policies.
    pub state_folder: PathBuf,
    /// Where entries live.
    pub store: StoreChoice,
    /// What else is said of the way there.
    pub store_access: StoreAccess,
    /// How long one operation may wait for the store, in milliseconds.
    pub store_timeout_ms: u64,
    /// What readers get while the store is away: `error` or `miss`.
    pub on_store_failure: String,
    /// What the memory store may hold, in bytes.
    pub store_memory_bytes_max: u64,
    /// Hosts that policies may be loaded from.
    pub origins_allowed: AllowedOrigins,
    /// Certificate authorities for origins, besides the system's.
    pub origins_ca_file: Option<PathBuf>,
    /// Commands that are forwarded though they concern all users of the store, and those that are not.
    pub forward_allow: Vec<String>,
    /// Commands that are not forwarded though they would be.
    pub forward_deny: Vec<String>,
    /// Connections to the store that clients may have for themselves.
    pub forward_connections_max: usize,
    /// First part of every storage key.
    pub key_prefix: String,
    /// Between the parts of a key.
    pub key_separator: u8,
    /// Longest key, in bytes.
    pub key_bytes_max: usize,
    /// Largest value, in bytes.
    pub value_bytes_max: usize,
    /// How values are compressed where the policy leaves it to the host: `off`, `lz4` or `zstd`.
    pub compress_method: String,
    /// Smallest value that is, in bytes.
    pub compress_threshold_bytes: usize,
    /// By how much it must become smaller, in percent.
    pub compress_saving_percent: usize,
    /// Older key versions, the newest first.
    pub key_old_versions: Vec<String>,
    /// Whether the keys that policies name are warmed at the start.
    pub warm_on_start: bool,
    /// Keys that are warmed each second.
    pub warm_keys_per_s: u64,
    /// Keys of one HTTP batch.
    pub batch_keys_max: usize,
    /// Whether applications may remove every key that this host serves.
    pub flush_on: bool,
    /// L1, in bytes.
    pub l1_bytes_max: u64,
    /// What L1 drops: `frequency` or `recency`.
    pub l1_eviction: String,
    /// Domains with a part of L1 of their own, and its bytes.
    pub l1_shares: Vec<(String, u64)>,
    /// The bound *B*, in milliseconds.
    pub l1_trust_ms: u64,
    /// Whether the store is asked to tell of its changes.
    pub l1_tracking: bool,
    /// How long a lock lives where nobody says, in milliseconds.
    pub lock_ttl_ms: u64,
    /// First pause between two tries of who waits for a lock, in milliseconds.
    pub lock_retry_ms: u64,
    /// How many such pauses one waits who does not say how long.
    pub lock_retries_max: usize,
    /// Failures that open a breaker.
    pub breaker_failure_threshold: u32,
    /// How long a breaker stays open, in milliseconds.
    pub breaker_recovery_ms: u64,
    /// How long a failure counts, in milliseconds.
    pub breaker_monitoring_ms: u64,
    /// Calls on trial of a half-open breaker.
    pub breaker_half_open_calls_max: u32,
    /// Directives for the log.
    pub log_level: String,
    /// `auto`, `text` or `json`.
    pub log_format: String,
    /// Pause between two summaries in the log, in milliseconds.
    pub log_summary_ms: Option<u64>,
    /// Where traces are sent, and which.
    pub tracing: Option<TracingSettings>,
    /// Settings of policies from the environment: by domain, by setting.
    pub policy_overrides: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables that are set and that this version does not use.
    pub unused_variables: Vec<&'static str>,
}

impl Config {
    /// Checks the layers' texts.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn new(layers: &Layers, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let read = |name| Reader { layers, name };
        let tls = tls(layers)?;
        let config = Self {
            resp_address: read("resp.address").address()?,
            resp_idle_ms: read("resp.idle_timeout").duration_or_off(1_000, DAY_MS)?,
            resp_rate_max: read("resp.rate_max").count_or_off(RATE_MAX)?,
            resp_tls: speaks_tls(&read("resp.tls"), tls.is_some())?,
            resp_connections_max: read("resp.connections_max").number(1, 1_000_000)?,
            http_address: read("http.address").address()?,
            http_connections_max: read("http.connections_max").number(1, 1_000_000)?,
            http_rate_max: read("http.rate_max").count_or_off(RATE_MAX)?,
            http_tls: speaks_tls(&read("http.tls"), tls.is_some())?,
            admin_address: read("admin.address").address()?,
            connections_per_address_max: read("connections.per_address_max").count_or_off(1_000_000)?,
            tls,
            users: users(layers, &environment)?,
            auth_open: read("auth.open").boolean()?,
            drain_delay_ms: read("drain.delay").duration_ms(0, DRAIN_MS_MAX)?,
            drain_ms: read("drain.timeout").duration_ms(0, DRAIN_MS_MAX)?,
            metrics_enabled: read("metrics.enabled").boolean()?,
            workers: read("workers").workers()?,
            policies_folder: read("policies.folder").text().into(),
            state_folder: read("state.folder").text().into(),
            store: StoreChoice::new(layers, &environment)?,
            store_access: StoreAccess::new(layers, &environment)?,
            store_timeout_ms: read("store.timeout").duration_ms(1, 60_000)?,
            on_store_failure: read("store.on_failure").one_of(&["error", "miss"])?,
            store_memory_bytes_max: read("store.memory_max").size_bytes(1 << 20, u64::MAX)?,
            origins_allowed: read("origins.allowed").allowed_origins()?,
            origins_ca_file: read("origins.ca_file").optional().map(PathBuf::from),
            forward_allow: read("forward.allow").names()?,
            forward_deny: read("forward.deny").names()?,
            forward_connections_max: read("forward.connections_max").number(0, 1_000_000)?,
            key_prefix: read("key.prefix").key_prefix()?,
            key_separator: read("key.separator").separator()?,
            key_bytes_max: read("key.length_max").number(1, KEY_BYTES_MAX)?,
            value_bytes_max: read("value.size_max").size(1, VALUE_BYTES_MAX)?,
            compress_method: read("compress.method").one_of(&["off", "lz4", "zstd"])?,
            compress_threshold_bytes: read("compress.threshold").size(0, VALUE_BYTES_MAX)?,
            compress_saving_percent: read("compress.saving_min").number(0, 99)?,
            key_old_versions: read("key.old_versions").words(),
            warm_on_start: read("warm.on_start").boolean()?,
            warm_keys_per_s: read("warm.keys_per_second").count(1, 1_000_000)?.into(),
            batch_keys_max: read("batch.size_max").number(1, BATCH_SIZE_MAX)?,
            flush_on: match read("commands.flush").one_of(&["auto", "on", "off"])?.as_str() {
                "auto" => StoreChoice::new(layers, &environment)? == StoreChoice::Memory,
                word => word == "on",
            },
            l1_bytes_max: read("l1.size").size_bytes(0, u64::MAX)?,
            l1_eviction: read("l1.eviction").one_of(&["frequency", "recency"])?,
            l1_shares: read("l1.shares").shares(read("l1.size").size_bytes(0, u64::MAX)?)?,
            l1_trust_ms: read("l1.trust").duration_ms(0, 3_600_000)?,
            l1_tracking: read("l1.coherence").one_of(&["tracking", "bound"])? == "tracking",
            lock_ttl_ms: read("lock.ttl").duration_of(1_000, 1, LOCK_TTL_MS_MAX)?,
            lock_retry_ms: read("lock.retry_delay").duration_ms(1, LOCK_WAIT_MS_MAX)?,
            lock_retries_max: read("lock.retries_max").number(0, 1_000)?,
            breaker_failure_threshold: read("breaker.failure_threshold").count(1, 1_000_000)?,
            breaker_recovery_ms: read("breaker.recovery_timeout").duration_ms(1, DAY_MS)?,
            breaker_monitoring_ms: read("breaker.monitoring_period").duration_ms(10, DAY_MS)?,
            breaker_half_open_calls_max: read("breaker.half_open_max_calls").count(1, 1_000)?,
            log_level: read("log.level").text().to_owned(),
            log_format: read("log.format").one_of(&["auto", "text", "json"])?,
            log_summary_ms: read("log.summary").duration_or_none(SUMMARY_MS_MIN, SUMMARY_MS_MAX)?,
            tracing: TracingSettings::new(layers, &environment)?,
            policy_overrides: policy_overrides(&environment),
            unused_variables: RESERVED_VARIABLES.iter().copied().filter(|name| environment(name).is_some()).collect(),
        };
        combine::check(&config, layers)?;
        Ok(config)
    }
}

/// The users of the file, and that of `auth.password`.
fn users(layers: &Layers, environment: &impl Fn(&str) -> Option<String>) -> Result<Vec<User>, ConfigError> {
    let mut found = users::resolve(layers.users(), environment)?;
    let reader = Reader { layers, name: "auth.password" };
    if let Some(password) = reader.secret(environment)? {
        if found.iter().any(|user| user.name == users::DEFAULT_USER) {
            return Err(reader.fail("there is a user 'default' as well; set one of the two"));
        }
        found.push(User::all_powerful(Secret::of(password.as_bytes())));
    }
    Ok(found)
}

fn tls(layers: &Layers) -> Result<Option<TlsSettings>, ConfigError> {
    let read = |name| Reader { layers, name };
    let path = |name| read(name).optional().map(PathBuf::from);
    let clients = match read("tls.clients").one_of(&["none", "ask", "require"])?.as_str() {
        "ask" => ClientCertificates::Ask,
        "require" => ClientCertificates::Require,
        _ => ClientCertificates::None,
    };
    match (path("tls.certificate"), path("tls.key"), path("tls.client_ca")) {
        (Some(certificate), Some(key), client_ca) => {
            if client_ca.is_none() && clients != ClientCertificates::None {
                return Err(read("tls.clients").fail("set tls.client_ca too: who signs the clients' certificates"));
            }
            Ok(Some(TlsSettings { certificate, key, client_ca, clients }))
        }
        (None, None, None) if clients == ClientCertificates::None => Ok(None),
        (Some(_), None, _) => Err(read("tls.certificate").fail("set tls.key too")),
        (None, Some(_), _) => Err(read("tls.key").fail("set tls.certificate too")),
        (None, None, Some(_)) => Err(read("tls.client_ca").fail("set tls.certificate and tls.key too")),
        (None, None, None) => Err(read("tls.clients").fail("set tls.certificate, tls.key and tls.client_ca too")),
    }
}

fn speaks_tls(setting: &Reader<'_>, has_certificate: bool) -> Result<bool, ConfigError> {
    match setting.one_of(&["auto", "on", "off"])?.as_str() {
        "on" if !has_certificate => Err(setting.fail("set tls.certificate and tls.key too")),
        "off" => Ok(false),
        _ => Ok(has_certificate),
    }
}

fn policy_overrides(environment: impl Fn(&str) -> Option<String>) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut overrides: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (variable, domain, setting) in POLICY_VARIABLES {
        if let Some(value) = environment(variable) {
            overrides.entry((*domain).to_owned()).or_default().insert((*setting).to_owned(), value);
        }
    }
    overrides
}

#[cfg(test)]
mod tests;
