//! `POST /v1/cache/{domain}/batch`: many keys of a domain in one request.
//!
//! Removals come first, then writes, then reads: what is read is what is there after the rest. `Cache-Control` says what the reads demand. Each key has an answer of its own.
//! A value that is UTF-8 is `text`, any other is `base64`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State as Of};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::app::Shared;
use super::caller::Caller;
use super::entry::json;
use super::errors::{Problem, ProblemKind};
use super::{asked, body, target};
use crate::config::users::Role;
use crate::engine::api::{Answer, BatchWrite};
use crate::error::{Error, ErrorKind};
use crate::limits::{BATCH_ANSWER_BYTES_MAX, BATCH_BODY_BYTES_MAX};
use crate::ports::load::StaleReason;
use crate::ports::metrics::State;
use crate::ports::table::DEFAULT_DOMAIN;

const CACHE: &str = "/v1/cache/";

/// What is asked.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    get: Vec<String>,
    set: BTreeMap<String, AskedValue>,
    delete: Vec<String>,
}

/// A value to write: a text, or an object that says more.
#[derive(Deserialize)]
#[serde(untagged)]
enum AskedValue {
    Text(String),
    Value(AskedObject),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedObject {
    text: Option<String>,
    base64: Option<String>,
    ttl_ms: Option<u64>,
}

/// What became of one key.
#[derive(Default, Serialize)]
pub(super) struct Done {
    /// A [`State`].
    pub(super) state: &'static str,
    /// The value, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// The value, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base64: Option<String>,
    /// Since the start of its load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) age_ms: Option<u64>,
    /// The fresh time left; negative when stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fresh_left_ms: Option<i64>,
    /// Why a stale value is the answer: a [`StaleReason`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stale: Option<&'static str>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Failed>,
}

/// What went wrong with one key.
#[derive(Serialize)]
pub(super) struct Failed {
    /// An [`ErrorKind`].
    pub(super) kind: &'static str,
    /// In words.
    pub(super) detail: String,
    /// Whether the same may succeed later by itself.
    pub(super) retry: bool,
}

/// The answers by key.
#[derive(Default, Serialize)]
pub(super) struct Batch {
    pub(super) delete: BTreeMap<String, Done>,
    pub(super) set: BTreeMap<String, Done>,
    pub(super) get: BTreeMap<String, Done>,
}

/// `POST /v1/cache/{domain}/batch`.
pub(super) async fn batch(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let path = request.uri().path().strip_prefix(CACHE).unwrap_or_default();
    let domain = target::domain(path.split('/').next().unwrap_or_default(), shared.separator)?;
    let demand = asked::read(request.headers())?;
    let bytes = body::read(request.into_body(), &shared.bodies).await?;
    let (asked, writes) = parse(&bytes, shared.engine.batch_keys_max())?;
    drop(bytes);
    let whole = |key: &String| whole(&domain, shared.separator, key);
    // Each key by itself: in `default` they are what applications say, of any domain.
    for key in asked.delete.iter().chain(writes.iter().map(|(key, _)| key)) {
        caller.may_on_key(&shared, Role::Write, &whole(key))?;
    }
    for key in &asked.get {
        caller.may_on_key(&shared, Role::Read, &whole(key))?;
    }
    let mut batch = Batch::default();
    let keys: Vec<Bytes> = asked.delete.iter().map(whole).collect();
    for (key, there) in asked.delete.into_iter().zip(shared.engine.delete_each(&keys).await) {
        let state = there.map(|there| if there { State::Done } else { State::Miss });
        batch.delete.insert(key, state.map_or_else(Done::failed, Done::plain));
    }
    let write = |(key, (value, asked_ttl_ms)): &(String, (Bytes, Option<u64>))| BatchWrite {
        key: whole(key),
        value: value.clone(),
        asked_ttl_ms: *asked_ttl_ms,
    };
    let items: Vec<BatchWrite> = writes.iter().map(write).collect();
    for ((key, _), state) in writes.into_iter().zip(shared.engine.set_each(&items).await) {
        batch.set.insert(key, state.map_or_else(Done::failed, Done::plain));
    }
    let keys: Vec<Bytes> = asked.get.iter().map(whole).collect();
    let mut room = BATCH_ANSWER_BYTES_MAX;
    for (key, answer) in asked.get.into_iter().zip(shared.engine.get_each_demanding(&keys, demand).await) {
        batch.get.insert(key, answer.map_or_else(Done::failed, |answer| Done::read(answer, &mut room)));
    }
    json(&batch)
}

/// A key as the engine knows it. One that cannot be is refused there, by itself.
fn whole(domain: &str, separator: u8, key: &str) -> Bytes {
    if domain == DEFAULT_DOMAIN {
        return Bytes::copy_from_slice(key.as_bytes());
    }
    [domain.as_bytes(), &[separator], key.as_bytes()].concat().into()
}

impl Done {
    fn plain(state: State) -> Self {
        Self { state: state.as_str(), ..Self::default() }
    }

    fn failed(error: Error) -> Self {
        let kind = error.kind;
        let error = Failed { kind: kind.as_str(), detail: error.message, retry: kind.retry() };
        Self { state: crate::engine::Engine::state_of(kind).as_str(), error: Some(error), ..Self::default() }
    }

