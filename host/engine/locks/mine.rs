//! Which locks were taken through this host and may still live: for the gauge, and for the bound.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::limits::LOCKS_HELD_MAX;
use crate::ports::lock::{LockName, Token};

/// The table. A lock has one holder, so a later one takes the place of an earlier one.
#[derive(Debug, Default)]
pub(super) struct Mine {
    held: Mutex<HashMap<LockName, (Token, u64)>>,
}

impl Mine {
    /// Whether one more may be taken.
    pub(super) fn has_room(&self, now_ns: u64) -> bool {
        let mut held = self.held.lock();
        if held.len() >= LOCKS_HELD_MAX {
            held.retain(|_, (_, until_ns)| *until_ns > now_ns);
        }
        held.len() < LOCKS_HELD_MAX
    }

    /// It is held with this token until then, in monotonic time.
    pub(super) fn add(&self, name: &LockName, token: &Token, until_ns: u64) {
        self.held.lock().insert(name.clone(), (token.clone(), until_ns));
    }

    /// It was extended: if it is in the table with this token, until then.
    pub(super) fn extend(&self, name: &LockName, token: &Token, until_ns: u64) {
        if let Some((held, until)) = self.held.lock().get_mut(name)
            && held == token
        {
            *until = until_ns;
        }
    }

    /// It is not held with this token any more.
    pub(super) fn remove(&self, name: &LockName, token: &Token) {
        let mut held = self.held.lock();
        if held.get(name).is_some_and(|(held, _)| held == token) {
            held.remove(name);
        }
    }

    /// It is not held any more, whoever held it.
    pub(super) fn forget(&self, name: &LockName) {
        self.held.lock().remove(name);
    }

    /// How many live.
    pub(super) fn count(&self, now_ns: u64) -> usize {
        let mut held = self.held.lock();
        held.retain(|_, (_, until_ns)| *until_ns > now_ns);
        held.len()
    }
}
