//! Every setting, once: its name in `larder.toml`, its environment variables, its default and its meaning.
//!
//! The settings table in the README is checked against this one by a test.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Dotted name in `larder.toml`; `--set NAME=VALUE` on the command line.
    pub name: &'static str,
    /// Environment variables that set it; a later one wins.
    pub env: &'static [&'static str],
    /// What counts if nobody sets it.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether it must never be shown.
    pub secret: bool,
    /// Whether SIGHUP takes a new value up; any other setting waits for the next start.
    pub reloads: bool,
}

impl Setting {
    const fn reloads(self) -> Self {
        Self { reloads: true, ..self }
    }
}

const fn setting(
    name: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { name, env, default, doc, secret: false, reloads: false }
}

const fn secret(name: &'static str, env: &'static [&'static str], doc: &'static str) -> Setting {
    Setting { name, env, default: "", doc, secret: true, reloads: false }
}

/// All settings of the host.
pub const SETTINGS: &[Setting] = &[
    setting("resp.address", &["LARDER_RESP"], "127.0.0.1:6380", "Where Redis clients connect; `off` for nowhere"),
    setting("resp.connections_max", &[], "10000", "Open RESP connections").reloads(),
    setting("resp.idle_timeout", &[], "off", "How long a RESP connection may say nothing; `off`: for ever").reloads(),
    setting("resp.rate_max", &[], "off", "Commands per second of one RESP connection").reloads(),
    setting("resp.tls", &[], "auto", "Whether RESP clients speak TLS: `on`, `off`; `auto`: if there is a certificate"),
    setting("http.address", &["LARDER_HTTP"], "127.0.0.1:8380", "Where HTTP clients connect; `off` for nowhere"),
    setting("http.connections_max", &[], "10000", "Open HTTP connections").reloads(),
    setting("http.rate_max", &[], "off", "Requests per second of one HTTP connection").reloads(),
    setting("http.tls", &[], "auto", "Whether HTTP clients speak TLS: `on`, `off`; `auto`: if there is a certificate"),
    setting(
        "admin.address",
        &["LARDER_ADMIN"],
        "off",
        "Where operators connect over HTTP; what is for operators is then served nowhere else",
    ),
    setting(
        "connections.per_address_max",
        &[],
        "off",
        "Open connections of one address on each front end; of one /64 network where it is IPv6",
    )
    .reloads(),
    secret(
        "auth.password",
        &["LARDER_PASSWORD"],
        "Password of the user `default`, who may do everything; empty, and no `[[users]]`: nobody has to say who they are",
    )
    .reloads(),
    setting(
        "auth.open",
        &["LARDER_AUTH_OPEN"],
        "false",
        "`true`: start without a password and without users on addresses that other machines reach",
    ),
    setting("tls.certificate", &["LARDER_TLS_CERTIFICATE"], "", "File of the host's certificate and its chain, PEM")
        .reloads(),
    setting("tls.key", &["LARDER_TLS_KEY"], "", "File of its private key, PEM").reloads(),
    setting("tls.client_ca", &["LARDER_TLS_CLIENT_CA"], "", "File of the certificates that sign clients', PEM")
        .reloads(),
    setting(
        "tls.clients",
        &[],
        "none",
        "`require`: nobody connects without a client certificate; `ask`: who shows one is checked; `none`",
    )
    .reloads(),
    setting("drain.delay", &[], "0s", "How long `/readyz` says no, on SIGTERM, before clients are taken no more"),
    setting("drain.timeout", &[], "10s", "How long clients may then take to end"),
    setting("metrics.enabled", &["CACHE_METRICS_ENABLED"], "true", "Whether `/metrics` is served").reloads(),
    setting(
        "workers",
        &["LARDER_WORKERS"],
        "auto",
        "Worker threads; `auto`: one less than there are cores, at least 1",
    ),
    setting("policies.folder", &["LARDER_POLICIES"], "policies", "The watched folder of NAME.wasm and NAME.toml"),
    setting("state.folder", &["LARDER_STATE"], ".larder", "Compiled components and the last good policies"),
    setting(
        "store.url",
        &["LARDER_STORE"],
        "memory",
        "`memory`, or a Redis: `redis://[user:password@]host[:port][/db]`, `unix://path`, `redis-sentinel://host[:port],…/name[/db]`, `redis+cluster://host[:port],…`; `rediss` instead of `redis` for TLS",
    ),
    setting("store.host", &["REDIS_HOST"], "", "Redis' host, where `store.url` is not set"),
    setting("store.port", &["REDIS_PORT"], "6379", "Redis' port, where `store.host` is set"),
    secret("store.password", &["REDIS_PASSWORD"], "Redis' password, where `store.host` or `store.cluster` is set"),
    setting(
        "store.username",
        &["REDIS_USERNAME"],
        "",
        "The account at Redis, where `store.host` or `store.cluster` is set",
    ),
    setting(
        "store.cluster",
        &["REDIS_CLUSTER_ENABLED"],
        "false",
        "Whether Redis is a cluster, where `store.url` is not set",
    ),
    setting(
        "store.cluster_nodes",
        &["REDIS_CLUSTER_NODES"],
        "",
        "Some of its nodes, as `host:port,host:port`; the others are found. Without any: `store.host`",
    ),
    setting("store.tls", &["REDIS_TLS"], "false", "Whether Redis is spoken to by TLS, where `store.url` is not set"),
    setting(
        "store.tls_ca_file",
        &["REDIS_TLS_CA_FILE"],
        "",
        "PEM file of the certificates that are trusted; empty: those that the machine trusts",
    ),
    setting("store.tls_certificate_file", &["REDIS_TLS_CERT_FILE"], "", "PEM file of this host's own certificate"),
    setting("store.tls_key_file", &["REDIS_TLS_KEY_FILE"], "", "PEM file of the key to it"),
    setting(
        "store.tls_server_name",
        &[],
        "",
        "The name that Redis' certificate must have, where it is not the host's in its address",
    ),
    setting("store.sentinel_username", &["REDIS_SENTINEL_USERNAME"], "", "The account at the sentinels"),
    secret("store.sentinel_password", &["REDIS_SENTINEL_PASSWORD"], "Its password"),
    setting(
        "store.timeout",
        &["CACHE_MAX_LATENCY_MS"],
        "100ms",
        "How long one operation may wait for the store, over all its commands",
    ),
    setting(
        "store.on_failure",
        &["LARDER_ON_STORE_FAILURE"],
        "error",
        "What a read without a copy gets while the store is away, where its domain's `on_store_failure` does not say: `error` or `miss`",
    ),
    setting("store.memory_max", &[], "1GiB", "What the memory store may hold"),
    setting(
        "origins.allowed",
        &["LARDER_ORIGINS_ALLOWED"],
        "loopback",
        "Hosts that policies may be loaded from: `loopback`, `users.internal:8080`, `*.internal`, `10.0.0.5`; link-local addresses never are",
    ),
    setting("origins.ca_file", &["LARDER_ORIGINS_CA"], "", "PEM file of authorities for origins, besides the system's"),
    setting(
        "forward.allow",
        &[],
        "",
        "Commands that are forwarded to Redis though they concern all its users: `debug,slowlog`",
    ),
    setting("forward.deny", &[], "", "Commands that are not forwarded to Redis though they would be: `eval,evalsha`"),
    setting(
        "forward.connections_max",
        &[],
        "1000",
        "Connections to Redis that clients may have for themselves, for blocking commands and subscriptions",
    ),
    setting("key.prefix", &["CACHE_KEY_PREFIX"], "chat", "First part of every storage key"),
    setting("key.separator", &["CACHE_KEY_SEPARATOR"], ":", "Between the parts of a key; one ASCII character"),
    setting(
        "key.old_versions",
        &[],
        "",
        "Older key versions, the newest first: `v2,v1`. Policies that migrate carry over what these left in the store",
    ),
    setting("key.length_max", &["CACHE_MAX_KEY_LENGTH"], "250", "Longest key of an application, in bytes"),
    setting("value.size_max", &[], "64MiB", "Largest value"),
    setting(
        "compress.method",
        &[],
        "zstd",
        "How enveloped values are compressed where the policy leaves it to the host: `zstd`, `lz4`, or `off`",
    ),
    setting(
        "compress.threshold",
        &[],
        "4KiB",
        "Smallest value that is compressed where the policy leaves it to the host",
    ),
    setting("compress.saving_min", &[], "10", "Percent by which a value must become smaller to be stored compressed"),
    setting(
        "warm.on_start",
        &["CACHE_WARMUP_ENABLED"],
        "true",
        "Whether the keys that policies name are warmed when the host starts; it serves meanwhile",
    ),
    setting("warm.keys_per_second", &[], "1000", "Keys that are warmed each second"),
    setting("batch.size_max", &["CACHE_BATCH_SIZE"], "100", "Keys of one HTTP batch"),
    setting("l1.size", &["LARDER_L1"], "256MiB", "The node's own memory for entries, with what the allocator holds for them; 0: none"),
    setting(
        "l1.eviction",
        &[],
        "frequency",
        "What L1 drops when it is full: `frequency`, what is read seldom (a scan passes through), or `recency`, what was not read for long",
    ),
    setting(
        "l1.shares",
        &[],
        "",
        "Domains with a part of L1 of their own, taken from `l1.size`: `profile=25%,session=64MiB`; nobody else's traffic evicts there",
    ),
    setting(
        "commands.flush",
        &["LARDER_FLUSH"],
        "auto",
        "`on`: `FLUSHDB` and `FLUSHALL` remove all keys that this host serves; `off`; `auto`: on where the store is `memory`",
    ),
    setting(
        "l1.trust",
        &[],
        "1s",
        "The bound *B*: how long a copy in L1 may be believed where others share the store and may have changed it",
    ),
    setting(
        "l1.coherence",
        &[],
        "tracking",
        "`tracking`: Redis tells of its changes, and copies are believed for as long as it is known to; `bound`: for `l1.trust` only",
    ),
    setting(
        "lock.ttl",
        &["CACHE_LOCK_DEFAULT_TTL"],
        "30s",
        "How long a lock lives where nobody says; a plain number is in seconds",
    ),
    setting(
        "lock.retry_delay",
        &["CACHE_LOCK_RETRY_DELAY"],
        "100ms",
        "First pause between two tries of who waits for a lock of another host; the next ones grow",
    ),
    setting(
        "lock.retries_max",
        &["CACHE_LOCK_MAX_RETRIES"],
        "3",
        "How many such delays one waits for a lock who does not say how long",
    ),
    setting(
        "breaker.failure_threshold",
        &["CACHE_CB_FAILURE_THRESHOLD"],
        "5",
        "Failed and slow calls within the monitoring period that open a breaker, where they are the latest in a row or half of the latest",
    ),
    setting(
        "breaker.recovery_timeout",
        &["CACHE_CB_RECOVERY_TIMEOUT"],
        "60s",
        "How long a breaker stays open before it tries again; doubles, up to 10 minutes, while that fails",
    ),
    setting("breaker.monitoring_period", &["CACHE_CB_MONITORING_PERIOD"], "5m", "How long a failure counts"),
    setting(
        "breaker.half_open_max_calls",
        &["CACHE_CB_HALF_OPEN_MAX_CALLS"],
        "3",
        "Calls on trial of a half-open breaker; it closes when all of them succeed",
    ),
    setting(
        "log.level",
        &["LOG_LEVEL"],
        "info",
        "`error`, `warn`, `info`, `debug`, or directives as `info,larder::wire=debug`",
    )
    .reloads(),
    setting("log.format", &["LARDER_LOG_FORMAT"], "auto", "`text`, `json`, or `auto`: text on a terminal"),
    setting(
        "log.summary",
        &["LARDER_LOG_SUMMARY"],
        "60s",
        "Pause between two lines that sum up requests, hit rates, latency, errors, breakers, L1 and locks; `off` or 0: none",
    ),
    setting(
        "tracing.otlp_endpoint",
        &["OTEL_EXPORTER_OTLP_ENDPOINT", "LARDER_OTLP_ENDPOINT"],
        "",
        "Where traces are sent, by OTLP over HTTP: `http://127.0.0.1:4318`; `/v1/traces` comes behind it. Empty: nothing is traced",
    ),
    secret(
        "tracing.otlp_headers",
        &["OTEL_EXPORTER_OTLP_HEADERS"],
        "Headers of each such request, as `name=value,name=value`",
    ),
    setting(
        "tracing.otlp_ca_file",
        &["OTEL_EXPORTER_OTLP_CERTIFICATE"],
        "",
        "PEM file of authorities for the collector, besides the system's",
    ),
    setting("tracing.service_name", &["OTEL_SERVICE_NAME"], "larder", "The name of this service in traces"),
    setting(
        "tracing.sampler",
        &["OTEL_TRACES_SAMPLER"],
        "parentbased_traceidratio",
        "Which requests are traced: `traceidratio`, `always_on`, `always_off`; with `parentbased_` before it the caller decides where it sends `traceparent`",
    ),
    setting(
        "tracing.ratio",
        &["OTEL_TRACES_SAMPLER_ARG"],
        "0.01",
        "The part of the requests that `traceidratio` takes, from 0 to 1",
    ),
];

/// Variables of the first user that set a policy's own settings: variable, domain, setting. A plain number is in seconds.
pub const POLICY_VARIABLES: &[(&str, &str, &str)] = &[
    ("CACHE_PROFILE_TTL", "profile", "ttl"),
    ("CACHE_STALE_MARKER_TTL", "profile", "stale"),
    ("CACHE_PRESENCE_TTL", "presence", "ttl"),
    ("CACHE_TYPING_TTL", "typing", "ttl"),
    ("CACHE_SESSION_TTL", "session", "ttl"),
    ("CACHE_RATE_LIMIT_TTL", "rate-limit", "ttl"),
    ("CACHE_KEY_VERSION", "default", "key_version"),
    ("CACHE_KEY_VERSION", "presence", "key_version"),
    ("CACHE_KEY_VERSION", "profile", "key_version"),
    ("CACHE_KEY_VERSION", "queue", "key_version"),
    ("CACHE_KEY_VERSION", "rate-limit", "key_version"),
    ("CACHE_KEY_VERSION", "session", "key_version"),
    ("CACHE_KEY_VERSION", "typing", "key_version"),
    ("CACHE_KEY_VERSION", "unread", "key_version"),
];

/// Variables of the first user whose feature this version does not have yet: said in the log, not an error.
pub const RESERVED_VARIABLES: &[&str] = &[];

/// What the names of variables begin with that are meant for this host.
pub const VARIABLE_PREFIXES: [&str; 2] = ["LARDER_", "CACHE_"];
/// Variables that are no settings: what the command line's tools read, and what systems that run containers set for every service
/// of the name.
const FOREIGN_VARIABLES: [&str; 10] = [
    "LARDER_HOST",
    "LARDER_CA",
    "LARDER_CERT",
    "LARDER_KEY",
    "LARDER_TOKEN",
    "LARDER_USER",
    "LARDER_PORT",
    "LARDER_SERVICE_",
    "CACHE_PORT",
    "CACHE_SERVICE_",
];

/// A variable that looks as if it were meant for this host, and is not known; with the nearest that is.
#[must_use]
pub fn stranger(variable: &str) -> Option<Option<&'static str>> {
    let own = VARIABLE_PREFIXES.iter().any(|prefix| variable.starts_with(prefix));
    let foreign = FOREIGN_VARIABLES.iter().any(|prefix| variable.starts_with(prefix));
    let known = || {
        let settings = SETTINGS.iter().flat_map(|setting| setting.env.iter().copied());
        settings.chain(POLICY_VARIABLES.iter().map(|(name, ..)| *name)).chain(RESERVED_VARIABLES.iter().copied())
    };
    (own && !foreign && known().all(|name| name != variable)).then(|| nearest(variable, known()))
}

/// The setting of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The name that is most like this one, if any is.
#[must_use]
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
