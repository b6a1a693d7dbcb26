//! The JSON schemas of what requests carry: as exact as a schema can be, so that who keeps to it is not told that the body is wrong.
//!
//! Lengths are bounded in bytes, which JSON schema cannot say; those bounds are in the descriptions.

use serde_json::{Map, Value, json};

use super::{maybe, text};
use crate::limits::{
    EVENT_KIND_BYTES_MAX, INVALIDATE_STEP_KEYS_MAX, LOCK_NAME_BYTES_MAX, LOCK_OWNER_BYTES_MAX, LOCK_TOKEN_BYTES_MAX,
    LOCK_TTL_MS_MAX, LOCK_WAIT_MS_MAX, LOG_DIRECTIVES_BYTES_MAX, PATTERN_BYTES_MAX, PREFIX_BYTES_MAX, SELECTORS_MAX,
    TAG_BYTES_MAX,
};
use crate::ports::breaker::Mode as BreakerMode;
use crate::ports::invalidation::Mode;

/// Texts without control characters.
pub(super) const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// All of them, by name.
#[must_use]
pub(super) fn all() -> [(&'static str, Value); 9] {
    [
        ("LockAsk", lock_ask()),
        ("LockExtension", lock_extension()),
        (
            "LockRelease",
            one_of([
                only(&[("token", token())], &["token"], &[("force", json!({ "const": false }))]),
                only(&[("force", json!({ "const": true, "description": "whoever holds it" }))], &["force"], &[]),
            ]),
        ),
        (
            "LockForceRelease",
            one_of([
                only(&[("prefix", plain(0, "locks whose names begin so", LOCK_NAME_BYTES_MAX))], &["prefix"], &[]),
                only(&[("owner", plain(1, "locks of holders with this label", LOCK_OWNER_BYTES_MAX))], &["owner"], &[]),
            ]),
        ),
        (
            "BreakerForce",
            only(
                &[("mode", json!({ "type": "string", "enum": BreakerMode::ALL.map(BreakerMode::as_str) }))],
                &["mode"],
                &[],
            ),
        ),
        (
            "LogLevel",
            only(
                &[(
                    "level",
                    text(&format!(
                        "`error`, `warn`, `info`, `debug`, or directives as `info,larder::wire=debug`; at most \
                         {LOG_DIRECTIVES_BYTES_MAX} bytes"
                    )),
                )],
                &["level"],
                &[],
            ),
        ),
        (
            "Call",
            only(
                &[],
                &[],
                &[(
                    "arguments",
                    json!({
                        "type": "array",
                        "items": { "type": ["string", "number", "boolean"] },
                        "description": "what follows the name of the command",
                    }),
                )],
            ),
        ),
        ("Event", event()),
        ("Invalidation", invalidation()),
    ]
}

fn lock_ask() -> Value {
    let mut owner = plain(1, "a label that listings show; this host if left out", LOCK_OWNER_BYTES_MAX);
    owner["type"] = json!(["string", "null"]);
    only(
        &[],
        &[],
        &[
            ("ttl_ms", lock_ttl("how long it lives if nobody extends it; as the settings say if left out")),
            (
                "wait_ms",
                json!({
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "maximum": LOCK_WAIT_MS_MAX,
                    "description": "how long to wait for it; as the settings say if left out; 0: not at all",
                }),
            ),
            ("owner", owner),
        ],
    )
}

fn lock_extension() -> Value {
    only(&[("token", token())], &["token"], &[("ttl_ms", lock_ttl("its new life"))])
}

fn lock_ttl(description: &str) -> Value {
    json!({ "type": ["integer", "null"], "minimum": 1, "maximum": LOCK_TTL_MS_MAX, "description": description })
}

fn token() -> Value {
    json!({ "type": "string", "minLength": 1, "description": format!("the token; at most {LOCK_TOKEN_BYTES_MAX} bytes") })
}

fn event() -> Value {
    only(
        &[("type", plain(1, "what happened: `user.updated`", EVENT_KIND_BYTES_MAX))],
        &["type"],
        &[
            ("domain", maybe("string", "whose policy is told; every one that takes events if left out")),
            ("data", json!({ "description": "whatever belongs to it, as JSON" })),
        ],
    )
}

fn invalidation() -> Value {
    let domain = || ("domain", plain(1, "the domain", crate::limits::DOMAIN_BYTES_MAX));
    let of = |name: &'static str, min: u64, description: &str, bytes_max: usize| {
        only(&[domain(), (name, plain(min, description, bytes_max))], &["domain", name], &[])
    };
    let key = "a key; without a domain, as applications say it";
    let selector = json!({ "anyOf": [
        only(&[("key", text(key))], &["key"], &[domain()]),
        of("tag", 1, "entries that carry it", TAG_BYTES_MAX),
        of("prefix", 1, "keys that begin so, without the domain", PREFIX_BYTES_MAX),
        of("pattern", 1, "a glob for keys without the domain", PATTERN_BYTES_MAX),
        only(&[domain()], &["domain"], &[]),
    ] });
    let selectors = |max: usize| {
        ("selectors", json!({ "type": "array", "minItems": 1, "maxItems": max, "items": selector.clone() }))
    };
    let mode = || {
        let modes = Mode::ALL.map(Mode::as_str);
        ("mode", json!({ "type": "string", "enum": modes, "description": "hard if left out" }))
    };
    let count = json!({
        "type": "integer",
        "minimum": 1,
        "maximum": INVALIDATE_STEP_KEYS_MAX,
        "description": "makes it a step: about how many keys of the store it looks at",
    });
    let cursor = json!({
        "type": "string",
        "pattern": "^[0-9a-f]{1,16}([.][0-9]{1,18}){5}$",
        "description": "what the step before answered",
    });
    one_of([
        only(&[selectors(SELECTORS_MAX)], &["selectors"], &[mode()]),
        only(&[selectors(1), ("count", count)], &["selectors", "count"], &[mode(), ("cursor", cursor)]),
    ])
}

/// A text of so many characters at least.
fn plain(min: u64, description: &str, bytes_max: usize) -> Value {
    json!({
        "type": "string",
        "minLength": min,
        "pattern": PLAIN,
        "description": format!("{description}; at most {bytes_max} bytes, no control characters"),
    })
}

/// Exactly one of these. What a body must be either way is said outside, too.
fn one_of(schemas: [Value; 2]) -> Value {
    json!({ "type": "object", "oneOf": schemas })
}

/// An object that has these members and no others.
fn only(members: &[(&str, Value)], required: &[&str], optional: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        members.iter().chain(optional).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}
