//! Circuit breakers over HTTP, for operators.

use std::sync::Arc;

use axum::extract::{Request, State as Of};
use axum::http::Uri;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::app::Shared;
use super::entry::{json, json_of};
use super::errors::{Problem, ProblemKind};
use super::locks::said;
use super::target;
use crate::ports::breaker::{BreakerStatus, Mode, Transition};

const BREAKERS: &str = "/v1/breakers/";

/// What a `POST` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Force {
    mode: String,
}

/// A breaker and what it did.
#[derive(Serialize)]
struct Shown {
    breaker: BreakerStatus,
    history: Vec<Transition>,
}

/// `GET /v1/breakers`.
pub(super) async fn list(Of(shared): Of<Arc<Shared>>) -> Result<Response, Problem> {
    json_of("breakers", &shared.engine.breakers().list())
}

/// `GET /v1/breakers/{name}`.
pub(super) async fn show(Of(shared): Of<Arc<Shared>>, uri: Uri) -> Result<Response, Problem> {
    let (name, breakers) = (name(&uri)?, shared.engine.breakers());
    let (Some(status), Some(history)) = (breakers.status(&name), breakers.history(&name)) else {
        return Err(unknown(&name));
    };
    json(&Shown { breaker: status, history })
}

/// `POST /v1/breakers/{name}`.
pub(super) async fn force(Of(shared): Of<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let name = name(request.uri())?;
    let Force { mode } = said(&shared, request).await?;
    let status = shared.engine.breakers().force(&name, Mode::from_word(&mode)?).ok_or_else(|| unknown(&name))?;
    json(&status)
}

/// The name that a path says; one that is no text is nobody's.
fn name(uri: &Uri) -> Result<String, Problem> {
    let name = target::text(uri.path().strip_prefix(BREAKERS).unwrap_or_default())?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

fn unknown(name: &str) -> Problem {
    let detail = format!("there is no breaker '{name}'; /v1/breakers names all");
    Problem::new(ProblemKind::UnknownBreaker, detail)
}
