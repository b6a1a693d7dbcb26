//! Each schema against what the host really writes.

use axum::response::IntoResponse;
use http_body_util::BodyExt;

use super::*;
use crate::engine::api::{Explanation, LoadExplained};
use crate::engine::status::{Connections, DomainStatus, L1Status, Status, StoreStatus};
use crate::ports::breaker::{BreakerStatus, Transition, shown};
use crate::ports::lock::{Freed, LockInfo, LockList};
use crate::ports::metrics::BUCKETS_NS;
use crate::ports::registry::{PolicyEvent, PolicyStatus, Quarantined};
use crate::wire::http::errors::Problem;
use crate::wire::http::invalidate::Done;
use crate::wire::http::locks::{Extended, Granted};

/// The value has the schema's members, each of a type that the schema allows, and no other.
#[track_caller]
pub(super) fn check(schema: &Value, value: &Value) {
    let described = schema["properties"].as_object().unwrap();
    let written = value.as_object().unwrap();
    assert_eq!(written.keys().collect::<Vec<_>>(), described.keys().collect::<Vec<_>>());
    for (name, value) in written {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let allowed = &described[name]["type"];
        assert!(
            allowed == kind || allowed.as_array().is_some_and(|kinds| kinds.iter().any(|allowed| allowed == kind)),
            "{name}: {kind}"
        );
        if let Some(allowed) = described[name]["enum"].as_array() {
            assert!(allowed.contains(value), "{name}: {value}");
        }
    }
}

#[test]
fn a_policy_status_is_as_described() {
    let status = PolicyStatus {
        domain: "d".into(),
        state: PolicyState::RolledBack,
        generation: 1,
        digest: "".into(),
        version: String::new(),
        key_version: String::new(),
        encoding: "raw",
        size_bytes: 1,
        load_ms: 1,
        live_since_ms: 1,
        previous: vec!["x".into()],
        last_error: None,
        quarantined: vec![Quarantined { at_ms: 1, digest: "".into(), detail: String::new() }],
        history: vec![PolicyEvent { at_ms: 1, event: PolicyStep::Live, digest: "".into(), detail: String::new() }],
    };
    let schema = policy_status();
    let value = serde_json::to_value(status).unwrap();
    check(&schema, &value);
    check(&schema["properties"]["history"]["items"], &value["history"][0]);
    check(&schema["properties"]["quarantined"]["items"], &value["quarantined"][0]);
}

#[test]
fn an_explanation_is_as_described() {
    let mut explanation = Explanation::default();
    check(&explained::schema(), &serde_json::to_value(&explanation).unwrap());
    explanation.load = Some(LoadExplained::default());
    explanation.fresh_left_ms = Some(-1);
    explanation.rules_stored = Some(String::new());
    (explanation.lease, explanation.lease_ttl_ms, explanation.lease_waiting) = (Some("free"), Some(1), Some(0));
    explanation.invalidated = Some("soft");
    let (schema, value) = (explained::schema(), serde_json::to_value(&explanation).unwrap());
    check(&schema, &value);
    check(&schema["properties"]["load"], &value["load"]);
}

#[test]
fn breakers_are_as_described() {
    let mut status = BreakerStatus {
        name: String::new(),
        state: shown(BreakerMode::MetricsOnly, crate::ports::breaker::State::Closed),
        mode: BreakerMode::MetricsOnly.as_str(),
        calls: 1,
        failures: 1,
        slow: 1,
        retry_in_ms: None,
        reopened: 1,
        last_failure: None,
    };
    check(&breaker_status(), &serde_json::to_value(&status).unwrap());
    (status.retry_in_ms, status.last_failure) = (Some(1), Some(String::new()));
    check(&breaker_status(), &serde_json::to_value(&status).unwrap());
    let step = Transition { at_ms: 1, from: "closed", to: "open", why: String::new() };
    check(&breaker_step(), &serde_json::to_value(step).unwrap());
}

#[test]
fn locks_are_as_described() {
    let info = LockInfo { name: String::new(), fence: 1, ttl_ms: 1, owner: String::new() };
    let granted = Granted { name: "n", token: "t", fence: 1, ttl_ms: 1 };
    check(&lock_grant(), &serde_json::to_value(granted).unwrap());
    check(&lock_extended(), &serde_json::to_value(Extended { name: "n", ttl_ms: 1 }).unwrap());
    check(&lock_info(), &serde_json::to_value(&info).unwrap());
    let list = LockList { locks: vec![info], complete: true };
    check(&lock_list(), &serde_json::to_value(list).unwrap());
    check(&locks_freed(), &serde_json::to_value(Freed { released: 1, complete: true }).unwrap());
}

#[test]
fn an_invalidation_is_as_described() {
    for keys in [None, Some(1)] {
        let done = Done { domain: "d".into(), kind: "tag", mode: "soft", keys };
        check(&invalidated(), &serde_json::to_value(done).unwrap());
    }
}

#[test]
fn a_status_is_as_described() {
    let status = Status {
        version: "1",
        at_ms: 1,
        uptime_ms: 1,
        separator: ":".into(),
        connections: Connections { resp: 1, http: 1 },
        l1: L1Status { bytes: 1, bytes_max: 1, entries: 1 },
        store: StoreStatus { errors: 1, latency: vec![1] },
        troubles: vec![String::new()],
        locks: 1,
        unknown_domain: 1,
        latency_bounds_ns: BUCKETS_NS,
        domains: vec![DomainStatus {
            domain: "d".into(),
            generation: 1,
            reads: [("miss", 1)].into(),
            changes: [("done", 1)].into(),
            latency: vec![1],
            policy_calls: 1,
            policy_faults: 1,
            swaps: 1,
            invalidations: 1,
        }],
    };
    let (schema, value) = (super::status(), serde_json::to_value(status).unwrap());
    check(&schema, &value);
    check(&schema["properties"]["domains"]["items"], &value["domains"][0]);
    for part in ["connections", "l1", "store"] {
        check(&schema["properties"][part], &value[part]);
    }
}

#[tokio::test]
async fn a_problem_is_as_described() {
    for kind in ProblemKind::ALL {
        let body = Problem::new(kind, "x").into_response().into_body().collect().await.unwrap().to_bytes();
        check(&problem(), &serde_json::from_slice(&body).unwrap());
    }
}
