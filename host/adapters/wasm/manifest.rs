//! `NAME.toml` beside `NAME.wasm`: the operator's word on a policy. A component without one has the defaults.
//!
//! ```toml
//! origin = "http://users.internal:8080"
//! [settings]           # the policy's own; nested tables become dotted names
//! ttl = "24h"
//! [grants]
//! interfaces = ["redis", "lock", "breaker"]
//! keys = ["unread", "profile/user:"]  # of other domains, for the workflow: all, or those whose names begin so
//! [limits]
//! hook_ms = 5
//! memory = "16MiB"
//! workflow_ms = 1000   # a command of the workflow, on the wall
//! workflow_processor_ms = 50
//! tick_ms = 10000      # a tick of the workflow, on the wall
//! load_ms = 2000       # a load from the origin, all of it
//! load_soft_ms = 200   # from then on who can be given a stale value waits no longer
//! load_size = "8MiB"   # the longest answer
//! loads_max = 64       # under way at the same time on this node
//! fault_percent = 10   # of its calls; above it goes back to the one before by itself
//! ```
//!
//! What the settings mean is the policy's business: its `describe` judges them.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeTable;

use super::contract::GRANTABLE;
use super::folder;
use super::reader::{At, Reader, plain};
use super::refused::{Reason, Refused};
use crate::config::value::size_bytes;
use crate::limits;
use crate::ports::origin::{OriginSettings, Patience};
use crate::ports::table::{OnStoreFailure, Reach};

/// Bounds of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PolicyLimits {
    /// Deadline of a hook, in milliseconds.
    pub(super) hook_ms: u64,
    /// Memory of one instance, in bytes.
    pub(super) memory_bytes: u64,
    /// Deadline of one command of the workflow on the wall, in milliseconds.
    pub(super) workflow_ms: u64,
    /// Deadline of one tick of the workflow on the wall, in milliseconds.
    pub(super) tick_ms: u64,
    /// Processor time of one call of the workflow, in milliseconds.
    pub(super) workflow_processor_ms: u64,
    /// What loads from its origin may take.
    pub(super) loads: LoadLimits,
    /// Share of its calls that may fail before it is taken out of service, in percent; 100: never.
    pub(super) fault_percent: u64,
    /// What readers get while the store is away; `None`: as the host's setting says.
    pub(super) on_store_failure: Option<OnStoreFailure>,
    /// Whether readers' directives over HTTP are obeyed.
    pub(super) obeys_requests: bool,
}

impl Default for PolicyLimits {
    fn default() -> Self {
        Self {
            hook_ms: limits::HOOK_MS_DEFAULT,
            memory_bytes: limits::INSTANCE_MEMORY_BYTES_DEFAULT,
            workflow_ms: limits::WORKFLOW_MS_DEFAULT,
            tick_ms: limits::TICK_CALL_MS_DEFAULT,
            workflow_processor_ms: limits::WORKFLOW_PROCESSOR_MS_DEFAULT,
            loads: LoadLimits::default(),
            fault_percent: limits::FAULT_PERCENT_DEFAULT,
            on_store_failure: None,
            obeys_requests: true,
        }
    }
}

/// Bounds of loads from one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoadLimits {
    /// Deadline of a load, in milliseconds.
    pub(super) hard_ms: u64,
    /// From when on a stale value is better than waiting, in milliseconds; `None`: not said.
    pub(super) soft_ms: Option<u64>,
    /// The longest body, in bytes.
    pub(super) body_bytes: usize,
    /// Loads under way at the same time.
    pub(super) at_once: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            hard_ms: limits::LOAD_MS_DEFAULT,
            soft_ms: None,
            body_bytes: limits::LOAD_BYTES_DEFAULT,
            at_once: limits::LOADS_PER_ORIGIN_DEFAULT,
        }
    }
}

/// What `NAME.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Where the domain is loaded from.
    pub(super) origin: Option<String>,
    /// Dotted names and values, in order of the names.
    pub(super) settings: BTreeMap<String, String>,
    /// Interfaces that are granted.
    pub(super) grants: Vec<String>,
    /// Keys of other domains that are granted to its workflow.
    pub(super) reach: Vec<Reach>,
    /// Bounds.
    pub(super) limits: PolicyLimits,
}

