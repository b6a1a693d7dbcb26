//! The header fields of an answer about an entry.
//!
//! `Age` and `Cache-Control: max-age` say together what is left (RFC 9111 §4.2: a cache on the way subtracts the one from the
//! other), so `max-age` is the age *plus* the fresh time left, rounded down; where the age is not known it is what is left.

use axum::http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::{BufMut, BytesMut};

use super::cache_status;
use super::etag::ETag;
use crate::engine::api::{Answer, Forward};
use crate::error::ErrorKind;
use crate::ports::lease::Lost;
use crate::ports::metrics::State;

/// `Cache-Status`, which the `http` crate does not name.
pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The text of a lease: on the answer to a miss, and sent back with what was loaded.
pub(super) const LEASE: HeaderName = HeaderName::from_static("larder-lease");

/// Room for the texts of one answer besides the key: they share one buffer.
const TEXT_BYTES: usize = 160;

/// The fields of an answer with a value, but for its length: the server adds that.
#[must_use]
pub(super) fn found(answer: &Answer, etag: ETag, key: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let mut text = BytesMut::with_capacity(TEXT_BYTES + key.len());
    let age_s = answer.age_ms.map(|ms| ms / 1000);
    if let Some(age_s) = age_s {
        text.put_slice(itoa::Buffer::new().format(age_s).as_bytes());
        headers.insert(AGE, cut(&mut text));
    }
    if let Some(left_ms) = answer.fresh_left_ms {
        let lifetime_s = i64::try_from(age_s.unwrap_or(0)).unwrap_or(i64::MAX).saturating_add(left_ms.div_euclid(1000));
        text.put_slice(b"max-age=");
        text.put_slice(itoa::Buffer::new().format(lifetime_s.max(0)).as_bytes());
        headers.insert(CACHE_CONTROL, cut(&mut text));
    }
    text.put_slice(etag.as_bytes());
    headers.insert(ETAG, cut(&mut text));
    cache_status::write_read(&mut text, answer, key);
    headers.insert(CACHE_STATUS, cut(&mut text));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers
}

/// `Cache-Status` of an answer without a value.
#[must_use]
pub(super) fn absent(answer: &Answer, key: &[u8]) -> HeaderValue {
    let mut text = BytesMut::with_capacity(TEXT_BYTES + key.len());
    cache_status::write_read(&mut text, answer, key);
    cut(&mut text)
}

/// `Cache-Status` of a read that failed because of the origin. `requested`: the reader would have no copy.
#[must_use]
pub(super) fn failed(kind: ErrorKind, requested: bool, key: &[u8]) -> HeaderValue {
    let mut text = BytesMut::with_capacity(TEXT_BYTES + key.len());
    let forward = if requested { Forward::Request } else { Forward::Miss };
    cache_status::write_failed(&mut text, kind, forward, key);
    cut(&mut text)
}

/// `Cache-Status` of a read that was not to be loaded.
#[must_use]
pub(super) fn not_cached(key: &[u8]) -> HeaderValue {
    let mut text = BytesMut::with_capacity(TEXT_BYTES + key.len());
    cache_status::write_not_cached(&mut text, key);
    cut(&mut text)
}

/// `Cache-Status` of a write.
#[must_use]
pub(super) fn stored(state: State, key: &[u8]) -> HeaderValue {
    let mut text = BytesMut::with_capacity(TEXT_BYTES + key.len());
    cache_status::write_stored(&mut text, state, key);
    cut(&mut text)
}

/// `Cache-Status` of a fill whose lease was lost.
#[must_use]
pub(super) fn unfilled(lost: Lost, key: &[u8]) -> HeaderValue {
    let mut text = BytesMut::with_capacity(TEXT_BYTES + key.len());
    cache_status::write_unstored(&mut text, lost.as_str(), key);
    cut(&mut text)
}

/// What was written since the last cut, as a value of its own; no copy.
fn cut(text: &mut BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.split().freeze()).expect("only visible ASCII is written into a field")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(age_ms: Option<u64>, fresh_left_ms: Option<i64>, age: Option<&str>, cache_control: Option<&str>) {
        let answer = Answer { age_ms, fresh_left_ms, ..Answer::absent(State::L1Hit) };
        let headers = found(&answer, ETag::of(b""), b"k");
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((text(AGE), text(CACHE_CONTROL)), (age, cache_control));
    }

    #[test]
    fn what_is_left_is_max_age_less_age() {
        check(Some(0), Some(60_000), Some("0"), Some("max-age=60"));
        check(Some(20_000), Some(40_000), Some("20"), Some("max-age=60"));
        check(Some(1_900), Some(100), Some("1"), Some("max-age=1"));
        check(Some(70_000), Some(-10_000), Some("70"), Some("max-age=60"));
        check(None, Some(5_500), None, Some("max-age=5"));
        check(None, Some(-5_500), None, Some("max-age=0"));
        check(Some(5_000), None, Some("5"), None);
        check(None, None, None, None);
        check(Some(u64::MAX), Some(i64::MAX), Some("18446744073709551"), Some("max-age=27670116110564326"));
        check(Some(0), Some(i64::MIN), Some("0"), Some("max-age=0"));
    }
}
