//! What others add to the page: the policies' own metrics.
//!
//! A source cannot break the page: a name that is no metric's, a name of the host's and a second kind under one name are left
//! out. How many series a source may have is the source's to bound.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::family::Family;

/// Something that has series of its own.
pub trait Source: Send + Sync {
    /// Its series as they are now.
    fn series(&self) -> Vec<Series>;
}

impl<F: Fn() -> Vec<Series> + Send + Sync> Source for F {
    fn series(&self) -> Vec<Series> {
        self()
    }
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The metric's whole name: `larder_policy_<name>`. `[a-zA-Z_][a-zA-Z0-9_]*`.
    pub name: String,
    /// Names and values of its labels.
    pub labels: Vec<(String, String)>,
    /// What it says.
    pub value: Value,
}

/// What a series says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Counts up.
    Counter(u64),
    /// Goes up and down.
    Gauge(f64),
    /// A distribution.
    Histogram {
        /// Upper bounds, ascending, with how many observations are at or below each.
        buckets: Vec<(f64, u64)>,
        /// The sum of all observations.
        sum: f64,
        /// How many there are.
        count: u64,
    },
}

/// The host's names under the policies' prefix.
pub(super) const RESERVED: [&str; 10] = [
    "larder_policy_calls_total",
    "larder_policy_remembered_total",
    "larder_policy_call_duration_seconds",
    "larder_policy_faults_total",
    "larder_policy_swaps_total",
    "larder_policy_rejections_total",
    "larder_policy_quarantines_total",
    "larder_policy_failing",
    "larder_policy_generation",
    "larder_policy_instances_created_total",
];
const PREFIX: &str = "larder_policy_";

/// The families of all sources.
pub(super) fn families(sources: &[Arc<dyn Source>]) -> Vec<MetricFamily> {
    let mut by_name: BTreeMap<String, (Value, Family)> = BTreeMap::new();
    for series in sources.iter().flat_map(|source| source.series()) {
        if !is_allowed(&series) {
            tracing::debug!(name = series.name, "a metric of this name cannot be exported");
            continue;
        }
        let (first, family) =
            by_name.entry(series.name.clone()).or_insert_with(|| (series.value.clone(), family_of(&series)));
        if discriminant(first) == discriminant(&series.value) {
            add(family, series);
        }
    }
    by_name.into_values().map(|(_, family)| family.done()).collect()
}

fn is_allowed(series: &Series) -> bool {
    let is_word = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_label = |name: &str| is_word(name) && name.starts_with(|c: char| c.is_ascii_alphabetic());
    series.name.starts_with(PREFIX)
        && is_word(&series.name)
        && !RESERVED.contains(&series.name.as_str())
        && series.labels.iter().all(|(name, _)| is_label(name))
}

fn family_of(series: &Series) -> Family {
    const HELP: &str = "A metric of the policy's own";
    match series.value {
        Value::Counter(_) => Family::counter(&series.name, HELP),
        Value::Gauge(_) => Family::gauge(&series.name, HELP),
        Value::Histogram { .. } => Family::histogram(&series.name, HELP),
    }
}

fn add(family: &mut Family, series: Series) {
    let labels: Vec<(&str, &str)> = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    match series.value {
        Value::Counter(count) => family.count(&labels, count),
        Value::Gauge(level) => family.level(&labels, level),
        Value::Histogram { buckets, sum, count } => family.distribution(&labels, buckets, sum, count),
    }
}
