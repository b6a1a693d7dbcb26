//! Who of the clients keeps copies of its own, and is told when they are not good any more (`CLIENT TRACKING`).
//!
//! A client either has the keys remembered that it reads ([`table`]), or names what the keys begin with that it wants to hear of. What is told goes
//! into the client's [`Inbox`], or into that of another one. Changes come from the store: one that nobody shares tells of each as it makes it
//! ([`KeyWatcher`](crate::ports::coherence::KeyWatcher)); of a shared one the stream of changes tells (`coherence`), and this node tells of its own writes before they are
//! answered, since the stream's word may come later.
//!
//! Invariants: what was read is remembered *before* it is read, and looked at again after it: what anything may have overtaken is told at once
//! (`follow`). Nothing is lost: who cannot be told of a key is told to give up all. While nobody tracks, a write costs one look at a flag.
//! Deliberately absent: sockets and protocols.

mod change;
mod follow;
mod inbox;
mod table;

pub use self::follow::Following;
pub use self::inbox::{Inbox, Told};

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use self::table::{Row, Table};
use super::coherence::NO_STREAM;
use super::core::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::coherence::Watcher;
use crate::ports::metrics::Metrics;
use crate::ports::store::{Sharing, Store};

tokio::task_local! {
    /// The tracking client whose command is at work.
    static WRITER: u64;
}

/// Does some work for a client that tracks, so that what it changes itself is known.
pub fn as_writer<W: Future>(client: u64, work: W) -> impl Future<Output = W::Output> {
    WRITER.scope(client, work)
}

fn writer() -> Option<u64> {
    WRITER.try_with(|client| *client).ok()
}

/// How a client wants to be told.
#[derive(Clone, Debug)]
pub struct TrackingWish {
    /// Who it is.
    pub client: u64,
    /// Where it is told.
    pub inbox: Arc<Inbox>,
    /// Where the keys go instead, and whose inbox that is.
    pub redirect: Option<(u64, Arc<Inbox>)>,
    /// What the keys begin with of which it hears, whoever has read them; `None`: it hears of those that it has read.
    pub prefixes: Option<Vec<Bytes>>,
    /// Whether it does not want to hear of what it changes itself.
    pub no_loop: bool,
}

/// How much is tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackingCounts {
    /// Clients that track.
    pub clients: usize,
    /// Keys that are remembered.
    pub keys: usize,
    /// Each of them once for each of its readers.
    pub items: usize,
    /// Different beginnings of keys that clients want to hear of.
    pub prefixes: usize,
}

/// All who track, and what.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// Shared with the store, which may ask often.
    on: Arc<AtomicBool>,
    by_prefix: AtomicBool,
    /// Whether the store itself tells of every change as it makes it.
    exact: AtomicBool,
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    clients: HashMap<u64, TrackingWish>,
    table: Table,
    /// The rules by domain, and the epoch, as they were when they were last compared.
    rules: Option<Rules>,
}

/// The epoch, and the rules of each domain.
type Rules = (u64, HashMap<Arc<str>, u64>);

impl Tracker {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// Lets a store that nobody shares tell of its changes.
    pub(super) fn watch(&self, store: &dyn Store, engine: Weak<Engine>) {
        if store.sharing() == Sharing::Exclusive {
            let watcher = Watcher { is_wanted: Arc::clone(&self.on), told: engine };
            self.exact.store(store.tell(watcher), Ordering::Release);
        }
    }

    /// Whether the store itself tells of every change as it makes it.
    fn is_exact(&self) -> bool {
        self.exact.load(Ordering::Acquire)
    }

