//! The dashboard: a page for people at `/`, and the counts that it shows at `/v1/status`.
//!
//! The page is in the binary: no build step, no files beside it, nothing from elsewhere, and a content policy that says so to the
//! browser. All that it knows it asks of the same interface as everybody; what it may do is what its reader may do.

use std::sync::Arc;

use axum::extract::{Path, State as Of};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::app::Shared;
use super::entry::json;
use super::errors::{Problem, ProblemKind};
use super::operator;

/// Its own files only; no inline script or style, no frames around it, no forms to elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const PAGE: &str = include_str!("dashboard/index.html");

/// A file of the page.
struct Asset {
    name: &'static str,
    media: &'static str,
    text: &'static str,
}

const ASSETS: &[Asset] = &[
    Asset { name: "style.css", media: CSS, text: include_str!("dashboard/style.css") },
    Asset { name: "icon.svg", media: SVG, text: include_str!("dashboard/icon.svg") },
    Asset { name: "app.js", media: JS, text: include_str!("dashboard/app.js") },
    Asset { name: "api.js", media: JS, text: include_str!("dashboard/api.js") },
    Asset { name: "dom.js", media: JS, text: include_str!("dashboard/dom.js") },
    Asset { name: "figures.js", media: JS, text: include_str!("dashboard/figures.js") },
    Asset { name: "charts.js", media: JS, text: include_str!("dashboard/charts.js") },
    Asset { name: "panels.js", media: JS, text: include_str!("dashboard/panels.js") },
    Asset { name: "lookup.js", media: JS, text: include_str!("dashboard/lookup.js") },
];

/// `GET /`: the page for a browser, the list of what there is for everybody else.
pub(super) async fn page(Of(shared): Of<Arc<Shared>>, headers: HeaderMap) -> Response {
    let wants_html =
        headers.get_all(ACCEPT).iter().any(|accept| accept.as_bytes().windows(9).any(|it| it == b"text/html"));
    let mut response = if wants_html { file(HTML, PAGE) } else { operator::index(&shared) };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// `GET /dashboard/{file}`.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let unknown = || Problem::new(ProblemKind::UnknownPath, format!("the dashboard has no file '{name}'"));
    found.map(|asset| file(asset.media, asset.text)).ok_or_else(unknown)
}

/// `GET /v1/status`.
pub(super) async fn status(Of(shared): Of<Arc<Shared>>) -> Result<Response, Problem> {
    json(&shared.engine.status())
}

fn file(media: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media)),
        // It belongs to this binary: a new one brings a new page.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, text).into_response()
}
