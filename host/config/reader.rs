//! One setting's text as a value, or an error that names its source.

use std::net::{SocketAddr, ToSocketAddrs};

use super::allowed::AllowedOrigins;
use super::layers::Layers;
use super::{ConfigError, secret, value};

/// What a duration, a number or an address is called that is not to be.
const OFF: &str = "off";

pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
    pub(super) name: &'static str,
}

impl Reader<'_> {
    pub(super) fn text(&self) -> &str {
        self.layers.get(self.name).0
    }

    pub(super) fn optional(&self) -> Option<String> {
        Some(self.text().to_owned()).filter(|text| !text.is_empty())
    }

    /// A secret as it is or behind `file:PATH` or `env:NAME`; `None` where nothing is set.
    pub(super) fn secret(&self, environment: &impl Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.optional() else { return Ok(None) };
        let found = secret::text(&text, environment).map_err(|what| self.fail(&what))?;
        if found.is_empty() { Err(self.fail("the secret is empty")) } else { Ok(Some(found)) }
    }

    pub(super) fn allowed_origins(&self) -> Result<AllowedOrigins, ConfigError> {
        AllowedOrigins::parse(self.text()).map_err(|what| self.fail(&what))
    }

    pub(super) fn fail(&self, what: &str) -> ConfigError {
        ConfigError::new(self.layers.get(self.name).1, &format!("{}: {what}", self.name))
    }

    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        value::boolean(self.text()).map_err(|what| self.fail(&what))
    }

    pub(super) fn number(&self, min: u64, max: usize) -> Result<usize, ConfigError> {
        let number = value::number(self.text(), min, max as u64).map_err(|what| self.fail(&what))?;
        usize::try_from(number).map_err(|_| self.fail("too large for this machine"))
    }

    pub(super) fn count(&self, min: u32, max: u32) -> Result<u32, ConfigError> {
        let number = value::number(self.text(), min.into(), max.into()).map_err(|what| self.fail(&what))?;
        u32::try_from(number).map_err(|_| self.fail("too large"))
    }

    /// A number from 1, or `off`.
    pub(super) fn count_or_off(&self, max: u32) -> Result<Option<u32>, ConfigError> {
        if self.text() == OFF { Ok(None) } else { self.count(1, max).map(Some) }
    }

    pub(super) fn duration_ms(&self, min: u64, max: u64) -> Result<u64, ConfigError> {
        self.duration_of(1, min, max)
    }

    /// A duration, or `off`.
    pub(super) fn duration_or_off(&self, min: u64, max: u64) -> Result<Option<u64>, ConfigError> {
        if self.text() == OFF { Ok(None) } else { self.duration_ms(min, max).map(Some) }
    }

    /// A duration; `off` or 0 for none.
    pub(super) fn duration_or_none(&self, min: u64, max: u64) -> Result<Option<u64>, ConfigError> {
        if value::duration_ms(self.text(), 1) == Ok(0) { Ok(None) } else { self.duration_or_off(min, max) }
    }

    /// A number from 0 to 1.
    pub(super) fn ratio(&self) -> Result<f64, ConfigError> {
        let found = self.text().trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        found.ok_or_else(|| self.fail(&format!("'{}' is no number from 0 to 1", self.text())))
    }

    /// A duration in milliseconds, in which a plain number counts in `plain_ms`.
    pub(super) fn duration_of(&self, plain_ms: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
        let ms = value::duration_ms(self.text(), plain_ms).map_err(|what| self.fail(&what))?;
        if (min..=max).contains(&ms) {
            Ok(ms)
        } else {
            Err(self.fail(&format!("{ms} ms is not within {min} to {max} ms")))
        }
    }

    pub(super) fn size_bytes(&self, min: u64, max: u64) -> Result<u64, ConfigError> {
        let bytes = value::size_bytes(self.text()).map_err(|what| self.fail(&what))?;
        let within = (min..=max).contains(&bytes);
        if within { Ok(bytes) } else { Err(self.fail(&format!("{bytes} bytes is not within {min} to {max}"))) }
    }

    pub(super) fn size(&self, min: u64, max: usize) -> Result<usize, ConfigError> {
        let bytes = self.size_bytes(min, max as u64)?;
        usize::try_from(bytes).map_err(|_| self.fail("too large for this machine"))
    }

    /// Names in small letters, with commas between them; in a file also as a list.
    pub(super) fn names(&self) -> Result<Vec<String>, ConfigError> {
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

    pub(super) fn one_of(&self, allowed: &[&str]) -> Result<String, ConfigError> {
        let text = self.text();
        if allowed.contains(&text) {
            return Ok(text.to_owned());
        }
        Err(self.fail(&format!("'{text}' is none of {}", allowed.join(", "))))
    }

    pub(super) fn address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.text();
        if text == OFF {
            return Ok(None);
        }
        let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
        let wrong = || self.fail(&format!("'{text}' is no address; write 127.0.0.1:6380, or off"));
        found.map(Some).ok_or_else(wrong)
    }

    pub(super) fn workers(&self) -> Result<usize, ConfigError> {
        if self.text() == "auto" {
            // One core is left to compilation, the ticker and background work.
            return Ok(std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)));
        }
        self.number(1, 1024)
    }

    pub(super) fn separator(&self) -> Result<u8, ConfigError> {
        match self.text().as_bytes() {
            [byte] if byte.is_ascii_punctuation() && !b"{}*?[]\\".contains(byte) => Ok(*byte),
            _ => Err(self.fail("the separator is one punctuation character, and none of { } * ? [ ] \\")),
        }
    }

    pub(super) fn key_prefix(&self) -> Result<String, ConfigError> {
        let text = self.text();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
            return Ok(text.to_owned());
        }
        Err(self.fail("the prefix has 1 to 64 letters, digits, '-', '_' or '.'"))
    }
}
