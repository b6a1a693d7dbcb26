//! Circuit breakers: the state machine over the clock, permits, all breakers of the host, and the one around the store.
//!
//! Invariants: a permit that is dropped without an outcome counts as ignored and gives its place back, wherever its call was
//! given up; asking costs one short lock and never waits. Hits in L1 know nothing of it: it stands behind the store's port.

mod board;
mod leases;
mod locks;
mod machine;
mod store;
mod upstream;
mod window;

use std::fmt::Display;
use std::sync::Arc;

use parking_lot::Mutex;

pub use self::board::BreakerBoard;
pub use self::store::BreakerStore;

use self::machine::{Asked, Machine, Now};
use crate::limits::BREAKER_CAUSE_BYTES_MAX;
use crate::ports::breaker::{
    self, BreakerMetrics, BreakerSettings, BreakerStatus, Mode, Outcome, State, Transition, shown,
};
use crate::ports::clock::Clock;

/// One breaker.
pub struct CircuitBreaker {
    name: Arc<str>,
    slow_ns: Option<u64>,
    clock: Arc<dyn Clock>,
    metrics: Arc<BreakerMetrics>,
    machine: Mutex<Machine>,
    /// What the latest failed call met.
    last_failure: Mutex<Option<Arc<str>>>,
}

/// The right to make one call. Dropping it without an outcome counts as ignored.
pub struct Permit {
    breaker: Arc<CircuitBreaker>,
    asked: Asked,
    began_ns: u64,
    ended_ns: Option<u64>,
    /// How the call went, as far as is known.
    outcome: Outcome,
}

/// No call is let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Too many calls failed.
    #[error("the breaker '{name}' is open, because too many calls failed{}; it tries again in {retry_in_ms} ms", latest(.last_failure.as_deref()))]
    Open {
        /// The breaker.
        name: Arc<str>,
        /// What the latest failed call met.
        last_failure: Option<Arc<str>>,
        /// When it tries again.
        retry_in_ms: u64,
    },
    /// Others are on trial.
    #[error("the breaker '{name}' is half-open and as many calls as may are on trial; try again soon")]
    OnTrial {
        /// The breaker.
        name: Arc<str>,
    },
    /// An operator says so.
    #[error("the breaker '{name}' is forced open by an operator, until LARDER.BREAKER FORCE {name} AUTO")]
    Forced {
        /// The breaker.
        name: Arc<str>,
    },
}

fn latest(failure: Option<&str>) -> String {
    failure.map_or_else(String::new, |failure| format!(", the latest: {failure}"))
}

