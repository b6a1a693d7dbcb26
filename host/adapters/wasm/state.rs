//! What the host keeps beside an instance: what its host functions need, and what bounds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::deadline::Deadline;
use super::limiter::Limiter;
use super::wasi_output::Wasi;
use crate::limits;
use crate::ports::clock::Clock;
use crate::ports::metrics::{Counter, DomainMetrics};

/// What all instances of one policy share; the same for all generations but the settings.
pub(super) struct Context {
    /// The domain it serves.
    pub(super) domain: Arc<str>,
    /// `[settings]`: dotted names and values, in order of the names.
    pub(super) settings: Vec<(String, String)>,
    /// Time and chance.
    pub(super) clock: Arc<dyn Clock>,
    /// The domain's counters.
    pub(super) metrics: Arc<DomainMetrics>,
    /// Failures of this component with these settings, whatever instance had them.
    pub(super) faults: Arc<Counter>,
    /// What the domain may still log.
    pub(super) log: Arc<LogBudget>,
    /// Whether the component brings the runtime of a language along (WASI), which has a generator of random numbers of its own.
    pub(super) has_runtime: bool,
}

impl Context {
    /// A setting by its dotted name.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        let at = self.settings.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        self.settings.get(at).map(|(_, value)| value.as_str())
    }
}

/// The data of one store.
pub(super) struct HostState {
    /// What all instances of the policy share.
    pub(super) context: Arc<Context>,
    /// What the instance holds.
    pub(super) limiter: Limiter,
    /// When the call that runs is to end.
    pub(super) deadline: Deadline,
    /// What it has of WASI.
    pub(super) wasi: Wasi,
    /// Whether the call that runs has asked for, or told, what is no part of its request: time, chance, a metric.
    consulted: bool,
    /// Whether any call has drawn a random number: a generator of the guest's own may have been seeded with it.
    drawn: bool,
    /// Lines that were logged in the call that runs.
    log_lines: u32,
    /// The last line of level `error` in the call that runs: what a panic says before it traps.
    last_words: Option<String>,
}

impl AsMut<Self> for HostState {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl HostState {
    /// For a new instance with so much memory.
    pub(super) fn new(context: Arc<Context>, memory_bytes_max: usize) -> Self {
        Self {
            context,
            limiter: Limiter::new(memory_bytes_max),
            deadline: Deadline::default(),
            wasi: Wasi::default(),
            consulted: false,
            drawn: false,
            log_lines: 0,
            last_words: None,
        }
    }

    /// What an instance of some domain is given that holds no memory yet, for tests of one function.
    #[cfg(test)]
    pub(super) fn of_test() -> Self {
        let context = Context {
            domain: Arc::from("article"),
            settings: Vec::new(),
            clock: Arc::new(crate::ports::clock::VirtualClock::new(0, 0)),
            faults: Arc::default(),
            metrics: Arc::default(),
            log: Arc::default(),
            has_runtime: false,
        };
        Self::new(Arc::new(context), 0)
    }

    /// Before each call, which may take so long. Answers after how many ticks its deadline is to be looked at.
    pub(super) fn begin_call(&mut self, deadline_ms: u64) -> u64 {
        self.limiter.forgive();
        self.consulted = false;
        self.log_lines = 0;
        self.last_words = None;
        self.deadline.begin(deadline_ms)
    }

    /// What all instances share, for what a guest asks of it or tells it beside its request.
    pub(super) fn consult(&mut self) -> &Context {
        self.consulted = true;
        &self.context
    }

    /// Draws random numbers for the guest.
    pub(super) fn draw(&mut self) -> &dyn Clock {
        self.drawn = true;
        &*self.context.clock
    }

    /// Whether the call that just ended had nothing but its request to go by, and left nothing but its answer.
    pub(super) fn kept_to_itself(&self) -> bool {
        !self.consulted && !self.drawn && !self.context.has_runtime && self.log_lines == 0
    }

    /// What it said as its last error in the call that just ended.
    pub(super) fn take_last_words(&mut self) -> Option<String> {
        self.last_words.take()
    }

    /// Keeps an error for the message of the fault that may follow it.
    pub(super) fn keep_last_words(&mut self, line: &str) {
        self.last_words = Some(line.to_owned());
    }

    /// Whether one more line may be logged; counts it if not.
    pub(super) fn may_log(&mut self) -> bool {
        self.log_lines = self.log_lines.saturating_add(1);
        let may = self.log_lines <= limits::LOG_LINES_PER_CALL_MAX
            && self.context.log.take(self.context.clock.monotonic_ns() / 1_000_000_000);
        if !may {
            self.context.metrics.log_lines_dropped.increment();
        }
        may
    }
}

/// Lines that a domain may log in a second, over all its instances and generations.
#[derive(Debug, Default)]
pub(super) struct LogBudget {
    /// The second in the upper half, its lines in the lower.
    window: AtomicU64,
}

impl LogBudget {
    /// Whether one more line fits into this second.
    pub(super) fn take(&self, second: u64) -> bool {
        let second = second << 32;
        let next = |window: u64| {
            let used = if window >> 32 == second >> 32 { window } else { second };
            (used & 0xffff_ffff < u64::from(limits::LOG_LINES_PER_SECOND_MAX)).then_some(used + 1)
        };
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_so_many_lines_and_the_next_one_as_many_again() {
        let budget = LogBudget::default();
        for second in [7, 8] {
            let lines = (0..500).filter(|_| budget.take(second)).count();
            assert_eq!(lines, limits::LOG_LINES_PER_SECOND_MAX as usize);
        }
    }
}
