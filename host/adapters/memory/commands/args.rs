//! Arguments as Redis reads them.

use std::ops::Range;

use bytes::Bytes;

use crate::adapters::memory::integer;
use crate::adapters::memory::refusal::Refusal;

/// A command's arguments, its name first, as many as its arity allows.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a>(pub(super) &'a [Bytes]);

impl<'a> Arguments<'a> {
    /// The argument at this place; one that the arity demands.
    pub(super) fn at(self, index: usize) -> &'a Bytes {
        &self.0[index]
    }

    /// The argument at this place, if there is one.
    pub(super) fn get(self, index: usize) -> Option<&'a Bytes> {
        self.0.get(index)
    }

    /// The arguments from this place on, perhaps none.
    pub(super) fn from(self, index: usize) -> &'a [Bytes] {
        self.0.get(index..).unwrap_or_default()
    }

    /// How many there are, the name included.
    pub(super) const fn len(self) -> usize {
        self.0.len()
    }
}

/// A number in its one form.
pub(super) fn integer(text: &[u8]) -> Result<i64, Refusal> {
    integer::parse(text).ok_or(Refusal::NOT_AN_INTEGER)
}

/// A number that is not negative; `refusal` for everything else.
pub(super) fn natural(text: &[u8], refusal: Refusal) -> Result<usize, Refusal> {
    let number = integer::parse(text).and_then(|number| u64::try_from(number).ok());
    number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)).ok_or(refusal)
}

/// A number with its sign apart, as `SRANDMEMBER` has it: not the smallest there is, which has no positive counterpart.
pub(super) fn signed_count(text: &[u8]) -> Result<(bool, usize), Refusal> {
    let number = integer(text)?;
    if number == i64::MIN {
        return Err(Refusal::COUNT_RANGE);
    }
    Ok((number < 0, usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)))
}

/// A word as Redis compares it: in any case, up to the first NUL, for it has C strings there.
pub(super) fn is_word(argument: &[u8], word: &str) -> bool {
    let text = argument.split(|&byte| byte == 0).next().unwrap_or_default();
    text.eq_ignore_ascii_case(word.as_bytes())
}

/// The place that an index means in something of this length, from the end if it is negative; beyond either end if it says so.
pub(super) fn place(index: i64, length: usize) -> Option<usize> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { length.checked_sub(distance) } else { Some(distance) }
}

/// The places that a range of indices means, both ends included.
pub(super) fn range(start: i64, end: i64, length: usize) -> Range<usize> {
    let start = place(start, length).unwrap_or(0);
    let end = place(end, length).map_or(0, |end| end.saturating_add(1)).min(length);
    if start < end { start..end } else { 0..0 }
}
