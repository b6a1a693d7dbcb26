//! What the headers of a request ask for: of a write a lifetime and a condition, of a read what its answer must be.
//!
//! Directives that nobody knows are ignored, as RFC 9111 §5.2.3 wants. One that is known and makes no sense is refused: the RFC leaves that open, and
//! who asks for an answer of 10 s at most is better told of a slip of the pen than given one of an hour. `Pragma` is not read (§5.4).
//!
//! In a `PUT`, `Cache-Control: max-age=N` is the lifetime in seconds; `s-maxage` wins over it (RFC 9111 §5.2.2.10), as the host is a shared
//! cache. `If-None-Match: *` writes only an absent key, `If-Match: *` only a present one. What cannot be ignored without breaking a promise to the caller (entity tags, byte ranges, content
//! codings, `no-store`) is refused.

use axum::http::{HeaderMap, HeaderName, header};

use super::errors::{Problem, ProblemKind};
use crate::engine::api::{AskedTtl, Condition, Demand, SetOptions};
use crate::error::ErrorKind;
use crate::limits::TTL_MS_MAX;

/// What a reader demands in `Cache-Control` (RFC 9111 §5.2.1); `None`: nothing.
///
/// # Errors
/// A directive that makes no sense.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Demand>, Problem> {
    let mut demand = Demand::default();
    for line in headers.get_all(header::CACHE_CONTROL) {
        let line = line.to_str().map_err(|_| invalid("Cache-Control: not ASCII"))?;
        for (name, value) in directives(line) {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("no-cache") {
                demand.anew = true;
            } else if is("no-store") {
                demand.unstored = true;
            } else if is("only-if-cached") {
                demand.only_cached = true;
            } else if is("max-age") {
                once(name, &mut demand.age_ms_max, ms(name, value)?)?;
            } else if is("min-fresh") {
                once(name, &mut demand.fresh_ms_min, ms(name, value)?)?;
            } else if is("max-stale") {
                // Without a number: however stale.
                let most_ms = value.map_or(Ok(u64::MAX), |_| ms(name, value))?;
                once(name, &mut demand.stale_ms_max, most_ms)?;
            }
        }
    }
    Ok((demand != Demand::default()).then_some(demand))
}

/// Seconds as milliseconds; what is more than can be counted is the most that can (RFC 9111 §1.2.2).
fn ms(name: &str, value: Option<&str>) -> Result<u64, Problem> {
    let digits = value.filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let digits = digits.ok_or_else(|| no_number(name))?;
    Ok(digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000))
}

fn once<T: PartialEq>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), Problem> {
    match slot.replace(value) {
        Some(before) if slot.as_ref() != Some(&before) => {
            Err(invalid(format!("Cache-Control: {name} is there twice and differs")))
        }
        _ => Ok(()),
    }
}

fn no_number(name: &str) -> Problem {
    invalid(format!("Cache-Control: {name} wants a number of seconds: {name}=60"))
}

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
            once(name, slot, seconds(name, value)?)?;
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
        .ok_or_else(|| no_number(name))
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

    #[track_caller]
    fn check_read(line: &'static str, expected: Result<Option<Demand>, &str>) {
        match (read(&headers(&[("cache-control", line)])), expected) {
            (Ok(demand), Ok(expected)) => assert_eq!(demand, expected, "{line}"),
            (Err(problem), Err(part)) => assert!(problem.detail.contains(part), "{line}: {}", problem.detail),
            (found, expected) => panic!("{line}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn demands() {
        let none = Demand::default();
        assert_eq!(read(&headers(&[])).unwrap(), None);
        check_read("max-lunch=3, stale-if-error=60, public, ,", Ok(None));
        check_read("No-Cache", Ok(Some(Demand { anew: true, ..none })));
        check_read("no-cache=\"set-cookie\", no-store", Ok(Some(Demand { anew: true, unstored: true, ..none })));
        check_read("only-if-cached", Ok(Some(Demand { only_cached: true, ..none })));
        check_read("max-age=0", Ok(Some(Demand { age_ms_max: Some(0), ..none })));
        check_read("max-age=\"60\"", Ok(Some(Demand { age_ms_max: Some(60_000), ..none })));
        check_read("max-age=5, max-age=5", Ok(Some(Demand { age_ms_max: Some(5_000), ..none })));
        check_read("max-age=99999999999999999999", Ok(Some(Demand { age_ms_max: Some(u64::MAX), ..none })));
        check_read("max-stale", Ok(Some(Demand { stale_ms_max: Some(u64::MAX), ..none })));
        let both = Demand { stale_ms_max: Some(7_000), fresh_ms_min: Some(3_000), ..none };
        check_read("max-stale=7 ,min-fresh = 3", Ok(Some(both)));
        check_read("max-age", Err("number"));
        check_read("max-age=", Err("number"));
        check_read("max-age=1.5", Err("number"));
        check_read("min-fresh=-1", Err("number"));
        check_read("max-stale=soon", Err("number"));
        check_read("max-stale, max-stale=1", Err("twice"));
        check_read("max-age=5, max-age=6", Err("twice"));
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
