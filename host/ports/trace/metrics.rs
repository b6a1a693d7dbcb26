//! What is counted of spans.

use crate::ports::metrics::{Counter, Gauge};

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanOutcome {
    /// The collector has it.
    Exported,
    /// Dropped: too many waited to be sent.
    QueueFull,
    /// Dropped: the collector did not take it.
    ExportFailed,
    /// Not made: its trace has too many.
    TooMany,
}

impl SpanOutcome {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Exported, Self::QueueFull, Self::ExportFailed, Self::TooMany];

    /// The word in metrics and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::QueueFull => "queue-full",
            Self::ExportFailed => "export-failed",
            Self::TooMany => "too-many",
        }
    }
}

/// What is counted of spans.
#[derive(Debug, Default)]
pub struct TraceMetrics {
    /// Spans, by what became of them.
    pub spans: [Counter; SpanOutcome::COUNT],
    /// Those that have ended and wait to be sent.
    pub waiting: Gauge,
}

impl TraceMetrics {
    /// Counts spans.
    pub fn count(&self, outcome: SpanOutcome, n: u64) {
        self.spans[outcome as usize].add(n);
    }
}
