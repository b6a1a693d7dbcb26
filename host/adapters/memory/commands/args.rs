//! Arguments as Redis reads them.

use bytes::Bytes;

use crate::adapters::memory::refusal::Refusal;

/// A command's arguments, its name first, as many as its arity allows.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a>(pub(super) &'a [Bytes]);

impl<'a> Arguments<'a> {
    /// The argument at this place; one that the arity demands.
    pub(super) fn at(self, index: usize) -> &'a Bytes {
        &self.0[index]
    }

    /// The arguments from this place on, perhaps none.
    pub(super) fn from(self, index: usize) -> &'a [Bytes] {
        self.0.get(index..).unwrap_or_default()
    }
}

/// A number as Redis' `string2ll` reads it: no spaces, no `+`, no leading zeros, no `-0`.
pub(super) fn integer(text: &[u8]) -> Result<i64, Refusal> {
    const DIGITS_MAX: usize = 20;
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical || text.len() > DIGITS_MAX {
        return Err(Refusal::NOT_AN_INTEGER);
    }
    let text = std::str::from_utf8(text).map_err(|_| Refusal::NOT_AN_INTEGER)?;
    text.parse().map_err(|_| Refusal::NOT_AN_INTEGER)
}

/// A word as Redis compares it: in any case, up to the first NUL, for it has C strings there.
pub(super) fn is_word(argument: &Bytes, word: &str) -> bool {
    let text = argument.split(|&byte| byte == 0).next().unwrap_or_default();
    text.eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<i64>) {
        assert_eq!(integer(text.as_bytes()).ok(), expect, "{text:?}");
    }

    #[test]
    fn an_integer_has_one_form() {
        check("0", Some(0));
        check("-1", Some(-1));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        for wrong in
            ["", "-", "+1", " 1", "1 ", "01", "-0", "00", "1.0", "0x1", "9223372036854775808", "-9223372036854775809"]
        {
            check(wrong, None);
        }
    }
}
