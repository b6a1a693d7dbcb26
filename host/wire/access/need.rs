//! What a command or a route needs its caller to be allowed, as data.

use crate::config::users::Role;

/// What the role has to hold of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Each of the keys that are named.
    Keys,
    /// The domain at this place: of a command's words, or after the name of a route.
    Domain(usize),
    /// The domain at this place, or all of them for `*`.
    DomainOrAll(usize),
    /// The lock at this place.
    Lock(usize),
    /// All domains together.
    Everything,
    /// The host itself.
    Host,
    /// What the request's body names; its handler asks.
    Body,
}

/// A role, and what it has to hold of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The least role.
    pub role: Role,
    /// Of what.
    pub of: Of,
}

impl Need {
    /// This role of that.
    #[must_use]
    pub const fn new(role: Role, of: Of) -> Self {
        Self { role, of }
    }
}
