//! Keys of any type: `DEL`, `EXISTS`, `TYPE`, `RENAME`, `COPY`; and `PING`.

use bytes::Bytes;

use super::Outcome;
use super::args::{Arguments, integer, is_word};
use super::replies::count;
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::shard::Form;
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

pub(super) fn ping(_view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    match arguments.from(1) {
        [] => Ok(Reply::Status(Bytes::from_static(b"PONG"))),
        [message] => Ok(Reply::Bulk(message.clone())),
        _ => Err(Refusal::arity("ping")),
    }
}

pub(super) fn del(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(count(arguments.from(1).iter().filter(|key| view.discard(key)).count()))
}

pub(super) fn exists(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(count(arguments.from(1).iter().filter(|key| view.has(key)).count()))
}

pub(super) fn touch(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(count(arguments.from(1).iter().filter(|key| view.get(key).is_some()).count()))
}

pub(super) fn kind(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let kind = view.peek(arguments.at(1)).map_or("none", |entry| entry.value.kind());
    Ok(Reply::Status(Bytes::from_static(kind.as_bytes())))
}

pub(super) fn rename(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let entry = view.remove(arguments.at(1)).ok_or(Refusal::NO_SUCH_KEY)?;
    view.put(arguments.at(2), entry.value, entry.expires_ms);
    view.set_form(arguments.at(2), entry.form);
    Ok(Reply::ok())
}

pub(super) fn renamenx(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    if !view.has(arguments.at(1)) {
        return Err(Refusal::NO_SUCH_KEY);
    }
    if view.has(arguments.at(2)) {
        return Ok(Reply::Integer(0));
    }
    rename(view, arguments)?;
    Ok(Reply::Integer(1))
}

pub(super) fn copy(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (from, to) = (arguments.at(1), arguments.at(2));
    let replace = copy_options(arguments.from(3))?;
    if from == to {
        return Err(Refusal::SAME_OBJECT);
    }
    let Some(entry) = view.peek(from) else { return Ok(Reply::Integer(0)) };
    if view.has(to) && !replace {
        return Ok(Reply::Integer(0));
    }
    view.room(entry.value.heap_bytes())?;
    let form = if entry.form == Form::Whole { Form::Copied } else { entry.form };
    let (value, expires_ms) = (entry.value.clone(), entry.expires_ms);
    view.put(to, value, expires_ms);
    view.set_form(to, form);
    Ok(Reply::Integer(1))
}

/// Whether what is there is replaced. There is one database only: any other is out of range.
fn copy_options(arguments: &[Bytes]) -> Result<bool, Refusal> {
    let mut replace = false;
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if is_word(word, "replace") {
            replace = true;
        } else if let Some(number) = is_word(word, "db").then(|| rest.next()).flatten() {
            if integer(number)? != 0 {
                return Err(Refusal::DATABASE);
            }
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    Ok(replace)
}
