//! The JSON schemas of the OpenAPI document. A test holds each against what the host really writes.

mod asked;
mod bulk;
mod explained;
mod places;

pub(super) use self::places::{in_header, in_path, in_query};

use serde_json::{Map, Value, json};

use super::errors::ProblemKind;
use crate::ports::breaker::Mode as BreakerMode;
use crate::ports::invalidation::{Mode, SelectorKind};
use crate::ports::registry::{PolicyState, PolicyStep};

/// All of them, by name.
#[must_use]
pub(super) fn all() -> Value {
    let mut all = answers();
    for (name, schema) in asked::all() {
        all[name] = schema;
    }
    all
}

fn answers() -> Value {
    json!({
        "Problem": problem(),
        "PolicyList": object(&[("policies", json!({ "type": "array", "items": { "$ref": "#/components/schemas/PolicyStatus" } }))]),
        "PolicyStatus": policy_status(),
        "Explanation": explained::schema(),
        "Batch": bulk::batch(),
        "BatchDone": bulk::batch_done(),
        "BatchKey": bulk::batch_key(),
        "HotKey": bulk::hot_key(),
        "Warm": bulk::warm(),
        "Warmed": bulk::warmed(),
        "HotKeys": object(&[("keys", list_of("HotKey"))]),
        "BreakerList": object(&[("breakers", list_of("BreakerStatus"))]),
        "Breaker": object(&[("breaker", reference("BreakerStatus")), ("history", list_of("BreakerStep"))]),
        "BreakerStatus": breaker_status(),
        "BreakerStep": breaker_step(),
        "LockGrant": lock_grant(),
        "LockExtended": lock_extended(),
        "LockInfo": lock_info(),
        "LockList": lock_list(),
        "LocksFreed": locks_freed(),
        "Log": object(&[("level", text("the levels that are logged"))]),
        "CallReply": object(&[("reply", json!({ "description": "null, a number, a text, a list, or names and values" }))]),
        "Status": status(),
        "EventDone": object(&[("invalidated", json!({ "type": "array", "items": event_outcome() }))]),
        "Invalidated": invalidations_done(),
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
        ("blame", json!({ "type": "string", "enum": ["caller", "policy", "store", "origin", "host"] })),
        ("retry", flag("whether the same request may succeed later by itself")),
    ])
}

fn status() -> Value {
    let counts =
        |what: &str| json!({ "type": "object", "additionalProperties": { "type": "integer" }, "description": what });
    let buckets = |what: &str| json!({ "type": "array", "items": { "type": "integer" }, "description": what });
    let part = |properties: &[(&str, Value)]| object(properties);
    let domain = object(&[
        ("domain", text("the domain")),
        ("generation", number("generation of its policy that serves; 0: none")),
        ("reads", counts("reads, by what became of them")),
        ("changes", counts("everything else, by what became of it")),
        ("latency", buckets("how long all of them took")),
        ("policy_calls", number("calls of the policy")),
        ("policy_faults", number("failures of the policy")),
        ("swaps", number("policies that went live")),
        ("invalidations", number("invalidations that were done")),
    ]);
    object(&[
        ("version", text("the host's version")),
        ("at_ms", number("wall time, milliseconds since the Unix epoch")),
        ("uptime_ms", number("milliseconds since the start")),
        ("separator", text("between a domain and the rest of a key")),
        ("connections", part(&[("resp", number("over RESP")), ("http", number("over HTTP"))])),
        (
            "l1",
            part(&[
                ("bytes", number("what it holds")),
                ("bytes_max", number("what it may hold; 0: it is off")),
                ("entries", number("entries")),
            ]),
        ),
        ("store", part(&[("errors", number("commands that failed")), ("latency", buckets("how long commands took"))])),
        (
            "troubles",
            json!({ "type": "array", "items": { "type": "string" }, "description": "what is wrong, and what to do" }),
        ),
        ("locks", number("locks that were taken through this host and live")),
        ("unknown_domain", number("requests for a domain that no policy serves")),
        ("latency_bounds_ns", buckets("upper bounds of all buckets; one more bucket takes what is above")),
        ("domains", json!({ "type": "array", "items": domain })),
    ])
}

fn invalidations_done() -> Value {
    let mut schema = optional(&[
        ("invalidated", json!({ "type": "array", "items": invalidated() })),
        ("seen", number("of a step: about how many keys of the store were looked at, over all steps until now")),
        ("total", maybe("integer", "of a step: about how many there were to look at at the beginning")),
        ("cursor", maybe("string", "of a step: what the next one begins with; null: this was the last one")),
    ]);
    schema["required"] = json!(["invalidated"]);
    schema
}

fn invalidated() -> Value {
    object(&[
        ("domain", text("the domain")),
        ("kind", json!({ "type": "string", "enum": SelectorKind::ALL.map(SelectorKind::as_str) })),
        ("mode", json!({ "type": "string", "enum": Mode::ALL.map(Mode::as_str) })),
        ("keys", maybe("integer", "how many keys were removed or made stale, where the host looked at each")),
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

fn breaker_status() -> Value {
    let states = ["closed", "open", "half-open", "forced-open", "forced-closed", "metrics-only"];
    object(&[
        ("name", text("store, or {domain}/{name}")),
        ("state", json!({ "type": "string", "enum": states })),
        ("mode", json!({ "type": "string", "enum": BreakerMode::ALL.map(BreakerMode::as_str) })),
        ("calls", number("calls within the monitoring period")),
        ("failures", number("failed ones among them")),
        ("slow", number("slow ones among them")),
        ("retry_in_ms", maybe("integer", "when it tries again, if it is open by itself")),
        ("reopened", number("how often it opened in a row without closing")),
        ("last_failure", maybe("string", "what the latest failed call met, where that is known")),
    ])
}

fn breaker_step() -> Value {
    object(&[
        ("at_ms", number("wall time, milliseconds since the Unix epoch")),
        ("from", text("the state it left")),
        ("to", text("the state it came to")),
        ("why", text("in words")),
    ])
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list_of(name: &str) -> Value {
    json!({ "type": "array", "items": reference(name) })
}

fn lock_grant() -> Value {
    object(&[
        ("name", text("the lock's name")),
        ("token", text("what extends and releases it; shown to nobody else")),
        ("fence", number("grows with every holder of this lock")),
        ("ttl_ms", number("its life")),
    ])
}

fn lock_extended() -> Value {
    object(&[("name", text("the lock's name")), ("ttl_ms", number("its life from now"))])
}

fn lock_info() -> Value {
    object(&[
        ("name", text("the lock's name")),
        ("fence", number("its holder's fence")),
        ("ttl_ms", number("what is left of its life")),
        ("owner", text("its holder's label")),
    ])
}

fn lock_list() -> Value {
    object(&[
        ("locks", list_of("LockInfo")),
        ("complete", flag("whether these are all; false if a bound ended the search")),
    ])
}

fn locks_freed() -> Value {
    object(&[("released", number("how many")), ("complete", flag("whether it saw all; false: ask again"))])
}

fn event_outcome() -> Value {
    object(&[
        ("domain", text("the domain")),
        ("selector", text("key, tag, prefix, pattern or domain")),
        ("keys", maybe("integer", "how many keys it concerned, where that is known")),
    ])
}

fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

/// An object that may lack any of these, and has nothing else.
fn optional(properties: &[(&str, Value)]) -> Value {
    let mut schema = object(properties);
    schema["required"] = json!([]);
    schema["additionalProperties"] = json!(false);
    schema
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
mod tests;
