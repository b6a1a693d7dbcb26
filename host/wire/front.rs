//! What all front ends of a host share: who is let in, how many, and whether the host is about to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::access::Gate;
use super::places::Places;
use super::tls::Tls;
use crate::config::Config;
use crate::limits::{HTTP_CONNECTIONS_DEFAULT, RESP_CONNECTIONS_DEFAULT};
use crate::ports::log::LogControl;
use crate::ports::metrics::Metrics;
use crate::ports::trace::Tracer;

/// The bounds of the connections of one protocol. They may change while the host runs.
#[derive(Debug)]
pub struct Bounds {
    /// How many there may be.
    pub places: Arc<Places>,
    rate_max: AtomicU32,
    idle_ms: AtomicU64,
}

impl Bounds {
    fn new(connections_max: usize) -> Self {
        Self { places: Places::new(connections_max), rate_max: AtomicU32::new(0), idle_ms: AtomicU64::new(0) }
    }

    /// Requests per second of one connection, for those that come from now on; 0: no bound.
    #[must_use]
    pub fn rate_max(&self) -> u32 {
        self.rate_max.load(Ordering::Relaxed)
    }

    /// Another rate; `None`: no bound.
    pub fn set_rate_max(&self, rate_max: Option<u32>) {
        self.rate_max.store(rate_max.unwrap_or(0), Ordering::Relaxed);
    }

    /// How long a connection may say nothing, in milliseconds.
    #[must_use]
    pub fn idle_ms(&self) -> Option<u64> {
        Some(self.idle_ms.load(Ordering::Relaxed)).filter(|&ms| ms > 0)
    }

    /// Another time; `None`: for ever.
    pub fn set_idle_ms(&self, idle_ms: Option<u64>) {
        self.idle_ms.store(idle_ms.unwrap_or(0), Ordering::Relaxed);
    }
}

/// What all front ends share.
pub struct Front {
    /// Who is let in.
    pub gate: Gate,
    /// How they speak TLS, if any does.
    pub tls: Option<Tls>,
    /// Which requests are traced, if any are.
    pub tracer: Option<Arc<Tracer>>,
    /// What is logged.
    pub log: Option<Arc<dyn LogControl>>,
    /// Bounds of RESP connections.
    pub resp: Bounds,
    /// Bounds of HTTP connections.
    pub http: Bounds,
    /// How many connections the system's bound on open files leaves room for.
    pub files_for_connections: usize,
    leaving: AtomicBool,
    metrics_enabled: AtomicBool,
}

impl Front {
    /// Open to everybody, with the bounds that hold where nobody says otherwise.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            gate: Gate::new(&[], metrics),
            tls: None,
            tracer: None,
            log: None,
            resp: Bounds::new(RESP_CONNECTIONS_DEFAULT),
            http: Bounds::new(HTTP_CONNECTIONS_DEFAULT),
            files_for_connections: usize::MAX,
            leaving: AtomicBool::new(false),
            metrics_enabled: AtomicBool::new(true),
        }
    }

    /// Takes up what of the settings may change while the host runs.
    pub fn apply(&self, config: &Config) {
        let [resp, http] =
            within_files([config.resp_connections_max, config.http_connections_max], self.files_for_connections);
        self.resp.places.set(resp, config.connections_per_address_max);
        self.http.places.set(http, config.connections_per_address_max);
        self.resp.set_rate_max(config.resp_rate_max);
        self.http.set_rate_max(config.http_rate_max);
        self.resp.set_idle_ms(config.resp_idle_ms);
        self.metrics_enabled.store(config.metrics_enabled, Ordering::Relaxed);
    }

    /// Says from now on that the host is not ready.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the host is about to end.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Whether `/metrics` is served.
    #[must_use]
    pub fn shows_metrics(&self) -> bool {
        self.metrics_enabled.load(Ordering::Relaxed)
    }
}

impl Default for Front {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

/// As many connections of each kind as there may be files for all: who comes beyond that is told so, instead of waiting for an answer
/// in a queue of the system from which nobody can be taken.
fn within_files(wanted: [usize; 2], files: usize) -> [usize; 2] {
    let all: usize = wanted.iter().sum();
    if all <= files {
        return wanted;
    }
    wanted.map(|some| (some.saturating_mul(files) / all).max(1))
}

#[cfg(test)]
mod tests {
    use super::within_files;

    #[test]
    fn connections_share_the_files() {
        assert_eq!(within_files([10_000, 10_000], usize::MAX), [10_000, 10_000]);
        assert_eq!(within_files([10_000, 10_000], 768), [384, 384]);
        assert_eq!(within_files([30, 10], 20), [15, 5]);
        assert_eq!(within_files([1_000_000, 1], 100), [99, 1]);
    }
}
