//! The settings: read from four layers, checked once, then plain data.
//!
//! An unknown key, a value that cannot be read and a combination that cannot work are errors that name their source.

pub mod allowed;
pub mod layers;
mod store;
pub mod table;
pub mod value;

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use self::allowed::AllowedOrigins;
use self::layers::{Layers, Source};
pub use self::store::{StoreAccess, StoreChoice};
use self::table::{POLICY_VARIABLES, RESERVED_VARIABLES};
use crate::limits::{KEY_BYTES_MAX, LOCK_TTL_MS_MAX, LOCK_WAIT_MS_MAX, VALUE_BYTES_MAX};

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

/// The settings of a host.
#[derive(Clone)]
pub struct Config {
    /// Where Redis clients connect.
    pub resp_address: Option<SocketAddr>,
    /// What they must `AUTH` with.
    pub resp_password: Option<String>,
    /// Open RESP connections.
    pub resp_connections_max: usize,
    /// Where HTTP clients connect.
    pub http_address: Option<SocketAddr>,
    /// Open HTTP connections.
    pub http_connections_max: usize,
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
    /// Deadline of one store command, in milliseconds.
    pub store_timeout_ms: u64,
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
    /// L1, in bytes.
    pub l1_bytes_max: u64,
    /// The bound *B*, in milliseconds.
    pub l1_trust_ms: u64,
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
        Ok(Self {
            resp_address: read("resp.address").address()?,
            resp_password: read("resp.password").optional(),
            resp_connections_max: read("resp.connections_max").number(1, 1_000_000)?,
            http_address: read("http.address").address()?,
            http_connections_max: read("http.connections_max").number(1, 1_000_000)?,
            workers: read("workers").workers()?,
            policies_folder: read("policies.folder").text().into(),
            state_folder: read("state.folder").text().into(),
            store: StoreChoice::new(layers)?,
            store_access: StoreAccess::new(layers),
            store_timeout_ms: read("store.timeout").duration_ms(1, 60_000)?,
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
            l1_bytes_max: read("l1.size").size_bytes(0, u64::MAX)?,
            l1_trust_ms: read("l1.trust").duration_ms(0, 3_600_000)?,
            lock_ttl_ms: read("lock.ttl").duration_of(1_000, 1, LOCK_TTL_MS_MAX)?,
            lock_retry_ms: read("lock.retry_delay").duration_ms(1, LOCK_WAIT_MS_MAX)?,
            lock_retries_max: read("lock.retries_max").number(0, 1_000)?,
            breaker_failure_threshold: read("breaker.failure_threshold").count(1, 1_000_000)?,
            breaker_recovery_ms: read("breaker.recovery_timeout").duration_ms(1, DAY_MS)?,
            breaker_monitoring_ms: read("breaker.monitoring_period").duration_ms(10, DAY_MS)?,
            breaker_half_open_calls_max: read("breaker.half_open_max_calls").count(1, 1_000)?,
            log_level: read("log.level").text().to_owned(),
            log_format: read("log.format").one_of(&["auto", "text", "json"])?,
            policy_overrides: policy_overrides(&environment),
            unused_variables: RESERVED_VARIABLES.iter().copied().filter(|name| environment(name).is_some()).collect(),
        })
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

struct Reader<'a> {
    layers: &'a Layers,
    name: &'static str,
}

