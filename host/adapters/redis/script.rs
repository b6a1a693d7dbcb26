//! The Lua scripts that make a comparison and a change one step.

/// A script and the name by which a server that has seen it knows it.
pub(super) struct Script {
    pub(super) text: &'static str,
    /// SHA-1 in hex, as `EVALSHA` wants it.
    pub(super) digest: String,
}

impl Script {
    /// Stores a value if what is there begins with what is expected.
    pub(super) fn replace() -> Self {
        Self::of(include_str!("replace.lua"))
    }

    /// Removes a key if what is there begins with what is expected.
    pub(super) fn remove() -> Self {
        Self::of(include_str!("remove.lua"))
    }

    /// Adds to a number and gives it a life if it is new.
    pub(super) fn increment() -> Self {
        Self::of(include_str!("increment.lua"))
    }

    /// Takes a lock that nobody holds.
    pub(super) fn lock_take() -> Self {
        Self::of(include_str!("lock_take.lua"))
    }

    /// Begins the life of a lock anew.
    pub(super) fn lock_extend() -> Self {
        Self::of(include_str!("lock_extend.lua"))
    }

    /// Frees a lock.
    pub(super) fn lock_release() -> Self {
        Self::of(include_str!("lock_release.lua"))
    }

    /// Takes a lease that nobody holds.
    pub(super) fn lease_take() -> Self {
        Self::of(include_str!("lease_take.lua"))
    }

    /// Begins the life of a lease anew.
    pub(super) fn lease_renew() -> Self {
        Self::of(include_str!("lease_renew.lua"))
    }

    /// Frees a lease.
    pub(super) fn lease_give_back() -> Self {
        Self::of(include_str!("lease_give_back.lua"))
    }

    /// Stores an entry under a lease.
    pub(super) fn lease_fill() -> Self {
        Self::of(include_str!("lease_fill.lua"))
    }

    /// Moves a collection to the entry of a lease.
    pub(super) fn lease_adopt() -> Self {
        Self::of(concat!(include_str!("lease_held.lua"), include_str!("lease_adopt.lua")))
    }

    /// Makes the entry of a lease of a dump.
    pub(super) fn lease_restore() -> Self {
        Self::of(concat!(include_str!("lease_held.lua"), include_str!("lease_restore.lua")))
    }

    /// Removes the entry of a lease, and ends that.
    pub(super) fn lease_undo() -> Self {
        Self::of(include_str!("lease_undo.lua"))
    }

    /// Removes a key whose dump is what is expected.
    pub(super) fn remove_dump() -> Self {
        Self::of(include_str!("remove_dump.lua"))
    }

    fn of(text: &'static str) -> Self {
        Self { text, digest: redis::Script::new(text).get_hash().to_owned() }
    }
}
