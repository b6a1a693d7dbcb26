//! `GET /v1/hot-keys`: the keys that are read most.

use std::sync::Arc;

use axum::extract::{Query, State as Of};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json as object;

use super::app::Shared;
use super::entry::json;
use super::errors::{Problem, ProblemKind};
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
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked
        .map_err(|error| Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), format!("the query: {error}")))?;
    let keys = shared.engine.hot_keys(asked.domain.as_deref(), asked.count.min(HOT_KEYS_MAX));
    json(&object!({ "keys": keys }))
}
