//! Commands of policies, and events of the application.
//!
//! Arguments are texts; numbers and truth values are taken as their text. A reply is JSON: bytes that are UTF-8 are a text, others are
//! `{"hex": "…"}`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Request, State as Of};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json as object};

use super::app::Shared;
use super::caller::Caller;
use super::entry::json;
use super::errors::{Problem, ProblemKind};
use super::{body, target};
use crate::config::users::Role;
use crate::error::ErrorKind;
use crate::ports::hooks::Event;
use crate::ports::workflow::CommandReply;

const DOMAINS: &str = "/v1/domains/";

/// What a command is given.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    #[serde(default)]
    arguments: Vec<Value>,
}

/// An event, told to one domain or to all that want events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    domain: Option<String>,
    r#type: String,
    #[serde(default)]
    data: Value,
}

/// `POST /v1/domains/{domain}/commands/{command}`
pub(super) async fn call(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let path = request.uri().path().strip_prefix(DOMAINS).unwrap_or_default();
    let (domain, command) = path.split_once("/commands/").unwrap_or_default();
    let domain = target::domain(domain, shared.separator)?;
    let command = String::from_utf8(target::text(command)?).map_err(|_| invalid("the command is not UTF-8"))?;
    let bytes = body::read(request.into_body(), &shared.bodies).await?;
    let call: Call =
        if bytes.is_empty() { Call::default() } else { serde_json::from_slice(&bytes).map_err(wrong_body)? };
    let arguments = call.arguments.into_iter().map(argument).collect::<Result<Vec<_>, _>>()?;
    let reply = shared.engine.command(&domain, &command, &arguments).await?;
    json(&object!({ "reply": value(reply) }))
}

/// `POST /v1/events`
pub(super) async fn event(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let bytes = body::read(request.into_body(), &shared.bodies).await?;
    let told: Told = serde_json::from_slice(&bytes).map_err(wrong_body)?;
    caller.may_in(&shared, Role::Write, told.domain.as_deref())?;
    let payload = told.data.to_string();
    let event = Event { kind: &told.r#type, payload: &payload };
    let invalidated = shared.engine.event(told.domain.as_deref(), &event).await?;
    json(&object!({ "invalidated": invalidated }))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), detail)
}

fn wrong_body(error: serde_json::Error) -> Problem {
    invalid(format!("the body: {error}"))
}

fn argument(argument: Value) -> Result<Bytes, Problem> {
    match argument {
        Value::String(text) => Ok(text.into()),
        Value::Number(number) => Ok(number.to_string().into()),
        Value::Bool(flag) => Ok(flag.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(invalid("an argument is a text, a number or a truth value"))
        }
    }
}

fn value(reply: CommandReply) -> Value {
    match reply {
        CommandReply::Nothing => Value::Null,
        CommandReply::Integer(n) => n.into(),
        CommandReply::Text(text) => text.into(),
        CommandReply::Bytes(bytes) => text_or_hex(&bytes),
        CommandReply::Items(items) => items.iter().map(text_or_hex).collect(),
        CommandReply::Fields(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, value.into())).collect())
        }
    }
}

fn text_or_hex(bytes: &Bytes) -> Value {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let hex = bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    object!({ "hex": hex })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_json() {
        let check = |reply, expected| assert_eq!(value(reply).to_string(), expected);
        check(CommandReply::Nothing, "null");
        check(CommandReply::Integer(-1), "-1");
        check(CommandReply::Text("a\"".into()), r#""a\"""#);
        check(CommandReply::Items(vec!["a".into(), Bytes::from_static(b"\xff\x01")]), r#"["a",{"hex":"ff01"}]"#);
        check(CommandReply::Fields(vec![("a".into(), "1".into())]), r#"{"a":"1"}"#);
    }

    #[test]
    fn arguments_are_texts() {
        for (given, expected) in [(object!("a"), "a"), (object!(1), "1"), (object!(true), "true")] {
            assert_eq!(argument(given).expect("it is one"), expected);
        }
        for given in [object!(null), object!([]), object!({})] {
            assert!(argument(given).is_err());
        }
    }
}
