//! What a policy says of loads, checked before anything is sent or believed.
//!
//! A path stays below the origin's base URL, and headers are the request's own: those of the connection, the host's name, the length of
//! the message, what the host itself asks on behalf of an entry (validators, ranges, encodings) and traces are not the policy's to set.
//! `authorization` and `cookie` are: a policy that sends one has it from its settings, never from a caller, since no header of
//! a caller reaches a policy.

use super::bindings::guest::loading;
use super::bindings::types as wit;
use super::fault::failed;
use super::imports::one_line;
use crate::limits;
use crate::ports::origin::{Acceptance, BatchValues, OriginRequest, has_dot_segment, is_hop_by_hop};
use crate::ports::policy::{Fault, PolicyError, Refusal};

/// Headers that the host sets itself.
const THE_HOSTS: [&str; 11] = [
    "host",
    "accept-encoding",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "traceparent",
    "tracestate",
    "user-agent",
];

/// What to ask for, or why not.
///
/// # Errors
/// A refusal; what cannot be sent.
pub(super) fn request(answer: Result<loading::OriginRequest, wit::Refusal>) -> Result<OriginRequest, PolicyError> {
    answer.map_err(|refusal| PolicyError::Refused(bounded(refusal.into()))).and_then(one_request)
}

/// What to ask for.
///
/// # Errors
/// What cannot be sent.
pub(super) fn one_request(request: loading::OriginRequest) -> Result<OriginRequest, PolicyError> {
    check_path(&request.path)?;
    if request.headers.len() > limits::ORIGIN_REQUEST_HEADERS_MAX {
        let most = limits::ORIGIN_REQUEST_HEADERS_MAX;
        return bad(format!("it gave {} headers for its origin; {most} are allowed", request.headers.len()));
    }
    let mut headers = Vec::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        check_header(&name, &value)?;
        headers.push((name.to_ascii_lowercase(), value));
    }
    Ok(OriginRequest { path: request.path, headers })
}

fn check_path(path: &str) -> Result<(), PolicyError> {
    let shown = || one_line(path.escape_debug().to_string(), 100);
    if path.len() > limits::ORIGIN_PATH_BYTES_MAX {
        return bad(format!("it gave a path of {} bytes; {} are allowed", path.len(), limits::ORIGIN_PATH_BYTES_MAX));
    }
    if !path.starts_with('/') || path.starts_with("//") {
        return bad(format!("it gave the path '{}', which does not begin with one '/'", shown()));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte)) {
        return bad(format!("it gave the path '{}' with a character that must be percent-encoded", shown()));
    }
    if has_dot_segment(path.split('?').next().unwrap_or_default()) {
        return bad(format!("it gave the path '{}', which leads out of its origin", shown()));
    }
    Ok(())
}

fn check_header(name: &str, value: &str) -> Result<(), PolicyError> {
    let shown = || one_line(name.escape_debug().to_string(), 100);
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return bad(format!("it gave a header with the name '{}'", shown()));
    }
    if name.len() + value.len() > limits::ORIGIN_REQUEST_HEADER_BYTES_MAX {
        return bad(format!("it gave a header '{}' that is too long", shown()));
    }
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return bad(format!("it gave a header '{}' whose value cannot be sent", shown()));
    }
    if is_hop_by_hop(name) || THE_HOSTS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return bad(format!("it gave the header '{}', which is the host's to set", shown()));
    }
    Ok(())
}

/// What an answer is worth.
pub(super) fn acceptance(said: loading::Acceptance) -> Acceptance {
    match said {
        loading::Acceptance::Value => Acceptance::Value,
        loading::Acceptance::Absent => Acceptance::Absent,
        loading::Acceptance::Failed(text) => Acceptance::Failed(one_line(text, limits::LOG_LINE_BYTES_MAX)),
    }
}

/// The values of a batch: one for each of `count` requests.
///
/// # Errors
/// A list of another length.
pub(super) fn split(said: BatchValues, count: usize) -> Result<BatchValues, PolicyError> {
    match said {
        Ok(values) if values.len() != count => {
            bad(format!("it took an answer for {count} requests apart into {} values", values.len()))
        }
        Ok(values) => Ok(Ok(values)),
        Err(text) => Ok(Err(one_line(text, limits::LOG_LINE_BYTES_MAX))),
    }
}

fn bounded(refusal: Refusal) -> Refusal {
    let line = |text| one_line(text, limits::REFUSAL_BYTES_MAX);
    match refusal {
        Refusal::InvalidKey(text) => Refusal::InvalidKey(line(text)),
        Refusal::Unsupported(text) => Refusal::Unsupported(line(text)),
        Refusal::InvalidValue(text) => Refusal::InvalidValue(line(text)),
        Refusal::Other(text) => Refusal::Other(line(text)),
    }
}

fn bad<T>(message: String) -> Result<T, PolicyError> {
    Err(failed(Fault::BadAnswer, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::wasm::answer::tests::is_bad;

    fn asked(path: &str, headers: &[(&str, &str)]) -> Result<OriginRequest, PolicyError> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        one_request(loading::OriginRequest { path: path.to_owned(), headers })
    }

    #[test]
    fn a_path_stays_below_the_origin() {
        for path in ["/", "/users/42?full=1", "/a%20b/..c", "/a?x=../y"] {
            assert!(asked(path, &[]).is_ok(), "{path}");
        }
        is_bad(asked("", &[]), "begin with one '/'");
        is_bad(asked("users", &[]), "begin with one '/'");
        is_bad(asked("http://169.254.169.254/", &[]), "begin with one '/'");
        is_bad(asked("//evil.example/", &[]), "begin with one '/'");
        is_bad(asked("/a b", &[]), "percent-encoded");
        is_bad(asked("/a\r\nhost: evil", &[]), "percent-encoded");
        is_bad(asked("/a#b", &[]), "percent-encoded");
        is_bad(asked("/ä", &[]), "percent-encoded");
        is_bad(asked("/../admin", &[]), "leads out");
        is_bad(asked("/a/%2E%2e/%2e./b", &[]), "leads out");
        is_bad(asked(&format!("/{}", "a".repeat(limits::ORIGIN_PATH_BYTES_MAX)), &[]), "bytes");
    }

    #[test]
    fn headers_are_the_requests_own() {
        let request =
            asked("/", &[("Accept", "application/json"), ("authorization", "Bearer x")]).expect("both may be");
        assert_eq!(request.headers[0].0, "accept");
        for name in ["Host", "connection", "Transfer-Encoding", "content-length", "If-None-Match", "traceparent"] {
            is_bad(asked("/", &[(name, "x")]), "the host's to set");
        }
        is_bad(asked("/", &[("a b", "x")]), "the name");
        is_bad(asked("/", &[("", "x")]), "the name");
        is_bad(asked("/", &[("x", "a\r\nhost: evil")]), "cannot be sent");
        is_bad(asked("/", &[("x", &"a".repeat(limits::ORIGIN_REQUEST_HEADER_BYTES_MAX))]), "too long");
        is_bad(asked("/", &[("x", "y"); limits::ORIGIN_REQUEST_HEADERS_MAX + 1]), "headers");
    }

    #[test]
    fn a_batch_has_a_value_for_each_request() {
        assert_eq!(split(Ok(vec![None, Some(vec![1])]), 2), Ok(Ok(vec![None, Some(vec![1])])));
        is_bad(split(Ok(vec![None]), 2), "into 1 values");
        assert_eq!(split(Err("no\nJSON".into()), 2), Ok(Err("no JSON".into())));
    }
}
