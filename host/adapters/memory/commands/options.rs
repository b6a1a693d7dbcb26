//! The options of `SET`, `GETEX` and their kin, and the expiry that they ask for.

use bytes::Bytes;

use super::args::{integer, is_word};
use crate::adapters::memory::refusal::Refusal;

/// How an expiry is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds from now.
    Ex,
    /// Milliseconds from now.
    Px,
    /// Seconds since the Unix epoch.
    ExAt,
    /// Milliseconds since the Unix epoch.
    PxAt,
}

impl Unit {
    const ALL: [(&'static str, Self); 4] =
        [("ex", Self::Ex), ("px", Self::Px), ("exat", Self::ExAt), ("pxat", Self::PxAt)];

    const fn in_seconds(self) -> bool {
        matches!(self, Self::Ex | Self::ExAt)
    }

    /// Whether it counts from the epoch.
    pub(super) const fn is_absolute(self) -> bool {
        matches!(self, Self::ExAt | Self::PxAt)
    }
}

/// What becomes of the expiry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// `KEEPTTL`.
    Keep,
    /// `PERSIST`.
    Persist,
    /// So much, not yet read: Redis reads the number only after it has looked at the key, or not.
    Asked(Unit, Bytes),
}

/// The options of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) if_absent: bool,
    pub(super) if_present: bool,
    pub(super) want_previous: bool,
    pub(super) lifetime: Lifetime,
}

/// Whose options they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// `SET`.
    Set,
    /// `GETEX`.
    GetEx,
}

impl Options {
    /// Reads options. As Redis does it, an option may come twice; then the last one counts.
    pub(super) fn parse(whose: Whose, arguments: &[Bytes]) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            if options.condition(whose, word) || options.keep(whose, word) {
                continue;
            }
            let unit = Unit::ALL.iter().find(|(name, _)| is_word(word, name)).map(|&(_, unit)| unit);
            let number = unit.and_then(|_| rest.next());
            let (Some(unit), Some(number)) = (unit, number) else { return Err(Refusal::SYNTAX) };
            match options.lifetime {
                Lifetime::Asked(before, _) if before != unit => return Err(Refusal::SYNTAX),
                Lifetime::Keep | Lifetime::Persist => return Err(Refusal::SYNTAX),
                Lifetime::Unsaid | Lifetime::Asked(..) => options.lifetime = Lifetime::Asked(unit, number.clone()),
            }
        }
        Ok(options)
    }

    fn condition(&mut self, whose: Whose, word: &Bytes) -> bool {
        if whose != Whose::Set {
            return false;
        }
        if is_word(word, "nx") && !self.if_present {
            self.if_absent = true;
        } else if is_word(word, "xx") && !self.if_absent {
            self.if_present = true;
        } else if is_word(word, "get") {
            self.want_previous = true;
        } else {
            return false;
        }
        true
    }

    fn keep(&mut self, whose: Whose, word: &Bytes) -> bool {
        let (name, lifetime) = match whose {
            Whose::Set => ("keepttl", Lifetime::Keep),
            Whose::GetEx => ("persist", Lifetime::Persist),
        };
        let fits = is_word(word, name) && (self.lifetime == Lifetime::Unsaid || self.lifetime == lifetime);
        if fits {
            self.lifetime = lifetime;
        }
        fits
    }
}

/// The wall time in milliseconds at which a key expires whose lifetime is given so.
pub(super) fn expires_ms(command: &str, unit: Unit, number: &[u8], now_ms: u64) -> Result<u64, Refusal> {
    let invalid = || Refusal::expire_time(command);
    let number = integer(number)?;
    let ms = if unit.in_seconds() { number.checked_mul(1000) } else { Some(number) };
    let ms = ms.filter(|&ms| ms > 0).ok_or_else(invalid)?;
    let base = if unit.is_absolute() { 0 } else { i64::try_from(now_ms).map_err(|_| invalid())? };
    let at = ms.checked_add(base).ok_or_else(invalid)?;
    u64::try_from(at).map_err(|_| invalid())
}