impl CircuitBreaker {
    /// A closed one.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        settings: BreakerSettings,
        clock: Arc<dyn Clock>,
        metrics: Arc<BreakerMetrics>,
    ) -> Arc<Self> {
        let slow_ns = settings.slow_ms.map(|ms| ms.saturating_mul(1_000_000));
        Arc::new(Self {
            name,
            slow_ns,
            clock,
            metrics,
            machine: Mutex::new(Machine::new(settings)),
            last_failure: Mutex::default(),
        })
    }

    /// The right to make one call.
    ///
    /// # Errors
    /// None is let through.
    pub fn acquire(self: &Arc<Self>) -> Result<Permit, Rejection> {
        let now = self.now();
        let asked = self.change(|machine| machine.ask(now).ok_or_else(|| self.rejection(machine, now)));
        match asked {
            Ok(asked) => Ok(Permit {
                breaker: Arc::clone(self),
                asked,
                began_ns: now.ns,
                ended_ns: None,
                outcome: Outcome::Ignored,
            }),
            Err(rejection) => {
                self.metrics.not_permitted.increment();
                Err(rejection)
            }
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> BreakerStatus {
        let now_ns = self.clock.monotonic_ns();
        let mut machine = self.machine.lock();
        let counts = machine.counts(now_ns);
        BreakerStatus {
            name: self.name.to_string(),
            state: shown(machine.mode(), machine.state()),
            mode: machine.mode().as_str(),
            calls: counts.calls(),
            failures: counts.failures,
            slow: counts.slow,
            retry_in_ms: machine.retry_in_ms(now_ns),
            reopened: machine.reopened(),
            last_failure: self.last_failure.lock().as_deref().map(str::to_owned),
        }
    }

    /// Its mode and its own state.
    #[must_use]
    pub fn current(&self) -> (Mode, State) {
        let machine = self.machine.lock();
        (machine.mode(), machine.state())
    }

    /// Its last steps, the newest first.
    #[must_use]
    pub fn history(&self) -> Vec<Transition> {
        self.machine.lock().history()
    }

    /// Does what an operator says.
    pub fn force(&self, mode: Mode) {
        let now = self.now();
        self.change(|machine| machine.force(mode, now));
    }

    /// What it stands for seems to be well: if it is open, it tries soon, with as few calls as ever. To be said again and again.
    pub fn hint(&self) {
        let now = self.now();
        self.change(|machine| machine.hint(now));
    }

    fn now(&self) -> Now<'_> {
        self.at(self.clock.monotonic_ns())
    }

    fn at(&self, ns: u64) -> Now<'_> {
        Now { ns, clock: &*self.clock }
    }

    fn rejection(&self, machine: &Machine, now: Now<'_>) -> Rejection {
        let name = Arc::clone(&self.name);
        match (machine.mode(), machine.retry_in_ms(now.ns)) {
            (Mode::ForcedOpen, _) => Rejection::Forced { name },
            (_, Some(retry_in_ms)) => {
                Rejection::Open { name, last_failure: self.last_failure.lock().clone(), retry_in_ms }
            }
            (_, None) => Rejection::OnTrial { name },
        }
    }

    /// Changes the machine, and tells of a step.
    fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.machine.lock();
        let before = (machine.mode(), machine.state());
        let answer = change(&mut machine);
        let after = (machine.mode(), machine.state());
        if before != after {
            let why = machine.history().into_iter().next().map(|step| step.why).unwrap_or_default();
            self.tell(before, after, &why);
        }
        answer
    }

    fn tell(&self, before: (Mode, State), after: (Mode, State), why: &str) {
        let (from, to) = (shown(before.0, before.1), shown(after.0, after.1));
        let acts = acting(after.0, after.1);
        self.metrics.state.set(acts as u64);
        self.metrics.transitions[acts as usize].increment();
        if acts == State::Open {
            let last_failure = self.last_failure.lock().clone();
            let last_failure = last_failure.as_deref();
            tracing::warn!(breaker = %self.name, from, to, why, last_failure, "a breaker lets no call through");
        } else {
            tracing::info!(breaker = %self.name, from, to, why, "a breaker changed");
        }
    }
}

/// The state that a breaker acts as, whoever says so.
const fn acting(mode: Mode, state: State) -> State {
    match mode {
        Mode::Auto => state,
        Mode::ForcedOpen => State::Open,
        Mode::ForcedClosed | Mode::MetricsOnly => State::Closed,
    }
}

impl Permit {
    /// Says how the call went. A success that took too long is slow.
    pub fn report(mut self, outcome: Outcome) {
        let now_ns = self.breaker.clock.monotonic_ns();
        let took_ns = now_ns.saturating_sub(self.began_ns);
        let slow = outcome == Outcome::Success && self.breaker.slow_ns.is_some_and(|slow_ns| took_ns >= slow_ns);
        self.outcome = if slow { Outcome::Slow } else { outcome };
        self.ended_ns = Some(now_ns);
    }

    /// Says what the call met that is a failure, for people.
    pub fn met(&self, failure: &impl Display) {
        let mut words = failure.to_string();
        words.truncate(words.floor_char_boundary(BREAKER_CAUSE_BYTES_MAX));
        *self.breaker.last_failure.lock() = Some(words.into());
    }

    /// Says how it went, however long it took.
    pub fn report_untimed(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl breaker::Permit for Permit {
    fn report(self: Box<Self>, outcome: Outcome) {
        Self::report(*self, outcome);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.ended_ns.map_or_else(|| self.breaker.now(), |ended_ns| self.breaker.at(ended_ns));
        self.breaker.metrics.calls[self.outcome as usize].increment();
        self.breaker.change(|machine| machine.report(self.asked, self.outcome, now));
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").field("breaker", &self.breaker.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CircuitBreaker").field("status", &self.status()).finish_non_exhaustive()
    }
}
