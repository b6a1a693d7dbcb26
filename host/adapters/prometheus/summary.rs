//! The state of the host in one line of the log, at intervals: for who has no Prometheus, and for who reads the log afterwards.
//!
//! Deliberately absent: a timer. Whoever wires the host asks whether a line is due.

use std::fmt::Write as _;
use std::sync::Arc;

use super::windows::{QUANTILES_WINDOW_S, WINDOWS_S, Windows};
use crate::ports::breaker::State;
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;

/// Breakers that are named in one line; of more, their number is said.
const NAMED_MAX: usize = 8;

/// When a line is due, and what it counts from.
pub struct Summary {
    every_ns: u64,
    next_ns: u64,
    /// Operations and failures at the line before.
    before: (u64, u64),
    metrics: Arc<Metrics>,
    windows: Arc<Windows>,
    clock: Arc<dyn Clock>,
}

/// One line. What is not known is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryLine {
    /// Operations since the line before.
    pub requests: u64,
    /// Those of them that failed: the policy, the store, the origin or the host.
    pub errors: u64,
    /// Shares of hits: of one minute, of five, of an hour.
    pub hit_rates: [Option<f64>; 3],
    /// Of the last five minutes, in milliseconds.
    pub p95_ms: Option<f64>,
    /// The same.
    pub p99_ms: Option<f64>,
    /// `3 closed`, `2 closed, store open`.
    pub breakers: String,
    /// Bytes that L1 holds.
    pub l1_bytes: u64,
    /// Locks that live.
    pub locks: u64,
}

impl Summary {
    /// The first line is due after one pause.
    #[must_use]
    pub fn new(every_ms: u64, metrics: Arc<Metrics>, windows: Arc<Windows>, clock: Arc<dyn Clock>) -> Self {
        let every_ns = every_ms * 1_000_000;
        let next_ns = clock.monotonic_ns() + every_ns;
        Self { every_ns, next_ns, before: windows.totals(), metrics, windows, clock }
    }

    /// Whether a line is due. One that was missed is not made up for.
    pub fn is_due(&mut self) -> bool {
        let now_ns = self.clock.monotonic_ns();
        let due = now_ns >= self.next_ns;
        if due {
            self.next_ns = now_ns + self.every_ns;
        }
        due
    }

    /// The line of now. The gauges must be up to date.
    pub fn line(&mut self) -> SummaryLine {
        let (answers, failures) = self.windows.totals();
        let (answers_before, failures_before) = std::mem::replace(&mut self.before, (answers, failures));
        let quantile_ms = |quantile| Some(self.windows.quantile_s(quantile, QUANTILES_WINDOW_S)? * 1_000.0);
        SummaryLine {
            requests: answers - answers_before,
            errors: failures - failures_before,
            hit_rates: WINDOWS_S.map(|(_, window_s)| self.windows.hit_rate(window_s)),
            p95_ms: quantile_ms(0.95),
            p99_ms: quantile_ms(0.99),
            breakers: breakers(&self.metrics),
            l1_bytes: self.metrics.l1_bytes.get(),
            locks: self.metrics.active_locks.get(),
        }
    }
}

impl SummaryLine {
    /// Writes it into the log.
    pub fn log(&self) {
        let Self { requests, errors, hit_rates, p95_ms, p99_ms, breakers, l1_bytes, locks } = self;
        let [hit_rate_1m, hit_rate_5m, hit_rate_1h] = hit_rates.map(|rate| rate.map(rounded));
        let (p95_ms, p99_ms) = (p95_ms.map(rounded), p99_ms.map(rounded));
        tracing::info!(
            requests,
            hit_rate_1m,
            hit_rate_5m,
            hit_rate_1h,
            p95_ms,
            p99_ms,
            errors,
            breakers,
            l1_bytes,
            locks,
            "summary"
        );
    }
}

/// Four digits behind the point: more say nothing.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn breakers(metrics: &Metrics) -> String {
    let all = metrics.breakers();
    let state = |index: u64| usize::try_from(index).ok().and_then(|at| State::ALL.get(at).copied());
    let open = all.iter().filter_map(|(name, metrics)| {
        let state = state(metrics.state.get()).filter(|&state| state != State::Closed)?;
        Some((name, state))
    });
    let open: Vec<_> = open.collect();
    let mut words = format!("{} closed", all.len() - open.len());
    for (name, state) in open.iter().take(NAMED_MAX) {
        // A string takes what is written.
        let _ = write!(words, ", {name} {}", state.as_str());
    }
    if open.len() > NAMED_MAX {
        let _ = write!(words, ", {} more not", open.len() - NAMED_MAX);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::clock::VirtualClock;
    use crate::ports::metrics::State as Answer;
    use crate::ports::policy::Operation;

    #[test]
    fn a_line_is_due_after_each_pause_and_counts_since_the_one_before() {
        let (metrics, clock) = (Arc::new(Metrics::default()), Arc::new(VirtualClock::new(0, 1)));
        let windows = Arc::new(Windows::new(Arc::clone(&metrics), Arc::<VirtualClock>::clone(&clock)));
        let mut summary = Summary::new(60_000, Arc::clone(&metrics), windows, Arc::<VirtualClock>::clone(&clock));
        let mut due_after = |ms| {
            clock.advance_ms(ms);
            summary.is_due()
        };
        let due = [0, 59_999, 1, 59_999, 1, 200_000, 1, 59_999].map(&mut due_after);
        assert_eq!(due, [false, false, true, false, true, true, false, true]);

        let domain = metrics.domain("profile");
        domain.answered_many(Operation::Read, Answer::L1Hit, 3);
        domain.answered(Operation::Read, Answer::MissOutage);
        domain.answered_many(Operation::Write, Answer::StoreFailed, 2);
        domain.latency[Operation::Read as usize].observe_ns(2_500_000);
        metrics.l1_bytes.set(4_096);
        metrics.active_locks.set(5);
        metrics.breaker("origin:profile").state.set(2);
        metrics.breaker("store").state.set(1);
        metrics.breaker("profile/mail");
        let line = summary.line();
        assert_eq!((line.requests, line.errors, line.l1_bytes, line.locks), (6, 2, 4_096, 5));
        assert_eq!(line.hit_rates, [Some(0.75); 3]);
        assert_eq!(line.breakers, "1 closed, origin:profile half-open, store open");
        assert!(line.p95_ms.is_some_and(|ms| (1.0..=2.5).contains(&ms)) && line.p99_ms >= line.p95_ms, "{line:?}");
        let line = summary.line();
        assert_eq!((line.requests, line.errors), (0, 0), "what was said is not said again");
        for at in 0..20 {
            metrics.breaker(&format!("profile/b{at:02}")).state.set(1);
        }
        let line = summary.line();
        assert!(
            line.breakers.starts_with("1 closed, origin:profile half-open, ")
                && line.breakers.ends_with(", 14 more not"),
            "{line:?}"
        );
    }
}
