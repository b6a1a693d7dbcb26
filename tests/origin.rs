//! Origins: what a host makes of servers that are slow, hostile or gone, and what it leaves behind.

mod answers;
mod bounds;
mod hooks;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use larder::adapters::breaker::BreakerBoard;
use larder::adapters::clock::SystemClock;
use larder::adapters::origin::HttpOrigins;
use larder::config::allowed::AllowedOrigins;
use larder::ports::breaker::BreakerSettings;
use larder::ports::clock::Clock;
use larder::ports::metrics::{DomainMetrics, Metrics};
use larder::ports::origin::{Origin, OriginError, OriginRequest, OriginResponse, OriginSettings, Origins, Patience};

use crate::support::engine::BREAKERS;

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(60);

/// What a test wants of its origin.
struct Wanted {
    settings: OriginSettings,
    breaker: BreakerSettings,
    allowed: &'static str,
    ca_file: Option<std::path::PathBuf>,
    clock: Arc<dyn Clock>,
}

/// An origin as the host has it, with all that belongs to it.
struct Bench {
    origin: Arc<dyn Origin>,
    breakers: Arc<BreakerBoard>,
    metrics: Arc<DomainMetrics>,
}

impl Wanted {
    fn at(url: impl Into<String>) -> Self {
        let patience = Patience { soft: LONG, hard: LONG };
        Self {
            settings: OriginSettings { url: url.into(), patience, loads_max: 8, body_bytes_max: 1 << 20 },
            breaker: BREAKERS,
            allowed: "loopback",
            ca_file: None,
            clock: Arc::new(SystemClock::default()),
        }
    }

    fn origins(&self) -> (HttpOrigins, Arc<BreakerBoard>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        let breakers = Arc::new(BreakerBoard::new(self.breaker, self.clock.clone(), metrics.clone()));
        let allowed = AllowedOrigins::parse(self.allowed).unwrap();
        let (board, counted) = (breakers.clone(), metrics.clone());
        let origins = HttpOrigins::new(allowed, self.ca_file.as_deref(), board, counted, self.clock.clone()).unwrap();
        (origins, breakers, metrics)
    }

    fn open(self) -> Bench {
        let (origins, breakers, metrics) = self.origins();
        Bench { origin: origins.open("d", &self.settings).unwrap(), breakers, metrics: metrics.domain("d") }
    }
}

impl Bench {
    fn at(url: impl Into<String>) -> Self {
        Wanted::at(url).open()
    }

    async fn load(&self) -> Result<OriginResponse, OriginError> {
        self.origin.load(&path("/x"), LONG).await
    }

    /// The word of the error.
    #[track_caller]
    fn fails(answer: Result<OriginResponse, OriginError>) -> (&'static str, String) {
        let error = answer.expect_err("there is no answer");
        (error.as_str(), error.to_string())
    }

    fn in_flight(&self) -> u64 {
        self.metrics.origin.in_flight.get()
    }
}

fn path(path: &str) -> OriginRequest {
    OriginRequest { path: path.into(), headers: Vec::new() }
}
