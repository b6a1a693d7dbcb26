//! The JSON schemas of what concerns many keys: batches, warming, hot keys.

use serde_json::{Value, json};

use super::{flag, maybe, number, object, optional, reference, text};
use crate::limits::WARM_STEP_KEYS_MAX;
use crate::ports::metrics::State;

/// A batch as it is asked for.
pub(super) fn batch() -> Value {
    let keys = |what: &str| json!({ "type": "array", "items": { "type": "string" }, "description": what });
    let value = json!({
        "description": "a text, or an object with `text` or `base64`",
        "oneOf": [
            { "type": "string" },
            optional(&[
                ("text", text("the value")),
                ("base64", text("or the value's bytes")),
                ("ttl_ms", number("the lifetime asked for; the policy decides")),
            ]),
        ],
    });
    optional(&[
        ("get", keys("keys to read, without the domain")),
        ("set", json!({ "type": "object", "additionalProperties": value, "description": "values to write, by key" })),
        ("delete", keys("keys to remove")),
    ])
}

/// A batch's answer.
pub(super) fn batch_done() -> Value {
    let by_key =
        |what: &str| json!({ "type": "object", "additionalProperties": reference("BatchKey"), "description": what });
    object(&[
        ("delete", by_key("what became of the removals, by key")),
        ("set", by_key("what became of the writes, by key")),
        ("get", by_key("what was read, by key")),
    ])
}

/// What became of one key of a batch.
pub(super) fn batch_key() -> Value {
    let states: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
    let error = object(&[
        ("kind", text("what failed")),
        ("detail", text("what exactly")),
        ("retry", flag("whether the same may succeed later by itself")),
    ]);
    let mut schema = optional(&[
        ("state", json!({ "type": "string", "enum": states })),
        ("text", text("the value, if it is UTF-8")),
        ("base64", text("the value's bytes, if they are not")),
        ("age_ms", number("since the start of its load, where that is known")),
        ("fresh_left_ms", number("the fresh time left; negative when stale")),
        ("stale", text("why a stale value is the answer")),
        ("error", error),
    ]);
    schema["required"] = json!(["state"]);
    schema
}

/// A step of a warming as it is asked for.
pub(super) fn warm() -> Value {
    let keys = json!({
        "type": "array",
        "items": { "type": "string" },
        "minItems": 1,
        "maxItems": WARM_STEP_KEYS_MAX,
        "description": "these keys, without the domain",
    });
    let domain = || ("domain", text("the domain"));
    let pace = || {
        [
            ("cursor", text("what the step before answered")),
            ("count", json!({ "type": "integer", "minimum": 0, "description": "about how many keys" })),
        ]
    };
    let [cursor, count] = pace();
    let listed = exact(&["domain"], &[domain(), cursor, count]);
    let [cursor, count] = pace();
    let stored = exact(
        &["domain", "version"],
        &[
            domain(),
            ("version", text("the key version whose keys in the store are brought in")),
            ("pattern", text("those of them that match this glob")),
            cursor,
            count,
        ],
    );
    json!({
        "description": "what the policy lists, these keys, or those of a key version in the store",
        "oneOf": [listed, exact(&["domain", "keys"], &[domain(), ("keys", keys)]), stored],
    })
}

fn exact(required: &[&str], properties: &[(&str, Value)]) -> Value {
    let mut schema = optional(properties);
    schema["required"] = json!(required);
    schema
}

/// What a step of a warming did.
pub(super) fn warmed() -> Value {
    object(&[
        ("held", number("keys that L1 had")),
        ("stored", number("keys that the store had")),
        ("loaded", number("keys that were loaded")),
        ("absent", number("keys that nobody has")),
        ("failed", number("keys that were refused")),
        ("total", maybe("integer", "how many there are in all, where that is known")),
        ("cursor", maybe("string", "what the next step begins with; null: this was the last one")),
    ])
}

/// A key that is read often.
pub(super) fn hot_key() -> Value {
    object(&[
        ("key", text("the application's key, foreign bytes as %XX")),
        ("domain", text("its domain")),
        ("reads", number("how many reads of it there were, about: the last ones in full, earlier ones less")),
        ("reads_error", number("by how many of these it may be too many")),
        ("share_percent", number("its part of all reads of the host")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::hot::HotKey;
    use crate::engine::warm::Warmed;
    use crate::wire::http::batch::{Batch, Done, Failed};
    use crate::wire::http::schemas::tests::check;

    #[test]
    fn a_hot_key_is_as_described() {
        let key = HotKey { key: String::new(), domain: String::new(), reads: 1, reads_error: 0, share_percent: 1 };
        check(&hot_key(), &serde_json::to_value(key).unwrap());
    }

    #[test]
    fn a_warming_is_as_described() {
        for (total, cursor) in [(None, None), (Some(1), Some(String::new()))] {
            let step = Warmed { total, cursor, ..Warmed::default() };
            check(&warmed(), &serde_json::to_value(step).unwrap());
        }
    }

    #[test]
    fn a_batch_is_as_described() {
        let full = Done {
            state: State::Miss.as_str(),
            text: Some(String::new()),
            base64: Some(String::new()),
            age_ms: Some(1),
            fresh_left_ms: Some(-1),
            stale: Some("stale"),
            error: Some(Failed { kind: "refused", detail: String::new(), retry: false }),
        };
        let full = serde_json::to_value(full).unwrap();
        check(&batch_key(), &full);
        check(&batch_key()["properties"]["error"], &full["error"]);
        check(&batch_done(), &serde_json::to_value(Batch::default()).unwrap());
    }
}