impl Reader<'_> {
    fn text(&self) -> &str {
        self.layers.get(self.name).0
    }

    fn optional(&self) -> Option<String> {
        Some(self.text().to_owned()).filter(|text| !text.is_empty())
    }

    fn allowed_origins(&self) -> Result<AllowedOrigins, ConfigError> {
        AllowedOrigins::parse(self.text()).map_err(|what| self.fail(&what))
    }

    fn fail(&self, what: &str) -> ConfigError {
        ConfigError::new(self.layers.get(self.name).1, &format!("{}: {what}", self.name))
    }

    fn number(&self, min: u64, max: usize) -> Result<usize, ConfigError> {
        let number = value::number(self.text(), min, max as u64).map_err(|what| self.fail(&what))?;
        usize::try_from(number).map_err(|_| self.fail("too large for this machine"))
    }

    fn count(&self, min: u32, max: u32) -> Result<u32, ConfigError> {
        let number = value::number(self.text(), min.into(), max.into()).map_err(|what| self.fail(&what))?;
        u32::try_from(number).map_err(|_| self.fail("too large"))
    }

    fn duration_ms(&self, min: u64, max: u64) -> Result<u64, ConfigError> {
        self.duration_of(1, min, max)
    }

    /// A duration in milliseconds, in which a plain number counts in `plain_ms`.
    fn duration_of(&self, plain_ms: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
        let ms = value::duration_ms(self.text(), plain_ms).map_err(|what| self.fail(&what))?;
        if (min..=max).contains(&ms) {
            Ok(ms)
        } else {
            Err(self.fail(&format!("{ms} ms is not within {min} to {max} ms")))
        }
    }

    fn size_bytes(&self, min: u64, max: u64) -> Result<u64, ConfigError> {
        let bytes = value::size_bytes(self.text()).map_err(|what| self.fail(&what))?;
        let within = (min..=max).contains(&bytes);
        if within { Ok(bytes) } else { Err(self.fail(&format!("{bytes} bytes is not within {min} to {max}"))) }
    }

    fn size(&self, min: u64, max: usize) -> Result<usize, ConfigError> {
        let bytes = self.size_bytes(min, max as u64)?;
        usize::try_from(bytes).map_err(|_| self.fail("too large for this machine"))
    }

    /// Names in small letters, with commas between them; in a file also as a list.
    fn names(&self) -> Result<Vec<String>, ConfigError> {
        let text = self.text().trim();
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let names = inner.split(',').map(|name| name.trim().trim_matches(['"', '\'']).to_ascii_lowercase());
        let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || "|.-_".contains(c);
        match names.iter().find(|name| !name.chars().all(plain)) {
            None => Ok(names),
            Some(name) => Err(self.fail(&format!("'{name}' is no name of a command; write debug,script|flush"))),
        }
    }

    fn one_of(&self, allowed: &[&str]) -> Result<String, ConfigError> {
        let text = self.text();
        if allowed.contains(&text) {
            return Ok(text.to_owned());
        }
        Err(self.fail(&format!("'{text}' is none of {}", allowed.join(", "))))
    }

    fn address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.text();
        if text == "off" {
            return Ok(None);
        }
        let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
        let wrong = || self.fail(&format!("'{text}' is no address; write 127.0.0.1:6380, or off"));
        found.map(Some).ok_or_else(wrong)
    }

    fn workers(&self) -> Result<usize, ConfigError> {
        if self.text() == "auto" {
            // One core is left to compilation, the ticker and background work.
            return Ok(std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)));
        }
        self.number(1, 1024)
    }

    fn separator(&self) -> Result<u8, ConfigError> {
        match self.text().as_bytes() {
            [byte] if byte.is_ascii_punctuation() && !b"{}*?[]\\".contains(byte) => Ok(*byte),
            _ => Err(self.fail("the separator is one punctuation character, and none of { } * ? [ ] \\")),
        }
    }

    fn key_prefix(&self) -> Result<String, ConfigError> {
        let text = self.text();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
            return Ok(text.to_owned());
        }
        Err(self.fail("the prefix has 1 to 64 letters, digits, '-', '_' or '.'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let mut layers = Layers::defaults().file("larder.toml", file)?.environment(environment);
        for (name, value) in flags {
            layers = layers.flag(name, (*value).to_owned())?;
        }
        Config::new(&layers, environment)
    }

    #[track_caller]
    fn check_error(file: &str, env: &[(&str, &str)], expect: &str) {
        match config(file, env, &[]) {
            Ok(_) => panic!("no error for {file:?} {env:?}"),
            Err(error) => assert_eq!(error.to_string(), expect),
        }
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = "[key]\nprefix = 'file'\n";
        let env = [("CACHE_KEY_PREFIX", "env")];
        for (file, env, flags, expect) in [
            ("", &[][..], &[][..], "chat"),
            (file, &[], &[], "file"),
            (file, &env, &[], "env"),
            (file, &env, &[("key.prefix", "flag")], "flag"),
        ] {
            let prefix = config(file, env, flags).map(|config| config.key_prefix);
            assert_eq!(prefix.as_deref().ok(), Some(expect));
        }
    }

    #[test]
    fn errors_name_the_source_and_the_nearest_name() {
        check_error(
            "[key]\nprefx = 'x'",
            &[],
            "larder.toml:2: there is no setting 'key.prefx'; did you mean 'key.prefix'?",
        );
        check_error(
            "\n\n[l1]\nsize = 'big'",
            &[],
            "larder.toml:4: l1.size: 'big' is no size; write 64KiB, 256MiB, 1GiB or a number of bytes",
        );
        check_error(
            "",
            &[("CACHE_KEY_SEPARATOR", "::")],
            "the environment variable CACHE_KEY_SEPARATOR: key.separator: the separator is one punctuation character, and none of { } * ? [ ] \\",
        );
    }

    #[test]
    fn variables_of_policies_reach_their_domain() {
        let config = config("", &[("CACHE_PROFILE_TTL", "60")], &[]);
        let ttl = config.ok().and_then(|config| config.policy_overrides.get("profile")?.get("ttl").cloned());
        assert_eq!(ttl.as_deref(), Some("60"));
    }
}
