//! One thread's connection: made when it is first needed, made again when it is lost.
//!
//! Invariants: one attempt at a time; while Redis is known to be down callers are told so at once and nobody's command pays for
//! an attempt: a task of the thread's runtime keeps trying, with growing pauses, until it is back. Callers wait only for the
//! first attempt after a connection was lost, and no longer than their own deadline. What the task leaves behind when its
//! runtime ends is noticed by the next caller.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::endpoint::Manner;
use super::error;
use super::link::Link;
use super::target::Target;
use crate::limits::{STORE_BACKOFF_MS_MAX, STORE_BACKOFF_MS_MIN};
use crate::ports::clock::Clock;
use crate::ports::store::{StoreError, StoreResult};
use crate::ports::upstream::Types;

/// Where a slot stands.
enum Status {
    /// Nobody has asked yet.
    Idle,
    /// The first attempt is under way; the channel closes when it is over.
    Connecting(watch::Receiver<()>),
    /// There is a connection, perhaps a dead one.
    Up(Arc<Link>),
    /// The last attempt failed for this reason; the next one comes by itself.
    Down(Arc<str>),
}

/// The task that connects, and where it runs.
struct Connector {
    task: AbortHandle,
    runtime: runtime::Id,
}

struct State {
    status: Status,
    connector: Option<Connector>,
}

/// One thread's connection.
pub(super) struct Slot {
    target: Arc<Target>,
    types: Types,
    clock: Arc<dyn Clock>,
    /// How often any thread connected: what was learned over an earlier connection may be out of date.
    epoch: Arc<AtomicU64>,
    state: Mutex<State>,
}

/// What a caller finds.
enum Found {
    Link(Arc<Link>),
    Down(Arc<str>),
    Wait(watch::Receiver<()>),
}

impl Slot {
    pub(super) fn new(target: Arc<Target>, types: Types, clock: Arc<dyn Clock>, epoch: Arc<AtomicU64>) -> Arc<Self> {
        let state = Mutex::new(State { status: Status::Idle, connector: None });
        Arc::new(Self { target, types, clock, epoch, state })
    }

    /// The connection. An error at once if Redis is known to be down; at the latest at the deadline.
    pub(super) async fn link(self: &Arc<Self>, deadline: Instant) -> StoreResult<Arc<Link>> {
        loop {
            let mut attempt = match self.look() {
                Found::Link(link) => return Ok(link),
                Found::Down(cause) => return Err(error::unavailable(&*self.target, &cause)),
                Found::Wait(attempt) => attempt,
            };
            // The channel closes with the attempt, or with the runtime on which it ran: either way there is something new.
            if timeout_at(deadline, attempt.changed()).await.is_err() {
                // The attempt itself will tell whether it can be reached.
                return Err(StoreError::Connecting(format!("{}: no connection in time", self.target)));
            }
        }
    }

    fn look(self: &Arc<Self>) -> Found {
        let runtime = runtime::Handle::current().id();
        let mut state = self.state.lock();
        let tries = state.connector.as_ref().is_some_and(|c| c.runtime == runtime && !c.task.is_finished());
        match &state.status {
            Status::Up(link) if link.is_usable(runtime) => Found::Link(Arc::clone(link)),
            Status::Down(cause) if tries => Found::Down(Arc::clone(cause)),
            Status::Connecting(attempt) if tries => Found::Wait(attempt.clone()),
            Status::Up(link) if link.given_up().is_some() => {
                // It may accept connections and answer nothing: nobody should wait for an attempt that may take its full time.
                let cause: Arc<str> = link.given_up().unwrap_or_default().into();
                tracing::warn!(address = %self.target, %cause, "the store cannot be reached");
                self.begin(&mut state, runtime);
                state.status = Status::Down(Arc::clone(&cause));
                Found::Down(cause)
            }
            Status::Idle | Status::Up(_) | Status::Down(_) | Status::Connecting(_) => {
                let attempt = self.begin(&mut state, runtime);
                state.status = Status::Connecting(attempt.clone());
                Found::Wait(attempt)
            }
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State, runtime: runtime::Id) -> watch::Receiver<()> {
        let (over, attempt) = watch::channel(());
        let work = connect(Arc::downgrade(self), Arc::clone(&self.target), Arc::clone(&self.clock), over);
        let task = tokio::spawn(work).abort_handle();
        if let Some(before) = state.connector.replace(Connector { task, runtime }) {
            before.task.abort();
        }
        attempt
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(connector) = self.state.get_mut().connector.take() {
            connector.task.abort();
        }
    }
}

/// Tries until there is a connection, or nobody is left who wants one.
async fn connect(slot: Weak<Slot>, target: Arc<Target>, clock: Arc<dyn Clock>, over: watch::Sender<()>) {
    let Some(types) = slot.upgrade().map(|slot| slot.types) else { return };
    let mut over = Some(over);
    let mut pause_ms = STORE_BACKOFF_MS_MIN;
    loop {
        let outcome = Link::open(&target, Manner::plain(types)).await;
        let Some(slot) = slot.upgrade() else { return };
        let is_up = outcome.is_ok();
        let status = outcome.map_or_else(|cause| Status::Down(cause.into()), |link| Status::Up(Arc::new(link)));
        tell(&target, &slot, &status);
        if is_up {
            slot.epoch.fetch_add(1, Ordering::Relaxed);
        }
        slot.state.lock().status = status;
        drop((slot, over.take()));
        if is_up {
            return;
        }
        // Between half the pause and all of it, so that the threads of many hosts do not come back in one moment.
        sleep(Duration::from_millis(pause_ms / 2 + clock.random() % (pause_ms / 2 + 1))).await;
        pause_ms = (pause_ms * 2).min(STORE_BACKOFF_MS_MAX);
    }
}

/// Logs a change, once.
fn tell(target: &Target, slot: &Slot, now: &Status) {
    let was_down = matches!(slot.state.lock().status, Status::Down(_));
    match now {
        Status::Down(cause) if !was_down => tracing::warn!(address = %target, %cause, "the store cannot be reached"),
        Status::Up(_) if was_down => tracing::info!(address = %target, "the store is back"),
        _ => {}
    }
}
