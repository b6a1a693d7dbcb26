//! What a key of the memory store holds: one variant and one file for each of Redis' types.
//!
//! Invariant: a value owns exactly its bytes. What callers hand in may be a slice of a large read buffer, so it is copied once
//! on the way in; on the way out it is shared, not copied. Deliberately absent: the commands on a type (`commands/`).

use bytes::{Bytes, BytesMut};

use super::refusal::Refusal;

/// The value under a key.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Redis' string.
    String(Bytes),
}

/// Smallest block of an allocator, and the step of its blocks up to [`SMALL_BYTES_MAX`].
const BLOCK_BYTES: usize = 16;
/// Above it blocks come in steps of an eighth of a power of two.
const SMALL_BYTES_MAX: usize = 128;
/// What `Bytes` allocates beside the value once it has been read: its shared reference count.
const SHARED_BYTES: usize = 2 * BLOCK_BYTES;

impl Value {
    /// A string that owns its bytes.
    pub(super) fn string(bytes: &[u8]) -> Self {
        Self::String(Bytes::copy_from_slice(bytes))
    }

    /// Redis' name of the type, as `TYPE` answers it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
        }
    }

    /// The bytes of a string.
    pub(super) const fn as_string(&self) -> Result<&Bytes, Refusal> {
        match self {
            Self::String(bytes) => Ok(bytes),
        }
    }

    /// The bytes of a string, to be changed in place.
    pub(super) const fn as_string_mut(&mut self) -> Result<&mut Bytes, Refusal> {
        match self {
            Self::String(bytes) => Ok(bytes),
        }
    }

    /// What it costs beside its slot in the table.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::String(bytes) if bytes.is_empty() => 0,
            Self::String(bytes) => block_bytes(bytes.len()) + SHARED_BYTES,
        }
    }
}

/// What an allocator takes for so many bytes: the size classes that mimalloc and jemalloc have in common, on average.
pub(super) const fn block_bytes(bytes: usize) -> usize {
    if bytes <= SMALL_BYTES_MAX { bytes.next_multiple_of(BLOCK_BYTES) } else { bytes + bytes / 8 }
}

/// Makes room for `more` bytes at the end of a string. In place if nobody else reads it; a string that grows again and again
/// gets an eighth in reserve, which [`block_bytes`] has counted.
pub(super) fn grow(bytes: &mut Bytes, more: usize) -> BytesMut {
    let length = bytes.len() + more;
    let room = length + length / 8;
    match std::mem::take(bytes).try_into_mut() {
        Ok(own) if own.capacity() >= length => own,
        Ok(own) => copy(&own, room),
        Err(shared) => copy(&shared, room),
    }
}

fn copy(bytes: &[u8], room: usize) -> BytesMut {
    let mut copy = BytesMut::with_capacity(room);
    copy.extend_from_slice(bytes);
    copy
}
