//! The origin of a domain: the HTTP service that its values are loaded from.
//!
//! The engine says what to ask for and how long it may take; whoever implements this connects, waits, bounds and counts. Deliberately
//! absent: what an answer is worth (the policy's or [`Acceptance::of_status`]'s business), collapsing of loads, retries that an answer was seen of.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::metrics::{Counter, Gauge, Histogram};
use super::policy::Refusal;

/// What to ask an origin for. It is always a `GET`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginRequest {
    /// Path and query, beginning with `/`, percent-encoded; it follows the origin's base URL.
    pub path: String,
    /// Lower-case names. The engine adds the validators (`if-none-match`, `if-modified-since`) and trace headers here.
    pub headers: Vec<(String, String)>,
}

/// What an origin answered, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginResponse {
    /// The HTTP status. Never 1xx.
    pub status: u16,
    /// Lower-case names, in the order of the answer; those that concern one connection only are left out, and what is no text.
    pub headers: Vec<(String, String)>,
    /// All of it: an answer that broke off is an error.
    pub body: Bytes,
}

/// How long a load may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From when on a caller that could be given a stale value is given it; the load goes on.
    pub soft: Duration,
    /// When the load is given up: the deadline of [`Origin::load`].
    pub hard: Duration,
}

/// What an operator says of a domain's origin, in `NAME.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginSettings {
    /// The base URL: `http://users.internal:8080/api`.
    pub url: String,
    /// How long a load may take.
    pub patience: Patience,
    /// Loads that may be under way at the same time on this node.
    pub loads_max: usize,
    /// The longest body, in bytes.
    pub body_bytes_max: usize,
}

/// Where origins come from.
pub trait Origins: Send + Sync {
    /// Whether there may be such an origin; nothing is made.
    ///
    /// # Errors
    /// Why not, in words for the operator.
    fn check(&self, settings: &OriginSettings) -> Result<(), String>;

    /// The origin of a domain: the same one, with its connections, as long as its settings are the same. Nothing is connected yet.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn open(&self, domain: &str, settings: &OriginSettings) -> Result<Arc<dyn Origin>, String>;
}

/// Why there is no answer of an origin. Each text is for the log and for callers: no secrets, no bodies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Its breaker lets no call through: nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// This host has as many calls of it under way as may be: nothing was sent. It says nothing of the origin.
    #[error("{0}")]
    Busy(String),
    /// No complete answer within the deadline.
    #[error("{0}")]
    TimedOut(String),
    /// No connection could be made.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke before the answer was complete.
    #[error("{0}")]
    Broken(String),
    /// The answer, or its headers, are larger than the host allows.
    #[error("{0}")]
    TooLarge(String),
    /// What came is no HTTP answer.
    #[error("{0}")]
    NotUnderstood(String),
    /// The host may not ask for that: the operator's list, or a path that leaves the origin's base URL.
    #[error("{0}")]
    NotAllowed(String),
}

impl OriginError {
    /// How many kinds there are.
    pub const COUNT: usize = 8;
    /// The words of all kinds, in order.
    pub const WORDS: [&'static str; Self::COUNT] =
        ["refused", "busy", "timed-out", "unreachable", "broken", "too-large", "not-understood", "not-allowed"];

    /// Its place among all kinds.
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Self::Refused(_) => 0,
            Self::Busy(_) => 1,
            Self::TimedOut(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Broken(_) => 4,
            Self::TooLarge(_) => 5,
            Self::NotUnderstood(_) => 6,
            Self::NotAllowed(_) => 7,
        }
    }

    /// The word in logs, metrics and tests.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        Self::WORDS[self.index()]
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        !matches!(self, Self::TooLarge(_) | Self::NotUnderstood(_) | Self::NotAllowed(_))
    }
}

/// One origin, as one generation of a policy uses it. Safe from any thread and any runtime.
#[async_trait]
pub trait Origin: Send + Sync {
    /// The domain that it is the origin of: the label of its metrics, and its breaker is `origin:{name}`.
    fn name(&self) -> &str;

    /// Whether its breaker lets calls through, as far as is known without a call.
    fn is_healthy(&self) -> bool;

    /// How long a load may take, as the operator says.
    fn patience(&self) -> Patience;

    /// Asks for one thing, within `deadline` and the hard limit of [`Self::patience`], whichever is shorter. Any status is an answer, redirects too: none
    /// is followed. Dropping the future ends the request and gives everything back.
    ///
    /// # Errors
    /// There is no complete answer.
    async fn load(&self, request: &OriginRequest, deadline: Duration) -> Result<OriginResponse, OriginError>;
}

