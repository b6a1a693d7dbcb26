//! `NAME.toml` beside `NAME.wasm`: the operator's word on a policy. A component without one has the defaults.
//!
//! ```toml
//! origin = "http://users.internal:8080"
//! [settings]           # the policy's own; nested tables become dotted names
//! ttl = "24h"
//! [grants]
//! interfaces = ["redis", "lock", "breaker"]
//! [limits]
//! hook_ms = 5
//! memory = "16MiB"
//! workflow_ms = 1000
//! tick_ms = 10000
//! workflow_processor_ms = 50
//! ```
//!
//! Invariants: what is not understood is an error that names its line, and the nearest thing that would be. What the settings
//! mean is the policy's business: its `describe` judges them.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::contract::GRANTABLE;
use super::refused::{Reason, Refused};
use crate::limits;

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
}

impl Default for PolicyLimits {
    fn default() -> Self {
        Self {
            hook_ms: limits::HOOK_MS_DEFAULT,
            memory_bytes: limits::INSTANCE_MEMORY_BYTES_DEFAULT,
            workflow_ms: limits::WORKFLOW_MS_DEFAULT,
            tick_ms: limits::TICK_CALL_MS_DEFAULT,
            workflow_processor_ms: limits::WORKFLOW_PROCESSOR_MS_DEFAULT,
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
    /// Bounds.
    pub(super) limits: PolicyLimits,
}

impl Manifest {
    /// Reads the text of `{domain}.toml`.
    ///
    /// # Errors
    /// It is no TOML, or says something that the host does not understand.
    pub(super) fn parse(domain: &str, text: &str) -> Result<Self, Refused> {
        let reader = Reader { domain, text };
        let document = DeTable::parse(text)
            .map_err(|error| reader.error(error.span().unwrap_or_default(), error.message().trim_end()))?;
        let mut manifest = Self::default();
        for (key, value) in document.get_ref() {
            let span = key.span();
            match key.get_ref().as_ref() {
                "origin" => manifest.origin = Some(reader.origin(value.get_ref(), value.span())?),
                "settings" => {
                    let table = reader.table("settings", value.get_ref(), span)?;
                    reader.settings("", table, &mut manifest.settings)?;
                }
                "grants" => manifest.grants = reader.grants(reader.table("grants", value.get_ref(), span)?)?,
                "limits" => manifest.limits = reader.limits(reader.table("limits", value.get_ref(), span)?)?,
                unknown => return Err(reader.unknown(span, unknown, &["origin", "settings", "grants", "limits"])),
            }
        }
        Ok(manifest)
    }
}

/// The text, to say where something is.
struct Reader<'a> {
    domain: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn error(&self, at: Range<usize>, words: impl std::fmt::Display) -> Refused {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Refused::new(Reason::Manifest, format!("{}.toml, line {line}: {words}", self.domain))
    }

    fn unknown(&self, at: Range<usize>, name: &str, known: &[&str]) -> Refused {
        let nearest = known.iter().max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
        let advice = match nearest {
            Some(near) if strsim::jaro(name, near) > 0.7 => format!("is `{near}` meant?"),
            _ => format!("there are {}", known.join(", ")),
        };
        self.error(at, format_args!("there is no `{name}` here; {advice}"))
    }

    fn table<'v>(&self, name: &str, value: &'v DeValue<'_>, at: Range<usize>) -> Result<&'v DeTable<'v>, Refused> {
        value.as_table().ok_or_else(|| self.error(at, format_args!("`{name}` is a table: `[{name}]`")))
    }

    fn origin(&self, value: &DeValue<'_>, at: Range<usize>) -> Result<String, Refused> {
        match value.as_str() {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(url.to_owned()),
            _ => Err(self.error(at, "`origin` is a URL as text: \"http://…\"")),
        }
    }

