//! Hashes: `HSET`, `HGET` and their kin.

use super::Outcome;
use super::args::Arguments;
use super::replies::{bulk, count, flag, list, maybe};
use crate::adapters::memory::hash::Hash;
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

pub(super) fn hset(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    set_all(view, arguments, "hset").map(count)
}

pub(super) fn hmset(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    set_all(view, arguments, "hmset").map(|_| Reply::ok())
}

/// Sets fields; how many are new.
fn set_all(view: &mut View<'_>, arguments: Arguments<'_>, command: &str) -> Result<usize, Refusal> {
    let (pairs, []) = arguments.from(2).as_chunks::<2>() else { return Err(Refusal::arity(command)) };
    view.make(arguments.at(1), |hash: &mut Hash| pairs.iter().filter(|[name, value]| hash.set(name, value)).count())
}

pub(super) fn hsetnx(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let name = arguments.at(2);
    let set = |hash: &mut Hash| hash.get(name).is_none() && hash.set(name, arguments.at(3));
    view.make(arguments.at(1), set).map(flag)
}

pub(super) fn hget(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let hash = view.read::<Hash>(arguments.at(1))?;
    Ok(maybe(hash.and_then(|hash| hash.get(arguments.at(2)))))
}

pub(super) fn hmget(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let hash = view.read::<Hash>(arguments.at(1))?;
    let values = arguments.from(2).iter().map(|name| maybe(hash.and_then(|hash| hash.get(name))));
    Ok(Reply::Array(values.collect()))
}

pub(super) fn hgetall(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let fields = view.read::<Hash>(arguments.at(1))?.map(Hash::fields).unwrap_or_default();
    Ok(Reply::Map(fields.iter().map(|field| (bulk(&field.name), bulk(&field.value))).collect()))
}

pub(super) fn hkeys(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let fields = view.read::<Hash>(arguments.at(1))?.map(Hash::fields).unwrap_or_default();
    Ok(list(fields.iter().map(|field| &*field.name)))
}

pub(super) fn hvals(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let fields = view.read::<Hash>(arguments.at(1))?.map(Hash::fields).unwrap_or_default();
    Ok(list(fields.iter().map(|field| &*field.value)))
}

pub(super) fn hdel(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let names = arguments.from(2);
    let removed =
        view.edit(arguments.at(1), |hash: &mut Hash| names.iter().filter(|name| hash.remove(name)).count())?;
    Ok(count(removed.unwrap_or(0)))
}

pub(super) fn hexists(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let hash = view.read::<Hash>(arguments.at(1))?;
    Ok(flag(hash.is_some_and(|hash| hash.get(arguments.at(2)).is_some())))
}

pub(super) fn hlen(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(count(view.read::<Hash>(arguments.at(1))?.map_or(0, Hash::len)))
}

pub(super) fn hstrlen(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let hash = view.read::<Hash>(arguments.at(1))?;
    Ok(count(hash.and_then(|hash| hash.get(arguments.at(2))).map_or(0, <[u8]>::len)))
}
