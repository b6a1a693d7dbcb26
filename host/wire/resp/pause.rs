//! `CLIENT PAUSE`: the commands of all clients wait, or those that may change something.
//!
//! Invariants: a connection holds up one command and reads no more, so as many wait as there are connections; answers keep their order; what is for
//! operators is not held up, so a pause can be ended; a host that is told to end pauses nobody. While there is none a command costs one look
//! at a number. Deliberately absent: pauses of replicas and expiry.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::args::Words;
use super::claims::Access;
use super::commands::{Lookup, look_up};
use super::connection::Connection;
use super::frame::Frame;
use super::session::Shared;
use crate::ports::way::{self, Way};

/// A wait for the end of a pause.
pub(super) type Pausing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Which commands wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Paused {
    /// Those that may change something.
    Writes,
    /// All.
    All,
}

/// Whether clients have to wait.
#[derive(Debug, Default)]
pub struct Pauses {
    is_on: AtomicBool,
    now: Mutex<Option<Pause>>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    what: Paused,
    /// Monotonic.
    until_ns: u64,
}

impl Pauses {
    /// Whether there may be a pause.
    pub(super) fn are_there(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Begins one. A pause that goes on is made longer and wider by it, and never shorter, as in Redis.
    pub(super) fn begin(&self, what: Paused, until_ns: u64) {
        let mut now = self.now.lock();
        let before = now.unwrap_or(Pause { what, until_ns });
        *now = Some(Pause { what: before.what.max(what), until_ns: before.until_ns.max(until_ns) });
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Ends it.
    pub(super) fn end(&self) {
        *self.now.lock() = None;
        self.is_on.store(false, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// What waits now, and for how many nanoseconds.
    fn left(&self, now_ns: u64) -> Option<(Paused, u64)> {
        let mut now = self.now.lock();
        let Pause { what, until_ns } = (*now)?;
        if now_ns < until_ns {
            return Some((what, until_ns - now_ns));
        }
        *now = None;
        self.is_on.store(false, Ordering::Relaxed);
        None
    }
}

async fn over(shared: Arc<Shared>) {
    loop {
        let mut changed = pin!(shared.pauses.changed.notified());
        changed.as_mut().enable();
        let Some((_, left_ns)) = shared.pauses.left(shared.engine.monotonic_ns()) else { return };
        tokio::select! {
            () = changed => return,
            () = tokio::time::sleep(Duration::from_nanos(left_ns)) => {}
        }
    }
}

/// The same of a command of which nobody here knows what it does, until that is known.
async fn learned(shared: Arc<Shared>) {
    if !shared.engine.learn_commands().await {
        over(shared).await;
    }
}

impl Connection {
    /// Whether a command has to wait for the end of a pause.
    pub(super) fn must_pause(&mut self, frame: Frame) -> bool {
        let shared = self.session.shared();
        let Some((what, _)) = shared.pauses.left(shared.engine.monotonic_ns()) else { return false };
        let words = self.parser.words(&self.input, frame);
        let mut is_known = true;
        let waits = match look_up(words) {
            Lookup::Here(_, Ok(spec)) if spec.admin => false,
            _ if what == Paused::All => true,
            Lookup::Here(_, Ok(spec)) if spec.name == "exec" => {
                self.session.transaction.as_ref().is_some_and(|transaction| transaction.writes())
            }
            Lookup::Here(_, Ok(spec)) => spec.access == Access::Write,
            // It is refused in its turn.
            Lookup::Here(_, Err(_)) => false,
            Lookup::Elsewhere => match self.may_change(words) {
                Some(changes) => changes,
                None => {
                    is_known = false;
                    true
                }
            },
        };
        if waits {
            let shared = Arc::clone(self.session.shared());
            self.session.client().pauses(true);
            self.paused = Some(if is_known { Box::pin(over(shared)) } else { Box::pin(learned(shared)) });
        }
        waits
    }

    /// Whether a command that is not in the table may change something; `None`: nobody here knows.
    fn may_change(&self, words: Words<'_>) -> Option<bool> {
        let words: Vec<&[u8]> = words.iter().collect();
        if way::of(&words) == Way::Listening {
            return Some(false);
        }
        // It keeps its result with the key, though Redis says that it only reads.
        let keeps = words.first().is_some_and(|name| name.eq_ignore_ascii_case(b"pfcount"));
        self.session.engine().forward_reads(&words).map(|reads| !reads || keeps)
    }

    /// Whether a pause is over that this connection waits for.
    pub(super) fn poll_paused(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pausing) = &mut self.paused else { return false };
        match pausing.as_mut().poll(cx) {
            Poll::Pending => false,
            Poll::Ready(()) => {
                self.paused = None;
                self.session.client().pauses(false);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Paused, Pauses};

    #[test]
    fn a_pause_grows_and_ends() {
        let pauses = Pauses::default();
        assert!(!pauses.are_there() && pauses.left(0).is_none());
        pauses.begin(Paused::All, 100);
        pauses.begin(Paused::Writes, 50);
        assert_eq!(pauses.left(10), Some((Paused::All, 90)));
        pauses.begin(Paused::Writes, 200);
        assert_eq!(pauses.left(100), Some((Paused::All, 100)));
        assert!(pauses.are_there());
        assert_eq!(pauses.left(200), None);
        assert!(!pauses.are_there());
        pauses.begin(Paused::Writes, 300);
        assert_eq!(pauses.left(250), Some((Paused::Writes, 50)));
        pauses.end();
        assert!(!pauses.are_there() && pauses.left(250).is_none());
    }
}