    fn settings(
        &self,
        prefix: &str,
        table: &DeTable<'_>,
        settings: &mut BTreeMap<String, String>,
    ) -> Result<(), Refused> {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(table) = value.get_ref().as_table() {
                self.settings(&format!("{name}."), table, settings)?;
                continue;
            }
            let text = setting(value.get_ref()).ok_or_else(|| {
                self.error(value.span(), format_args!("the setting `{name}` is a list of more than plain values"))
            })?;
            if settings.insert(name.clone(), text).is_some() {
                return Err(self.error(key.span(), format_args!("the setting `{name}` is given twice")));
            }
        }
        Ok(())
    }

    fn grants(&self, table: &DeTable<'_>) -> Result<Vec<String>, Refused> {
        let mut grants = Vec::new();
        for (key, value) in table {
            if key.get_ref() != "interfaces" {
                return Err(self.unknown(key.span(), key.get_ref(), &["interfaces"]));
            }
            let list = value.get_ref().as_array();
            let list = list.ok_or_else(|| self.error(value.span(), "`interfaces` is a list: [\"redis\"]"))?;
            for item in list.iter() {
                let name = item.get_ref().as_str().unwrap_or_default();
                if !GRANTABLE.contains(&name) {
                    return Err(self.unknown(item.span(), name, &GRANTABLE));
                }
                grants.push(name.to_owned());
            }
        }
        grants.sort_unstable();
        grants.dedup();
        Ok(grants)
    }

    fn limits(&self, table: &DeTable<'_>) -> Result<PolicyLimits, Refused> {
        let mut limits = PolicyLimits::default();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let milliseconds = |most_ms| self.milliseconds(name, value.get_ref(), value.span(), most_ms);
            match name {
                "hook_ms" => limits.hook_ms = milliseconds(limits::HOOK_MS_MAX)?,
                "memory" => limits.memory_bytes = self.memory(value.get_ref(), value.span())?,
                "workflow_ms" => limits.workflow_ms = milliseconds(limits::WORKFLOW_MS_MAX)?,
                "tick_ms" => limits.tick_ms = milliseconds(limits::WORKFLOW_MS_MAX)?,
                "workflow_processor_ms" => {
                    limits.workflow_processor_ms = milliseconds(limits::WORKFLOW_PROCESSOR_MS_MAX)?;
                }
                unknown => return Err(self.unknown(key.span(), unknown, &LIMITS)),
            }
        }
        Ok(limits)
    }

    fn milliseconds(&self, name: &str, value: &DeValue<'_>, at: Range<usize>, most_ms: u64) -> Result<u64, Refused> {
        match setting(value).and_then(|text| text.parse().ok()) {
            Some(ms) if (1..=most_ms).contains(&ms) => Ok(ms),
            _ => Err(self.error(at, format_args!("`{name}` is from 1 to {most_ms} milliseconds"))),
        }
    }

    fn memory(&self, value: &DeValue<'_>, at: Range<usize>) -> Result<u64, Refused> {
        match setting(value).and_then(|text| bytes(&text)) {
            Some(bytes) if (MEMORY_BYTES_MIN..=limits::INSTANCE_MEMORY_BYTES_MAX).contains(&bytes) => Ok(bytes),
            _ => Err(self.error(
                at,
                format_args!(
                    "`memory` is from \"64KiB\" to \"{}MiB\", like \"16MiB\"",
                    limits::INSTANCE_MEMORY_BYTES_MAX >> 20
                ),
            )),
        }
    }
}

/// What `[limits]` may say.
const LIMITS: [&str; 5] = ["hook_ms", "memory", "workflow_ms", "tick_ms", "workflow_processor_ms"];

/// One page of WebAssembly.
const MEMORY_BYTES_MIN: u64 = 64 * 1024;

/// A plain value as text; a list of them joined by commas.
fn setting(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map(|number| number.to_string()).ok()
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(list) => {
            let items = list.iter().map(|item| match item.get_ref() {
                DeValue::Array(_) | DeValue::Table(_) => None,
                plain => setting(plain),
            });
            Some(items.collect::<Option<Vec<_>>>()?.join(","))
        }
        DeValue::Table(_) => None,
    }
}

/// A size: `16MiB`, `64 KiB`, `1MB`, `65536`.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "" | "B" => 1,
        "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

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
                    [grants]\ninterfaces = ['redis', 'lock', 'redis']\n[limits]\nhook_ms = 7\nmemory = '1MiB'";
        let manifest = Manifest::parse("profile", text).expect("all of it is right");
        let settings: Vec<_> = manifest.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(settings, ["a.b.c=1", "f=1.5", "l=1,b", "n=255", "on=true", "ttl=24h"]);
        assert_eq!(manifest.origin.as_deref(), Some("http://a"));
        assert_eq!(manifest.grants, ["lock", "redis"]);
        assert_eq!(manifest.limits, PolicyLimits { hook_ms: 7, memory_bytes: 1 << 20, ..PolicyLimits::default() });
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
        refuses("origin = 'users.internal'", "is a URL");
        refuses("[settings]\na = [[1]]", "more than plain values");
        refuses("[settings]\n'a.b' = 1\na.b = 2", "given twice");
    }
}
