//! Where settings come from: flags over environment over `larder.toml` over defaults. Text in, text out, with the source of each.

use std::collections::BTreeMap;

use super::ConfigError;
use super::table::{SETTINGS, find, nearest};

/// Where a value comes from, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The table of settings.
    Default,
    /// A line of `larder.toml`.
    File {
        /// The file, as it was named.
        path: String,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Environment(&'static str),
    /// The command line.
    Flag,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Flag => f.write_str("the command line"),
        }
    }
}

/// The text of every setting and where it comes from.
#[derive(Clone, Debug)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Source)>,
}

impl Layers {
    /// The defaults.
    #[must_use]
    pub fn defaults() -> Self {
        let values = SETTINGS.iter().map(|s| (s.name, (s.default.to_owned(), Source::Default))).collect();
        Self { values }
    }

    /// With the text of a `larder.toml` laid over.
    ///
    /// # Errors
    /// Text that is no TOML; an unknown key, with the nearest name.
    pub fn file(mut self, path: &str, text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            ConfigError::new(&Source::File { path: path.to_owned(), line }, error.message())
        })?;
        let mut flat = Vec::new();
        flatten("", &toml::Value::Table(table), &mut flat);
        for (name, value) in flat {
            let source = Source::File { path: path.to_owned(), line: line_of_key(text, &name) };
            self.set(&name, value, source)?;
        }
        Ok(self)
    }

    /// With the environment laid over.
    #[must_use]
    pub fn environment(mut self, read: impl Fn(&str) -> Option<String>) -> Self {
        for setting in SETTINGS {
            for env in setting.env {
                if let Some(value) = read(env) {
                    self.values.insert(setting.name, (value, Source::Environment(env)));
                }
            }
        }
        self
    }

    /// With one value of the command line laid over.
    ///
    /// # Errors
    /// An unknown name.
    pub fn flag(mut self, name: &str, value: String) -> Result<Self, ConfigError> {
        self.set(name, value, Source::Flag)?;
        Ok(self)
    }

    /// The text of a setting and its source.
    #[must_use]
    pub fn get(&self, name: &'static str) -> (&str, &Source) {
        let (value, source) =
            self.values.get(name).unwrap_or_else(|| unreachable!("{name} is in the table of settings"));
        (value, source)
    }

    fn set(&mut self, name: &str, value: String, source: Source) -> Result<(), ConfigError> {
        let Some(setting) = find(name) else {
            let hint = nearest(name, SETTINGS.iter().map(|setting| setting.name))
                .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
            return Err(ConfigError::new(&source, &format!("there is no setting '{name}'{hint}")));
        };
        self.values.insert(setting.name, (value, source));
        Ok(())
    }
}

fn flatten(prefix: &str, value: &toml::Value, into: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&name, value, into);
            }
        }
        toml::Value::String(text) => into.push((prefix.to_owned(), text.clone())),
        other => into.push((prefix.to_owned(), other.to_string())),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// The line that sets a dotted name: the one whose key, within the last `[table]` before it, makes the name.
fn line_of_key(text: &str, name: &str) -> usize {
    let mut table = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(head) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = format!("{}.", head.trim());
        } else if let Some((key, _)) = line.split_once('=')
            && format!("{table}{}", key.trim()) == name
        {
            return number + 1;
        }
    }
    1
}
