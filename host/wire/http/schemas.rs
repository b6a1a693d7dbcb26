//! The JSON schemas of the OpenAPI document. A test holds each against what the host really writes.

use serde_json::{Map, Value, json};

use super::errors::ProblemKind;
use crate::ports::metrics::State;
use crate::ports::registry::{PolicyState, PolicyStep};

/// All of them, by name.
#[must_use]
pub(super) fn all() -> Value {
    json!({
        "Problem": problem(),
        "PolicyList": object(&[("policies", json!({ "type": "array", "items": { "$ref": "#/components/schemas/PolicyStatus" } }))]),
        "PolicyStatus": policy_status(),
        "Explanation": explanation(),
    })
}

fn problem() -> Value {
    let types: Vec<String> =
        ProblemKind::ALL.iter().map(|kind| format!("urn:larder:problem:{}", kind.row().slug)).collect();
    object(&[
        ("type", json!({ "type": "string", "enum": types })),
        ("title", text("what went wrong, in a few words")),
        ("status", number("the status code")),
        ("detail", text("what exactly, and what to do")),
        ("blame", json!({ "type": "string", "enum": ["caller", "policy", "store", "host"] })),
        ("retry", flag("whether the same request may succeed later by itself")),
    ])
}

fn policy_status() -> Value {
    let event = object(&[
        ("at_ms", number("wall time, milliseconds since the Unix epoch")),
        ("event", json!({ "type": "string", "enum": PolicyStep::ALL.map(PolicyStep::as_str) })),
        ("digest", text("SHA-256 of the component concerned; empty if there is none")),
        ("detail", text("in words")),
    ]);
    let quarantined = object(&[
        ("at_ms", number("since when: wall time, milliseconds since the Unix epoch")),
        ("digest", text("SHA-256 of the component")),
        ("detail", text("how often it failed")),
    ]);
    object(&[
        ("domain", text("the domain")),
        ("state", json!({ "type": "string", "enum": PolicyState::ALL.map(PolicyState::as_str) })),
        ("generation", number("the generation that serves; 0 if none")),
        ("digest", text("SHA-256 of the component that serves; empty if none")),
        ("version", text("the policy's own version; empty if none serves")),
        ("key_version", text("the key version; empty if none serves")),
        ("encoding", text("raw or enveloped; empty if none serves")),
        ("size_bytes", number("size of the component")),
        ("load_ms", number("how long the last compilation or cache load took")),
        ("live_since_ms", number("wall time since which it serves, milliseconds since the Unix epoch")),
        (
            "previous",
            json!({ "type": "array", "items": { "type": "string" }, "description": "what it may be rolled back to, newest first" }),
        ),
        ("last_error", maybe("string", "why the newest file does not serve, or what is wrong with what serves")),
        (
            "quarantined",
            json!({ "type": "array", "items": quarantined, "description": "what is not taken again, newest first" }),
        ),
        ("history", json!({ "type": "array", "items": event, "description": "the last steps, newest first" })),
    ])
}

fn explanation() -> Value {
    let states: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
    object(&[
        ("key", text("the application's key, foreign bytes as %XX")),
        ("domain", text("the domain that serves it")),
        ("policy_digest", text("SHA-256 of the policy's component")),
        ("policy_version", text("the policy's own version")),
        ("generation", number("generation of the policy on this node")),
        ("storage_key", text("what the store calls the key; empty if the policy refuses it")),
        ("encoding", text("raw or enveloped")),
        ("on_miss", text("answer, lease or load")),
        ("state", text(&format!("how a read would be answered now: `refused: …` or one of {}", states.join(", ")))),
        ("from", text("l1, store or nowhere")),
        ("size_bytes", maybe("integer", "size of the value")),
        ("age_ms", maybe("integer", "since the start of its load")),
        ("fresh_ms", maybe("integer", "fresh time under the rules of now; null: never expires or unknown")),
        ("stale_while_revalidate_ms", maybe("integer", "stale-while-revalidate window")),
        ("stale_if_error_ms", maybe("integer", "stale-if-error window")),
        ("fresh_left_ms", maybe("integer", "the fresh time left; negative when stale")),
        ("store_ttl_ms", maybe("integer", "life left in the store")),
        ("rules_stored", maybe("string", "the rules that judged the stored entry")),
        ("rules_now", text("the rules that serve now")),
        ("rejudged", flag("whether the stored entry was judged under other rules and is judged again")),
        ("tags", json!({ "type": "array", "items": { "type": "string" }, "description": "tags of the entry" })),
    ])
}

fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "integer", "description": description })
}

fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

fn maybe(kind: &str, description: &str) -> Value {
    json!({ "type": [kind, "null"], "description": description })
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http_body_util::BodyExt;

    use super::*;
    use crate::engine::api::Explanation;
    use crate::ports::registry::{PolicyEvent, PolicyStatus, Quarantined};
    use crate::wire::http::errors::Problem;

    /// The value has the schema's members, each of a type that the schema allows, and no other.
    #[track_caller]
    fn check(schema: &Value, value: &Value) {
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
        let mut explanation = Explanation {
            key: String::new(),
            domain: String::new(),
            policy_digest: String::new(),
            policy_version: String::new(),
            generation: 1,
            storage_key: String::new(),
            encoding: "raw",
            on_miss: "answer",
            state: String::new(),
            from: "l1",
            size_bytes: None,
            age_ms: None,
            fresh_ms: None,
            stale_while_revalidate_ms: None,
            stale_if_error_ms: None,
            fresh_left_ms: None,
            store_ttl_ms: None,
            rules_stored: None,
            rules_now: String::new(),
            rejudged: false,
            tags: Vec::new(),
        };
        check(&super::explanation(), &serde_json::to_value(&explanation).unwrap());
        explanation.fresh_left_ms = Some(-1);
        explanation.rules_stored = Some(String::new());
        check(&super::explanation(), &serde_json::to_value(&explanation).unwrap());
    }

    #[tokio::test]
    async fn a_problem_is_as_described() {
        for kind in ProblemKind::ALL {
            let body = Problem::new(kind, "x").into_response().into_body().collect().await.unwrap().to_bytes();
            check(&problem(), &serde_json::from_slice(&body).unwrap());
        }
    }
}
