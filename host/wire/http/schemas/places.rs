//! The JSON schemas of what a path, a query and headers say.

use serde_json::{Value, json};

use super::asked::PLAIN;
use crate::limits::{DOMAIN_BYTES_MAX, LOCK_NAME_BYTES_MAX};
use crate::wire::http::route::Action;

/// Of a part of a path.
#[must_use]
pub(in crate::wire::http) fn in_path(action: Action, name: &str) -> Value {
    match (action, name) {
        // What is no domain is the beginning of a key of `default`.
        (Action::ReadEntry | Action::WriteEntry | Action::RemoveEntry | Action::ExplainEntry, "domain") => {
            plain("without the separator")
        }
        (_, "domain") => json!({
            "type": "string",
            "pattern": format!("^[a-z][a-z0-9-]{{0,{}}}$", DOMAIN_BYTES_MAX - 1),
        }),
        (_, "key") => plain("what follows the domain; what a key looks like is the policy's to say"),
        (Action::AcquireLock, "name") => json!({
            "type": "string",
            "minLength": 1,
            "pattern": PLAIN.replacen('^', "^(?!@)", 1),
            "description": format!("at most {LOCK_NAME_BYTES_MAX} bytes; `@` begins the names of policies' locks"),
        }),
        _ => plain(""),
    }
}

/// Of a query.
#[must_use]
pub(in crate::wire::http) fn in_query() -> Value {
    json!({ "type": "string", "pattern": PLAIN })
}

/// Of a header.
#[must_use]
pub(in crate::wire::http) fn in_header(action: Action, name: &str) -> Value {
    match (action, name) {
        (Action::WriteEntry, "If-Match" | "If-None-Match") => json!({ "type": "string", "enum": ["*"] }),
        _ => json!({ "type": "string" }),
    }
}

fn plain(description: &str) -> Value {
    let mut schema = json!({ "type": "string", "minLength": 1, "pattern": PLAIN });
    if !description.is_empty() {
        schema["description"] = json!(description);
    }
    schema
}
