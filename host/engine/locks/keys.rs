//! The storage keys of locks: `{prefix:v1:LOCK:name}` for the lock, the same with `:fence` behind it for its fence.
//!
//! The braces are part of the key: what stands in them is the hash tag of a cluster, so lock and fence share a slot whatever
//! the name holds. Nothing else of the host begins with this brace and `LOCK`, which no domain can be called: domains have
//! small letters. A policy's keys begin with the prefix, not with a brace; an application's verbatim key that would be one
//! of these is refused. A lock ends with a brace and a fence does not, so no two names share a key.

use bytes::Bytes;

use crate::engine::key::KeyRules;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::lock::{LockKeys, LockName, LockPattern};
use crate::ports::store::StoreKey;

/// The version of this layout: another one would be other locks.
const LAYOUT: &str = "v1";
/// Stands where a domain would.
const SEGMENT: &str = "LOCK";
const FENCE: &str = "fence";

impl KeyRules {
    /// The keys of a lock.
    #[must_use]
    pub fn lock_keys(&self, name: &LockName) -> LockKeys {
        let lock = format!("{}{}}}", self.lock_head(), name.as_str());
        let fence = format!("{lock}{}{FENCE}", char::from(self.separator));
        LockKeys { lock: StoreKey(lock.into()), fence: StoreKey(fence.into()) }
    }

    /// The keys of all locks whose names begin so.
    #[must_use]
    pub fn lock_pattern(&self, prefix: &str) -> LockPattern {
        LockPattern { head: format!("{}{prefix}", self.lock_head()).into(), tail: Bytes::from_static(b"}") }
    }

    /// The name of the lock that has this key.
    #[must_use]
    pub fn lock_name(&self, key: &StoreKey) -> Option<LockName> {
        let name = key.as_bytes().strip_prefix(self.lock_head().as_bytes())?.strip_suffix(b"}")?;
        LockName::any(name).ok()
    }

    /// # Errors
    /// A key of applications that is, or could be, a lock's or a fence's.
    pub(in crate::engine) fn refuse_lock_storage(&self, key: &[u8]) -> Result<()> {
        if !key.starts_with(b"{") || !key.starts_with(self.lock_head().as_bytes()) {
            return Ok(());
        }
        let message = "the key is one of the host's locks; use LARDER.LOCK or /v1/locks";
        Err(Error::new(ErrorKind::InvalidKey, message))
    }

    fn lock_head(&self) -> String {
        let separator = char::from(self.separator);
        format!("{{{}{separator}{LAYOUT}{separator}{SEGMENT}{separator}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn rules() -> KeyRules {
        KeyRules { prefix: "chat".into(), separator: b':', key_bytes_max: 250 }
    }

    /// The hash tag as Redis Cluster finds it: from the first brace to the first closing one behind it, if there is something
    /// between them.
    fn tag(key: &[u8]) -> &[u8] {
        let open = key.iter().position(|&byte| byte == b'{').unwrap();
        let close = open + 1 + key[open + 1..].iter().position(|&byte| byte == b'}').unwrap();
        assert!(close > open + 1, "an empty tag is none");
        &key[open + 1..close]
    }

    #[test]
    fn every_name_has_keys_of_its_own_in_one_slot() {
        let rules = rules();
        let mut seen = HashSet::new();
        for name in ["a", "a}", "}a", "{a}", "a}:fence", "a:fence", "}:fence", "a:b/c", "@profile/a", "ü"] {
            let name = LockName::any(name.as_bytes()).unwrap();
            let LockKeys { lock, fence } = rules.lock_keys(&name);
            assert_eq!(tag(lock.as_bytes()), tag(fence.as_bytes()), "{name:?}");
            assert_eq!(rules.lock_name(&lock), Some(name.clone()));
            assert_eq!(rules.lock_name(&fence), None, "a fence is no lock");
            let pattern = rules.lock_pattern("");
            assert!(lock.0.starts_with(&pattern.head) && lock.0.ends_with(&pattern.tail));
            assert!(!fence.0.ends_with(&pattern.tail));
            for key in [lock, fence] {
                assert!(rules.refuse_lock_storage(key.as_bytes()).is_err(), "{name:?}");
                assert!(seen.insert(key.0), "{name:?}");
            }
        }
        assert_eq!(rules.lock_keys(&LockName::any(b"a").unwrap()).fence.0, "{chat:v1:LOCK:a}:fence");
    }

    #[test]
    fn other_keys_are_no_locks() {
        for key in ["", "chat:v1:LOCK:a", "{chat:v1:LOCKS:a}", "{chat:v1:lock:a}", "{other:v1:LOCK:a}", "LOCK:a"] {
            assert!(rules().refuse_lock_storage(key.as_bytes()).is_ok(), "{key}");
        }
    }
}
