//! Strings and fields that are numbers: `INCR`, `HINCRBY` and their kin. The expiry of the key stays.

use super::Outcome;
use super::args::{Arguments, integer};
use super::string::read;
use crate::adapters::memory::extended::Extended;
use crate::adapters::memory::hash::Hash;
use crate::adapters::memory::integer::parse;
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::shard::{Form, NEVER};
use crate::adapters::memory::value::Value;
use crate::adapters::memory::view::View;
use crate::limits::TTL_MS_MAX;
use crate::ports::store::Reply;

pub(super) fn incr(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    add(view, arguments.at(1), 1)
}

pub(super) fn decr(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    add(view, arguments.at(1), -1)
}

pub(super) fn incrby(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let delta = integer(arguments.at(2))?;
    add(view, arguments.at(1), delta)
}

pub(super) fn decrby(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let delta = integer(arguments.at(2))?.checked_neg().ok_or(Refusal::DECREMENT_OVERFLOW)?;
    add(view, arguments.at(1), delta)
}

fn add(view: &mut View<'_>, key: &[u8], delta: i64) -> Outcome {
    let before = read(view, key)?.map_or(Ok(0), |text| integer(&text))?;
    let after = before.checked_add(delta).ok_or(Refusal::OVERFLOW)?;
    store(view, key, itoa::Buffer::new().format(after).as_bytes());
    Ok(Reply::Integer(after))
}

/// Adds to a number, which lives for `ttl_ms` if it is new. The number after it.
///
/// # Errors
/// It is no number, or the sum does not fit.
pub(in crate::adapters::memory) fn increment(
    view: &mut View<'_>,
    key: &[u8],
    delta: i64,
    ttl_ms: Option<u64>,
) -> Result<i64, Refusal> {
    let before = read(view, key)?.map_or(Ok(0), |text| integer(&text))?;
    let after = before.checked_add(delta).ok_or(Refusal::OVERFLOW)?;
    let new_ms = ttl_ms.map_or(NEVER, |ms| view.now_ms.saturating_add(ms.clamp(1, TTL_MS_MAX)));
    let expires_ms = view.get(key).map_or(new_ms, |entry| entry.expires_ms);
    view.put(key, Value::string(itoa::Buffer::new().format(after).as_bytes()), expires_ms);
    Ok(after)
}

pub(super) fn incrbyfloat(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let before = read(view, arguments.at(1))?.map_or(Some(Extended::ZERO), |text| Extended::parse(&text));
    let delta = Extended::parse(arguments.at(2));
    let (Some(before), Some(delta)) = (before, delta) else { return Err(Refusal::NOT_A_FLOAT) };
    let after = sum(&before, &delta)?;
    store(view, arguments.at(1), after.as_bytes());
    view.set_form(arguments.at(1), Form::Sum);
    Ok(Reply::Bulk(after.into()))
}

pub(super) fn hincrby(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (name, delta) = (arguments.at(2), integer(arguments.at(3))?);
    let add = |hash: &mut Hash| {
        let before = hash.get(name).map_or(Some(0), parse).ok_or(Refusal::FIELD_NOT_AN_INTEGER)?;
        let after = before.checked_add(delta).ok_or(Refusal::OVERFLOW)?;
        hash.set(name, itoa::Buffer::new().format(after).as_bytes());
        Ok(Reply::Integer(after))
    };
    view.make(arguments.at(1), add)?
}

pub(super) fn hincrbyfloat(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let name = arguments.at(2);
    let delta = Extended::parse(arguments.at(3)).ok_or(Refusal::NOT_A_FLOAT)?;
    if !delta.is_finite() {
        return Err(Refusal::INFINITE);
    }
    let add = |hash: &mut Hash| {
        let before = hash.get(name).map_or(Some(Extended::ZERO), Extended::parse);
        let after = sum(&before.ok_or(Refusal::FIELD_NOT_A_FLOAT)?, &delta)?;
        hash.set(name, after.as_bytes());
        Ok(Reply::Bulk(after.into()))
    };
    view.make(arguments.at(1), add)?
}

/// The sum as Redis prints it.
fn sum(a: &Extended, b: &Extended) -> Result<String, Refusal> {
    Ok(a.plus(b).filter(Extended::is_finite).ok_or(Refusal::NOT_FINITE)?.to_string())
}

fn store(view: &mut View<'_>, key: &[u8], text: &[u8]) {
    let kept_ms = view.peek(key).map_or(NEVER, |entry| entry.expires_ms);
    view.put(key, Value::string(text), kept_ms);
}
