//! The policies' own metrics as the exporter reads them: `larder_policy_<name>`, with the label `domain`.

use std::sync::Arc;

use crate::adapters::prometheus::{Series as Exported, Value};
use crate::ports::metrics::{DomainMetrics, Metrics};
use crate::ports::series::{Series, SeriesKey};

/// What the host adds of its own: what a policy asked to be logged or counted, and was not.
const LOG_LINES_DROPPED: &str = "larder_policy_log_lines_dropped_total";
const METRICS_DROPPED: &str = "larder_policy_metrics_dropped_total";

/// All series of all policies as they are now.
pub(super) fn series(metrics: &Metrics) -> Vec<Exported> {
    metrics.domains().into_iter().flat_map(|(domain, metrics)| of_domain(&domain, &metrics)).collect()
}

fn of_domain(domain: &Arc<str>, metrics: &DomainMetrics) -> Vec<Exported> {
    let own = metrics.own.snapshot().into_iter().map(|(key, series)| exported(domain, key, series));
    let mut all: Vec<_> =
        own.filter(|series| ![LOG_LINES_DROPPED, METRICS_DROPPED].contains(&series.name.as_str())).collect();
    let dropped = [(LOG_LINES_DROPPED, metrics.log_lines_dropped.get()), (METRICS_DROPPED, metrics.own.dropped.get())];
    all.extend(dropped.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| Exported {
        name: name.to_owned(),
        labels: vec![("domain".to_owned(), domain.to_string())],
        value: Value::Counter(count),
    }));
    all
}

fn exported(domain: &str, key: SeriesKey, series: Series) -> Exported {
    let mut labels = key.labels;
    labels.push(("domain".to_owned(), domain.to_owned()));
    let value = match series {
        Series::Count(count) => Value::Counter(count),
        Series::Gauge(level) => Value::Gauge(level),
        Series::Observed { count, sum } => Value::Histogram { buckets: Vec::new(), sum, count },
    };
    Exported { name: format!("larder_policy_{}", key.name), labels, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policys_series_carry_its_domain() {
        let metrics = Metrics::default();
        metrics.domain("profile").own.count("seen".into(), vec![("kind".into(), "a".into())], 3);
        metrics.domain("profile").log_lines_dropped.add(2);
        metrics.domain("quiet");
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            Exported {
                name: "larder_policy_seen".into(),
                labels: vec![label("kind", "a"), label("domain", "profile")],
                value: Value::Counter(3),
            },
            Exported {
                name: LOG_LINES_DROPPED.into(),
                labels: vec![label("domain", "profile")],
                value: Value::Counter(2),
            },
        ];
        assert_eq!(series(&metrics), expected);
    }
}
