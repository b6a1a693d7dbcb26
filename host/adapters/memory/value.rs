//! What a key of the memory store holds: one variant for each of Redis' types, and one file for what is in it.
//!
//! Deliberately absent: the commands on a type (`commands/`).

use super::refusal::Refusal;
use super::string::Text;

/// The value under a key.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Redis' string.
    String(Text),
}

impl Value {
    /// A string.
    pub(super) fn string(bytes: &[u8]) -> Self {
        Self::String(Text::from(bytes))
    }

    /// Redis' name of the type, as `TYPE` answers it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
        }
    }

    /// The string that it is.
    pub(super) const fn as_string(&self) -> Result<&Text, Refusal> {
        match self {
            Self::String(text) => Ok(text),
        }
    }

    /// The string that it is, to be changed.
    pub(super) const fn as_string_mut(&mut self) -> Result<&mut Text, Refusal> {
        match self {
            Self::String(text) => Ok(text),
        }
    }

    /// What it costs beside its slot in the table.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.heap_bytes(),
        }
    }
}

/// What an allocator takes for so many bytes: the size classes that mimalloc and jemalloc have in common, on average.
pub(super) const fn block_bytes(bytes: usize) -> usize {
    const STEP_BYTES: usize = 16;
    const SMALL_BYTES_MAX: usize = 128;
    if bytes <= SMALL_BYTES_MAX { bytes.next_multiple_of(STEP_BYTES) } else { bytes + bytes / 8 }
}
