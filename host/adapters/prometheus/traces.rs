//! What is counted of spans.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::metrics::Metrics;
use crate::ports::trace::SpanOutcome;

/// The families of traces.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let tracing = &metrics.tracing;
    let mut spans = Family::counter("larder_spans_total", "Spans of traces, by what became of them");
    for outcome in SpanOutcome::ALL {
        spans.count_some(&[("outcome", outcome.as_str())], tracing.spans[outcome as usize].get());
    }
    let mut waiting = Family::gauge("larder_spans_waiting", "Spans that have ended and wait for the collector");
    waiting.level(&[], tracing.waiting.get() as f64);
    vec![spans.done(), waiting.done()]
}
