//! From the path of a request to the key that the engine knows.
//!
//! `/{domain}/{key…}` becomes `{domain}{separator}{key}`; in the domain `default` the key stands alone, as applications say
//! it over RESP. Both parts are percent-decoded once, so a key may hold any byte; a `/` may stand as it is. Deliberately
//! absent: what a key may look like. That is the engine's to say, for every front end.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::DOMAIN_BYTES_MAX;
use crate::ports::table::DEFAULT_DOMAIN;

/// The engine's key for what follows `/v1/cache/` or `/v1/explain/`.
///
/// # Errors
/// A bad percent-encoding, an empty domain or key, a domain that holds the separator: whatever could not be told from another key.
pub(super) fn key(rest: &str, separator: u8) -> Result<Vec<u8>> {
    let (domain, name) = rest.split_once('/').unwrap_or((rest, ""));
    let mut key = Vec::with_capacity(rest.len());
    decode(domain, &mut key)?;
    check_domain(&key, separator)?;
    if key == DEFAULT_DOMAIN.as_bytes() {
        key.clear();
    } else {
        key.push(separator);
    }
    let before = key.len();
    decode(name, &mut key)?;
    if key.len() == before {
        return Err(Error::new(ErrorKind::InvalidKey, "the path names no key: write /{domain}/{key}"));
    }
    Ok(key)
}

/// A domain's name from one segment of a path.
///
/// # Errors
/// As [`key`]; a name that is not UTF-8.
pub(super) fn domain(segment: &str, separator: u8) -> Result<String> {
    let mut name = Vec::with_capacity(segment.len());
    decode(segment, &mut name)?;
    check_domain(&name, separator)?;
    String::from_utf8(name).map_err(|_| Error::new(ErrorKind::InvalidArgument, "the domain is not UTF-8"))
}

/// One percent-encoded text, decoded once.
///
/// # Errors
/// A bad percent-encoding.
pub(super) fn text(encoded: &str) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(encoded.len());
    decode(encoded, &mut text)?;
    Ok(text)
}

fn check_domain(domain: &[u8], separator: u8) -> Result<()> {
    let wrong = if domain.is_empty() {
        "the path names no domain: write /{domain}/{key}".to_owned()
    } else if domain.len() > DOMAIN_BYTES_MAX {
        format!("the domain is longer than {DOMAIN_BYTES_MAX} bytes")
    } else if domain.contains(&separator) {
        format!("the domain holds the separator '{}'; what follows it belongs to the key", char::from(separator))
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidKey, wrong))
}

/// Appends the bytes that `text` encodes (RFC 3986 §2.1).
fn decode(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        let byte = match rest.get(at + 1..at + 3) {
            Some(&[high, low]) => digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        let Some(byte) = byte else {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                "a '%' in the path is not followed by two hexadecimal digits; a '%' itself is written %25",
            ));
        };
        out.push(byte);
        rest = &rest[at + 3..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rest: &str, expected: std::result::Result<&[u8], &str>) {
        let found = key(rest, b':');
        match expected {
            Ok(bytes) => assert_eq!(found.as_deref(), Ok(bytes), "{rest}"),
            Err(part) => {
                let error = found.expect_err(rest);
                assert_eq!(error.kind, ErrorKind::InvalidKey, "{rest}");
                assert!(error.message.contains(part), "{rest}: {error}");
            }
        }
    }

    #[test]
    fn a_path_names_a_key() {
        check("profile/user:42", Ok(b"profile:user:42"));
        check("profile/user%3A42", Ok(b"profile:user:42"));
        check("files/a/b/c", Ok(b"files:a/b/c"));
        check("files/a%2Fb/", Ok(b"files:a/b/"));
        check("default/foo", Ok(b"foo"));
        check("default/profile:user:42", Ok(b"profile:user:42"));
        check("d%65fault/foo", Ok(b"foo"));
        check("x/%00%ff%0a", Ok(b"x:\x00\xff\n"));
        check("x/100%25", Ok(b"x:100%"));
        check("x/../y", Ok(b"x:../y"));
        check("x/+", Ok(b"x:+"));
        check("x//", Ok(b"x:/"));
    }

    #[test]
    fn a_path_that_names_none_is_refused() {
        check("", Err("no domain"));
        check("/key", Err("no domain"));
        check("profile", Err("no key"));
        check("profile/", Err("no key"));
        check("default/", Err("no key"));
        check("a:b/key", Err("separator"));
        check("a%3ab/key", Err("separator"));
        check("x/%", Err("hexadecimal"));
        check("x/%4", Err("hexadecimal"));
        check("x/%zz", Err("hexadecimal"));
        check("x/%é", Err("hexadecimal"));
        check("%/x", Err("hexadecimal"));
        check(&format!("{}/x", "d".repeat(DOMAIN_BYTES_MAX + 1)), Err("longer"));
    }
}
