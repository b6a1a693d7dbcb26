//! The processor time of one call, and the turns of others meanwhile.
//!
//! A workflow runs on a thread that serves connections. At every tick of the epoch it hands the thread back to the runtime, so that
//! others wait for one tick at most, and is charged for the time that the thread was its own. Time in which it waits for the host
//! is not charged: that is bounded by the deadline on the wall.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::UpdateDeadline;

use crate::adapters::wasm::deadline::thread_ns;

/// What is left to a call.
#[derive(Debug)]
pub(super) struct Budget {
    left_ns: u64,
    /// The thread's time when the guest was last let run; shared with the future that lets it run again.
    resumed_ns: Arc<AtomicU64>,
}

impl Budget {
    /// So much processor time.
    pub(super) fn new(ms: u64) -> Self {
        Self { left_ns: ms * 1_000_000, resumed_ns: Arc::default() }
    }

    /// The guest is about to run on this thread.
    pub(super) fn resume(&self) {
        self.resumed_ns.store(thread_ns(), Ordering::Relaxed);
    }

    /// The guest is about to wait.
    pub(super) fn pause(&mut self) {
        let ran_ns = thread_ns().saturating_sub(self.resumed_ns.load(Ordering::Relaxed));
        self.left_ns = self.left_ns.saturating_sub(ran_ns);
    }

    /// At a tick: whether to end the call, or to go on after the others had their turn.
    pub(super) fn tick(&mut self) -> UpdateDeadline {
        self.pause();
        if self.left_ns == 0 {
            return UpdateDeadline::Interrupt;
        }
        let resumed_ns = Arc::clone(&self.resumed_ns);
        let turn = async move {
            tokio::task::yield_now().await;
            resumed_ns.store(thread_ns(), Ordering::Relaxed);
        };
        UpdateDeadline::YieldCustom(1, Box::pin(turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin_ms(ms: u64) {
        let from = thread_ns();
        while thread_ns() < from + ms * 1_000_000 {}
    }

    #[test]
    fn what_a_guest_spends_is_charged_and_what_it_waits_is_not() {
        let mut budget = Budget::new(20);
        budget.resume();
        spin_ms(5);
        budget.pause();
        spin_ms(40);
        budget.resume();
        assert!(matches!(budget.tick(), UpdateDeadline::YieldCustom(1, _)));
        spin_ms(20);
        assert!(matches!(budget.tick(), UpdateDeadline::Interrupt));
    }
}
