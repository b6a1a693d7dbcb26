//! The recent past, for people without a Prometheus at hand: `cache_hit_rate{window}` and
//! `cache_operation_latency_seconds{quantile}`, the first user's names; how much is asked and how much of it fails.
//!
//! A ring of snapshots, one each [`METRICS_STEP_MS`]; a window's figure is what was counted since the snapshot at its
//! beginning, or since the start if the process is younger. Without a read in a window there is no rate, and no series.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::limits::METRICS_STEP_MS;
use crate::ports::clock::Clock;
use crate::ports::metrics::{BUCKETS_NS, Metrics, State};
use crate::ports::policy::Operation;

const NS_PER_S: f64 = 1e9;
/// Labels and lengths, in seconds.
pub(super) const WINDOWS_S: [(&str, u64); 3] = [("1m", 60), ("5m", 300), ("1h", 3600)];
/// The window of the quantiles, in seconds.
pub(super) const QUANTILES_WINDOW_S: u64 = 300;
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];
/// Snapshots of the longest window, and one at its beginning.
const SAMPLES_MAX: usize = (WINDOWS_S[2].1 * 1000 / METRICS_STEP_MS) as usize + 1;

/// One bucket for each bound and one above.
type Buckets = [u64; BUCKETS_NS.len() + 1];

/// What had been counted at a time, over all domains.
#[derive(Clone, Debug, Default)]
struct Sample {
    at_ns: u64,
    hits: u64,
    misses: u64,
    answers: u64,
    failures: u64,
    latency: Buckets,
    latency_sum_ns: u64,
}

/// The ring.
pub struct Windows {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    samples: Mutex<VecDeque<Sample>>,
}

impl Windows {
    /// Begins now.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        let windows = Self { metrics, clock, samples: Mutex::default() };
        windows.sample();
        windows
    }

    /// Takes a snapshot.
    pub fn sample(&self) {
        let sample = self.now();
        let mut samples = self.samples.lock();
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// Takes one each step, until it is dropped.
    pub async fn sample_for_ever(&self) {
        let mut step = tokio::time::interval(Duration::from_millis(METRICS_STEP_MS));
        step.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            step.tick().await;
            self.sample();
        }
    }

    /// The share of hits among the reads of the last `window_s` seconds that found out whether the value is there; `None`: there
    /// was no such read.
    #[must_use]
    pub fn hit_rate(&self, window_s: u64) -> Option<f64> {
        let now = self.now();
        let then = self.at_beginning(window_s, &now);
        let (hits, misses) = (now.hits - then.hits, now.misses - then.misses);
        (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64)
    }

    /// The time, in seconds, below which this share of the operations of the last `window_s` seconds stayed; `None`: there was none.
    #[must_use]
    pub fn quantile_s(&self, quantile: f64, window_s: u64) -> Option<f64> {
        let now = self.now();
        let then = self.at_beginning(window_s, &now);
        quantile_ns(&std::array::from_fn(|i| now.latency[i] - then.latency[i]), quantile).map(|ns| ns / NS_PER_S)
    }

    /// Operations of the last `window_s` seconds, for each second of it; of a process that is younger, for each second of its life.
    #[must_use]
    pub fn per_second(&self, window_s: u64) -> f64 {
        let now = self.now();
        let then = self.at_beginning(window_s, &now);
        let seconds = now.at_ns.saturating_sub(then.at_ns) as f64 / NS_PER_S;
        if seconds > 0.0 { (now.answers - then.answers) as f64 / seconds } else { 0.0 }
    }

    /// The share of them that failed by nobody's wish: the policy, the store, the origin or the host; `None`: there were none.
    #[must_use]
    pub fn error_rate(&self, window_s: u64) -> Option<f64> {
        let now = self.now();
        let then = self.at_beginning(window_s, &now);
        let (answers, failures) = (now.answers - then.answers, now.failures - then.failures);
        (answers > 0).then(|| failures as f64 / answers as f64)
    }

    /// Operations since the start, and those of them that failed.
    pub(super) fn totals(&self) -> (u64, u64) {
        let now = self.now();
        (now.answers, now.failures)
    }

    fn at_beginning(&self, window_s: u64, now: &Sample) -> Sample {
        let begin_ns = now.at_ns.saturating_sub(window_s * 1_000_000_000);
        let samples = self.samples.lock();
        let after = samples.partition_point(|sample| sample.at_ns <= begin_ns);
        samples.get(after.saturating_sub(1)).cloned().unwrap_or_default()
    }

    fn now(&self) -> Sample {
        let mut sample = Sample { at_ns: self.clock.monotonic_ns(), ..Sample::default() };
        for (_, domain) in self.metrics.domains() {
            let reads = |state| domain.answers(Operation::Read, state);
            sample.hits += State::ALL.into_iter().filter(|state| state.is_hit()).map(reads).sum::<u64>();
            sample.misses += State::ALL.into_iter().filter(|state| state.is_miss()).map(reads).sum::<u64>();
            for (operation, state) in Operation::ALL.into_iter().flat_map(|it| State::ALL.map(|state| (it, state))) {
                let answers = domain.answers(operation, state);
                sample.answers += answers;
                sample.failures += if state.is_failure() { answers } else { 0 };
            }
            for histogram in &domain.latency {
                let (counts, sum_ns) = histogram.snapshot();
                sample.latency.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                sample.latency_sum_ns += sum_ns;
            }
        }
        sample
    }
}

