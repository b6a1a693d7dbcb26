//! The server's own table of its commands (`COMMAND`), as the port has it.

use std::collections::HashMap;

use redis::Value;

use crate::ports::upstream::{CommandTable, Facts};

/// The table in an answer; `None` if it makes no sense.
pub(super) fn read(answer: Value) -> Option<CommandTable> {
    let Value::Array(commands) = answer else { return None };
    commands.into_iter().map(command).collect::<Option<HashMap<_, _>>>().map(CommandTable::new)
}

/// Name, arity, flags, first key, last key, step; from Redis 7 on also categories, tips, key specifications and subcommands.
fn command(value: Value) -> Option<(Box<[u8]>, Facts)> {
    let Value::Array(parts) = value else { return None };
    let mut parts = parts.into_iter();
    let name = text(parts.next()?)?.to_ascii_lowercase();
    let arity = number(&parts.next()?)?;
    let flags = words(parts.next()?);
    let has = |flag: &str| flags.iter().any(|word| word == flag.as_bytes());
    let (first, last, step) = (number(&parts.next()?)?, number(&parts.next()?)?, number(&parts.next()?)?);
    let categories = parts.next().map(words).unwrap_or_default();
    let dangerous = categories.iter().any(|word| word == b"@dangerous" || word == b"@admin");
    let subcommands = parts.nth(2).map_or_else(HashMap::new, |listed| match listed {
        Value::Array(listed) | Value::Set(listed) => listed.into_iter().filter_map(command).collect(),
        _ => HashMap::new(),
    });
    let bar = name.iter().position(|&byte| byte == b'|');
    let facts = Facts {
        arity,
        is_part: bar.is_some(),
        reads_only: has("readonly"),
        is_dangerous: dangerous || has("admin"),
        first: usize::try_from(first).unwrap_or(0),
        last: isize::try_from(last).ok()?,
        step: usize::try_from(step).unwrap_or(0),
        movable: has("movablekeys"),
        subcommands,
    };
    let short = bar.map_or(&name[..], |bar| &name[bar + 1..]);
    Some((short.into(), facts))
}

fn text(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

fn words(value: Value) -> Vec<Vec<u8>> {
    match value {
        Value::Array(items) | Value::Set(items) => items.into_iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

const fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(n) => Some(*n),
        _ => None,
    }
}
