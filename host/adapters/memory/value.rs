//! What a key of the memory store holds: one variant for each of Redis' types, and one file for what is in it.
//!
//! Invariant: what a value costs is known at any time without looking at what is in it. Deliberately absent: the commands on a
//! type (`commands/`).

use bytes::{Bytes, BytesMut};

use super::hash::Hash;
use super::list::List;
use super::refusal::Refusal;
use super::set::Set;
use super::string::{self, Text};

/// The value under a key.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A string, as most are.
    Short(Box<[u8]>),
    /// Boxed, so that no entry pays for a handle that few have.
    Boxed(Box<Boxed>),
}

// Two words: a slot of the table holds one for every key.
const _: () = assert!(size_of::<Value>() == 16);

/// A value that is more than a block of bytes.
#[derive(Clone, Debug)]
pub(super) enum Boxed {
    /// A long string.
    Long(Bytes),
    Hash(Hash),
    List(List),
    Set(Set),
}

/// What a handle in a box costs, and for a shared string the count of its readers.
const BOXED_BYTES: usize = block_bytes(size_of::<Boxed>());
const COUNT_BYTES: usize = 32;

/// A type that holds elements. A key with none does not exist.
pub(super) trait Kind: Default {
    /// What it is, in a value.
    fn wrap(self) -> Value;
    /// The value, if it is one.
    fn of(value: &Value) -> Result<&Self, Refusal>;
    /// The value to be changed, if it is one.
    fn of_mut(value: &mut Value) -> Result<&mut Self, Refusal>;
    /// Elements.
    fn len(&self) -> usize;
}

macro_rules! kind {
    ($kind:ident) => {
        impl Kind for $kind {
            fn wrap(self) -> Value {
                Value::Boxed(Box::new(Boxed::$kind(self)))
            }

            fn of(value: &Value) -> Result<&Self, Refusal> {
                match value {
                    Value::Boxed(boxed) => match &**boxed {
                        Boxed::$kind(kind) => Ok(kind),
                        _ => Err(Refusal::WRONG_TYPE),
                    },
                    Value::Short(_) => Err(Refusal::WRONG_TYPE),
                }
            }

            fn of_mut(value: &mut Value) -> Result<&mut Self, Refusal> {
                match value {
                    Value::Boxed(boxed) => match &mut **boxed {
                        Boxed::$kind(kind) => Ok(kind),
                        _ => Err(Refusal::WRONG_TYPE),
                    },
                    Value::Short(_) => Err(Refusal::WRONG_TYPE),
                }
            }

            fn len(&self) -> usize {
                self.len()
            }
        }
    };
}

kind!(Hash);
kind!(List);
kind!(Set);

impl Value {
    /// A string.
    pub(super) fn string(bytes: &[u8]) -> Self {
        string::value_of(bytes)
    }

    /// Redis' name of the type, as `TYPE` answers it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Short(_) => "string",
            Self::Boxed(boxed) => match &**boxed {
                Boxed::Long(_) => "string",
                Boxed::Hash(_) => "hash",
                Boxed::List(_) => "list",
                Boxed::Set(_) => "set",
            },
        }
    }

    /// The string that it is.
    pub(super) fn as_string(&self) -> Result<Text<'_>, Refusal> {
        match self {
            Self::Short(bytes) => Ok(Text::Short(bytes)),
            Self::Boxed(boxed) => match &**boxed {
                Boxed::Long(bytes) => Ok(Text::Long(bytes)),
                Boxed::Hash(_) | Boxed::List(_) | Boxed::Set(_) => Err(Refusal::WRONG_TYPE),
            },
        }
    }

    /// Changes the string that it is, after making room for `more` bytes at its end.
    pub(super) fn edit_string(&mut self, more: usize, edit: impl FnOnce(&mut BytesMut)) -> Result<(), Refusal> {
        let mut own = string::own(self, more).ok_or(Refusal::WRONG_TYPE)?;
        edit(&mut own);
        string::restore(self, own);
        Ok(())
    }

    /// What it costs beside its place in the table.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Short(bytes) => block_bytes(bytes.len()),
            Self::Boxed(boxed) => BOXED_BYTES + boxed.heap_bytes(),
        }
    }
}

impl Boxed {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Long(bytes) => block_bytes(bytes.len()) + COUNT_BYTES,
            Self::Hash(hash) => hash.heap_bytes(),
            Self::List(list) => list.heap_bytes(),
            Self::Set(set) => set.heap_bytes(),
        }
    }
}

/// What an allocator takes for so many bytes: the size classes that mimalloc and jemalloc have in common, on average.
pub(super) const fn block_bytes(bytes: usize) -> usize {
    const STEP_BYTES: usize = 16;
    const SMALL_BYTES_MAX: usize = 128;
    if bytes <= SMALL_BYTES_MAX { bytes.next_multiple_of(STEP_BYTES) } else { bytes + bytes / 8 }
}
