//! How an entry stands by the generations that it was loaded under.

use crate::ports::invalidation::Mode;

/// How something stands that was loaded under an id. In order: the worst of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing was invalidated since.
    Current,
    /// As [`Mode::Soft`] says.
    Soft,
    /// As [`Mode::Hard`] says.
    Hard,
}

impl Standing {
    /// The word in explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }

    /// The mode of the invalidation; `None`: there was none.
    #[must_use]
    pub const fn mode(self) -> Option<Mode> {
        match self {
            Self::Current => None,
            Self::Soft => Some(Mode::Soft),
            Self::Hard => Some(Mode::Hard),
        }
    }
}

impl From<Mode> for Standing {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Soft => Self::Soft,
            Mode::Hard => Self::Hard,
        }
    }
}

/// A standing, and whether a newer record could say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// How it stands.
    pub standing: Standing,
    /// Not if the id is one that the record does not know: it may be newer than the record.
    pub certain: bool,
}

impl Judged {
    /// Nothing speaks against it.
    pub const CURRENT: Self = Self { standing: Standing::Current, certain: true };
    /// An invalidation of the key.
    pub const ENDED: Self = Self { standing: Standing::Soft, certain: true };

    /// The worst of both; certain only if that one is.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self.standing.cmp(&other.standing) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => Self { certain: self.certain || other.certain, ..self },
        }
    }
}
