//! What the headers of a write ask for: a lifetime and a condition.
//!
//! `Cache-Control: max-age=N` is the lifetime in seconds; `s-maxage` wins over it (RFC 9111 §5.2.2.10), as the host is a shared
//! cache. `If-None-Match: *` writes only an absent key, `If-Match: *` only a present one. Other directives are ignored, as
//! RFC 9111 §5.2.3 wants; what cannot be ignored without breaking a promise to the caller (entity tags, byte ranges, content
//! codings, `no-store`) is refused.

use axum::http::{HeaderMap, HeaderName, header};

use super::errors::{Problem, ProblemKind};
use crate::engine::api::{AskedTtl, Condition, SetOptions};
use crate::error::ErrorKind;
use crate::limits::TTL_MS_MAX;

/// What a `PUT` asks for.
///
/// # Errors
/// A header that contradicts the request or cannot be honoured.
pub(super) fn put(headers: &HeaderMap) -> Result<SetOptions, Problem> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::new(
            ProblemKind::Encoded,
            "a value is answered without Content-Encoding, so its readers would not know of it; send the bytes as they are",
        ));
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(invalid("Content-Range: a value is written as a whole"));
    }
    Ok(SetOptions { ttl: ttl(headers)?, condition: condition(headers)?, want_previous: false })
}

/// That a `DELETE` carries no condition: there is no conditional removal, and to ignore one would remove what was to stay.
///
/// # Errors
/// A condition.
pub(super) fn delete(headers: &HeaderMap) -> Result<(), Problem> {
    match condition(headers)? {
        Condition::Always | Condition::IfPresent => Ok(()),
        Condition::IfAbsent => Err(invalid("If-None-Match: * on DELETE can never do anything")),
    }
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), message)
}

fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    match (any(headers, &header::IF_NONE_MATCH)?, any(headers, &header::IF_MATCH)?) {
        (false, false) => Ok(Condition::Always),
        (true, false) => Ok(Condition::IfAbsent),
        (false, true) => Ok(Condition::IfPresent),
        (true, true) => Err(invalid("If-None-Match: * and If-Match: * exclude each other")),
    }
}

/// Whether the header is there, as `*`.
fn any(headers: &HeaderMap, name: &HeaderName) -> Result<bool, Problem> {
    let mut found = false;
    for value in headers.get_all(name) {
        if value.as_bytes().trim_ascii() != b"*" {
            return Err(invalid(format!("{name}: a change can depend on `*` only, not on entity tags")));
        }
        found = true;
    }
    Ok(found)
}

fn ttl(headers: &HeaderMap) -> Result<AskedTtl, Problem> {
    let (mut max_age, mut s_maxage) = (None, None);
    for line in headers.get_all(header::CACHE_CONTROL) {
        let line = line.to_str().map_err(|_| invalid("Cache-Control: not ASCII"))?;
        for (name, value) in directives(line) {
            let slot = match name {
                name if name.eq_ignore_ascii_case("max-age") => &mut max_age,
                name if name.eq_ignore_ascii_case("s-maxage") => &mut s_maxage,
                name if name.eq_ignore_ascii_case("no-store") => {
                    return Err(invalid(
                        "Cache-Control: no-store contradicts PUT: a value that is not to be stored is not sent",
                    ));
                }
                _ => continue,
            };
            let seconds = seconds(name, value)?;
            if slot.replace(seconds).is_some_and(|before| before != seconds) {
                return Err(invalid(format!("Cache-Control: {name} is there twice and differs")));
            }
        }
    }
    match s_maxage.or(max_age) {
        None => Ok(AskedTtl::None),
        Some(0) => Err(invalid("Cache-Control: a lifetime of 0 stores nothing; use DELETE to remove the key")),
        Some(seconds) => match seconds.checked_mul(1000).filter(|&ms| ms <= TTL_MS_MAX) {
            Some(ms) => Ok(AskedTtl::InMs(ms)),
            None => Err(invalid(format!("Cache-Control: the longest lifetime is {} seconds", TTL_MS_MAX / 1000))),
        },
    }
}

fn seconds(name: &str, value: Option<&str>) -> Result<u64, Problem> {
    value
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| invalid(format!("Cache-Control: {name} wants a number of seconds: {name}=60")))
}

/// The directives of one line: names, and values without their quotes. No value that matters here holds a comma, so a quoted
/// comma in another directive splits into names that nobody knows, which are ignored.
fn directives(line: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    line.split(',').map(|directive| match directive.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
        None => (directive.trim(), None),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        lines.iter().map(pair).collect()
    }

    #[track_caller]
    fn check(lines: &[(&'static str, &'static str)], expected: Result<(AskedTtl, Condition), &str>) {
        match (put(&headers(lines)), expected) {
            (Ok(options), Ok(expected)) => assert_eq!((options.ttl, options.condition), expected, "{lines:?}"),
            (Err(problem), Err(part)) => assert!(problem.detail.contains(part), "{lines:?}: {}", problem.detail),
            (found, expected) => panic!("{lines:?}: {found:?}, expected {expected:?}"),
        }
    }

    #[track_caller]
    fn check_ttl(line: &'static str, expected: Result<AskedTtl, &str>) {
        check(&[("cache-control", line)], expected.map(|ttl| (ttl, Condition::Always)));
    }

    #[test]
    fn lifetimes() {
        check(&[], Ok((AskedTtl::None, Condition::Always)));
        check_ttl("max-age=60", Ok(AskedTtl::InMs(60_000)));
        check_ttl("Max-Age=\"60\" , must-revalidate", Ok(AskedTtl::InMs(60_000)));
        check_ttl("max-age=60, s-maxage=5", Ok(AskedTtl::InMs(5_000)));
        check_ttl("private=\"a, b\", stale-if-error=1", Ok(AskedTtl::None));
        check_ttl("max-age=1, max-age=1", Ok(AskedTtl::InMs(1_000)));
        check_ttl("max-age=31536000000", Ok(AskedTtl::InMs(TTL_MS_MAX)));
        check_ttl("max-age=1, max-age=2", Err("twice"));
        check_ttl("max-age=0", Err("DELETE"));
        check_ttl("max-age", Err("number"));
        check_ttl("max-age=-1", Err("number"));
        check_ttl("max-age=+1", Err("number"));
        check_ttl("max-age=", Err("number"));
        check_ttl("max-age=99999999999999999999", Err("number"));
        check_ttl("max-age=31536000001", Err("longest"));
        check_ttl("max-age=18446744073709551", Err("longest"));
        check_ttl("max-age=18446744073709552", Err("longest"));
        check_ttl("no-store", Err("contradicts"));
    }

    #[test]
    fn conditions() {
        check(&[("if-none-match", "*")], Ok((AskedTtl::None, Condition::IfAbsent)));
        check(&[("if-match", " * ")], Ok((AskedTtl::None, Condition::IfPresent)));
        check(&[("if-match", "\"abc\"")], Err("entity tags"));
        check(&[("if-none-match", "W/\"abc\"")], Err("entity tags"));
        check(&[("if-match", "*"), ("if-none-match", "*")], Err("exclude"));
        check(&[("content-encoding", "gzip")], Err("Content-Encoding"));
        check(&[("content-encoding", "identity")], Ok((AskedTtl::None, Condition::Always)));
        check(&[("content-range", "bytes 0-1/2")], Err("whole"));
        assert!(delete(&headers(&[])).is_ok());
        assert!(delete(&headers(&[("if-match", "*")])).is_ok());
        assert!(delete(&headers(&[("if-match", "\"abc\"")])).is_err());
        assert!(delete(&headers(&[("if-none-match", "*")])).is_err());
    }
}
