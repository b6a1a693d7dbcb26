//! The answers of a server as they come in, piece by piece (RESP2 and RESP3).
//!
//! Invariants: a piece that has been read is not read again, however slowly the rest comes; memory grows with what has come, not with
//! what is announced; the depth of an answer costs no stack. An answer that is nested deeper than others can take is read to its end and
//! told as an error, so that it is the trouble of whoever has asked for it and not of all who share the connection. What is no UTF-8 in
//! a status or an error, where the client library has text, is replaced. Deliberately absent: attributes, which nobody asks for.

use redis::{ErrorKind, PushKind, RedisError, RedisResult, Value, parse_redis_value};

use crate::limits::{
    STORE_ANSWER_DEPTH_MAX, STORE_ANSWER_LINE_BYTES_MAX, STORE_ANSWER_NESTING_MAX, STORE_ANSWER_ROOM_ELEMENTS_MAX,
};

/// Answers in the making.
#[derive(Default)]
pub(super) struct Answers {
    /// The collections that have begun, each within the one before it.
    open: Vec<Collection>,
    /// Whether part of the answer was left out.
    too_deep: bool,
}

struct Collection {
    kind: Kind,
    left: usize,
    /// Nothing is kept of what is too deep.
    elements: Option<Vec<Value>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Set,
    Map,
    Push,
    Attribute,
}

/// The next piece.
enum Piece {
    Value(Value),
    /// A collection of so many elements begins.
    Begin(Kind, usize),
}

impl Answers {
    /// Whether part of an answer has come and the rest has not.
    pub(super) const fn is_within(&self) -> bool {
        !self.open.is_empty()
    }

    /// Reads on: how many bytes it has used, and the next answer if all of it is there.
    ///
    /// # Errors
    /// This is no Redis. Nothing that comes after it makes sense.
    pub(super) fn next(&mut self, bytes: &[u8]) -> RedisResult<(usize, Option<Value>)> {
        let mut used = 0;
        while let Some((length, piece)) = piece(&bytes[used..])? {
            used += length;
            let value = match piece {
                Piece::Value(value) => Some(value),
                Piece::Begin(kind, 0) => closed(kind, Vec::new())?,
                Piece::Begin(kind, count) => {
                    self.begin(kind, count)?;
                    None
                }
            };
            if let Some(value) = value
                && let Some(answer) = self.put(value)?
            {
                return Ok((used, Some(answer)));
            }
        }
        Ok((used, None))
    }

    fn begin(&mut self, kind: Kind, count: usize) -> RedisResult<()> {
        let depth = self.open.len();
        if depth >= STORE_ANSWER_NESTING_MAX {
            return Err(odd("an answer without a bottom"));
        }
        let is_kept = depth < STORE_ANSWER_DEPTH_MAX;
        self.too_deep |= !is_kept;
        let elements = is_kept.then(|| Vec::with_capacity(count.min(STORE_ANSWER_ROOM_ELEMENTS_MAX)));
        self.open.push(Collection { kind, left: count, elements });
        Ok(())
    }

    /// Puts a value into its place; what it completes is the answer.
    fn put(&mut self, mut value: Value) -> RedisResult<Option<Value>> {
        while let Some(collection) = self.open.last_mut() {
            collection.left -= 1;
            if let Some(elements) = &mut collection.elements {
                elements.push(value);
            }
            if collection.left > 0 {
                return Ok(None);
            }
            let Some(Collection { kind, elements, .. }) = self.open.pop() else { return Ok(None) };
            value = match elements {
                None => Value::Nil,
                Some(elements) => match closed(kind, elements)? {
                    Some(value) => value,
                    None => return Ok(None),
                },
            };
        }
        if std::mem::take(&mut self.too_deep) {
            return Ok(Some(too_deep()?));
        }
        Ok(Some(value))
    }
}

/// A collection with all its elements. An attribute is nothing: what it says something of comes next.
fn closed(kind: Kind, elements: Vec<Value>) -> RedisResult<Option<Value>> {
    Ok(Some(match kind {
        Kind::Array => Value::Array(elements),
        Kind::Set => Value::Set(elements),
        Kind::Map => {
            let mut pairs = Vec::with_capacity(elements.len() / 2);
            let mut elements = elements.into_iter();
            while let (Some(name), Some(value)) = (elements.next(), elements.next()) {
                pairs.push((name, value));
            }
            Value::Map(pairs)
        }
        Kind::Push => push(elements)?,
        Kind::Attribute => return Ok(None),
    }))
}

