//! The JSON schema of an explanation. A test holds it against what the host really writes.

use serde_json::{Value, json};

use super::{flag, maybe, number, object, text};
use crate::ports::metrics::State;

/// Of `GET /v1/explain/{domain}/{key}`.
#[must_use]
pub(super) fn schema() -> Value {
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
        (
            "lease",
            maybe(
                "string",
                "who may fill the key: free, this-node, other-node; what ended the last lease: written, deleted",
            ),
        ),
        ("lease_ttl_ms", maybe("integer", "life left to the lease")),
        ("lease_waiting", maybe("integer", "readers of this node that wait for the load")),
        ("state", text(&format!("how a read would be answered now: `refused: …` or one of {}", states.join(", ")))),
        ("from", text("l1, store or nowhere")),
        (
            "type",
            maybe("string", "what Redis would call the type of what is there; null: nothing is, or the store is away"),
        ),
        ("size_bytes", maybe("integer", "size of the value")),
        (
            "born_ms",
            maybe("integer", "start of its load or time of its write: wall time, milliseconds since the Unix epoch"),
        ),
        ("stored_bytes", maybe("integer", "size of it as the store holds it, if the store was asked")),
        ("compression", maybe("string", "how it is compressed there: none, lz4, zstd")),
        ("age_ms", maybe("integer", "since the start of its load")),
        ("fresh_ms", maybe("integer", "fresh time under the rules of now; null: never expires or unknown")),
        ("stale_while_revalidate_ms", maybe("integer", "stale-while-revalidate window")),
        ("stale_if_error_ms", maybe("integer", "stale-if-error window")),
        ("keep_ms", maybe("integer", "how long it is kept after these for a conditional load")),
        ("max_stale_ms", maybe("integer", "the cap on staleness")),
        ("life", text("where it is in its life: fresh, stale, stale-if-error, kept, gone, negative, uncacheable")),
        ("on_read", text("what a reader would get, and what its read would begin")),
        ("load", load()),
        ("fresh_left_ms", maybe("integer", "the fresh time left; negative when stale")),
        ("store_ttl_ms", maybe("integer", "life left in the store")),
        ("rules_stored", maybe("string", "the rules that judged the stored entry")),
        ("rules_now", text("the rules that serve now")),
        ("rejudged", flag("whether the stored entry was judged under other rules and is judged again")),
        ("tags", json!({ "type": "array", "items": { "type": "string" }, "description": "tags of the entry" })),
        (
            "generations",
            json!({ "type": "array", "items": { "type": "string" }, "description": "the generations that it was loaded under" }),
        ),
        ("invalidated", maybe("string", "whether it was invalidated since it was loaded: soft, hard")),
        (
            "invalidated_by",
            json!({ "type": "array", "items": { "type": "string" }, "description": "what was: domain, tag …, prefix …, with how" }),
        ),
    ])
}

fn load() -> Value {
    let mut schema = object(&[
        ("origin", text("the name of the origin")),
        ("healthy", flag("whether its breaker lets calls through")),
        ("outcome", maybe("string", "what became of this node's last load of the key")),
        ("status", maybe("integer", "the origin's status in it")),
        ("error", maybe("string", "why it failed")),
        ("ago_ms", maybe("integer", "how long ago it ended")),
        ("took_ms", maybe("integer", "how long it took")),
        ("throttled_ms", maybe("integer", "for how long the key is not loaded again")),
    ]);
    schema["type"] = json!(["object", "null"]);
    schema
}
