//! What is counted for each breaker. Labels are closed: breakers, whose number is bounded, their states, outcomes of calls.

use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::ports::breaker::{Outcome, State};
use crate::ports::metrics::Metrics;

/// The families of the breakers.
pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut state = Family::gauge(
        "cache_circuit_breaker_state",
        "What a breaker does, by itself or by force: 0 closed, 1 open, 2 half-open",
    );
    let mut transitions =
        Family::counter("larder_circuit_breaker_transitions_total", "Steps of a breaker, by the state it came to");
    let mut calls = Family::counter("larder_circuit_breaker_calls_total", "Calls behind a breaker, by how they went");
    for (name, metrics) in metrics.breakers() {
        state.level(&[("name", &name)], metrics.state.get() as f64);
        for to in State::ALL {
            // Alerted on: there from the start.
            transitions.count(&[("name", &name), ("to", to.as_str())], metrics.transitions[to as usize].get());
        }
        for outcome in Outcome::ALL {
            calls.count_some(&[("name", &name), ("outcome", outcome.as_str())], metrics.calls[outcome as usize].get());
        }
        calls.count_some(&[("name", &name), ("outcome", "not-permitted")], metrics.not_permitted.get());
    }
    [state, transitions, calls].map(Family::done).into()
}
