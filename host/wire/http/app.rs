//! What all connections share.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;

use super::body::Budget;
use super::routes::ROUTES;
use super::{openapi, operator, router};
use crate::engine::Engine;
use crate::wire::front::Front;

/// Makes the text of `/metrics`. Called on a thread that may block.
pub type MetricsPage = Arc<dyn Fn() -> String + Send + Sync>;

/// What is served at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Everything.
    Whole,
    /// Everything but what is for operators, which has an address of its own.
    Public,
}

/// The front end. Cheap to clone: one clone for each connection.
#[derive(Clone)]
pub struct App {
    pub(super) shared: Arc<Shared>,
    pub(super) router: Router,
}

/// What handlers need.
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    /// Who is let in, and how many.
    pub(super) front: Arc<Front>,
    pub(super) surface: Surface,
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
    pub fn new(engine: Arc<Engine>, metrics_page: MetricsPage, front: Arc<Front>, surface: Surface) -> Self {
        let shared = Arc::new(Shared {
            separator: engine.separator(),
            engine,
            front,
            surface,
            metrics_page,
            bodies: Budget::default(),
            openapi: openapi::document(ROUTES).to_string().into(),
            index: operator::index_page(ROUTES).into(),
        });
        let router = router::build(ROUTES, |action, method| router::guarded(&shared, action, method))
            .with_state(Arc::clone(&shared));
        Self { shared, router }
    }
}
