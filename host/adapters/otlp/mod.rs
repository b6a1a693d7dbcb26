//! Ended spans to a collector: OTLP over HTTP, in protobuf, in batches.
//!
//! Spans wait in a bounded queue; one task takes them from it, turns them into what the protocol knows and sends them. Invariants: who ends
//! a span never waits; what is dropped is counted by why; a collector that is away, slow or unwilling costs spans and one line of the log
//! in a second for each cause, and nothing else. Deliberately absent: tries after a failure (the spans are a sample anyway, and a
//! collector that is down would get them all at once), OTLP over gRPC, metrics and logs over OTLP.

mod client;
mod convert;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use self::client::{Cause, CollectorClient};
use crate::limits::{SPANS_BATCH_MAX, SPANS_EXPORT_MS_MAX, SPANS_WAIT_MS_MAX, SPANS_WAITING_MAX};
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;
use crate::ports::quiet::Quiet;
use crate::ports::trace::{SpanOutcome, SpanRecord, SpanSink};

/// Where spans go, and as whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    /// The base URL of the collector, without a slash at its end; `/v1/traces` comes behind it.
    pub endpoint: String,
    /// The name of this service.
    pub service_name: String,
    /// Headers of each request: names and values.
    pub headers: Vec<(String, String)>,
    /// Certificate authorities besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// The queue.
struct Queue {
    waiting: mpsc::Sender<SpanRecord>,
    metrics: Arc<Metrics>,
}

impl SpanSink for Queue {
    fn ended(&self, span: SpanRecord) {
        let metrics = &self.metrics.tracing;
        metrics.waiting.increment();
        if self.waiting.try_send(span).is_err() {
            metrics.waiting.decrement();
            metrics.count(SpanOutcome::QueueFull, 1);
        }
    }

    fn left_out(&self) {
        self.metrics.tracing.count(SpanOutcome::TooMany, 1);
    }
}

/// What sends. It does so once [`Self::run`] is spawned.
pub struct Otlp {
    endpoint: String,
    waiting: mpsc::Receiver<SpanRecord>,
    exporter: SpanExporter,
    client: CollectorClient,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    quiet: [Quiet; Cause::COUNT],
}

impl Otlp {
    /// The queue, and what sends.
    ///
    /// # Errors
    /// The URL is none, TLS cannot be set up, or a standard variable says what this build cannot do.
    pub fn new(
        settings: OtlpSettings,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<dyn SpanSink>, Self)> {
        let client = CollectorClient::new(settings.ca_file.as_deref())?;
        let headers: HashMap<String, String> = settings.headers.into_iter().collect();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/v1/traces", settings.endpoint))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(Duration::from_millis(SPANS_EXPORT_MS_MAX))
            .with_headers(headers)
            // Its pauses between tries would hold the thread.
            .with_retry_policy(RetryPolicy::disabled())
            .with_http_client(client.clone())
            .build();
        let mut exporter = exporter.context("traces cannot be sent")?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_attribute(version).with_service_name(settings.service_name).build();
        exporter.set_resource(&resource);
        let (sender, waiting) = mpsc::channel(SPANS_WAITING_MAX);
        let sink = Arc::new(Queue { waiting: sender, metrics: Arc::clone(&metrics) });
        let quiet = std::array::from_fn(|_| Quiet::default());
        Ok((sink, Self { endpoint: settings.endpoint, waiting, exporter, client, metrics, clock, quiet }))
    }

    /// Sends until it is told to end, and then what still waits; spans that end after that are dropped.
    pub async fn run(mut self, mut end: oneshot::Receiver<()>) {
        let (mut ending, mut over) = (false, false);
        let mut batch = Vec::with_capacity(SPANS_BATCH_MAX);
        let mut due = Instant::now();
        while !over {
            let (held, room) = (batch.len(), SPANS_BATCH_MAX - batch.len());
            let mut is_due = false;
            tokio::select! {
                got = self.waiting.recv_many(&mut batch, room) => over = got == 0,
                () = sleep_until(due), if held > 0 => is_due = true,
                _ = &mut end, if !ending => {
                    ending = true;
                    self.waiting.close();
                }
            }
            if held == 0 {
                due = Instant::now() + Duration::from_millis(SPANS_WAIT_MS_MAX);
            }
            if is_due || over || batch.len() == SPANS_BATCH_MAX {
                self.send(&mut batch).await;
            }
        }
    }

    async fn send(&self, batch: &mut Vec<SpanRecord>) {
        if batch.is_empty() {
            return;
        }
        let n = batch.len();
        let spans = batch.drain(..).map(convert::span).collect();
        let sent = timeout(Duration::from_millis(SPANS_EXPORT_MS_MAX), self.exporter.export(spans)).await;
        let metrics = &self.metrics.tracing;
        (0..n).for_each(|_| metrics.waiting.decrement());
        let (cause, why) = match sent {
            Ok(Ok(())) => return metrics.count(SpanOutcome::Exported, n as u64),
            Ok(Err(error)) => self.client.last_failure().unwrap_or_else(|| (Cause::Refused, error.to_string())),
            Err(_) => (Cause::TimedOut, format!("no answer within {SPANS_EXPORT_MS_MAX} ms")),
        };
        metrics.count(SpanOutcome::ExportFailed, n as u64);
        if let Some(hushed) = self.quiet[cause as usize].speaks(self.clock.monotonic_ns()) {
            let (endpoint, cause) = (&self.endpoint, cause.as_str());
            tracing::warn!(
                endpoint,
                cause,
                why,
                spans = n,
                hushed,
                "spans were dropped: the collector did not take them"
            );
        }
    }
}
