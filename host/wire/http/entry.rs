//! One entry over HTTP: read, write, remove, explain.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Of};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::Full;

use super::app::Shared;
use super::errors::{Problem, ProblemKind};
use super::etag::{ETag, if_none_match};
use super::fields::{self, CACHE_STATUS, LEASE};
use super::{asked, body, target};
use crate::config::users::Role;
use crate::engine::api::{Answer, Condition, SetOptions};
use crate::engine::fill::{Leased, Who};
use crate::error::{Blame, Error, ErrorKind};
use crate::ports::metrics::State;
use crate::wire::access::Access;

const CACHE: &str = "/v1/cache/";
/// What a reader says in `Larder-Lease` that will not load.
const NO_LEASE: &str = "none";
const EXPLAIN: &str = "/v1/explain/";

/// The answer if L1 has it: no router, no future, no copy of the value. `None`: let [`read`] do it, and say what is wrong.
pub(super) fn hit(
    shared: &Shared,
    access: &Access,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response<Full<Bytes>>> {
    if !matches!(*method, Method::GET | Method::HEAD) || uri.query().is_some() || headers.contains_key(CACHE_CONTROL) {
        return None;
    }
    let engine = &shared.engine;
    let began_ns = engine.monotonic_ns();
    let key = target::key(uri.path().strip_prefix(CACHE)?, shared.separator).ok()?;
    if access.on_key(engine, &key) < Role::Read {
        return None;
    }
    let now_ms = engine.now_ms();
    let hit = engine.hit(&key, now_ms)?;
    let mut answer = hit.answer(State::L1Hit, now_ms);
    let value = answer.value.take()?;
    let response = found(headers, &key, &answer, value);
    engine.count_hits(hit.metrics(), 1, engine.monotonic_ns().saturating_sub(began_ns));
    Some(response)
}

/// `GET` and `HEAD /v1/cache/{domain}/{key}`.
pub(super) async fn read(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let key = key(request.uri(), CACHE, shared.separator)?;
    // Whoever asks only whether it is there will not load it.
    let looks_only = request.method() == Method::HEAD || request.headers().get(LEASE).is_some_and(|it| it == NO_LEASE);
    let demand = asked::read(request.headers())?;
    let leased = match (demand, looks_only) {
        (Some(demand), _) => shared.engine.get_demanding(&key, demand, (!looks_only).then_some(Who::Bearer)).await,
        (None, true) => shared.engine.get(&key).await.map(|answer| Some(Leased { answer, lease: None })),
        (None, false) => shared.engine.get_or_lease(&key, Who::Bearer).await.map(Some),
    };
    let leased = leased.map_err(|error| {
        let (kind, problem) = (error.kind, Problem::from(error));
        if kind.blame() == Blame::Origin {
            let anew = demand.is_some_and(|demand| demand.anew);
            problem.with_header(CACHE_STATUS, fields::failed(kind, anew, &key))
        } else {
            problem
        }
    })?;
    let Some(Leased { mut answer, lease }) = leased else {
        let detail = "nothing is held that the request allows, and `only-if-cached` forbids loading it";
        return Err(Problem::new(ProblemKind::NotCached, detail).with_header(CACHE_STATUS, fields::not_cached(&key)));
    };
    let lease = lease.and_then(|lease| HeaderValue::try_from(lease).ok());
    match answer.value.take() {
        Some(value) => {
            let mut response = found(request.headers(), &key, &answer, value).map(Body::new);
            if let Some(lease) = lease {
                response.headers_mut().insert(LEASE, lease);
            }
            Ok(response)
        }
        None => {
            let absent = Problem::new(ProblemKind::Absent, "the key is absent")
                .with_header(CACHE_STATUS, fields::absent(&answer, &key));
            Err(match lease {
                Some(lease) => absent.with_header(LEASE, lease),
                None => absent,
            })
        }
    }
}

/// `PUT /v1/cache/{domain}/{key}`.
pub(super) async fn write(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let key = key(request.uri(), CACHE, shared.separator)?;
    let options = asked::put(request.headers())?;
    let lease = request.headers().get(LEASE).cloned();
    let value = body::read(request.into_body(), &shared.bodies).await?;
    if let Some(lease) = lease {
        return fill(&shared, &key, &lease, value, options).await;
    }
    let state = shared.engine.set(&key, value, options).await?.state;
    let status = fields::stored(state, &key);
    if state == State::Unmet {
        let detail = "the key is there already (If-None-Match: *) or is absent (If-Match: *); nothing was stored";
        return Err(Problem::new(ProblemKind::Unmet, detail).with_header(CACHE_STATUS, status));
    }
    Ok((StatusCode::NO_CONTENT, [(CACHE_STATUS, status)]).into_response())
}

/// A `PUT` with a lease. A lost lease is no fault of the client's: it is told in `Cache-Status`, and the value it has is as good as any.
async fn fill(
    shared: &Shared,
    key: &[u8],
    lease: &HeaderValue,
    value: Bytes,
    options: SetOptions,
) -> Result<Response, Problem> {
    if options.condition != Condition::Always {
        let detail = "Larder-Lease is a condition of its own; send it without If-Match and If-None-Match";
        return Err(Error::new(ErrorKind::InvalidArgument, detail).into());
    }
    let filled = shared.engine.fill_leased(key, lease.as_bytes(), value, options.ttl).await?;
    let status = match filled.lost {
        Some(lost) => fields::unfilled(lost, key),
        None => fields::stored(filled.state, key),
    };
    Ok((StatusCode::NO_CONTENT, [(CACHE_STATUS, status)]).into_response())
}

/// `DELETE /v1/cache/{domain}/{key}`.
pub(super) async fn remove(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<StatusCode, Problem> {
    let key = key(request.uri(), CACHE, shared.separator)?;
    asked::delete(request.headers())?;
    match shared.engine.delete(&[key.into()]).await? {
        0 => Err(Problem::new(ProblemKind::Absent, "the key is absent; nothing was removed")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// `GET /v1/explain/{domain}/{key}`.
pub(super) async fn explain(Of(shared): Of<Arc<Shared>>, uri: Uri) -> Result<Response, Problem> {
    let key = key(&uri, EXPLAIN, shared.separator)?;
    json(&shared.engine.explain(&key).await?)
}

/// An answer in JSON that is not to be stored on the way.
///
/// # Errors
/// The value cannot be written as JSON: a defect of the host.
pub(super) fn json(value: &impl serde::Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, body).into_response())
}

/// The same of a record with one member. What stands in it keeps its order, in which people read it.
///
/// # Errors
/// As [`json`].
pub(super) fn json_of(name: &str, value: &impl serde::Serialize) -> Result<Response, Problem> {
    json(&BTreeMap::from([(name, value)]))
}

fn found(request: &HeaderMap, key: &[u8], answer: &Answer, value: Bytes) -> Response<Full<Bytes>> {
    let etag = ETag::of(&value);
    let mut headers = fields::found(answer, etag, key);
    let mut response = if if_none_match(request, etag) {
        headers.remove(CONTENT_TYPE);
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Full::new(value))
    };
    *response.headers_mut() = headers;
    response
}

/// The engine's key. A query is refused rather than dropped: it is nearly always a `?` of the key that was not encoded.
fn key(uri: &Uri, prefix: &str, separator: u8) -> Result<Vec<u8>, Problem> {
    if uri.query().is_some() {
        let detail = "the path takes no query; a '?' in a key is written %3F";
        return Err(Problem::new(ProblemKind::Error(ErrorKind::InvalidKey), detail));
    }
    Ok(target::key(uri.path().strip_prefix(prefix).unwrap_or_default(), separator)?)
}
