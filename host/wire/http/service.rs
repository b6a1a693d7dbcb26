//! One request: the short cut for a hit, the router for the rest.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::app::App;
use super::caller::{Caller, Peer};
use super::patience::Phase;
use super::traced::Tracing;
use super::{entry, router};
use crate::ports::trace;

/// A hit's body is the value itself; any other is the router's.
type Answer = Response<Either<Full<Bytes>, Body>>;

/// Answers the requests of one connection.
pub(super) struct HttpService {
    app: App,
    peer: Peer,
    phase: Arc<Phase>,
}

impl HttpService {
    /// The service of a connection in this phase.
    pub(super) const fn new(app: App, peer: Peer, phase: Arc<Phase>) -> Self {
        Self { app, peer, phase }
    }
}

impl hyper::service::Service<Request<Incoming>> for HttpService {
    type Response = Answer;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        let shared = &self.app.shared;
        shared.engine.metrics().http_requests.increment();
        self.phase.request();
        let engine = &shared.engine;
        let access = self.peer.identify(&shared.front.gate, request.headers(), engine.now_ms());
        if let Err(problem) = self.peer.pace(access.as_ref().ok(), || engine.monotonic_ns()) {
            engine.metrics().guard.rate_limited.increment();
            return Answering::Now(Some(problem.into_response().map(Either::Right)));
        }
        let tracing = Tracing::begin(shared.front.tracer.as_ref(), request.method(), request.headers());
        if let Ok(access) = &access
            && let Some(response) = entry::hit(shared, access, request.method(), request.uri(), request.headers())
        {
            tracing.hit(&response);
            return Answering::Now(Some(response.map(Either::Left)));
        }
        request.extensions_mut().insert(Caller(access));
        let serving = self.phase.serve();
        let here = tracing.here(request.headers());
        let routed = route(self.app.clone(), request);
        Answering::Later(Box::pin(async move {
            let response = here.within(routed).await;
            tracing.end(&response);
            drop(serving);
            response.map(Either::Right)
        }))
    }
}

async fn route(app: App, request: Request<Incoming>) -> Response<Body> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = if router::is_cross_site(&method, request.headers()) {
        router::cross_site().into_response()
    } else {
        let mut router = app.router;
        let Ok(response) = tower_service::Service::call(&mut router, request).await;
        response
    };
    let (status, trace) = (response.status().as_u16(), trace::trace_id());
    tracing::debug!(%method, path = uri.path(), status, trace = trace.map(tracing::field::display), "answered over HTTP");
    response
}

/// An answer that is there, or one that comes.
pub(super) enum Answering {
    Now(Option<Answer>),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

impl Future for Answering {
    type Output = Result<Answer, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(answer) => Poll::Ready(Ok(answer.take().expect("an answer is taken once"))),
            Self::Later(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}
