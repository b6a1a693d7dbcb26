//! Redis' string as the memory store keeps it: what readers and writers see of it, whichever form it has.
//!
//! Short ones are a bare block and are copied out: that takes a few nanoseconds more than to count readers, and a count would
//! cost a value of 100 bytes more than half its size. Long ones are shared with their readers, never copied out.
//!
//! Invariant: a string owns exactly its bytes. What callers hand in may be a slice of a large read buffer, so it is copied once
//! on the way in.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::value::{Boxed, Value};

/// Longest string that is copied out.
const SHORT_BYTES_MAX: usize = 512;

/// A string, to be read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    /// At most [`SHORT_BYTES_MAX`].
    Short(&'a [u8]),
    /// Shared with its readers.
    Long(&'a Bytes),
}

impl Text<'_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Long(bytes) => bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// All of it, for a reader.
    pub(super) fn read(&self) -> Bytes {
        self.read_range(0..self.len())
    }

    /// A part of it, for a reader.
    pub(super) fn read_range(&self, range: Range<usize>) -> Bytes {
        match self {
            Self::Short(bytes) => Bytes::copy_from_slice(&bytes[range]),
            Self::Long(bytes) => bytes.slice(range),
        }
    }
}

/// A value that is this string.
pub(super) fn value_of(bytes: &[u8]) -> Value {
    if bytes.len() <= SHORT_BYTES_MAX {
        Value::Short(bytes.into())
    } else {
        Value::Boxed(Box::new(Boxed::Long(Bytes::copy_from_slice(bytes))))
    }
}

/// A string that is being changed, with room for `more` bytes at its end: the same block if it is long and nobody reads it. One
/// that grows again and again gets an eighth in reserve, which [`super::value::block_bytes`] has counted.
pub(super) fn own(value: &mut Value, more: usize) -> Option<BytesMut> {
    match value {
        Value::Short(bytes) => Some(copy(bytes, bytes.len() + more)),
        Value::Boxed(boxed) => match &mut **boxed {
            Boxed::Long(bytes) => {
                let length = bytes.len() + more;
                Some(match std::mem::take(bytes).try_into_mut() {
                    Ok(own) if own.capacity() >= length => own,
                    Ok(own) => copy(&own, length),
                    Err(shared) => copy(&shared, length),
                })
            }
            Boxed::Hash(_) | Boxed::List(_) | Boxed::Set(_) => None,
        },
    }
}

/// Puts a string that has been changed back in its place.
pub(super) fn restore(value: &mut Value, own: BytesMut) {
    match value {
        Value::Boxed(boxed) if own.len() > SHORT_BYTES_MAX => **boxed = Boxed::Long(own.freeze()),
        _ if own.len() > SHORT_BYTES_MAX => *value = Value::Boxed(Box::new(Boxed::Long(own.freeze()))),
        _ => *value = value_of(&own),
    }
}

fn copy(bytes: &[u8], length: usize) -> BytesMut {
    let mut copy = BytesMut::with_capacity(length + length / 8);
    copy.extend_from_slice(bytes);
    copy
}
