//! What all connections share.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;

use super::body::Budget;
use super::routes::ROUTES;
use super::{openapi, operator, router};
use crate::engine::Engine;

/// Makes the text of `/metrics`. Called on a thread that may block.
pub type MetricsPage = Arc<dyn Fn() -> String + Send + Sync>;

/// The front end. Cheap to clone: one clone for each connection.
#[derive(Clone)]
pub struct App {
    pub(super) shared: Arc<Shared>,
    pub(super) router: Router,
}

/// What handlers need.
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    /// Between a domain and the rest of a key; asked once, as it does not change.
    pub(super) separator: u8,
    pub(super) metrics_page: MetricsPage,
    pub(super) bodies: Budget,
    pub(super) openapi: Bytes,
    pub(super) index: Bytes,
}

impl App {
    /// A front end of this engine; `metrics_page` is an exporter's.
    #[must_use]
    pub fn new(engine: Arc<Engine>, metrics_page: MetricsPage) -> Self {
        let shared = Arc::new(Shared {
            separator: engine.separator(),
            engine,
            metrics_page,
            bodies: Budget::default(),
            openapi: openapi::document(ROUTES).to_string().into(),
            index: operator::index_page(ROUTES).into(),
        });
        let router = router::build(ROUTES, router::handler).with_state(Arc::clone(&shared));
        Self { shared, router }
    }
}
