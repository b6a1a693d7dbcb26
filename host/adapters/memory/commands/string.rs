//! Strings as a whole: `GET`, `SET`, `MGET`, `MSET` and their kin.

use bytes::Bytes;

use super::Outcome;
use super::args::Arguments;
use super::options::{Lifetime, Options, Unit, Whose, expires_ms};
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::shard::NEVER;
use crate::adapters::memory::value::Value;
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

/// The string under a key, if there is one.
pub(super) fn read(view: &mut View<'_>, key: &[u8]) -> Result<Option<Bytes>, Refusal> {
    view.get(key).map(|entry| Ok(entry.value.as_string()?.read())).transpose()
}

fn bulk(bytes: Option<Bytes>) -> Reply {
    bytes.map_or(Reply::Nil, Reply::Bulk)
}

pub(super) fn get(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    read(view, arguments.at(1)).map(bulk)
}

pub(super) fn set(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (key, value) = (arguments.at(1), arguments.at(2));
    let options = Options::parse(Whose::Set, arguments.from(3))?;
    let asked_ms = match &options.lifetime {
        Lifetime::Asked(unit, number) => Some(expires_ms("set", *unit, number, view.now_ms)?),
        Lifetime::Unsaid | Lifetime::Keep | Lifetime::Persist => None,
    };
    let previous = if options.want_previous { Some(read(view, key)?) } else { None };
    let there = view.get(key).map(|entry| entry.expires_ms);
    if (options.if_absent && there.is_some()) || (options.if_present && there.is_none()) {
        return Ok(previous.map_or(Reply::Nil, bulk));
    }
    let kept_ms = if options.lifetime == Lifetime::Keep { there } else { None };
    view.put(key, Value::string(value), asked_ms.or(kept_ms).unwrap_or(NEVER));
    Ok(previous.map_or_else(Reply::ok, bulk))
}

pub(super) fn setnx(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    if view.has(arguments.at(1)) {
        return Ok(Reply::Integer(0));
    }
    view.put(arguments.at(1), Value::string(arguments.at(2)), NEVER);
    Ok(Reply::Integer(1))
}

pub(super) fn setex(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    set_for(view, arguments, "setex", Unit::Ex)
}

pub(super) fn psetex(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    set_for(view, arguments, "psetex", Unit::Px)
}

fn set_for(view: &mut View<'_>, arguments: Arguments<'_>, command: &str, unit: Unit) -> Outcome {
    let at_ms = expires_ms(command, unit, arguments.at(2), view.now_ms)?;
    view.put(arguments.at(1), Value::string(arguments.at(3)), at_ms);
    Ok(Reply::ok())
}

pub(super) fn getset(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let previous = read(view, arguments.at(1))?;
    view.put(arguments.at(1), Value::string(arguments.at(2)), NEVER);
    Ok(bulk(previous))
}

pub(super) fn getdel(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let previous = read(view, arguments.at(1))?;
    view.remove(arguments.at(1));
    Ok(bulk(previous))
}

pub(super) fn getex(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let key = arguments.at(1);
    let options = Options::parse(Whose::GetEx, arguments.from(2))?;
    let Some(bytes) = read(view, key)? else { return Ok(Reply::Nil) };
    match &options.lifetime {
        Lifetime::Unsaid | Lifetime::Keep => {}
        Lifetime::Persist => {
            view.change(key, |entry| entry.expires_ms = NEVER);
        }
        Lifetime::Asked(unit, number) => {
            let at_ms = expires_ms("getex", *unit, number, view.now_ms)?;
            if unit.is_absolute() && at_ms <= view.now_ms {
                view.remove(key);
            } else {
                view.change(key, |entry| entry.expires_ms = at_ms);
            }
        }
    }
    Ok(Reply::Bulk(bytes))
}

pub(super) fn mget(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let values = arguments.from(1).iter().map(|key| read(view, key).map_or(Reply::Nil, bulk));
    Ok(Reply::Array(values.collect()))
}

pub(super) fn mset(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (pairs, []) = arguments.from(1).as_chunks::<2>() else { return Err(Refusal::arity("mset")) };
    put_all(view, pairs);
    Ok(Reply::ok())
}

pub(super) fn msetnx(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (pairs, []) = arguments.from(1).as_chunks::<2>() else { return Err(Refusal::arity("msetnx")) };
    if pairs.iter().any(|[key, _]| view.has(key)) {
        return Ok(Reply::Integer(0));
    }
    put_all(view, pairs);
    Ok(Reply::Integer(1))
}

fn put_all(view: &mut View<'_>, pairs: &[[Bytes; 2]]) {
    for [key, value] in pairs {
        view.put(key, Value::string(value), NEVER);
    }
}
