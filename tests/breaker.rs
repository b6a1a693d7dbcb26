//! Circuit breakers: the state machine in virtual time, the one around the store, and what operators see.

mod machine;
mod operators;
mod store;

use std::sync::Arc;

use larder::adapters::breaker::CircuitBreaker;
use larder::ports::breaker::{BreakerMetrics, BreakerSettings};
use larder::ports::clock::VirtualClock;
use larder::ports::metrics::Metrics;

/// A breaker in virtual time.
struct Bench {
    breaker: Arc<CircuitBreaker>,
    clock: Arc<VirtualClock>,
    metrics: Arc<BreakerMetrics>,
}

impl Bench {
    fn new(settings: BreakerSettings) -> Self {
        let clock = Arc::new(VirtualClock::new(1_700_000_000_000, 3));
        let metrics = Metrics::default().breaker("b");
        let breaker = CircuitBreaker::new("b".into(), settings, clock.clone(), metrics.clone());
        Self { breaker, clock, metrics }
    }
}

const SETTINGS: BreakerSettings = BreakerSettings {
    failure_threshold: 3,
    recovery_ms: 1_000,
    monitoring_ms: 10_000,
    half_open_calls_max: 2,
    slow_ms: Some(100),
};