impl Manifest {
    /// Reads the text of `{domain}.toml`.
    ///
    /// # Errors
    /// It is no TOML, or says something that the host does not understand.
    pub(super) fn parse(domain: &str, text: &str) -> Result<Self, Refused> {
        let file = format!("{domain}.toml");
        let reader = Reader::new(&file, text, Reason::Manifest);
        let mut manifest = Self::default();
        for (key, value) in &reader.document()? {
            match key.get_ref().as_ref() {
                "origin" => manifest.origin = Some(origin(reader, value)?),
                "settings" => reader.settings("", reader.table("settings", value)?, &mut manifest.settings)?,
                "grants" => grants(reader, reader.table("grants", value)?, &mut manifest)?,
                "limits" => manifest.limits = bounds(reader, reader.table("limits", value)?)?,
                unknown => {
                    return Err(reader.unknown(key.span(), unknown, &["origin", "settings", "grants", "limits"]));
                }
            }
        }
        Ok(manifest)
    }

    /// Its origin with the bounds of loads from it, if it has one.
    pub(super) fn origin_settings(&self) -> Option<OriginSettings> {
        let LoadLimits { hard_ms, soft_ms, body_bytes, at_once } = self.limits.loads;
        let soft_ms = soft_ms.unwrap_or(limits::LOAD_SOFT_MS_DEFAULT).min(hard_ms);
        let patience = Patience { soft: Duration::from_millis(soft_ms), hard: Duration::from_millis(hard_ms) };
        let url = self.origin.clone()?;
        Some(OriginSettings { url, patience, loads_max: at_once, body_bytes_max: body_bytes })
    }
}

fn origin(reader: Reader<'_>, value: At<'_>) -> Result<String, Refused> {
    match value.get_ref().as_str() {
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(url.to_owned()),
        _ => Err(reader.error(value.span(), "`origin` is a URL as text: \"http://…\"")),
    }
}

fn grants(reader: Reader<'_>, table: &DeTable<'_>, manifest: &mut Manifest) -> Result<(), Refused> {
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "interfaces" => manifest.grants = interfaces(reader, value)?,
            "keys" => manifest.reach = reach(reader, value)?,
            unknown => return Err(reader.unknown(key.span(), unknown, &["interfaces", "keys"])),
        }
    }
    Ok(())
}

fn interfaces(reader: Reader<'_>, value: At<'_>) -> Result<Vec<String>, Refused> {
    let mut grants = Vec::new();
    let list = value.get_ref().as_array();
    let list = list.ok_or_else(|| reader.error(value.span(), "`interfaces` is a list: [\"redis\"]"))?;
    for item in list.iter() {
        let name = item.get_ref().as_str().unwrap_or_default();
        if !GRANTABLE.contains(&name) {
            return Err(reader.unknown(item.span(), name, &GRANTABLE));
        }
        grants.push(name.to_owned());
    }
    grants.sort_unstable();
    grants.dedup();
    Ok(grants)
}

fn reach(reader: Reader<'_>, value: At<'_>) -> Result<Vec<Reach>, Refused> {
    let wrong = |what: &str| reader.error(value.span(), format_args!("`keys` {what}: [\"unread\", \"profile/user:\"]"));
    let granted = reader.texts("keys", value)?;
    if granted.len() > limits::GRANTED_KEYS_MAX {
        return Err(wrong("has too many entries"));
    }
    let one = |text: String| {
        let (domain, prefix) = text.split_once('/').unwrap_or((&text, ""));
        let is_prefix = prefix.len() <= limits::PREFIX_BYTES_MAX && !prefix.chars().any(char::is_control);
        if !folder::is_domain(domain) || !is_prefix {
            return Err(wrong("lists domains, each alone or with what the names of its keys begin with"));
        }
        Ok(Reach { domain: domain.to_owned(), prefix: prefix.to_owned() })
    };
    let mut reach = granted.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
    reach.sort_unstable();
    reach.dedup();
    Ok(reach)
}