    fn read(answer: Answer, room: &mut usize) -> Self {
        let Answer { value, state, age_ms, fresh_left_ms, stale, waited: _, load: _ } = answer;
        let stale = stale.map(StaleReason::as_str);
        let done = Self { age_ms, fresh_left_ms, stale, ..Self::plain(state) };
        let Some(value) = value else { return done };
        let Some(left) = room.checked_sub(value.len()) else {
            let detail =
                format!("the values of one answer have at most {BATCH_ANSWER_BYTES_MAX} bytes; read this one alone");
            let error = Failed { kind: ErrorKind::Overloaded.as_str(), detail, retry: false };
            return Self { error: Some(error), ..done };
        };
        *room = left;
        match String::from_utf8(value.into()) {
            Ok(text) => Self { text: Some(text), ..done },
            Err(error) => Self { base64: Some(STANDARD.encode(error.as_bytes())), ..done },
        }
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), detail)
}

/// Values to write, by key: bytes, and the lifetime asked for.
type Writes = Vec<(String, (Bytes, Option<u64>))>;

/// # Errors
/// The body is not what the route describes.
fn parse(bytes: &[u8], keys_max: usize) -> Result<(Asked, Writes), Problem> {
    if bytes.len() > BATCH_BODY_BYTES_MAX {
        let detail = format!("{} bytes of a batch; {BATCH_BODY_BYTES_MAX} are allowed", bytes.len());
        return Err(Problem::new(ProblemKind::BodyTooLarge, detail));
    }
    let mut asked: Asked = serde_json::from_slice(bytes).map_err(|error| invalid(format!("the body: {error}")))?;
    let count = asked.get.len() + asked.set.len() + asked.delete.len();
    if !(1..=keys_max).contains(&count) {
        return Err(invalid(format!("{count} keys; 1 to {keys_max} are allowed (CACHE_BATCH_SIZE)")));
    }
    let write = |(key, value): (String, AskedValue)| {
        let value = value.bytes().map_err(|what| invalid(format!("the value of '{key}': {what}")))?;
        Ok((key, value))
    };
    let writes = std::mem::take(&mut asked.set).into_iter().map(write).collect::<Result<_, Problem>>()?;
    Ok((asked, writes))
}

impl AskedValue {
    fn bytes(self) -> Result<(Bytes, Option<u64>), String> {
        let AskedObject { text, base64, ttl_ms } = match self {
            Self::Text(text) => return Ok((text.into(), None)),
            Self::Value(value) => value,
        };
        if ttl_ms == Some(0) {
            return Err("a ttl_ms of 0; name the key under `delete`".to_owned());
        }
        let bytes = match (text, base64) {
            (Some(text), None) => text.into(),
            (None, Some(base64)) => STANDARD.decode(base64).map_err(|error| format!("base64: {error}"))?.into(),
            _ => return Err("it has either `text` or `base64`".to_owned()),
        };
        Ok((bytes, ttl_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expect: &str) {
        let found = match parse(body.as_bytes(), 3) {
            Ok((asked, writes)) => format!("get {:?} set {writes:?} delete {:?}", asked.get, asked.delete),
            Err(problem) => problem.detail,
        };
        assert!(found.contains(expect), "{body}: {found}");
    }

    #[test]
    fn bodies() {
        check(r#"{"get":["a","b"],"delete":["c"]}"#, r#"get ["a", "b"] set [] delete ["c"]"#);
        check(r#"{"set":{"a":"1"}}"#, r#"[("a", (b"1", None))]"#);
        check(r#"{"set":{"a":{"text":"1","ttl_ms":9}}}"#, r#"[("a", (b"1", Some(9)))]"#);
        check(r#"{"set":{"a":{"base64":"//4="}}}"#, r#"[("a", (b"\xff\xfe", None))]"#);
        check(r#"{"set":{"a":{"base64":"?"}}}"#, "the value of 'a': base64: ");
        check(r#"{"set":{"a":{}}}"#, "either `text` or `base64`");
        check(r#"{"set":{"a":{"text":"1","base64":""}}}"#, "either `text` or `base64`");
        check(r#"{"set":{"a":{"text":"1","ttl_ms":0}}}"#, "a ttl_ms of 0");
        check(r#"{"set":{"a":1}}"#, "the body: ");
        check(r#"{"gets":["a"]}"#, "unknown field `gets`");
        check("{}", "0 keys; 1 to 3");
        check(r#"{"get":["a","b"],"set":{"c":""},"delete":["d"]}"#, "4 keys; 1 to 3");
        check("", "the body: EOF");
        check(&" ".repeat(BATCH_BODY_BYTES_MAX + 1), "bytes of a batch");
    }

    #[test]
    fn an_answer_holds_no_more_than_its_bound() {
        let answer = |len| Answer { value: Some(vec![b'a'; len].into()), ..Answer::absent(State::StoreHit) };
        let mut room = 10;
        assert_eq!(Done::read(answer(10), &mut room).text.as_deref(), Some("aaaaaaaaaa"));
        let over = Done::read(answer(1), &mut room);
        assert_eq!((over.state, over.text), ("store-hit", None));
        assert!(over.error.is_some_and(|error| error.detail.contains("read this one alone")));
    }
}
