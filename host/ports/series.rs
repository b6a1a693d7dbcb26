//! The metrics of a policy's own: what it counts through the contract's `metrics`, bounded, and readable by an exporter.
//!
//! Invariants: at most [`limits::POLICY_SERIES_MAX`] series, whatever the policy does; a series keeps its kind. What does not
//! fit is dropped and counted. A mutex is enough: policies count now and then, not on hits.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::metrics::Counter;
use crate::limits;

/// Name and labels of one series; the labels are in order of their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The metric's name as the policy gave it; exported as `larder_policy_<name>`.
    pub name: String,
    /// Names and values of its labels.
    pub labels: Vec<(String, String)>,
}

/// What one series holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Series {
    /// Counts up.
    Count(u64),
    /// Goes up and down.
    Gauge(f64),
    /// Observations: how many, and their sum.
    Observed {
        /// How many.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

/// All series of one domain's policy, over all its generations.
#[derive(Debug, Default)]
pub struct PolicySeries {
    series: Mutex<BTreeMap<SeriesKey, Series>>,
    /// Calls that were dropped: a bad name, too many series or labels, another kind than before.
    pub dropped: Counter,
}

impl PolicySeries {
    /// Adds to a counter.
    pub fn count(&self, name: String, labels: Vec<(String, String)>, delta: u64) {
        self.change(name, labels, Series::Count(0), |series| match series {
            Series::Count(count) => {
                *count = count.saturating_add(delta);
                true
            }
            Series::Gauge(_) | Series::Observed { .. } => false,
        });
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: String, labels: Vec<(String, String)>, value: f64) {
        self.change(name, labels, Series::Gauge(value), |series| match series {
            Series::Gauge(now) => {
                *now = value;
                true
            }
            Series::Count(_) | Series::Observed { .. } => false,
        });
    }

    /// Adds an observation.
    pub fn observe(&self, name: String, labels: Vec<(String, String)>, value: f64) {
        self.change(name, labels, Series::Observed { count: 0, sum: 0.0 }, |series| match series {
            Series::Observed { count, sum } => {
                *count += 1;
                *sum += value;
                true
            }
            Series::Count(_) | Series::Gauge(_) => false,
        });
    }

    /// All series as they are now, in order of their names and labels.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(SeriesKey, Series)> {
        self.series.lock().iter().map(|(key, series)| (key.clone(), *series)).collect()
    }

    fn change(
        &self,
        name: String,
        mut labels: Vec<(String, String)>,
        new: Series,
        apply: impl FnOnce(&mut Series) -> bool,
    ) {
        labels.sort_unstable();
        let key = SeriesKey { name, labels };
        if !key.is_valid() {
            return self.dropped.increment();
        }
        let mut all = self.series.lock();
        let full = all.len() >= limits::POLICY_SERIES_MAX;
        let known = all.get_mut(&key);
        let done = match known {
            Some(series) => apply(series),
            None if full => false,
            None => {
                // A metric has one kind over all its labels: exporters know no other.
                let other_kind = all
                    .range(SeriesKey { name: key.name.clone(), labels: Vec::new() }..)
                    .next()
                    .is_some_and(|(near, series)| {
                        near.name == key.name && std::mem::discriminant(series) != std::mem::discriminant(&new)
                    });
                !other_kind && apply(all.entry(key).or_insert(new))
            }
        };
        if !done {
            self.dropped.increment();
        }
    }
}

impl SeriesKey {
    fn is_valid(&self) -> bool {
        is_name(&self.name)
            && self.labels.len() <= limits::POLICY_LABELS_MAX
            && self.labels.iter().all(|(name, value)| is_label(name) && value.len() <= limits::POLICY_LABEL_BYTES_MAX)
            && self.labels.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a != b))
    }
}

/// `domain` is the host's own label.
fn is_label(name: &str) -> bool {
    is_name(name) && name != "domain"
}

fn is_name(name: &str) -> bool {
    name.len() <= limits::POLICY_LABEL_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: &str) -> Vec<(String, String)> {
        vec![("kind".into(), value.into())]
    }

    #[test]
    fn a_series_keeps_its_kind_whatever_its_labels() {
        let series = PolicySeries::default();
        series.count("seen".into(), labels("a"), 2);
        series.count("seen".into(), labels("a"), 3);
        series.gauge("seen".into(), labels("a"), 1.0);
        series.observe("seen".into(), labels("b"), 1.0);
        let key = SeriesKey { name: "seen".into(), labels: labels("a") };
        assert_eq!(series.snapshot(), [(key, Series::Count(5))]);
        assert_eq!(series.dropped.get(), 2);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let series = PolicySeries::default();
        for n in 0..limits::POLICY_SERIES_MAX + 7 {
            series.count("seen".into(), labels(&n.to_string()), 1);
        }
        assert_eq!(series.snapshot().len(), limits::POLICY_SERIES_MAX);
        assert_eq!(series.dropped.get(), 7);
    }

    #[test]
    fn names_are_those_of_the_contract() {
        let series = PolicySeries::default();
        for bad in ["", "Seen", "1st", "a-b", "é", &"x".repeat(limits::POLICY_LABEL_BYTES_MAX + 1)] {
            series.count(bad.to_owned(), Vec::new(), 1);
        }
        series.count("ok".into(), vec![("domain".into(), "x".into())], 1);
        series.count("ok".into(), vec![("a".into(), "x".into()), ("a".into(), "y".into())], 1);
        assert_eq!(series.snapshot(), []);
        assert_eq!(series.dropped.get(), 8);
    }
}