fn bounds(reader: Reader<'_>, table: &DeTable<'_>) -> Result<PolicyLimits, Refused> {
    let mut bounds = PolicyLimits::default();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let milliseconds = |most_ms| reader.number(name, value, 1..most_ms + 1);
        match name {
            "hook_ms" => bounds.hook_ms = milliseconds(limits::HOOK_MS_MAX)?,
            "workflow_ms" => bounds.workflow_ms = milliseconds(limits::WORKFLOW_MS_MAX)?,
            "tick_ms" => bounds.tick_ms = milliseconds(limits::WORKFLOW_MS_MAX)?,
            "workflow_processor_ms" => {
                bounds.workflow_processor_ms = milliseconds(limits::WORKFLOW_PROCESSOR_MS_MAX)?;
            }
            "memory" => bounds.memory_bytes = memory(reader, value)?,
            "load_ms" => bounds.loads.hard_ms = milliseconds(limits::LOAD_MS_MAX)?,
            "load_soft_ms" => bounds.loads.soft_ms = Some(milliseconds(limits::LOAD_MS_MAX)?),
            "load_size" => bounds.loads.body_bytes = load_size(reader, value)?,
            "loads_max" => {
                let most = reader.number(name, value, 1..limits::LOADS_PER_ORIGIN_MAX as u64 + 1)?;
                bounds.loads.at_once = usize::try_from(most).unwrap_or(usize::MAX);
            }
            "fault_percent" => bounds.fault_percent = reader.number("fault_percent", value, 1..101)?,
            "on_store_failure" => bounds.on_store_failure = Some(on_store_failure(reader, value)?),
            "request_directives" => bounds.obeys_requests = request_directives(reader, value)?,
            unknown => return Err(reader.unknown(key.span(), unknown, &LIMITS)),
        }
    }
    if bounds.loads.soft_ms.is_some_and(|soft_ms| soft_ms > bounds.loads.hard_ms) {
        let place = table.iter().find(|(key, _)| key.get_ref() == "load_soft_ms").map(|(key, _)| key.span());
        return Err(reader.error(place.unwrap_or_default(), "`load_soft_ms` is longer than `load_ms`"));
    }
    Ok(bounds)
}

fn load_size(reader: Reader<'_>, value: At<'_>) -> Result<usize, Refused> {
    let bytes = plain(value.get_ref()).and_then(|text| size_bytes(&text).ok()).and_then(|it| usize::try_from(it).ok());
    bytes.filter(|bytes| (1..=limits::VALUE_BYTES_MAX).contains(bytes)).ok_or_else(|| {
        let most = limits::VALUE_BYTES_MAX >> 20;
        reader.error(value.span(), format_args!("`load_size` is up to \"{most}MiB\", like \"8MiB\""))
    })
}

fn on_store_failure(reader: Reader<'_>, value: At<'_>) -> Result<OnStoreFailure, Refused> {
    let mode = value.get_ref().as_str().and_then(OnStoreFailure::from_word);
    mode.ok_or_else(|| reader.error(value.span(), "`on_store_failure` is \"error\" or \"miss\""))
}

fn request_directives(reader: Reader<'_>, value: At<'_>) -> Result<bool, Refused> {
    match value.get_ref().as_str() {
        Some("obey") => Ok(true),
        Some("ignore") => Ok(false),
        _ => Err(reader.error(value.span(), "`request_directives` is \"obey\" or \"ignore\"")),
    }
}

