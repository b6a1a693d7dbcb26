//! Where settings come from: flags over environment over `larder.toml` over defaults. Text in, text out, with the source of each.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::table::{SETTINGS, find, nearest};
use super::users::{self, UserText};

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

/// The text of every setting and where it comes from, and the users, which only the file can name.
#[derive(Clone, Debug)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Source)>,
    users: Vec<UserText>,
}

/// A document that is being read.
pub(super) struct Document<'a> {
    path: &'a str,
    text: &'a str,
}

impl Document<'_> {
    /// The source of what begins at this byte.
    pub(super) fn at(&self, byte: usize) -> Source {
        let line = self.text.bytes().take(byte).filter(|&byte| byte == b'\n').count() + 1;
        Source::File { path: self.path.to_owned(), line }
    }
}

impl Layers {
    /// The defaults.
    #[must_use]
    pub fn defaults() -> Self {
        let values = SETTINGS.iter().map(|s| (s.name, (s.default.to_owned(), Source::Default))).collect();
        Self { values, users: Vec::new() }
    }

    /// With the text of a `larder.toml` laid over.
    ///
    /// # Errors
    /// Text that is no TOML; an unknown key, with the nearest name; a value of a kind that no setting has.
    pub fn file(mut self, path: &str, text: &str) -> Result<Self, ConfigError> {
        let document = Document { path, text };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            ConfigError::new(&document.at(at), error.message())
        })?;
        for (key, value) in table.get_ref() {
            if key.get_ref() == "users" {
                self.users = users::read(&document, value)?;
            } else {
                self.lay(&document, key.get_ref(), key.span().start, value.get_ref())?;
            }
        }
        Ok(self)
    }

    fn lay(&mut self, document: &Document<'_>, name: &str, at: usize, value: &DeValue<'_>) -> Result<(), ConfigError> {
        let DeValue::Table(table) = value else {
            let source = document.at(at);
            let setting = known(name, &source)?;
            let value = scalar(value).ok_or_else(|| {
                ConfigError::new(&source, &format!("{name} is one value: a text, a number, true or false"))
            })?;
            self.values.insert(setting, (value, source));
            return Ok(());
        };
        let below = format!("{name}.");
        if !SETTINGS.iter().any(|setting| setting.name.starts_with(&below)) {
            return Err(unknown(name, &document.at(at)));
        }
        for (key, value) in table {
            self.lay(document, &format!("{below}{}", key.get_ref()), key.span().start, value.get_ref())?;
        }
        Ok(())
    }

    /// With the environment laid over.
    #[must_use]
    pub fn environment(mut self, read: impl Fn(&str) -> Option<String>) -> Self {
        for setting in SETTINGS {
            for env in setting.env {
                // OpenTelemetry's own rule: an empty variable is one that is not set.
                let counts = |value: &String| !(value.is_empty() && env.starts_with("OTEL_"));
                if let Some(value) = read(env).filter(counts) {
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
        let setting = known(name, &Source::Flag)?;
        self.values.insert(setting, (value, Source::Flag));
        Ok(self)
    }

    /// The text of a setting and its source.
    #[must_use]
    pub fn get(&self, name: &'static str) -> (&str, &Source) {
        let (value, source) =
            self.values.get(name).unwrap_or_else(|| unreachable!("{name} is in the table of settings"));
        (value, source)
    }

    /// The users as they were written.
    #[must_use]
    pub fn users(&self) -> &[UserText] {
        &self.users
    }

    /// The settings whose text differs from that of `other`; `users` is one of them.
    #[must_use]
    pub fn changes(&self, other: &Self) -> Vec<&'static str> {
        let settings = SETTINGS.iter().map(|setting| setting.name);
        let mut changed: Vec<_> = settings.filter(|name| self.get(name).0 != other.get(name).0).collect();
        let same =
            self.users.len() == other.users.len() && self.users.iter().zip(&other.users).all(|(a, b)| a.is_same(b));
        if !same {
            changed.push(users::NAME);
        }
        changed
    }
}

fn known(name: &str, source: &Source) -> Result<&'static str, ConfigError> {
    find(name).map(|setting| setting.name).ok_or_else(|| unknown(name, source))
}

fn unknown(name: &str, source: &Source) -> ConfigError {
    let below = format!("{name}.");
    if SETTINGS.iter().any(|setting| setting.name.starts_with(&below)) {
        return ConfigError::new(
            source,
            &format!("'{name}' is a group of settings: write {below}NAME, or [{name}] above them"),
        );
    }
    let groups = SETTINGS.iter().filter_map(|setting| setting.name.split_once('.')).map(|(group, _)| group);
    let names = SETTINGS.iter().map(|setting| setting.name).chain(groups).chain([users::NAME]);
    let hint = nearest(name, names).map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
    ConfigError::new(source, &format!("there is no setting '{name}'{hint}"))
}

/// The text of a value that is one; lists, tables and dates are none.
pub(super) fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // Settings are read as people write numbers: in tens.
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
