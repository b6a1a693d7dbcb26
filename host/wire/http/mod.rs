//! The HTTP front end: `/v1/cache/…` for applications, the rest for operators.
//!
//! A request goes `server` (accepts, hands to a worker) → `connection` (bounds of time and size) → `service` (the short cut for
//! a hit in L1) → `router` (everything else, from the one table in `routes`) → a handler → an engine call. Whatever goes wrong
//! leaves as a problem document of `errors`.
//!
//! Deliberately absent: HTTP/2, the content of `/metrics` (an exporter's, handed in).

mod app;
mod asked;
mod batch;
mod body;
mod breakers;
mod cache_status;
mod caller;
mod connection;
mod dashboard;
mod entry;
mod errors;
mod etag;
mod fields;
mod hot;
mod invalidate;
mod locks;
mod log;
mod openapi;
mod operator;
mod patience;
mod route;
mod router;
mod routes;
mod schemas;
mod server;
mod service;
mod target;
mod traced;
mod warm;
mod workflow;

pub use self::app::{App, MetricsPage, Surface};
pub use self::connection::serve_connection;
pub use self::server::HttpServer;

/// Every request that is served: method, path and what it does in a few words; what the README lists.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    routes::ROUTES.iter().map(|route| (route.verb.as_str(), route.path, route.summary))
}