fn memory(reader: Reader<'_>, value: At<'_>) -> Result<u64, Refused> {
    match plain(value.get_ref()).and_then(|text| size_bytes(&text).ok()) {
        Some(bytes) if (MEMORY_BYTES_MIN..=limits::INSTANCE_MEMORY_BYTES_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(reader.error(
            value.span(),
            format_args!(
                "`memory` is from \"64KiB\" to \"{}MiB\", like \"16MiB\"",
                limits::INSTANCE_MEMORY_BYTES_MAX >> 20
            ),
        )),
    }
}

/// What `[limits]` may say.
const LIMITS: [&str; 12] = [
    "hook_ms",
    "memory",
    "workflow_ms",
    "tick_ms",
    "workflow_processor_ms",
    "load_ms",
    "load_soft_ms",
    "load_size",
    "loads_max",
    "fault_percent",
    "on_store_failure",
    "request_directives",
];

/// One page of WebAssembly.
const MEMORY_BYTES_MIN: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(text: &str, words: &str) {
        let refused = Manifest::parse("profile", text).expect_err("this is wrong");
        assert_eq!(refused.reason, Reason::Manifest);
        assert!(refused.message.contains(words), "{refused}");
    }

    #[test]
    fn settings_are_flattened_to_text() {
        let text = "origin = 'http://a'\n[settings]\nttl = '24h'\non = true\nn = 0xff\nf = 1.5\nl = [1, 'b']\n[settings.a.b]\nc = 1\n\
                    [grants]\ninterfaces = ['redis', 'lock', 'redis']\n[limits]\nhook_ms = 7\nmemory = '1MiB'\nfault_percent = 50";
        let manifest = Manifest::parse("profile", text).expect("all of it is right");
        let settings: Vec<_> = manifest.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(settings, ["a.b.c=1", "f=1.5", "l=1,b", "n=255", "on=true", "ttl=24h"]);
        assert_eq!(manifest.origin.as_deref(), Some("http://a"));
        assert_eq!(manifest.grants, ["lock", "redis"]);
        let limits = PolicyLimits { hook_ms: 7, memory_bytes: 1 << 20, fault_percent: 50, ..PolicyLimits::default() };
        assert_eq!(manifest.limits, limits);
    }

    #[test]
    fn what_is_said_of_loads_bounds_the_origin() {
        let text = "origin = 'http://a'\n[limits]\nload_ms = 100\nload_size = '1MiB'\nloads_max = 3";
        let origin = Manifest::parse("profile", text).expect("all of it is right").origin_settings();
        let patience = Patience { soft: Duration::from_millis(100), hard: Duration::from_millis(100) };
        let url = "http://a".to_owned();
        assert_eq!(origin, Some(OriginSettings { url, patience, loads_max: 3, body_bytes_max: 1 << 20 }));
        assert_eq!(Manifest::default().origin_settings(), None);
        refuses("[limits]\nload_soft_ms = 20\nload_ms = 10", "line 2: `load_soft_ms` is longer than `load_ms`");
        refuses("[limits]\nload_size = '65MiB'", "up to \"64MiB\"");
        refuses("[limits]\nloads_max = 0", "from 1 to 10000");
    }

    #[test]
    fn keys_of_other_domains_are_named_by_domain_and_prefix() {
        let manifest = Manifest::parse("profile", "[grants]\nkeys = ['unread', 'rate-limit/a/b:', 'unread']");
        let reach = manifest.expect("all of it is right").reach;
        assert_eq!(reach.iter().map(ToString::to_string).collect::<Vec<_>>(), ["rate-limit/a/b:", "unread"]);
        refuses("[grants]\nkeys = ['Unread']", "line 2: `keys` lists domains");
        refuses("[grants]\nkeys = ['']", "lists domains");
        refuses("[grants]\nkeys = 'unread'", "is a list");
        refuses("[grants]\nkey = ['unread']", "is `keys` meant?");
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(Manifest::parse("profile", "[grants]\n[limits]\n"), Ok(Manifest::default()));
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        refuses("\n\n[setings]\nttl = 1", "profile.toml, line 3: there is no `setings` here; is `settings` meant?");
        refuses("[limits]\nhookms = 1", "line 2: there is no `hookms` here; is `hook_ms` meant?");
        refuses("[grants]\ninterfaces = ['rediss']", "line 2: there is no `rediss` here; is `redis` meant?");
        refuses("[grants]\ninterfaces = ['wasi']", "there are redis, lock, breaker");
        refuses("[grants]\ninterfaces = 'redis'", "is a list");
        refuses("settings = 1", "`settings` is a table");
        refuses("a b", "line 1:");
    }

    #[test]
    fn values_are_bounded() {
        refuses("[limits]\nhook_ms = 0", "from 1 to 1000");
        refuses("[limits]\nhook_ms = 1001", "from 1 to 1000");
        refuses("[limits]\nmemory = '1GiB'", "to \"256MiB\"");
        refuses("[limits]\nmemory = '257MiB'", "to \"256MiB\"");
        refuses("[limits]\nmemory = '1KiB'", "from \"64KiB\"");
        refuses("[limits]\nfault_percent = 0", "from 1 to 100");
        refuses("[limits]\nrequest_directives = 'no'", "is \"obey\" or \"ignore\"");
        refuses("origin = 'users.internal'", "is a URL");
        refuses("[settings]\na = [[1]]", "more than plain values");
        refuses("[settings]\n'a.b' = 1\na.b = 2", "given twice");
    }
}
