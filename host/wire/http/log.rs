//! `/v1/log`: what is logged, while the host runs.

use std::sync::Arc;

use axum::extract::{Request, State as Of};
use axum::response::Response;
use serde::Deserialize;

use super::app::Shared;
use super::entry::json;
use super::errors::{Problem, ProblemKind};
use super::locks::said;
use crate::error::ErrorKind;
use crate::limits::LOG_DIRECTIVES_BYTES_MAX;
use crate::ports::log::LogControl;

/// What a `PUT` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    level: String,
}

/// `GET /v1/log`.
pub(super) async fn show(Of(shared): Of<Arc<Shared>>) -> Result<Response, Problem> {
    answer(&**control(&shared)?)
}

/// `PUT /v1/log`.
pub(super) async fn set(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let Wanted { level } = said(&shared, request).await?;
    let log = control(&shared)?;
    let invalid = |what| Problem::new(ProblemKind::Error(ErrorKind::InvalidArgument), what);
    if level.len() > LOG_DIRECTIVES_BYTES_MAX {
        return Err(invalid(format!("the longest level is {LOG_DIRECTIVES_BYTES_MAX} bytes")));
    }
    log.set(&level).map_err(invalid)?;
    tracing::warn!(directives = level, "what is logged was changed over HTTP");
    answer(&**log)
}

fn control(shared: &Shared) -> Result<&Arc<dyn LogControl>, Problem> {
    let detail = "this host's log cannot be changed while it runs";
    shared.front.log.as_ref().ok_or_else(|| Problem::new(ProblemKind::Error(ErrorKind::Unsupported), detail))
}

fn answer(log: &dyn LogControl) -> Result<Response, Problem> {
    json(&serde_json::json!({ "level": log.directives() }))
}
