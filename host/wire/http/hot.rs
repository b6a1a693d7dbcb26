//! `GET /v1/hot-keys`: the keys that are read most, of the domains that the caller may read.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State as Of};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json as object;

use super::app::Shared;
use super::caller::Caller;
use super::entry::json;
use super::errors::{Problem, ProblemKind};
use crate::config::users::Role;
use crate::error::ErrorKind;
use crate::limits::HOT_KEYS_MAX;

/// Which are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    domain: Option<String>,
    #[serde(default = "shown")]
    count: usize,
}

const fn shown() -> usize {
    20
}

/// `GET /v1/hot-keys?domain=…&count=…`.
pub(super) async fn keys(
    Of(shared): Of<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(asked) = asked
        .map_err(|error| Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), format!("the query: {error}")))?;
    let Caller(access) = Caller::of(&request);
    let reads = |domain: &str| access.as_ref().is_ok_and(|access| access.in_domain(domain.as_bytes()) >= Role::Read);
    let shows = |domain: &str| asked.domain.as_deref().is_none_or(|named| named == domain) && reads(domain);
    let keys = shared.engine.hot_keys(shows, asked.count.min(HOT_KEYS_MAX));
    json(&object!({ "keys": keys }))
}
