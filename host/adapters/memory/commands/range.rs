//! Parts of strings: `APPEND`, `GETRANGE`, `SETRANGE`, `STRLEN`.

use bytes::Bytes;

use super::Outcome;
use super::args::{Arguments, integer};
use crate::adapters::memory::keyspace::View;
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::shard::NEVER;
use crate::adapters::memory::value::Value;
use crate::limits::VALUE_BYTES_MAX;
use crate::ports::store::Reply;

fn length(bytes: usize) -> Reply {
    Reply::Integer(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The length that a string would have, if that is allowed. The bound is the host's own, below Redis' 512 MiB.
fn allowed(parts: [usize; 2]) -> Result<usize, Refusal> {
    let total = parts[0].checked_add(parts[1]).filter(|&total| total <= VALUE_BYTES_MAX);
    total.ok_or(Refusal::TOO_LONG)
}

/// The length of the string under a key, if there is one.
fn length_of(view: &mut View<'_>, key: &[u8]) -> Result<Option<usize>, Refusal> {
    view.get(key).map(|entry| Ok(entry.value.as_string()?.len())).transpose()
}

pub(super) fn strlen(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(length(length_of(view, arguments.at(1))?.unwrap_or(0)))
}

pub(super) fn append(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (key, tail) = (arguments.at(1), arguments.at(2));
    let appended = view.change(key, |entry| {
        let text = entry.value.as_string_mut()?;
        let total = allowed([text.len(), tail.len()])?;
        text.edit(tail.len(), |bytes| bytes.extend_from_slice(tail));
        Ok(total)
    });
    if let Some(total) = appended {
        return total.map(length);
    }
    view.put(key, Value::string(tail), NEVER);
    Ok(length(tail.len()))
}

pub(super) fn setrange(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (key, patch) = (arguments.at(1), arguments.at(3));
    let offset = usize::try_from(integer(arguments.at(2))?).map_err(|_| Refusal::OFFSET)?;
    let before = length_of(view, key)?;
    if patch.is_empty() {
        return Ok(length(before.unwrap_or(0)));
    }
    let end = allowed([offset, patch.len()])?;
    let total = end.max(before.unwrap_or(0));
    let more = total - before.unwrap_or(0);
    view.room(more)?;
    if before.is_none() {
        view.put(key, Value::string(b""), NEVER);
    }
    let patched = view.change(key, |entry| {
        entry.value.as_string_mut()?.edit(more, |bytes| {
            bytes.resize(total, 0);
            bytes[offset..end].copy_from_slice(patch);
        });
        Ok(total)
    });
    patched.unwrap_or(Ok(0)).map(length)
}

pub(super) fn getrange(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (start, end) = (integer(arguments.at(2))?, integer(arguments.at(3))?);
    let Some(entry) = view.get(arguments.at(1)) else { return Ok(Reply::Bulk(Bytes::new())) };
    let text = entry.value.as_string()?;
    Ok(Reply::Bulk(text.read_range(range(start, end, text.len()))))
}

/// What a range with Redis' negative indices means in a string of this length.
fn range(start: i64, end: i64, length: usize) -> std::ops::Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let place = |index: i64| {
        let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        if index < 0 { length.saturating_sub(distance) } else { distance }
    };
    let (start, end) = (place(start), place(end).saturating_add(1).min(length));
    if start < end { start..end } else { 0..0 }
}
