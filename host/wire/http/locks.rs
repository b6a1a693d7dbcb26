//! Distributed locks over HTTP: take, extend, give back, look, list, force. Bodies are JSON; an empty one is `{}`.

use std::sync::Arc;

use axum::extract::{Request, State as Of};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use super::app::Shared;
use super::caller::Caller;
use super::entry::json;
use super::errors::{Problem, ProblemKind};
use super::{body, target};
use crate::config::users::Role;
use crate::error::ErrorKind;
use crate::limits::HTTP_JSON_BYTES_MAX;
use crate::ports::lock::{Ask, LockName, Token, Which, lock_owner, lock_prefix};

const LOCKS: &str = "/v1/locks/";

/// What a `POST` says.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Acquire {
    #[serde(deserialize_with = "whole")]
    ttl_ms: Option<u64>,
    #[serde(deserialize_with = "whole")]
    wait_ms: Option<u64>,
    owner: Option<String>,
}

/// What a `PATCH` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extend {
    token: String,
    #[serde(default, deserialize_with = "whole")]
    ttl_ms: Option<u64>,
}

/// What a `DELETE` of one lock says: a token, or force.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Release {
    #[serde(deserialize_with = "present")]
    token: Option<String>,
    force: bool,
}

/// What a `DELETE` of many locks says: one of them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ForceRelease {
    #[serde(deserialize_with = "present")]
    prefix: Option<String>,
    #[serde(deserialize_with = "present")]
    owner: Option<String>,
}

/// A lock that was taken.
#[derive(Serialize)]
pub(super) struct Granted<'a> {
    pub(super) name: &'a str,
    pub(super) token: &'a str,
    pub(super) fence: u64,
    pub(super) ttl_ms: u64,
}

/// A lock that was extended.
#[derive(Serialize)]
pub(super) struct Extended<'a> {
    pub(super) name: &'a str,
    pub(super) ttl_ms: u64,
}

/// `POST /v1/locks/{name}`.
pub(super) async fn acquire(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let name = LockName::application(&name(request.uri())?)?;
    let Acquire { ttl_ms, wait_ms, owner } = said(&shared, request).await?;
    let ask = Ask { ttl_ms, wait_ms, owner, renew: false };
    let Some(grant) = shared.engine.locks().take(&name, ask).await? else {
        let detail = "somebody else holds the lock, and held it for as long as this request would wait";
        return Err(Problem::new(ProblemKind::Locked, detail));
    };
    // A token of this host's is ASCII.
    let token = String::from_utf8_lossy(grant.token.bytes());
    let granted = Granted { name: name.as_str(), token: &token, fence: grant.fence, ttl_ms: grant.ttl_ms };
    Ok((StatusCode::CREATED, json(&granted)?).into_response())
}

/// `PATCH /v1/locks/{name}`.
pub(super) async fn extend(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let name = LockName::any(&name(request.uri())?)?;
    let Extend { token, ttl_ms } = said(&shared, request).await?;
    match shared.engine.locks().extend(&name, &Token::claimed(token.as_bytes())?, ttl_ms).await? {
        Some(ttl_ms) => json(&Extended { name: name.as_str(), ttl_ms }),
        None => Err(not_held()),
    }
}