    /// Whether anybody tracks.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    fn is_by_prefix(&self) -> bool {
        self.by_prefix.load(Ordering::Acquire)
    }

    fn settle(&self, state: &mut State) {
        let by_prefix = state.clients.values().any(|wish| wish.prefixes.is_some());
        self.by_prefix.store(by_prefix, Ordering::Release);
        if state.clients.is_empty() {
            *state = State::default();
        }
        self.on.store(!state.clients.is_empty(), Ordering::Release);
        self.measure(state);
    }

    fn measure(&self, state: &State) {
        let metrics = &self.metrics.tracking;
        metrics.clients.set(state.clients.len() as u64);
        metrics.keys.set(state.table.keys() as u64);
        metrics.bytes.set(state.table.bytes() as u64);
    }

    fn join(&self, wish: TrackingWish, rules: Rules) {
        let mut state = self.state.lock();
        state.rules.get_or_insert(rules);
        state.clients.insert(wish.client, wish);
        self.settle(&mut state);
    }

    fn leave(&self, client: u64) {
        let mut state = self.state.lock();
        state.clients.remove(&client);
        self.settle(&mut state);
    }

    /// Remembers that a client reads a key.
    fn remember(&self, client: u64, key: &Bytes, name: &Bytes, chance: u64) {
        let mut state = self.state.lock();
        if state.clients.get(&client).is_none_or(|wish| wish.prefixes.is_some()) {
            return;
        }
        state.table.add(key, name, client);
        while let Some(row) = state.table.too_much(chance) {
            self.metrics.tracking.evicted.increment();
            self.tell_row(&state, row, None);
        }
        self.measure(&state);
    }

    /// What tells that a key that is remembered has come to its end: a time, tags, its domain.
    fn note(&self, key: &Bytes, until_ms: Option<u64>, labels: &[u64]) {
        self.state.lock().table.note(key, until_ms, labels);
    }

    /// A copy of one client is not good.
    fn tell_one(&self, client: u64, name: &Bytes) {
        let state = self.state.lock();
        let Some(wish) = state.clients.get(&client) else { return };
        if wish.prefixes.as_ref().is_none_or(|prefixes| prefixes.iter().any(|prefix| name.starts_with(prefix))) {
            self.tell(wish, name);
        }
    }

    /// Tells the readers of a row, which is not in the table any more.
    fn tell_row(&self, state: &State, row: Row, writer: Option<u64>) {
        for (name, clients) in row.readers {
            for client in clients {
                let Some(wish) = state.clients.get(&client) else { continue };
                if !(wish.no_loop && writer == Some(client)) {
                    self.tell(wish, &name);
                }
            }
        }
    }

    fn tell(&self, wish: &TrackingWish, name: &Bytes) {
        self.metrics.tracking.told.increment();
        self.send(wish, |redirected| Told::Key { name: name.clone(), redirected });
    }

    fn send(&self, wish: &TrackingWish, told: impl Fn(bool) -> Told) {
        let Some((id, inbox)) = &wish.redirect else {
            self.overflow(wish.inbox.put(told(false)));
            return;
        };
        if !inbox.is_closed() {
            self.overflow(inbox.put(told(true)));
            return;
        }
        wish.inbox.set_broken();
        self.overflow(wish.inbox.put(Told::Broken(*id)));
    }

    fn overflow(&self, is_full: bool) {
        if is_full {
            self.metrics.tracking.overflowed.increment();
        }
    }

    /// All copies of all clients are given up.
    pub(super) fn flush(&self) {
        if !self.is_on() {
            return;
        }
        let mut state = self.state.lock();
        state.table = Table::default();
        for wish in state.clients.values() {
            self.flush_one(wish);
        }
        self.measure(&state);
    }

    fn flush_one(&self, wish: &TrackingWish) {
        self.metrics.tracking.flushes.increment();
        self.send(wish, |redirected| Told::All { redirected });
    }
}

/// A client that tracks, until this is dropped.
pub struct Tracked {
    engine: Arc<Engine>,
    client: u64,
}

impl Tracked {
    /// The same client wishes something else from now on; what is remembered for it stays.
    ///
    /// # Errors
    /// As [`Engine::track`].
    pub fn renew(&self, wish: TrackingWish) -> Result<()> {
        self.engine.can_track()?;
        self.engine.tracker.join(wish, self.engine.rules_of_now());
        Ok(())
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.engine.tracker.leave(self.client);
    }
}

impl Engine {
    /// Whether every change in the store is told now.
    fn is_told_of_changes(&self) -> bool {
        self.tracker.is_exact() || self.coherence.running() != NO_STREAM
    }

    /// Begins to track for a client, or does so in another way from now on.
    ///
    /// # Errors
    /// The store does not tell of its changes, or not just now.
    pub fn track(self: &Arc<Self>, wish: TrackingWish) -> Result<Tracked> {
        self.can_track()?;
        let client = wish.client;
        self.tracker.join(wish, self.rules_of_now());
        Ok(Tracked { engine: Arc::clone(self), client })
    }

    fn can_track(&self) -> Result<()> {
        if !self.is_told_of_changes() {
            let message = "CLIENT TRACKING is not possible now: the store does not tell this host of its changes (l1.coherence = bound, \
                           l1.size = 0, a Redis that refuses CLIENT TRACKING, or a connection that is being made)";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(())
    }

    /// How much is tracked.
    #[must_use]
    pub fn tracking_counts(&self) -> TrackingCounts {
        let state = self.tracker.state.lock();
        let mut prefixes: Vec<_> = state.clients.values().flat_map(|wish| wish.prefixes.iter().flatten()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        TrackingCounts {
            clients: state.clients.len(),
            keys: state.table.keys(),
            items: state.table.items(),
            prefixes: prefixes.len(),
        }
    }
}
