//! The policy's `[settings]`, typed.
//!
//! Each reader names a setting and its default. What nobody read is a mistake in the file, most likely a
//! misspelt name, and keeps the policy from going live: `export!` checks it after `describe`.

use std::{ops::RangeInclusive, time::Duration};

use crate::units::{parse_duration, parse_size_bytes};

/// Reads the settings of a policy. Names are dotted; the readers' errors name the setting and what it may be.
#[derive(Debug)]
pub struct Settings {
    table: Vec<(String, String)>,
    read: Vec<&'static str>,
}

impl Settings {
    /// Settings by name, as the host hands them over. Policies get theirs from `describe`; tests make their own.
    pub fn new(table: Vec<(String, String)>) -> Self {
        Self { table, read: Vec::new() }
    }

    /// A text, as it is.
    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.find(name).unwrap_or(default).to_owned()
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// The setting is something else.
    pub fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, String> {
        self.choice(name, default, &[("true", true), ("false", false)])
    }

    /// One of some words.
    ///
    /// # Errors
    /// The setting is none of them.
    pub fn choice<T: Clone>(&mut self, name: &'static str, default: T, words: &[(&str, T)]) -> Result<T, String> {
        let spelled: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let chosen = self.word(name, &spelled)?;
        Ok(chosen.and_then(|index| words.get(index)).map_or(default, |(_, meaning)| meaning.clone()))
    }

    /// The index of the word that the setting is. Kept out of line: the optimizer takes minutes over the unrolled
    /// comparison with a long list of constant words.
    #[inline(never)]
    fn word(&mut self, name: &'static str, words: &[&str]) -> Result<Option<usize>, String> {
        let Some(text) = self.find(name) else { return Ok(None) };
        let index = words.iter().position(|word| *word == text);
        index.map(Some).ok_or_else(|| wrong(name, text, &format!("`{}`", words.join("` or `"))))
    }

    /// A time: `24h`, `5m`, `30s`, `500ms`, `7d`; a plain number counts seconds.
    ///
    /// # Errors
    /// The setting is not a time.
    pub fn duration(&mut self, name: &'static str, default: Duration) -> Result<Duration, String> {
        let Some(text) = self.find(name) else { return Ok(default) };
        parse_duration(text).ok_or_else(|| wrong(name, text, "a time such as `24h`, `5m`, `30s` or `500ms`"))
    }

    /// A size in bytes: `512KB`, `4MB`, powers of 1024; a plain number counts bytes.
    ///
    /// # Errors
    /// The setting is not a size.
    pub fn size_bytes(&mut self, name: &'static str, default: u64) -> Result<u64, String> {
        let Some(text) = self.find(name) else { return Ok(default) };
        parse_size_bytes(text).ok_or_else(|| wrong(name, text, "a size such as `512KB` or `4MB`"))
    }

    /// A whole number within a range, of any unsigned type: `settings.number("jitter_percent", 0, 0..=100)`.
    ///
    /// There are no fractions: reading and printing them is most of what a small policy would weigh. Count percent.
    ///
    /// # Errors
    /// The setting is no whole number or out of range.
    pub fn number<T>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> Result<T, String>
    where
        T: TryFrom<u64> + Into<u64> + Copy,
    {
        let (least, most) = ((*range.start()).into(), (*range.end()).into());
        let number = self.whole_number(name, default.into(), least, most)?;
        // In range, therefore of the type: `least` and `most` are.
        Ok(T::try_from(number).unwrap_or(default))
    }

    fn whole_number(&mut self, name: &'static str, default: u64, least: u64, most: u64) -> Result<u64, String> {
        let Some(text) = self.find(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| wrong(name, text, &format!("a whole number from {least} to {most}")))
    }

    /// Refuses a setting that was never read.
    ///
    /// # Errors
    /// Names the first such setting and the nearest one that there is.
    pub fn finish(&self) -> Result<(), String> {
        let unknown = self.table.iter().find(|(name, _)| !self.read.contains(&name.as_str()));
        let Some((unknown, _)) = unknown else { return Ok(()) };
        let nearest = self.read.iter().min_by_key(|name| distance(name, unknown));
        Err(match nearest {
            Some(nearest) => format!("there is no setting `{unknown}`; is `{nearest}` meant?"),
            None => format!("there is no setting `{unknown}`; this policy has none"),
        })
    }

    /// Takes out what the host says of itself, so that the policy need not read it.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.table.iter().position(|(known, _)| known == name)?;
        Some(self.table.remove(at).1)
    }

    fn find(&mut self, name: &'static str) -> Option<&str> {
        self.read.push(name);
        self.table.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn wrong(name: &str, text: &str, wanted: &str) -> String {
    format!("the setting `{name}` is `{text}`; it must be {wanted}")
}

/// Levenshtein's edit distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{hours, seconds};

    fn settings(table: &[(&str, &str)]) -> Settings {
        Settings::new(table.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn what_is_not_set_is_the_default() {
        let mut settings = settings(&[]);
        assert_eq!(settings.duration("ttl", hours(24)), Ok(hours(24)));
        assert_eq!(settings.flag("tag_user", true), Ok(true));
        assert_eq!(settings.number("jitter_percent", 5_u8, 0..=100), Ok(5));
        assert_eq!(settings.finish(), Ok(()));
    }

    #[test]
    fn what_is_set_is_read_with_its_unit() {
        let mut settings = settings(&[("a.ttl", "30"), ("size", "1KB"), ("beta_percent", "150"), ("text", "x y")]);
        assert_eq!(settings.duration("a.ttl", hours(1)), Ok(seconds(30)));
        assert_eq!(settings.size_bytes("size", 0), Ok(1024));
        assert_eq!(settings.number("beta_percent", 0_u16, 0..=1000), Ok(150));
        assert_eq!(settings.text("text", ""), "x y");
        assert_eq!(settings.finish(), Ok(()));
    }

    #[test]
    fn a_wrong_value_is_refused_in_words() {
        let mut settings = settings(&[("ttl", "1 fortnight"), ("jitter_percent", "101"), ("tag_user", "yes")]);
        let check = |refused: Result<(), String>, words: &str| assert_eq!(refused.unwrap_err(), words);
        check(
            settings.duration("ttl", hours(1)).map(drop),
            "the setting `ttl` is `1 fortnight`; it must be a time such as `24h`, `5m`, `30s` or `500ms`",
        );
        check(
            settings.number("jitter_percent", 0_u8, 0..=100).map(drop),
            "the setting `jitter_percent` is `101`; it must be a whole number from 0 to 100",
        );
        check(
            settings.flag("tag_user", false).map(drop),
            "the setting `tag_user` is `yes`; it must be `true` or `false`",
        );
    }

    #[test]
    fn an_unknown_setting_is_refused_with_the_nearest_name() {
        let mut settings = settings(&[("tll", "24h")]);
        let _ = settings.duration("stale", hours(1));
        let _ = settings.duration("ttl", hours(1));
        assert_eq!(settings.finish(), Err("there is no setting `tll`; is `ttl` meant?".into()));
    }
}
