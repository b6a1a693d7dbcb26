//! `/metrics`: what [`Metrics`] counts, in Prometheus' text exposition format.
//!
//! Everything is read at the scrape; nothing is counted twice. A series appears with its first event, so that a page names
//! what happens and not what could; its names and labels are a promise to dashboards. The policies' own metrics come from
//! [`Source`]s.

mod breakers;
mod coherence;
mod compression;
mod domains;
mod family;
mod fills;
mod guard;
mod host;
mod origins;
mod process;
mod sources;
mod summary;
mod traces;
mod tracking;
mod warming;
mod windows;

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

pub use self::sources::{Series, Source, Value};
pub use self::summary::{Summary, SummaryLine};
pub use self::windows::Windows;
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;

/// Makes the page.
pub struct Exporter {
    registry: Registry,
    windows: Arc<Windows>,
}

impl Exporter {
    /// Exports these counters and what the sources add.
    ///
    /// # Errors
    /// None that a caller could cause: the names of the parts are fixed.
    pub fn new(
        metrics: &Arc<Metrics>,
        clock: Arc<dyn Clock>,
        sources: Vec<Arc<dyn Source>>,
    ) -> prometheus::Result<Self> {
        let windows = Arc::new(Windows::new(Arc::clone(metrics), clock));
        let registry = Registry::new();
        let guarded = Arc::clone(metrics);
        let turned_away = Arc::clone(metrics);
        let (hosts, domains, loads, recent) =
            (Arc::clone(metrics), Arc::clone(metrics), Arc::clone(metrics), Arc::clone(&windows));
        let (compressing, bringing) = (Arc::clone(metrics), Arc::clone(metrics));
        let shared = Arc::clone(metrics);
        registry.register(part("host", move || host::families(&hosts))?)?;
        registry.register(part("domains", move || domains::families(&domains))?)?;
        let loaded = Arc::clone(metrics);
        registry.register(part("origins", move || origins::families(&loaded))?)?;
        registry.register(part("fills", move || fills::families(&loads))?)?;
        registry.register(part("coherence", move || coherence::families(&shared))?)?;
        let kept = Arc::clone(metrics);
        registry.register(part("tracking", move || tracking::families(&kept))?)?;
        registry.register(part("breakers", move || breakers::families(&guarded))?)?;
        registry.register(part("compression", move || compression::families(&compressing))?)?;
        registry.register(part("warming", move || warming::families(&bringing))?)?;
        let traced = Arc::clone(metrics);
        registry.register(part("traces", move || traces::families(&traced))?)?;
        registry.register(part("guard", move || guard::families(&turned_away))?)?;
        registry.register(part("windows", move || windows::families(&recent))?)?;
        registry.register(part("process", process::families)?)?;
        registry.register(part("sources", move || sources::families(&sources))?)?;
        Ok(Self { registry, windows })
    }

    /// The page as it is now. Takes as long as there are series: up to some milliseconds.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut page) {
            // What is written so far is whole lines: better than nothing.
            tracing::error!(%error, "the metrics page is cut short");
        }
        page
    }

    /// The recent past, for the task that samples it ([`Windows::sample_for_ever`]).
    #[must_use]
    pub const fn windows(&self) -> &Arc<Windows> {
        &self.windows
    }
}

/// A part of the page. The registry wants a name for each to tell them apart; it is shown nowhere.
struct Part<F> {
    desc: Desc,
    collect: F,
}

fn part<F>(name: &str, collect: F) -> prometheus::Result<Box<dyn Collector>>
where
    F: Fn() -> Vec<MetricFamily> + Send + Sync + 'static,
{
    let desc =
        Desc::new(format!("larder_part_{name}"), "A part of the page".to_owned(), Vec::new(), Default::default())?;
    Ok(Box::new(Part { desc, collect }))
}

impl<F: Fn() -> Vec<MetricFamily> + Send + Sync> Collector for Part<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.collect)()
    }
}

#[cfg(test)]
mod tests;
