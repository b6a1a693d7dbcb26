//! Parts of strings: `APPEND`, `GETRANGE`, `SETRANGE`, `STRLEN`.

use bytes::Bytes;

use super::Outcome;
use super::args::{Arguments, integer, place};
use super::replies::count;
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::shard::{Form, NEVER};
use crate::adapters::memory::value::Value;
use crate::adapters::memory::view::View;
use crate::limits::VALUE_BYTES_MAX;
use crate::ports::store::Reply;

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
    Ok(count(length_of(view, arguments.at(1))?.unwrap_or(0)))
}

pub(super) fn append(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (key, tail) = (arguments.at(1), arguments.at(2));
    let appended = view.change(key, |entry| {
        let total = allowed([entry.value.as_string()?.len(), tail.len()])?;
        entry.value.edit_string(tail.len(), |bytes| bytes.extend_from_slice(tail))?;
        entry.form = Form::Edited;
        Ok(total)
    });
    if let Some(total) = appended {
        return total.map(count);
    }
    view.put(key, Value::string(tail), NEVER);
    Ok(count(tail.len()))
}

pub(super) fn setrange(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (key, patch) = (arguments.at(1), arguments.at(3));
    let offset = usize::try_from(integer(arguments.at(2))?).map_err(|_| Refusal::OFFSET)?;
    let before = length_of(view, key)?;
    if patch.is_empty() {
        return Ok(count(before.unwrap_or(0)));
    }
    let end = allowed([offset, patch.len()])?;
    let total = end.max(before.unwrap_or(0));
    let more = total - before.unwrap_or(0);
    view.room(more)?;
    if before.is_none() {
        view.put(key, Value::string(b""), NEVER);
    }
    let patched = view.change(key, |entry| {
        entry.value.edit_string(more, |bytes| {
            bytes.resize(total, 0);
            bytes[offset..end].copy_from_slice(patch);
        })?;
        entry.form = Form::Edited;
        Ok(total)
    });
    patched.unwrap_or(Ok(0)).map(count)
}

pub(super) fn getrange(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (start, end) = (integer(arguments.at(2))?, integer(arguments.at(3))?);
    let Some(entry) = view.get(arguments.at(1)) else { return Ok(Reply::Bulk(Bytes::new())) };
    let text = entry.value.as_string()?;
    Ok(Reply::Bulk(text.read_range(range(start, end, text.len()))))
}

/// What a range means in a string of this length. Unlike a list's, an end before the beginning is the beginning.
fn range(start: i64, end: i64, length: usize) -> std::ops::Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let place = |index: i64| place(index, length).unwrap_or(if index < 0 { 0 } else { usize::MAX });
    let (start, end) = (place(start), place(end).saturating_add(1).min(length));
    if start < end { start..end } else { 0..0 }
}
