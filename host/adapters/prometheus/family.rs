//! Building metric families from plain numbers: the only place that knows the crate's data model.

use prometheus::proto;

use crate::ports::metrics::{BUCKETS_NS, Histogram};

const NS_PER_S: f64 = 1e9;

/// A family that is being filled.
pub(super) struct Family {
    name: String,
    help: String,
    kind: proto::MetricType,
    metrics: Vec<proto::Metric>,
}

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Family {
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, proto::MetricType::COUNTER)
    }

    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, proto::MetricType::GAUGE)
    }

    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, proto::MetricType::HISTOGRAM)
    }

    pub(super) fn summary(name: &str, help: &str) -> Self {
        Self::new(name, help, proto::MetricType::SUMMARY)
    }

    fn new(name: &str, help: &str, kind: proto::MetricType) -> Self {
        Self { name: name.to_owned(), help: help.to_owned(), kind, metrics: Vec::new() }
    }

    /// A counter without labels, whole.
    pub(super) fn plain_counter((name, help, value): (&str, &str, f64)) -> proto::MetricFamily {
        let mut family = Self::counter(name, help);
        family.amount(&[], value);
        family.done()
    }

    /// A gauge without labels, whole.
    pub(super) fn plain_gauge((name, help, value): (&str, &str, f64)) -> proto::MetricFamily {
        let mut family = Self::gauge(name, help);
        family.level(&[], value);
        family.done()
    }

    /// Adds a count.
    pub(super) fn count(&mut self, labels: Labels<'_>, value: u64) {
        self.amount(labels, value as f64);
    }

    /// Adds what a counter has summed up.
    pub(super) fn amount(&mut self, labels: Labels<'_>, value: f64) {
        let mut counter = proto::Counter::default();
        counter.set_value(value);
        self.metric(labels).set_counter(counter);
    }

    /// Adds a count, unless nothing was counted yet.
    pub(super) fn count_some(&mut self, labels: Labels<'_>, value: u64) {
        if value > 0 {
            self.count(labels, value);
        }
    }

    /// Adds a level.
    pub(super) fn level(&mut self, labels: Labels<'_>, value: f64) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        self.metric(labels).set_gauge(gauge);
    }

    /// Adds durations, in seconds, unless there are none yet.
    pub(super) fn durations(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let (counts, sum_ns) = histogram.snapshot();
        if counts.iter().all(|&count| count == 0) {
            return;
        }
        let mut cumulative = 0;
        let buckets = BUCKETS_NS.iter().zip(&counts).map(|(&bound_ns, &count)| {
            cumulative += count;
            (bound_ns as f64 / NS_PER_S, cumulative)
        });
        let buckets = buckets.collect();
        self.distribution(labels, buckets, sum_ns as f64 / NS_PER_S, counts.iter().sum());
    }

    /// Adds a distribution: upper bounds with how many are at or below each, the sum of all and their number.
    pub(super) fn distribution(&mut self, labels: Labels<'_>, buckets: Vec<(f64, u64)>, sum: f64, count: u64) {
        let bucket = |(bound, cumulative)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        };
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.into_iter().map(bucket).collect());
        histogram.set_sample_sum(sum);
        histogram.set_sample_count(count);
        self.metric(labels).set_histogram(histogram);
    }

    /// Adds quantiles: each with its value, the sum of all and their number.
    pub(super) fn quantiles(&mut self, labels: Labels<'_>, quantiles: &[(f64, f64)], sum: f64, count: u64) {
        let quantile = |&(quantile, value): &(f64, f64)| {
            let mut entry = proto::Quantile::default();
            entry.set_quantile(quantile);
            entry.set_value(value);
            entry
        };
        let mut summary = proto::Summary::default();
        summary.set_quantile(quantiles.iter().map(quantile).collect());
        summary.set_sample_sum(sum);
        summary.set_sample_count(count);
        self.metric(labels).set_summary(summary);
    }

    /// The family, to be exported.
    pub(super) fn done(self) -> proto::MetricFamily {
        let mut family = proto::MetricFamily::default();
        family.set_name(self.name);
        family.set_help(self.help);
        family.set_field_type(self.kind);
        family.set_metric(self.metrics);
        family
    }

    fn metric(&mut self, labels: Labels<'_>) -> &mut proto::Metric {
        let pair = |&(name, value): &(&str, &str)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        };
        self.metrics.push_mut(proto::Metric::from_label(labels.iter().map(pair).collect()))
    }
}
