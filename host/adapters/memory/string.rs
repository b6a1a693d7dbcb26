//! Redis' string as the memory store keeps it.
//!
//! Short ones are a bare block and are copied out: that takes a few nanoseconds more than to count readers, and a count would
//! cost a value of 100 bytes more than half its size. Long ones are shared with their readers, never copied out.
//!
//! Invariant: a string owns exactly its bytes. What callers hand in may be a slice of a large read buffer, so it is copied once
//! on the way in.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::value::block_bytes;

/// Longest string that is copied out.
const SHORT_BYTES_MAX: usize = 512;
/// What a shared string has beside its bytes: a handle of four words, and the count of its readers.
const SHARED_BYTES: usize = 64;

/// A string.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// At most [`SHORT_BYTES_MAX`].
    Short(Box<[u8]>),
    /// Boxed, so that no entry pays for a handle that few have.
    Long(Box<Bytes>),
}

// Two words: a slot of the table holds one for every key.
const _: () = assert!(size_of::<Text>() == 16);

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        if bytes.len() <= SHORT_BYTES_MAX {
            Self::Short(bytes.into())
        } else {
            Self::Long(Box::new(Bytes::copy_from_slice(bytes)))
        }
    }
}

impl Text {
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

    /// What it costs beside its handle.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Short(bytes) => block_bytes(bytes.len()),
            Self::Long(bytes) => block_bytes(bytes.len()) + SHARED_BYTES,
        }
    }

    /// Changes it after making room for `more` bytes at its end: in place if it is long and nobody reads it. One that grows
    /// again and again gets an eighth in reserve, which [`block_bytes`] has counted.
    pub(super) fn edit(&mut self, more: usize, edit: impl FnOnce(&mut BytesMut)) {
        let length = self.len() + more;
        let mut own = match self {
            Self::Short(bytes) => copy(bytes, length),
            Self::Long(bytes) => match std::mem::take(&mut **bytes).try_into_mut() {
                Ok(own) if own.capacity() >= length => own,
                Ok(own) => copy(&own, length),
                Err(shared) => copy(&shared, length),
            },
        };
        edit(&mut own);
        *self = if own.len() <= SHORT_BYTES_MAX { Self::from(&own[..]) } else { Self::Long(Box::new(own.freeze())) };
    }
}

fn copy(bytes: &[u8], length: usize) -> BytesMut {
    let mut copy = BytesMut::with_capacity(length + length / 8);
    copy.extend_from_slice(bytes);
    copy
}
