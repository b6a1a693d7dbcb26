//! What a running host tells of itself beside the log and the metrics page: traces, and a summary in the log at intervals.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use larder::adapters::clock::SystemClock;
use larder::adapters::otlp::{Otlp, OtlpSettings};
use larder::adapters::prometheus::{Summary, Windows};
use larder::adapters::traced::{TracedLocks, TracedStore};
use larder::config::{Config, TracingSettings};
use larder::engine::Engine;
use larder::limits::{SPANS_FLUSH_MS_MAX, SUMMARY_LOOK_MS};
use larder::ports::clock::Clock;
use larder::ports::lock::LockStore;
use larder::ports::metrics::Metrics;
use larder::ports::store::Store;
use larder::ports::trace::{Sampling, Tracer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Traces, if any are wanted.
#[derive(Default)]
pub(crate) struct Traces {
    /// Begins them.
    pub(crate) tracer: Option<Arc<Tracer>>,
    otlp: Option<Otlp>,
    sending: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Traces {
    /// As the settings say.
    pub(crate) fn new(settings: Option<&TracingSettings>, metrics: &Arc<Metrics>) -> Result<Self> {
        let Some(settings) = settings.cloned() else { return Ok(Self::default()) };
        let TracingSettings { endpoint, headers, ca_file, service_name, ratio, follows_caller } = settings;
        tracing::info!(endpoint, ratio, follows_caller, service_name, "requests are traced");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let settings = OtlpSettings { endpoint, service_name, headers, ca_file };
        let (sink, otlp) = Otlp::new(settings, metrics.clone(), clock.clone())?;
        let tracer = Tracer::new(Sampling::new(ratio, follows_caller), clock, sink);
        Ok(Self { tracer: Some(tracer), otlp: Some(otlp), sending: None })
    }

    /// A store whose calls show in traces, if there are any.
    pub(crate) fn around(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        if self.tracer.is_some() { Arc::new(TracedStore::new(store)) } else { store }
    }

    /// Locks whose calls show in traces, if there are any.
    pub(crate) fn around_locks(&self, locks: Arc<dyn LockStore>) -> Arc<dyn LockStore> {
        if self.tracer.is_some() { Arc::new(TracedLocks::new(locks)) } else { locks }
    }

    /// Begins to send, on this runtime.
    pub(crate) fn begin(&mut self) {
        if let Some(otlp) = self.otlp.take() {
            let (end, ending) = oneshot::channel();
            self.sending = Some((end, tokio::spawn(otlp.run(ending))));
        }
    }

    /// Sends what still waits, for so long as the host may take at its end.
    pub(crate) async fn end(self) {
        let Some((end, mut sending)) = self.sending else { return };
        // Who sends may have ended by itself only if it panicked; then there is nobody to tell.
        let _ = end.send(());
        if tokio::time::timeout(Duration::from_millis(SPANS_FLUSH_MS_MAX), &mut sending).await.is_err() {
            sending.abort();
            tracing::warn!(within_ms = SPANS_FLUSH_MS_MAX, "the collector did not take the last spans in time");
        }
    }
}

/// Writes the summary when it is due, for ever.
pub(crate) async fn sum_up(config_ms: u64, engine: Arc<Engine>, windows: Arc<Windows>, clock: Arc<dyn Clock>) {
    let mut summary = Summary::new(config_ms, engine.metrics().clone(), windows, clock);
    let mut interval = tokio::time::interval(Duration::from_millis(SUMMARY_LOOK_MS));
    loop {
        interval.tick().await;
        if summary.is_due() {
            engine.report();
            summary.line().log();
        }
    }
}

/// Begins the summaries that the settings want.
pub(crate) fn begin_summaries(config: &Config, engine: &Arc<Engine>, windows: &Arc<Windows>, clock: &Arc<dyn Clock>) {
    if let Some(every_ms) = config.log_summary_ms {
        tokio::spawn(sum_up(every_ms, engine.clone(), windows.clone(), clock.clone()));
    }
}
