//! What operators and their tools ask: the policies, health, metrics, and what there is to ask.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State as Of;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::app::Shared;
use super::entry::{json, json_of};
use super::errors::{Problem, ProblemKind};
use super::route::Route;
use super::target;
use crate::error::{Error, ErrorKind};
use crate::ports::registry::RegistryError;

const POLICIES: &str = "/v1/policies/";
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The text exposition format of Prometheus.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `GET /v1/policies`.
pub(super) async fn policies(Of(shared): Of<Arc<Shared>>) -> Result<Response, Problem> {
    json_of("policies", &shared.engine.registry().list())
}

/// `GET /v1/policies/{domain}`.
pub(super) async fn policy(Of(shared): Of<Arc<Shared>>, uri: Uri) -> Result<Response, Problem> {
    let domain = domain(&uri, shared.separator)?;
    match shared.engine.registry().status(&domain) {
        Some(status) => json(&status),
        None => Err(RegistryError::UnknownDomain(domain).into()),
    }
}

/// `POST /v1/policies/{domain}/rollback`.
pub(super) async fn rollback(Of(shared): Of<Arc<Shared>>, uri: Uri) -> Result<Response, Problem> {
    let domain = domain(&uri, shared.separator)?;
    json(&shared.engine.registry().rollback(&domain).await?)
}

/// `DELETE /v1/policies/{domain}/quarantine`.
pub(super) async fn unquarantine(Of(shared): Of<Arc<Shared>>, uri: Uri) -> Result<Response, Problem> {
    let domain = domain(&uri, shared.separator)?;
    json(&shared.engine.registry().unquarantine(&domain).await?)
}

/// `DELETE /v1/policies/{domain}`.
pub(super) async fn remove_policy(Of(shared): Of<Arc<Shared>>, uri: Uri) -> Result<StatusCode, Problem> {
    let domain = domain(&uri, shared.separator)?;
    shared.engine.registry().remove(&domain).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /metrics`. The page may be long: it is made where it holds up no other connection.
pub(super) async fn metrics(Of(shared): Of<Arc<Shared>>) -> Result<Response, Problem> {
    if !shared.front.shows_metrics() {
        return Err(Problem::new(ProblemKind::UnknownPath, "metrics are turned off (metrics.enabled)"));
    }
    let page = tokio::task::spawn_blocking(move || {
        shared.engine.report();
        (shared.metrics_page)()
    })
    .await
    .map_err(|error| Error::new(ErrorKind::Internal, format!("the metrics page failed: {error}")))?;
    Ok(([(CONTENT_TYPE, EXPOSITION), (CACHE_CONTROL, NO_STORE)], page).into_response())
}

/// `GET /healthz`: the process is up and answers.
pub(super) async fn health() -> Response {
    text("ok\n")
}

/// `GET /readyz`: the store answers and the policies are loaded.
pub(super) async fn ready(Of(shared): Of<Arc<Shared>>) -> Result<Response, Problem> {
    if shared.front.is_leaving() {
        return Err(Problem::new(ProblemKind::ShuttingDown, "the host is about to end; others are to be asked"));
    }
    match shared.engine.ready().await {
        Ok(()) => Ok(text("ready\n")),
        // Whatever it is that is missing, a load balancer is to come again later.
        Err(error) => Err(Problem::new(ProblemKind::NotReady, error.message)),
    }
}

/// `GET /openapi.json`.
pub(super) async fn openapi(Of(shared): Of<Arc<Shared>>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], shared.openapi.clone()).into_response()
}

/// The list of what there is.
pub(super) fn index(shared: &Shared) -> Response {
    ([(CONTENT_TYPE, TEXT)], shared.index.clone()).into_response()
}

/// The page at `/`: what there is.
#[must_use]
pub(super) fn index_page(routes: &[Route]) -> String {
    let mut page = String::from("Larder, the policy-driven cache host.\n\n");
    for Route { verb, path, summary, .. } in routes {
        // Writing into a String cannot fail.
        let _ = writeln!(page, "{:<6} {:<36} {summary}", verb.as_str(), path.replace('*', ""));
    }
    page.push_str(
        "\n`/openapi.json` says it all to machines. Applications speak RESP (Redis' protocol) on the other port.\n",
    );
    page
}

fn text(body: &'static str) -> Response {
    ([(CONTENT_TYPE, TEXT), (CACHE_CONTROL, NO_STORE)], body).into_response()
}

/// The domain that a path below `/v1/policies/` names.
fn domain(uri: &Uri, separator: u8) -> Result<String, Problem> {
    let rest = uri.path().strip_prefix(POLICIES).unwrap_or_default();
    let segment = rest.split_once('/').map_or(rest, |(first, _)| first);
    Ok(target::domain(segment, separator)?)
}
