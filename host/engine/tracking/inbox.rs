//! What a client is yet to be told.
//!
//! Invariant: bounded, and nothing is lost by that: who has too much waiting is told to give up all copies instead. Whoever empties it is woken
//! when something comes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::limits::TRACKING_TOLD_MAX;

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Its copy of a key is not good.
    Key {
        /// The key, as the client named it.
        name: Bytes,
        /// Whether this is told in place of another client.
        redirected: bool,
    },
    /// None of its copies is.
    All {
        /// Whether this is told in place of another client.
        redirected: bool,
    },
    /// The client is gone that was to be told in its place.
    Broken(u64),
}

/// Where a client is told.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Woken when there is something.
    pub waker: AtomicWaker,
    is_filled: AtomicBool,
    is_closed: AtomicBool,
    is_broken: AtomicBool,
    told: Mutex<VecDeque<Told>>,
}

impl Inbox {
    /// Whether there may be something.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Acquire)
    }

    /// Takes out what there is.
    pub fn take(&self) -> VecDeque<Told> {
        let mut told = self.told.lock();
        self.is_filled.store(false, Ordering::Release);
        std::mem::take(&mut *told)
    }

    /// Nobody empties it any more.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        drop(self.take());
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Whether the client that was to be told in the place of this one was found to be gone.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    pub(super) fn set_broken(&self) {
        self.is_broken.store(true, Ordering::Release);
    }

    /// Another way of being told begins, or none.
    pub fn mend(&self) {
        self.is_broken.store(false, Ordering::Release);
    }

    /// Puts something in. Whether there was no room, so that all copies go instead.
    pub(super) fn put(&self, told: Told) -> bool {
        let mut waiting = self.told.lock();
        if self.is_closed() {
            return false;
        }
        let mut is_full = false;
        match told {
            Told::All { redirected } => supersede(&mut waiting, redirected),
            Told::Key { redirected, .. } if waiting.len() >= TRACKING_TOLD_MAX => {
                is_full = true;
                supersede(&mut waiting, redirected);
            }
            // Said once is enough.
            Told::Broken(_) if waiting.back() == Some(&told) => {}
            told => waiting.push_back(told),
        }
        self.is_filled.store(true, Ordering::Release);
        drop(waiting);
        self.waker.wake();
        is_full
    }
}

/// All copies go, so no key need be named that was to be told to the same client.
fn supersede(waiting: &mut VecDeque<Told>, redirected: bool) {
    waiting.retain(|told| match told {
        Told::Key { redirected: other, .. } | Told::All { redirected: other } => *other != redirected,
        Told::Broken(_) => true,
    });
    if waiting.len() >= TRACKING_TOLD_MAX {
        // What is left is of other clients, or the same thing said again and again.
        waiting.clear();
        waiting.push_back(Told::All { redirected: !redirected });
    }
    waiting.push_back(Told::All { redirected });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, redirected: bool) -> Told {
        Told::Key { name: name.to_owned().into(), redirected }
    }

    #[test]
    fn what_is_too_much_is_all() {
        let inbox = Inbox::default();
        assert!(!inbox.is_filled());
        inbox.put(key("of another", true));
        for number in 1..TRACKING_TOLD_MAX {
            assert!(!inbox.put(key(&number.to_string(), false)));
        }
        assert!(inbox.is_filled());
        assert!(inbox.put(key("one more", false)));
        assert_eq!(inbox.take(), [key("of another", true), Told::All { redirected: false }]);
        assert!(!inbox.is_filled() && inbox.take().is_empty());
    }

    #[test]
    fn keys_are_not_named_before_all_go() {
        let inbox = Inbox::default();
        inbox.put(key("a", false));
        inbox.put(Told::All { redirected: false });
        inbox.put(key("b", false));
        assert_eq!(inbox.take(), [Told::All { redirected: false }, key("b", false)]);
        inbox.put(Told::Broken(7));
        inbox.put(Told::Broken(7));
        assert_eq!(inbox.take(), [Told::Broken(7)]);
        inbox.close();
        inbox.put(key("c", false));
        assert!(!inbox.is_filled());
    }
}
