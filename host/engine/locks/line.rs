//! Who waits in this host for which lock, in the order in which they came.
//!
//! Invariants: of all waiters for a name one, the first, asks the store; the others sleep until it is their turn. A line is
//! there for as long as somebody stands in it: leaving is `Drop`, so a waiter that is dropped leaves no trace.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::limits::LOCK_WAITERS_MAX;
use crate::ports::lock::LockName;

/// The lines of all names.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_name: HashMap<LockName, (Arc<Line>, usize)>,
    all: usize,
}

/// The line of one name.
#[derive(Debug)]
struct Line {
    /// One permit, given in the order of asking.
    turn: Semaphore,
    /// The lock was given back through this host.
    freed: Notify,
}

/// A place in a line.
#[derive(Debug)]
pub(super) struct Place<'a> {
    lines: &'a Lines,
    name: &'a LockName,
    line: Arc<Line>,
}

impl Lines {
    /// Whether somebody waits for this name.
    pub(super) fn is_waited_for(&self, name: &LockName) -> bool {
        self.lines.lock().by_name.contains_key(name)
    }

    /// Stands in line. `None`: too many wait already.
    pub(super) fn enter<'a>(&'a self, name: &'a LockName) -> Option<Place<'a>> {
        let mut waiting = self.lines.lock();
        if waiting.all >= LOCK_WAITERS_MAX {
            return None;
        }
        waiting.all += 1;
        let new = || (Arc::new(Line { turn: Semaphore::new(1), freed: Notify::new() }), 0);
        let (line, count) = waiting.by_name.entry(name.clone()).or_insert_with(new);
        *count += 1;
        Some(Place { lines: self, name, line: Arc::clone(line) })
    }

    /// Wakes who is first in the line of this name.
    pub(super) fn freed(&self, name: &LockName) {
        if let Some((line, _)) = self.lines.lock().by_name.get(name) {
            line.freed.notify_one();
        }
    }
}

impl Place<'_> {
    /// Waits until it is this one's turn, which lasts for the life of the permit. `None` cannot come: no line is closed.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.line.turn.acquire().await.ok()
    }

    /// Waits until the lock is given back through this host; what happened since the last call counts.
    pub(super) async fn freed(&self) {
        self.line.freed.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.lines.lines.lock();
        waiting.all -= 1;
        if let Some((_, count)) = waiting.by_name.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                waiting.by_name.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_in_order_and_nothing_is_left() {
        let lines = Lines::default();
        let name = LockName::any(b"n").unwrap();
        let (first, second, third) =
            (lines.enter(&name).unwrap(), lines.enter(&name).unwrap(), lines.enter(&name).unwrap());
        let turn = first.turn().await.unwrap();
        let (mut second_turn, mut third_turn) = (Box::pin(second.turn()), Box::pin(third.turn()));
        assert!(futures_util::poll!(second_turn.as_mut()).is_pending());
        assert!(futures_util::poll!(third_turn.as_mut()).is_pending());
        drop(turn);
        assert!(futures_util::poll!(third_turn.as_mut()).is_pending(), "the second came before");
        drop(second_turn);
        drop(third_turn.await.unwrap());
        drop((first, second, third));
        assert!(!lines.is_waited_for(&name));
        let waiting = lines.lines.lock();
        assert_eq!((waiting.by_name.len(), waiting.all), (0, 0));
    }

    #[test]
    fn lines_are_bounded() {
        let lines = Lines::default();
        let name = LockName::any(b"n").unwrap();
        let places: Vec<_> = (0..LOCK_WAITERS_MAX).map(|_| lines.enter(&name).unwrap()).collect();
        assert!(lines.enter(&name).is_none());
        drop(places);
        assert!(lines.enter(&name).is_some());
    }
}