/// `DELETE /v1/locks/{name}`.
pub(super) async fn release(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<StatusCode, Problem> {
    let name = LockName::any(&name(request.uri())?)?;
    let caller = Caller::of(&request);
    let locks = shared.engine.locks();
    match said(&shared, request).await? {
        Release { token: Some(token), force: false } => {
            let token = Token::claimed(token.as_bytes())?;
            if locks.release(&name, &token).await? { Ok(StatusCode::NO_CONTENT) } else { Err(not_held()) }
        }
        Release { token: None, force: true } => {
            caller.may_on_host(&shared, Role::Admin)?;
            if locks.force_release(&name).await? { Ok(StatusCode::NO_CONTENT) } else { Err(not_locked()) }
        }
        Release { .. } => Err(invalid("the body says either {\"token\": …} or {\"force\": true}")),
    }
}

/// `GET /v1/locks/{name}`.
pub(super) async fn info(Of(shared): Of<Arc<Shared>>, uri: Uri) -> Result<Response, Problem> {
    let name = LockName::any(&name(&uri)?)?;
    match shared.engine.locks().info(&name).await? {
        Some(info) => json(&info),
        None => Err(not_locked()),
    }
}

/// `GET /v1/locks?prefix=…`.
pub(super) async fn list(Of(shared): Of<Arc<Shared>>, uri: Uri) -> Result<Response, Problem> {
    let prefix = match uri.query() {
        None | Some("") => Vec::new(),
        Some(query) => match query.split_once('=') {
            Some(("prefix", value)) if !value.contains('&') => target::text(&value.replace('+', " "))?,
            _ => return Err(invalid("the path takes one query, `prefix`")),
        },
    };
    json(&shared.engine.locks().list(lock_prefix(&prefix)?).await?)
}

/// `DELETE /v1/locks`.
pub(super) async fn force_release(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let said: ForceRelease = said(&shared, request).await?;
    let which = match (&said.prefix, &said.owner) {
        (Some(prefix), None) => Which::Prefix(lock_prefix(prefix.as_bytes())?),
        (None, Some(owner)) => Which::Owner(lock_owner(owner.as_bytes())?),
        _ => return Err(invalid("the body says either {\"prefix\": …} or {\"owner\": …}")),
    };
    json(&shared.engine.locks().force_release_all(which).await?)
}

/// The name that a path says. A query is refused rather than dropped: it is nearly always a `?` of the name that was not encoded.
fn name(uri: &Uri) -> Result<Vec<u8>, Problem> {
    if uri.query().is_some() {
        return Err(invalid("the path takes no query; a '?' in a name is written %3F"));
    }
    Ok(target::text(uri.path().strip_prefix(LOCKS).unwrap_or_default())?)
}

/// A member that is there, and is not null: that a member is left out, and that nothing is named, is not the same.
///
/// # Errors
/// It is null, or of another type.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// A whole number, or null. In JSON `5000.0` is as whole as `5000`, and some languages write it so.
fn whole<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(value)? else { return Ok(None) };
    let exact = |float: &f64| float.fract() == 0.0 && (0.0..=FLOAT_EXACT_MAX).contains(float);
    let found = number.as_u64().or_else(|| number.as_f64().filter(exact).map(|float| float as u64));
    found.map(Some).ok_or_else(|| D::Error::custom(format!("{number} is not a whole number that is not negative")))
}

/// The same where null is none.
pub(super) fn whole_number<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    whole(value)?.map(Some).ok_or_else(|| D::Error::custom("null is not a whole number"))
}

/// Up to here every whole number is a float.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// What a request's body says.
///
/// # Errors
/// It is too large, broken, no JSON, or says something that is not understood.
pub(super) async fn said<T: DeserializeOwned>(shared: &Shared, request: Request) -> Result<T, Problem> {
    let bytes = body::read(request.into_body(), &shared.bodies).await?;
    if bytes.len() > HTTP_JSON_BYTES_MAX {
        let detail = format!("the longest JSON body is {HTTP_JSON_BYTES_MAX} bytes");
        return Err(Problem::new(ProblemKind::BodyTooLarge, detail));
    }
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    // A list would be taken for the members in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(invalid("the body: it is no JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| invalid(format!("the body: {error}")))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), detail)
}

fn not_held() -> Problem {
    let detail = "the token does not hold the lock (any more): it was released, forced, or its life is over";
    Problem::new(ProblemKind::NotHeld, detail)
}

fn not_locked() -> Problem {
    Problem::new(ProblemKind::NotLocked, "nobody holds the lock")
}

#[cfg(test)]
mod tests {
    use super::Acquire;

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        let check = |text: &str, expect: Option<u64>| {
            let found = serde_json::from_str::<Acquire>(&format!(r#"{{"ttl_ms":{text}}}"#));
            assert_eq!(found.expect(text).ttl_ms, expect);
        };
        check("5000", Some(5000));
        check("5000.0", Some(5000));
        check("5e3", Some(5000));
        check("null", None);
        for wrong in ["-1", "-0.5", "1.5", "1e300", "\"1\""] {
            assert!(serde_json::from_str::<Acquire>(&format!(r#"{{"ttl_ms":{wrong}}}"#)).is_err(), "{wrong}");
        }
    }
}
