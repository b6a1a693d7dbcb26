//! Reading the TOML files that people write beside a policy.
//!
//! Invariant: what is not understood is an error that names the file, the line, and the nearest thing that would be.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::refused::{Reason, Refused};
use crate::config::value;

/// A value and where it stands.
pub(super) type At<'v> = &'v Spanned<DeValue<'v>>;

/// The text of one file, to say where something is.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    reason: Reason,
}

impl<'a> Reader<'a> {
    /// Reads this text; what is wrong in it is refused for `reason`.
    pub(super) const fn new(file: &'a str, text: &'a str, reason: Reason) -> Self {
        Self { file, text, reason }
    }

    /// The whole of it.
    ///
    /// # Errors
    /// It is no TOML.
    pub(super) fn document(&self) -> Result<DeTable<'a>, Refused> {
        DeTable::parse(self.text)
            .map(Spanned::into_inner)
            .map_err(|error| self.error(error.span().unwrap_or_default(), error.message().trim_end()))
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        let before = self.text.get(..at.start).unwrap_or_default();
        before.bytes().filter(|&byte| byte == b'\n').count() + 1
    }

    /// What is wrong at a place.
    pub(super) fn error(&self, at: Range<usize>, words: impl Display) -> Refused {
        Refused::new(self.reason, format!("{}, line {}: {words}", self.file, self.line(&at)))
    }

    /// A name that is none of those that there are.
    pub(super) fn unknown(&self, at: Range<usize>, name: &str, known: &[&str]) -> Refused {
        let nearest = known.iter().max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
        let advice = match nearest {
            Some(near) if strsim::jaro(name, near) > 0.7 => format!("is `{near}` meant?"),
            _ => format!("there are {}", known.join(", ")),
        };
        self.error(at, format_args!("there is no `{name}` here; {advice}"))
    }

    /// A table.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn table<'v>(&self, name: &str, value: At<'v>) -> Result<&'v DeTable<'v>, Refused> {
        let table = value.get_ref().as_table();
        table.ok_or_else(|| self.error(value.span(), format_args!("`{name}` is a table: `[{name}]`")))
    }

    /// A text.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn text<'v>(&self, name: &str, value: At<'v>) -> Result<&'v str, Refused> {
        value.get_ref().as_str().ok_or_else(|| self.error(value.span(), format_args!("`{name}` is a text")))
    }

    /// A list of texts.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn texts(&self, name: &str, value: At<'_>) -> Result<Vec<String>, Refused> {
        let wrong = || self.error(value.span(), format_args!("`{name}` is a list of texts: [\"…\"]"));
        let list = value.get_ref().as_array().ok_or_else(wrong)?;
        list.iter().map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn flag(&self, name: &str, value: At<'_>) -> Result<bool, Refused> {
        let flag = value.get_ref().as_bool();
        flag.ok_or_else(|| self.error(value.span(), format_args!("`{name}` is true or false")))
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// It is something else, or out of them.
    pub(super) fn number(&self, name: &str, value: At<'_>, bounds: Range<u64>) -> Result<u64, Refused> {
        let number = plain(value.get_ref()).and_then(|text| text.parse().ok());
        number.filter(|number| bounds.contains(number)).ok_or_else(|| {
            let words = format!("`{name}` is a whole number from {} to {}", bounds.start, bounds.end - 1);
            self.error(value.span(), words)
        })
    }

    /// A time in milliseconds; a plain number is in seconds, as in settings.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn duration_ms(&self, name: &str, value: At<'_>) -> Result<u64, Refused> {
        let ms = plain(value.get_ref()).and_then(|text| value::duration_ms(&text, 1_000).ok());
        ms.ok_or_else(|| {
            self.error(value.span(), format_args!("`{name}` is a time such as \"24h\", \"5m\", \"30s\" or \"500ms\""))
        })
    }

    /// One of some words.
    ///
    /// # Errors
    /// It is none of them.
    pub(super) fn word<T: Copy>(&self, name: &str, value: At<'_>, words: &[(&str, T)]) -> Result<T, Refused> {
        let word = self.text(name, value)?;
        let found = words.iter().find(|(known, _)| *known == word);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.unknown(value.span(), word, &known)
        })
    }

    /// Settings: nested tables become dotted names.
    ///
    /// # Errors
    /// One is no plain value, or is given twice.
    pub(super) fn settings(
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
            let text = plain(value.get_ref()).ok_or_else(|| {
                self.error(value.span(), format_args!("the setting `{name}` is a list of more than plain values"))
            })?;
            if settings.insert(name.clone(), text).is_some() {
                return Err(self.error(key.span(), format_args!("the setting `{name}` is given twice")));
            }
        }
        Ok(())
    }
}

/// A plain value as text; a list of them joined by commas.
pub(super) fn plain(value: &DeValue<'_>) -> Option<String> {
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
                plain_value => plain(plain_value),
            });
            Some(items.collect::<Option<Vec<_>>>()?.join(","))
        }
        DeValue::Table(_) => None,
    }
}
