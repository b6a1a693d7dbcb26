//! Bounds of traces, and of what is said in the log at intervals.

/// Spans that have ended and wait to be sent; one more is dropped. Some 500 bytes each.
pub const SPANS_WAITING_MAX: usize = 16_384;
/// Spans of one request to the collector.
pub const SPANS_BATCH_MAX: usize = 512;
/// How long an ended span waits for others to be sent with, in milliseconds.
pub const SPANS_WAIT_MS_MAX: u64 = 1_000;
/// How long one request to the collector may take, from its connection to the end of the answer, in milliseconds.
pub const SPANS_EXPORT_MS_MAX: u64 = 10_000;
/// How long the host waits at its end for spans to be sent, in milliseconds.
pub const SPANS_FLUSH_MS_MAX: u64 = 2_000;
/// The longest answer of a collector that is read, in bytes.
pub const SPANS_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Spans of one request of a caller; more are left out and counted, so that one script fills no queue alone.
pub const SPANS_PER_TRACE_MAX: u32 = 1_000;
/// What is noted of one span.
pub const SPAN_NOTES_MAX: usize = 16;
/// The longest `tracestate` that is passed on, in bytes: what the standard asks for at least. A longer one is dropped.
pub const TRACE_STATE_BYTES_MAX: usize = 512;
/// The longest name of a service in traces, in bytes.
pub const SERVICE_NAME_BYTES_MAX: usize = 255;

/// How often it is looked whether a summary is due, in milliseconds.
pub const SUMMARY_LOOK_MS: u64 = 250;
/// The shortest pause between two summaries, in milliseconds.
pub const SUMMARY_MS_MIN: u64 = 1_000;
/// The longest one, in milliseconds.
pub const SUMMARY_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

const _: () = assert!(SPANS_BATCH_MAX <= SPANS_WAITING_MAX && SPANS_PER_TRACE_MAX as usize <= SPANS_WAITING_MAX);
const _: () = assert!(SUMMARY_LOOK_MS < SUMMARY_MS_MIN);
