//! Which keys the unfinished commands of a connection read and write, so that commands overlap only where nobody can tell.
//!
//! A client may count on the order of its own commands. Two of them may overlap if they have no key in common, or only read those
//! they have. Keys are compared by hash: a collision makes a command wait that need not have, and never the other way round.
//! Deliberately absent: other connections, whose commands have no order.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

/// What a command does with its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing that a later command could miss.
    Read,
    /// It changes or may change them.
    Write,
}

/// The keys of one command, as hashes.
#[derive(Debug)]
pub struct Footprint {
    access: Access,
    keys: Keys,
}

impl Footprint {
    /// One for several commands that go together; `None` for none.
    #[must_use]
    pub fn together(all: Vec<Self>) -> Option<Self> {
        let writes = all.iter().any(|footprint| footprint.access == Access::Write);
        let mut keys: Vec<u64> = all.iter().flat_map(|footprint| footprint.keys.as_slice()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        let access = if writes { Access::Write } else { Access::Read };
        (!all.is_empty()).then(|| Self { access, keys: Keys::Many(keys.into()) })
    }
}

/// Nearly all commands have one key.
#[derive(Debug)]
enum Keys {
    One(u64),
    Many(Box<[u64]>),
}

impl Keys {
    const fn as_slice(&self) -> &[u64] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Users {
    reads: u32,
    writes: u32,
}

/// The footprints of all commands in flight.
#[derive(Debug)]
pub struct Claims {
    hasher: SeedableRandomState,
    users: HashMap<u64, Users, SeedableRandomState>,
}

impl Default for Claims {
    /// A footprint is good for all claims of the process.
    fn default() -> Self {
        let hasher = SeedableRandomState::with_seed(0, SharedSeed::global_random());
        Self { users: HashMap::with_hasher(hasher.clone()), hasher }
    }
}

impl Claims {
    /// The footprint of a command on these keys.
    #[must_use]
    pub fn footprint<'a>(&self, access: Access, mut keys: impl Iterator<Item = &'a [u8]>) -> Footprint {
        let hash = |key: &[u8]| self.hasher.hash_one(key);
        let keys = match (keys.next(), keys.next()) {
            (Some(only), None) => Keys::One(hash(only)),
            (first, second) => Keys::Many(first.into_iter().chain(second).chain(keys).map(hash).collect()),
        };
        Footprint { access, keys }
    }

    /// Whether a command must wait for others that are in flight.
    #[must_use]
    pub fn conflict(&self, footprint: &Footprint) -> bool {
        !self.users.is_empty()
            && footprint.keys.as_slice().iter().any(|key| match (self.users.get(key), footprint.access) {
                (None, _) => false,
                (Some(users), Access::Read) => users.writes > 0,
                (Some(_), Access::Write) => true,
            })
    }

    /// Whether a read of one key must wait.
    #[must_use]
    pub fn conflict_read(&self, key: &[u8]) -> bool {
        !self.users.is_empty() && self.users.get(&self.hasher.hash_one(key)).is_some_and(|users| users.writes > 0)
    }

    /// A command begins.
    pub fn claim(&mut self, footprint: &Footprint) {
        for &key in footprint.keys.as_slice() {
            let users = self.users.entry(key).or_default();
            match footprint.access {
                Access::Read => users.reads += 1,
                Access::Write => users.writes += 1,
            }
        }
    }

    /// All have ended.
    pub fn clear(&mut self) {
        self.users.clear();
    }

    /// A command that began has ended.
    pub fn release(&mut self, footprint: &Footprint) {
        for key in footprint.keys.as_slice() {
            let Some(users) = self.users.get_mut(key) else { continue };
            match footprint.access {
                Access::Read => users.reads -= 1,
                Access::Write => users.writes -= 1,
            }
            if users.reads == 0 && users.writes == 0 {
                self.users.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Claims, Footprint};

    #[test]
    fn what_goes_together_claims_all_it_touches() {
        let mut claims = Claims::default();
        let one = |access, key: &'static str| claims.footprint(access, std::iter::once(key.as_bytes()));
        let all = vec![one(Access::Read, "a"), one(Access::Write, "b"), one(Access::Read, "b")];
        assert!(Footprint::together(Vec::new()).is_none());
        let together = Footprint::together(all).unwrap();
        claims.claim(&together);
        assert!(claims.conflict_read(b"a") && claims.conflict_read(b"b") && !claims.conflict_read(b"c"));
        claims.release(&together);
        assert!(claims.users.is_empty());
    }

    #[test]
    fn reads_share_and_writes_do_not() {
        let mut claims = Claims::default();
        let keys = |names: &'static str| names.split(' ').map(str::as_bytes);
        let read = claims.footprint(Access::Read, keys("a b"));
        let write = claims.footprint(Access::Write, keys("c d c"));
        claims.claim(&read);
        claims.claim(&write);
        for (access, names, conflict) in [
            (Access::Read, "a", false),
            (Access::Read, "a b", false),
            (Access::Write, "a", true),
            (Access::Write, "x b", true),
            (Access::Read, "c", true),
            (Access::Read, "x d", true),
            (Access::Write, "c", true),
            (Access::Write, "x", false),
            (Access::Read, "x y", false),
        ] {
            let footprint = claims.footprint(access, keys(names));
            assert_eq!(claims.conflict(&footprint), conflict, "{access:?} {names}");
        }
        assert!(claims.conflict_read(b"c") && !claims.conflict_read(b"a"));
        claims.release(&write);
        assert!(!claims.conflict_read(b"c"));
        claims.release(&read);
        assert!(claims.users.is_empty());
    }
}
