//! Entity tags (RFC 9110 §8.8.3): what a value's bytes hash to, and whether a client has them already.
//!
//! The tag is XXH3-64 with the fixed seed 0, in hex: every node and every version gives the same bytes the same tag. It is no
//! cryptographic hash: who may write two values of one key may make them look alike to a reader who asks `If-None-Match`, and
//! could as well not have written the second.

use axum::http::{HeaderMap, header};
use xxhash_rust::xxh3::xxh3_64;

/// A strong entity tag with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ETag([u8; 18]);

impl ETag {
    /// The tag of these bytes.
    #[must_use]
    pub(super) fn of(value: &[u8]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'"'; 18];
        for (i, byte) in xxh3_64(value).to_be_bytes().into_iter().enumerate() {
            text[1 + 2 * i] = HEX[usize::from(byte >> 4)];
            text[2 + 2 * i] = HEX[usize::from(byte & 15)];
        }
        Self(text)
    }

    /// As it stands in a header.
    #[must_use]
    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whether `If-None-Match` names the value (RFC 9110 §13.1.2): the answer is then 304. A header that makes no sense matches
/// nothing: the answer is the value.
#[must_use]
pub(super) fn if_none_match(headers: &HeaderMap, etag: ETag) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|list| names(list.as_bytes(), etag.as_bytes()))
}

/// Weak comparison (§8.8.3.2) with each member of a list. A tag may hold commas: the quotes decide, not the commas.
fn names(list: &[u8], etag: &[u8]) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    while !rest.is_empty() {
        rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        let Some(end) = rest.strip_prefix(b"\"").and_then(|inner| memchr::memchr(b'"', inner)) else { return false };
        let (tag, after) = rest.split_at(end + 2);
        if tag == etag {
            return true;
        }
        rest = after.trim_ascii_start();
        let Some(next) = rest.strip_prefix(b",") else { return false };
        rest = next.trim_ascii_start();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_same_everywhere() {
        // Pinned: another algorithm or seed would make every client's copy look changed.
        assert_eq!(ETag::of(b"").as_bytes(), b"\"2d06800538d394c2\"");
        assert_eq!(ETag::of(b"Larder").as_bytes(), ETag::of(b"Larder").as_bytes());
        assert_ne!(ETag::of(b"Larder"), ETag::of(b"larder"));
    }

    #[track_caller]
    fn check(list: &str, expected: bool) {
        assert_eq!(names(list.as_bytes(), b"\"abc\""), expected, "{list}");
    }

    #[test]
    fn a_list_names_a_tag() {
        check("\"abc\"", true);
        check("W/\"abc\"", true);
        check(" * ", true);
        check("\"x\", \"abc\"", true);
        check("\"x\",W/\"y\" ,  \"abc\"", true);
        check("\"a,b\",\"abc\"", true);
        check("\"abc\" , ", true);
    }

    #[test]
    fn or_it_does_not() {
        check("", false);
        check("\"ABC\"", false);
        check("abc", false);
        check("\"abc", false);
        check("\"x,\"abc\"", false);
        check("\"x\" \"abc\"", false);
        check("*, \"x\"", false);
        check("w/\"abc\"", false);
        check("\"x\",", false);
    }
}
