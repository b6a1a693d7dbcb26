//! Redis' answers as the port has them.

use std::fmt::Display;

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};

use super::error;
use crate::ports::store::{Reply, StoreError, StoreResult, Ttl};
use crate::ports::upstream::Heard;

/// Any answer. A server that serves nobody is an error of the store; every other error of the server is a reply.
pub(super) fn reply(address: &impl Display, value: Value) -> StoreResult<Reply> {
    match value {
        Value::ServerError(error) if error::is_unavailable(&error) => Err(error::refused(address, &error)),
        value => nested(value),
    }
}

/// The answers of a pipeline. If the server served nobody at its beginning, nothing was done; an error further on is the reply
/// in its place.
pub(super) fn replies(address: &impl Display, values: Vec<Value>) -> StoreResult<Vec<Reply>> {
    let mut values = values.into_iter();
    let first = values.next().map(|value| reply(address, value));
    first.into_iter().chain(values.map(nested)).collect()
}

/// The answers of a block, `None` if a key that was watched has changed. What refuses a command before the block begins refuses
/// the whole block, in the words of the first refusal.
pub(super) fn block(address: &impl Display, values: Vec<Value>) -> StoreResult<Option<Vec<Reply>>> {
    let mut values = values;
    let last = values.pop();
    let refusal = values.iter().find_map(|value| match value {
        Value::ServerError(error) => Some(error),
        _ => None,
    });
    match (refusal, last) {
        (Some(error), _) => Err(error::refused(address, error)),
        (None, Some(Value::Array(answers))) => answers.into_iter().map(nested).collect::<StoreResult<_>>().map(Some),
        (None, Some(Value::Nil)) => Ok(None),
        (None, Some(other)) => Err(odd(address, "the answers of a block", &other)),
        (None, None) => Err(StoreError::Protocol("no answer to a block of commands".to_owned())),
    }
}

/// An answer within another one.
fn nested(value: Value) -> StoreResult<Reply> {
    // Collecting results would not know how many there are.
    let all = |values: Vec<Value>| {
        let mut all = Vec::with_capacity(values.len());
        for value in values {
            all.push(nested(value)?);
        }
        Ok::<_, StoreError>(all)
    };
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(n) => Reply::Integer(n),
        Value::BulkString(bytes) => Reply::Bulk(bytes.into()),
        Value::SimpleString(text) => Reply::Status(text.into()),
        Value::Okay => Reply::ok(),
        Value::Double(n) => Reply::Double(n),
        Value::Boolean(yes) => Reply::Boolean(yes),
        Value::VerbatimString { format, text } => Reply::Verbatim(format.to_string().into(), text.into()),
        Value::Array(values) => Reply::Array(all(values)?),
        Value::Set(values) => Reply::Set(all(values)?),
        Value::Map(pairs) => {
            let pair = |(name, value)| Ok((nested(name)?, nested(value)?));
            Reply::Map(pairs.into_iter().map(pair).collect::<StoreResult<_>>()?)
        }
        Value::Attribute { data, .. } => nested(*data)?,
        Value::ServerError(error) => Reply::Error(error::line(&error)),
        Value::BigNumber(digits) => Reply::BigNumber(digits.into()),
        Value::Push { kind, data } => push(&kind, data),
        other => return Err(unexpected("a reply", &other)),
    })
}

/// What came by itself over a connection that listens. What makes no sense is left out.
pub(super) fn heard(info: PushInfo) -> Heard {
    let PushInfo { kind, data } = info;
    if kind == PushKind::Disconnection {
        return Heard::Lost;
    }
    Heard::Push(push(&kind, data))
}

fn push(kind: &PushKind, data: Vec<Value>) -> Reply {
    let rest = data.into_iter().map(|value| nested(value).unwrap_or(Reply::Nil));
    Reply::Push(std::iter::once(Reply::Bulk(kind.to_string().into())).chain(rest).collect())
}

/// A string or nothing.
pub(super) fn string(address: &impl Display, value: Value) -> StoreResult<Option<Bytes>> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        Value::Nil => Ok(None),
        other => Err(odd(address, "a string", &other)),
    }
}

/// Strings, or nothing in the place of one.
pub(super) fn strings(address: &impl Display, value: Value) -> StoreResult<Vec<Option<Bytes>>> {
    match value {
        Value::Array(values) => values.into_iter().map(|value| string(address, value)).collect(),
        other => Err(odd(address, "a list", &other)),
    }
}

/// A number that was sent as text.
pub(super) fn number(address: &impl Display, value: Value) -> StoreResult<i64> {
    let text = string(address, value)?;
    let number = text.as_deref().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    number.ok_or_else(|| StoreError::Protocol("a number that is none".to_owned()))
}

/// A number.
pub(super) fn integer(address: &impl Display, value: &Value) -> StoreResult<i64> {
    match value {
        Value::Int(n) => Ok(*n),
        other => Err(odd(address, "a number", other)),
    }
}

/// A number that is 1 for yes.
pub(super) fn yes(address: &impl Display, value: Value) -> StoreResult<bool> {
    Ok(integer(address, &value)? == 1)
}

/// Whether a conditional `SET` was done: `OK` or nothing.
pub(super) fn done(address: &impl Display, value: &Value) -> StoreResult<bool> {
    match value {
        Value::Okay => Ok(true),
        Value::Nil => Ok(false),
        other => Err(odd(address, "OK", other)),
    }
}

/// The answer of `PTTL`.
pub(super) fn ttl(address: &impl Display, value: &Value) -> StoreResult<Ttl> {
    match integer(address, value)? {
        -2 => Ok(Ttl::Missing),
        -1 => Ok(Ttl::Never),
        ms => Ok(Ttl::Ms(u64::try_from(ms).unwrap_or(0))),
    }
}

fn odd(address: &impl Display, wanted: &str, value: &Value) -> StoreError {
    match value {
        Value::ServerError(error) => error::refused(address, error),
        other => unexpected(wanted, other),
    }
}

/// Names the type only: an answer may be long, and not for everybody.
fn unexpected(wanted: &str, value: &Value) -> StoreError {
    let kind = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) => "a string",
        Value::SimpleString(_) | Value::Okay => "a status",
        Value::Array(_) => "a list",
        Value::Push { .. } => "a push",
        _ => "another type",
    };
    StoreError::Protocol(format!("{wanted} was expected, {kind} came"))
}
