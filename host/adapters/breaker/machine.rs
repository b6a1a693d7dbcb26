//! The state machine: pure, given the time and a die.
//!
//! ```text
//! closed --(too many calls failed)--> open --(its time is over, and somebody calls)--> half-open
//!   ^                                  ^                                                  |
//!   |                                  +----(a call on trial failed, or hangs)------------+
//!   +---------------------------(all calls on trial succeeded)----------------------------+
//! ```
//!
//! A strike is a failure that no other one came before while its call was under way: a thousand calls that wait for one stall of 100 ms
//! fail together, and are one strike, not a thousand in a row. So a store that answers nothing is left alone after as many deadlines
//! as the threshold says, however many call it.
//!
//! Invariants: a permit counts only in the state in which it was given (its *epoch*); what ends later changes nothing. Calls on
//! trial are bounded in number, and their state in time. A call that is given up gives its place back.

use std::collections::VecDeque;

use super::window::{Counts, Window};
use crate::limits::{BREAKER_HALF_OPEN_MS_MAX, BREAKER_HINT_MS_MIN, BREAKER_HISTORY_MAX, BREAKER_OPEN_MS_MAX};
use crate::ports::breaker::{BreakerSettings, Mode, Outcome, State, Transition, shown};
use crate::ports::clock::Clock;

const NS_PER_MS: u64 = 1_000_000;

/// The time; what only a step needs to know beside it is asked for then.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) ns: u64,
    pub(super) clock: &'a dyn Clock,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open { since_ns: u64, until_ns: u64 },
    HalfOpen { until_ns: u64, under_way: u32, succeeded: u32 },
}

/// A breaker without its lock.
#[derive(Debug)]
pub(super) struct Machine {
    settings: BreakerSettings,
    mode: Mode,
    phase: Phase,
    epoch: u64,
    window: Window,
    reopened: u32,
    /// Failures one after the other: those of calls that were under way together are one.
    strikes: u64,
    history: VecDeque<Transition>,
}

/// What a call is let through with, and reports with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    epoch: u64,
    strikes: u64,
}

