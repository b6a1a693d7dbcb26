//! Requests as parts of their callers' traces, or as the roots of own ones.
//!
//! Invariant: for a request that is not sampled nothing is made. Who traces it elsewhere is passed on to the origin all the same, also by
//! a host that traces nothing itself.

use std::sync::Arc;

use axum::http::{HeaderMap, Method, Response};

use crate::ports::metrics::State;
use crate::ports::trace::{Here, Layer, Span, TRACEPARENT, TRACESTATE, TraceContext, Tracer};

/// What is known of a request's trace.
pub(super) struct Tracing {
    span: Option<Span>,
    /// What the caller says of it; looked up if this host traces.
    caller: Option<TraceContext>,
    looked: bool,
}

impl Tracing {
    /// Decides whether a request is traced.
    pub(super) fn begin(tracer: Option<&Arc<Tracer>>, method: &Method, headers: &HeaderMap) -> Self {
        let Some(tracer) = tracer else { return Self { span: None, caller: None, looked: false } };
        let caller = caller(headers);
        let span = tracer.request(Layer::Http, name(method), caller.as_ref());
        if let Some(span) = &span {
            span.note("http.request.method", name(method));
        }
        Self { span, caller, looked: true }
    }

    /// Where its work is done.
    pub(super) fn here(&self, headers: &HeaderMap) -> Here {
        match &self.span {
            Some(span) => span.here(),
            None if self.looked => Here::passed(self.caller.clone()),
            None => Here::passed(caller(headers)),
        }
    }

    /// Ends the span of a hit in L1.
    pub(super) fn hit<B>(self, response: &Response<B>) {
        if let Some(span) = &self.span {
            span.note("http.route", "/v1/cache/{domain}/{*key}");
            span.note("larder.state", State::L1Hit.as_str());
            self.end(response);
        }
    }

    /// Ends the span.
    pub(super) fn end<B>(self, response: &Response<B>) {
        let Some(span) = self.span else { return };
        let status = response.status();
        span.note("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.fail("server-error");
        }
    }
}

fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    let parent = headers.get(TRACEPARENT)?.to_str().ok()?;
    // Several lines of one field are one list.
    let states: Vec<&str> = headers.get_all(TRACESTATE).iter().filter_map(|state| state.to_str().ok()).collect();
    TraceContext::parse(parent, Some(&states.join(",")))
}

/// A method as a span may be called: of a closed set.
fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