/// As Prometheus' `histogram_quantile`: linear within a bucket; above the last bound it is that bound.
fn quantile_ns(counts: &Buckets, quantile: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let rank = quantile * total as f64;
    let (mut lower_ns, mut below) = (0, 0);
    for (&upper_ns, &count) in BUCKETS_NS.iter().zip(counts) {
        let upto = below + count;
        if count > 0 && upto as f64 >= rank {
            let inside = (rank - below as f64) / count as f64;
            return Some(lower_ns as f64 + (upper_ns - lower_ns) as f64 * inside);
        }
        (lower_ns, below) = (upper_ns, upto);
    }
    (total > 0).then_some(lower_ns as f64)
}

/// The families of the recent past.
pub(super) fn families(windows: &Windows) -> Vec<MetricFamily> {
    let mut rates = Family::gauge("cache_hit_rate", "Share of hits among the reads of the last window");
    let mut errors = Family::gauge("cache_error_rate", "Share of failures among the operations of the last window");
    let mut asked =
        Family::gauge("cache_operations_per_second", "Operations of the last window, for each second of it");
    for (label, window_s) in WINDOWS_S {
        let labels = &[("window", label)];
        if let Some(rate) = windows.hit_rate(window_s) {
            rates.level(labels, rate);
        }
        if let Some(rate) = windows.error_rate(window_s) {
            errors.level(labels, rate);
        }
        asked.level(labels, windows.per_second(window_s));
    }
    let mut latency = Family::summary(
        "cache_operation_latency_seconds",
        "Time of operations in the engine: quantiles of the last 5 minutes, estimated from buckets",
    );
    let quantiles: Vec<(f64, f64)> =
        QUANTILES.iter().filter_map(|&q| Some((q, windows.quantile_s(q, QUANTILES_WINDOW_S)?))).collect();
    let now = windows.now();
    latency.quantiles(&[], &quantiles, now.latency_sum_ns as f64 / NS_PER_S, now.latency.iter().sum());
    vec![rates.done(), errors.done(), asked.done(), latency.done()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::clock::VirtualClock;

    #[test]
    fn a_rate_is_of_its_window() {
        let (metrics, clock) = (Arc::new(Metrics::default()), Arc::new(VirtualClock::new(0, 1)));
        let windows = Windows::new(Arc::clone(&metrics), Arc::<VirtualClock>::clone(&clock));
        let domain = metrics.domain("profile");
        let read = |state, n| domain.answered_many(Operation::Read, state, n);
        let pass = |seconds: u64| {
            for _ in 0..seconds * 1000 / METRICS_STEP_MS {
                clock.advance_ms(METRICS_STEP_MS);
                windows.sample();
            }
        };
        assert_eq!(windows.hit_rate(60), None);
        read(State::Miss, 1);
        read(State::StoreFailed, 5);
        assert_eq!(windows.hit_rate(60), Some(0.0));
        read(State::L1Hit, 1);
        read(State::Stale, 2);
        assert_eq!(windows.hit_rate(60), Some(0.75));
        pass(65);
        assert_eq!(windows.hit_rate(60), None, "what was before the window does not count");
        assert_eq!(windows.hit_rate(300), Some(0.75));
        read(State::Miss, 3);
        read(State::MissOutage, 1);
        assert_eq!(windows.hit_rate(60), Some(0.0));
        assert_eq!(windows.hit_rate(300), Some(0.375));
        pass(3605);
        assert_eq!(windows.hit_rate(3600), None);
        pass(3600);
        assert_eq!(windows.samples.lock().len(), SAMPLES_MAX, "the ring is bounded");
    }

    #[test]
    fn what_is_asked_and_what_fails_is_of_its_window() {
        let (metrics, clock) = (Arc::new(Metrics::default()), Arc::new(VirtualClock::new(0, 1)));
        let windows = Windows::new(Arc::clone(&metrics), Arc::<VirtualClock>::clone(&clock));
        assert_eq!((windows.per_second(60), windows.error_rate(60)), (0.0, None));
        let domain = metrics.domain("profile");
        domain.answered_many(Operation::Read, State::L1Hit, 70);
        domain.answered_many(Operation::Write, State::Refused, 20);
        domain.answered_many(Operation::Write, State::StoreFailed, 10);
        clock.advance_ms(10_000);
        assert_eq!(
            (windows.per_second(60), windows.error_rate(60)),
            (10.0, Some(0.1)),
            "of the ten seconds that it lives"
        );
        windows.sample();
        clock.advance_ms(60_000);
        assert_eq!((windows.per_second(60), windows.error_rate(60)), (0.0, None));
        assert_eq!(windows.totals(), (100, 10));
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let mut counts = Buckets::default();
        assert_eq!(quantile_ns(&counts, 0.5), None);
        counts[1] = 10; // 500 ns to 1 µs
        assert_eq!(quantile_ns(&counts, 0.5), Some(750.0));
        assert_eq!(quantile_ns(&counts, 1.0), Some(1000.0));
        counts[3] = 10; // 2.5 µs to 5 µs
        assert_eq!(quantile_ns(&counts, 0.5), Some(1000.0));
        assert_eq!(quantile_ns(&counts, 0.75), Some(3750.0));
        counts = Buckets::default();
        counts[BUCKETS_NS.len()] = 1;
        assert_eq!(quantile_ns(&counts, 0.99), Some(10e9), "above the last bound nobody knows");
    }
}