fn push(elements: Vec<Value>) -> RedisResult<Value> {
    let mut elements = elements.into_iter();
    let kind = match elements.next() {
        Some(Value::BulkString(word)) => String::from_utf8_lossy(&word).into_owned(),
        Some(Value::SimpleString(word)) => word,
        _ => return Err(odd("a push without a name")),
    };
    Ok(Value::Push { kind: PushKind::Other(kind), data: elements.collect() })
}

/// The piece at the beginning, with its length, if all of it is there.
fn piece(bytes: &[u8]) -> RedisResult<Option<(usize, Piece)>> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return if bytes.len() > STORE_ANSWER_LINE_BYTES_MAX { Err(odd("a line without an end")) } else { Ok(None) };
    };
    let (Some(&marker), Some(line)) = (bytes.first(), bytes.get(1..end).and_then(|line| line.strip_suffix(b"\r")))
    else {
        return Err(odd("a line without a beginning"));
    };
    let length = end + 1;
    let value = |value| Ok(Some((length, Piece::Value(value))));
    match marker {
        b'$' => bulk(bytes, length, line),
        b':' => value(Value::Int(number(line)?)),
        b'+' if line == b"OK" => value(Value::Okay),
        b'+' => value(Value::SimpleString(String::from_utf8_lossy(line).into_owned())),
        b'_' => value(Value::Nil),
        b'-' | b',' | b'#' | b'(' => value(by_the_library(&bytes[..length])?),
        b'=' | b'!' => long(bytes, length, line),
        _ => collection(marker, length, line),
    }
}

/// A string, or nothing.
fn bulk(bytes: &[u8], from: usize, line: &[u8]) -> RedisResult<Option<(usize, Piece)>> {
    let count = number(line)?;
    if count < 0 {
        return Ok(Some((from, Piece::Value(Value::Nil))));
    }
    Ok(body(bytes, from, count)?.map(|(length, body)| (length, Piece::Value(Value::BulkString(body.to_vec())))))
}

/// A text with a format, or a long error.
fn long(bytes: &[u8], from: usize, line: &[u8]) -> RedisResult<Option<(usize, Piece)>> {
    let Some((length, _)) = body(bytes, from, number(line)?)? else { return Ok(None) };
    Ok(Some((length, Piece::Value(parse_redis_value(&bytes[..length])?))))
}

/// What stands behind the line that announces its length, and where that ends.
fn body(bytes: &[u8], from: usize, count: i64) -> RedisResult<Option<(usize, &[u8])>> {
    let count = usize::try_from(count).map_err(|_| odd("a length below nothing"))?;
    let end = from.saturating_add(count);
    let Some(after) = bytes.get(end..end.saturating_add(2)) else { return Ok(None) };
    if after != b"\r\n" {
        return Err(odd("a string longer than announced"));
    }
    Ok(Some((end + 2, &bytes[from..end])))
}

fn collection(marker: u8, length: usize, line: &[u8]) -> RedisResult<Option<(usize, Piece)>> {
    let kind = match marker {
        b'*' => Kind::Array,
        b'~' => Kind::Set,
        b'%' => Kind::Map,
        b'>' => Kind::Push,
        b'|' => Kind::Attribute,
        other => return Err(odd(&format!("unexpected `{}`", char::from(other).escape_default()))),
    };
    let Ok(count) = usize::try_from(number(line)?) else { return Ok(Some((length, Piece::Value(Value::Nil)))) };
    let each = if matches!(kind, Kind::Map | Kind::Attribute) { 2 } else { 1 };
    let count = count.checked_mul(each).ok_or_else(|| odd("more pairs than can be"))?;
    Ok(Some((length, Piece::Begin(kind, count))))
}

/// A rare piece.
fn by_the_library(piece: &[u8]) -> RedisResult<Value> {
    match std::str::from_utf8(piece) {
        Ok(_) => parse_redis_value(piece),
        Err(_) => parse_redis_value(String::from_utf8_lossy(piece).as_bytes()),
    }
}

fn number(line: &[u8]) -> RedisResult<i64> {
    let number = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
    number.ok_or_else(|| odd("a number that is none"))
}

fn too_deep() -> RedisResult<Value> {
    let line = format!("-ERR the answer is nested deeper than {STORE_ANSWER_DEPTH_MAX} collections\r\n");
    parse_redis_value(line.as_bytes())
}

/// What came is no answer, for this reason.
pub(super) fn odd(what: &str) -> RedisError {
    (ErrorKind::Parse, "no answer of a Redis", what.to_owned()).into()
}