impl Machine {
    /// Closed, with nothing counted.
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            mode: Mode::Auto,
            phase: Phase::Closed,
            epoch: 0,
            window: Window::new(settings.monitoring_ms),
            reopened: 0,
            strikes: 0,
            history: VecDeque::new(),
        }
    }

    pub(super) const fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) const fn reopened(&self) -> u32 {
        self.reopened
    }

    pub(super) fn counts(&mut self, now_ns: u64) -> Counts {
        self.window.counts(now_ns)
    }

    /// When it tries again, in milliseconds from now, if it is open by itself.
    pub(super) fn retry_in_ms(&self, now_ns: u64) -> Option<u64> {
        match (self.mode, self.phase) {
            (Mode::Auto, Phase::Open { until_ns, .. }) => Some(until_ns.saturating_sub(now_ns).div_ceil(NS_PER_MS)),
            _ => None,
        }
    }

    /// The last steps, the newest first.
    pub(super) fn history(&self) -> Vec<Transition> {
        self.history.iter().rev().cloned().collect()
    }

    /// Asks for one call: what to report it with, if it may be made.
    pub(super) fn ask(&mut self, now: Now<'_>) -> Option<Asked> {
        match self.mode {
            Mode::ForcedOpen => return None,
            Mode::ForcedClosed | Mode::MetricsOnly => return Some(self.asked()),
            Mode::Auto => {}
        }
        self.pass(now);
        match &mut self.phase {
            Phase::Closed => Some(self.asked()),
            Phase::HalfOpen { under_way, succeeded, .. }
                if *under_way + *succeeded < self.settings.half_open_calls_max =>
            {
                *under_way += 1;
                Some(self.asked())
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    const fn asked(&self) -> Asked {
        Asked { epoch: self.epoch, strikes: self.strikes }
    }

    /// Tries again before its time, if it is open by itself and has been for a moment, which doubles with every trial that fails: what it
    /// stands for seems to be well.
    pub(super) fn hint(&mut self, now: Now<'_>) {
        if let (Mode::Auto, Phase::Open { since_ns, .. }) = (self.mode, self.phase) {
            let moment_ms = BREAKER_HINT_MS_MIN << self.reopened.saturating_sub(1).min(32);
            if now.ns.saturating_sub(since_ns) >= moment_ms * NS_PER_MS {
                self.half_open(now, "what it stands for seems to be well");
            }
        }
    }

    /// What the passing of time does.
    fn pass(&mut self, now: Now<'_>) {
        match self.phase {
            Phase::Open { until_ns, .. } if now.ns >= until_ns => self.half_open(now, "its time is over"),
            Phase::HalfOpen { until_ns, under_way, succeeded } if now.ns >= until_ns => {
                if under_way > 0 {
                    self.open("calls on trial did not end in time", now);
                } else {
                    // Nothing hangs, there are just few callers: the trial goes on.
                    self.phase = half_open(now, succeeded);
                }
            }
            Phase::Closed | Phase::Open { .. } | Phase::HalfOpen { .. } => {}
        }
    }

    /// A call that was let through ended.
    pub(super) fn report(&mut self, asked: Asked, outcome: Outcome, now: Now<'_>) {
        if asked.epoch != self.epoch {
            return;
        }
        match &mut self.phase {
            Phase::Closed if self.mode == Mode::ForcedClosed => {}
            Phase::Closed => {
                let failed = matches!(outcome, Outcome::Failure | Outcome::Slow);
                let one_more = asked.strikes == self.strikes;
                self.window.add(outcome, one_more, now.ns);
                self.strikes += u64::from(failed && one_more);
                let watched = self.mode == Mode::Auto;
                if watched && failed && self.window.is_bad(self.settings.failure_threshold, now.ns) {
                    let Counts { failures, slow, .. } = self.window.counts(now.ns);
                    self.open(&format!("{failures} calls failed and {slow} were slow"), now);
                }
            }
            Phase::HalfOpen { under_way, succeeded, .. } => {
                *under_way = under_way.saturating_sub(1);
                match outcome {
                    Outcome::Ignored => {}
                    Outcome::Failure => self.open("a call on trial failed", now),
                    Outcome::Slow => self.open("a call on trial was slow", now),
                    Outcome::Success => {
                        *succeeded += 1;
                        if *succeeded >= self.settings.half_open_calls_max {
                            self.close("all calls on trial succeeded", now);
                        }
                    }
                }
            }
            // The epoch grows with every step, and no permit is given while it is open.
            Phase::Open { .. } => {}
        }
    }

    /// Does what an operator says.
    pub(super) fn force(&mut self, mode: Mode, now: Now<'_>) {
        if mode == self.mode {
            return;
        }
        let from = shown(self.mode, self.state());
        self.mode = mode;
        self.phase = Phase::Closed;
        self.window = Window::new(self.settings.monitoring_ms);
        self.reopened = 0;
        self.step(from, "an operator says so", now);
    }

    fn open(&mut self, why: &str, now: Now<'_>) {
        let from = shown(self.mode, self.state());
        let longest_ms = self.settings.recovery_ms.max(BREAKER_OPEN_MS_MAX);
        let doubled_ms = self.settings.recovery_ms.saturating_mul(1 << self.reopened.min(32)).min(longest_ms);
        // Between nine tenths of it and all of it, so that many hosts do not try again in one moment.
        let open_ms = doubled_ms - now.clock.random() % (doubled_ms / 10 + 1);
        let until_ns = now.ns.saturating_add(open_ms.saturating_mul(NS_PER_MS));
        self.phase = Phase::Open { since_ns: now.ns, until_ns };
        self.reopened = self.reopened.saturating_add(1);
        self.step(from, &format!("{why}; it tries again in {open_ms} ms"), now);
    }

    fn half_open(&mut self, now: Now<'_>, why: &str) {
        let from = shown(self.mode, self.state());
        self.phase = half_open(now, 0);
        self.step(from, why, now);
    }

    fn close(&mut self, why: &str, now: Now<'_>) {
        let from = shown(self.mode, self.state());
        self.phase = Phase::Closed;
        self.window = Window::new(self.settings.monitoring_ms);
        self.reopened = 0;
        self.step(from, why, now);
    }

    fn step(&mut self, from: &'static str, why: &str, now: Now<'_>) {
        self.epoch += 1;
        if self.history.len() >= BREAKER_HISTORY_MAX {
            self.history.pop_front();
        }
        let to = shown(self.mode, self.state());
        self.history.push_back(Transition { at_ms: now.clock.wall_ms(), from, to, why: why.to_owned() });
    }
}

const fn half_open(now: Now<'_>, succeeded: u32) -> Phase {
    let until_ns = now.ns.saturating_add(BREAKER_HALF_OPEN_MS_MAX * NS_PER_MS);
    Phase::HalfOpen { until_ns, under_way: 0, succeeded }
}