/// What is counted for the origin of one domain.
#[derive(Debug, Default)]
pub struct OriginMetrics {
    /// Answers by the class of their status: 2xx, 3xx, 4xx, 5xx.
    pub answers: [Counter; Self::CLASSES.len()],
    /// Loads without an answer.
    pub errors: [Counter; OriginError::COUNT],
    /// Time of loads that were let through, with a retry if there was one.
    pub time: Histogram,
    /// Loads that are under way.
    pub in_flight: Gauge,
    /// Requests that were sent again.
    pub retries: Counter,
    /// Requests that were not sent again because the budget was used up.
    pub retries_refused: Counter,
}

impl OriginMetrics {
    /// The words of the classes of answers.
    pub const CLASSES: [&'static str; 4] = ["2xx", "3xx", "4xx", "5xx"];

    /// Counts how a load ended.
    pub fn count(&self, answer: &Result<OriginResponse, OriginError>) {
        match answer {
            Ok(response) => {
                let class = usize::from(response.status / 100).clamp(2, 5) - 2;
                self.answers[class].increment();
            }
            Err(error) => self.errors[error.index()].increment(),
        }
    }
}

/// Whether a header concerns one connection only (RFC 9110 §7.6.1), or the length of one message: never passed on.
#[must_use]
pub fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|hop| name.eq_ignore_ascii_case(hop)) || name.eq_ignore_ascii_case("proxy-connection")
}

/// The values of a batch: one for each request, in order, `None` for an absent one; or why the answer cannot be taken apart.
pub type BatchValues = Result<Vec<Option<Vec<u8>>>, String>;

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// A value; `rules.admit` decides its life.
    Value,
    /// There is no such value; `rules.admit` decides how long that is remembered.
    Absent,
    /// An error: stale-if-error applies. The text is for the log.
    Failed(String),
}

impl Acceptance {
    /// The word in logs and cases.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Absent => "absent",
            Self::Failed(_) => "failed",
        }
    }

    /// What an answer is worth by its status alone, for a policy that does not judge answers: 2xx is a value, 404 and 410 say that there is
    /// none, the rest is an error. An answer to a conditional request (304) is the engine's to know.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Value,
            404 | 410 => Self::Absent,
            status => Self::Failed(format!("the origin answered {status}")),
        }
    }
}

impl OriginRequest {
    /// What to ask for where the policy does not say: `/{key}`, percent-encoded, so that the key is one segment of the path.
    ///
    /// # Errors
    /// A key that a server may take for a path out of the origin's base URL (`..`): the caller's fault.
    pub fn of_key(key: &str) -> Result<Self, Refusal> {
        if has_dot_segment(key) {
            return Err(Refusal::InvalidKey(format!(
                "'{}' has '.' or '..' in it, which no origin is asked for",
                key.escape_debug()
            )));
        }
        let mut path = String::with_capacity(key.len() + 1);
        path.push('/');
        for byte in key.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b',' | b'@' => {
                    path.push(char::from(byte));
                }
                _ => path.push_str(&format!("%{byte:02X}")),
            }
        }
        Ok(Self { path, headers: Vec::new() })
    }
}

/// How often a path is decoded to see what it may become. No server decodes three times.
const DECODINGS_MAX: u32 = 4;

/// Whether a path, as it is or with its `%XX` decoded as often as a careless server may, has a segment `.` or `..`, between slashes of either kind.
#[must_use]
pub fn has_dot_segment(path: &str) -> bool {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..DECODINGS_MAX {
        if bytes.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| matches!(segment, b"." | b"..")) {
            return true;
        }
        let decoded = percent_decoded(&bytes);
        if decoded.len() == bytes.len() {
            return false;
        }
        bytes = decoded;
    }
    // Nobody encodes so often without meaning harm.
    true
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_segment_of_the_path() {
        for (key, path) in [
            ("user:42", "/user:42"),
            ("a b/c?d#e%41", "/a%20b%2Fc%3Fd%23e%2541"),
            ("ä", "/%C3%A4"),
            ("...", "/..."),
            ("a..b", "/a..b"),
        ] {
            assert_eq!(OriginRequest::of_key(key).map(|it| it.path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn no_key_leads_out_of_the_base_url() {
        for key in ["..", ".", "../admin", "a/../b", "a\\..\\b", "%2e%2E", "..%2fadmin", "%252e%252e/x", "a/%2e"] {
            assert!(matches!(OriginRequest::of_key(key), Err(Refusal::InvalidKey(_))), "{key}");
        }
    }

    #[test]
    fn every_error_has_its_word() {
        let all: [fn(String) -> OriginError; OriginError::COUNT] = [
            OriginError::Refused,
            OriginError::Busy,
            OriginError::TimedOut,
            OriginError::Unreachable,
            OriginError::Broken,
            OriginError::TooLarge,
            OriginError::NotUnderstood,
            OriginError::NotAllowed,
        ];
        for (place, make) in all.into_iter().enumerate() {
            assert_eq!(make(String::new()).index(), place);
        }
    }
}
