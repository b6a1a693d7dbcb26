//! Integers as Redis reads them: one form for each number, so that text and number stand for each other.

/// A number as Redis' `string2ll` reads it: no spaces, no `+`, no leading zeros, no `-0`.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    const DIGITS_MAX: usize = 20;
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical || text.len() > DIGITS_MAX {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<i64>) {
        assert_eq!(parse(text.as_bytes()), expect, "{text:?}");
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
