//! The ticker that ends overruns: counts epochs while some policy runs, and rests while none does.
//!
//! A thread of the operating system, since a guest that spins can hold up the very timers of an asynchronous runtime. It rests
//! because a thousand wake-ups a second cost a host that only serves hits some percent of a core.
//!
//! Invariant: while a [`Running`] lives, epochs are counted. A call adds itself and *then* looks whether a ticker rests; a ticker
//! says that it rests and *then* looks for calls, under the lock that wakes it. So one of the two sees the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::{Condvar, Mutex};
use wasmtime::EngineWeak;

use crate::limits;

/// Calls of policies that are under way in this process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Tickers that rest.
static RESTING: AtomicUsize = AtomicUsize::new(0);
static LOCK: Mutex<()> = Mutex::new(());
static WAKE: Condvar = Condvar::new();

/// A policy runs: epochs are counted until this is dropped.
pub(super) struct Running(());

impl Running {
    /// To be made before the deadline is set.
    pub(super) fn begin() -> Self {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        if RESTING.load(Ordering::SeqCst) > 0 {
            let _held = LOCK.lock();
            WAKE.notify_all();
        }
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Starts the ticker of an engine; it ends with the engine.
///
/// # Errors
/// No thread can be started.
pub(super) fn start(engine: EngineWeak) -> anyhow::Result<()> {
    let tick = move || {
        let mut idle_ticks = 0;
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            idle_ticks = if RUNNING.load(Ordering::Relaxed) > 0 { 0 } else { idle_ticks + 1 };
            if idle_ticks < limits::TICKER_IDLE_TICKS {
                thread::sleep(Duration::from_millis(limits::TICK_MS));
            } else {
                rest();
            }
        }
    };
    thread::Builder::new().name("larder-ticker".to_owned()).spawn(tick).context("starting the policy ticker")?;
    Ok(())
}

/// Waits for a call to begin, or for the time to look whether the engine is still there.
fn rest() {
    let mut held = LOCK.lock();
    RESTING.fetch_add(1, Ordering::SeqCst);
    if RUNNING.load(Ordering::SeqCst) == 0 {
        WAKE.wait_for(&mut held, Duration::from_millis(limits::TICKER_REST_MS_MAX));
    }
    RESTING.fetch_sub(1, Ordering::SeqCst);
}
