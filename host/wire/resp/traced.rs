//! Commands as the roots of traces. RESP has no headers, so nobody says of which trace a command is: the host's own ratio decides.
//!
//! Invariant: for a command that is not sampled nothing is made.

use std::sync::Arc;

use super::pipeline::Work;
use super::session::Session;
use crate::engine::l1::entry::Entry;
use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::store::Reply;
use crate::ports::trace::{Layer, Span, Tracer};

/// The work of a command, in a span if it is sampled.
pub(super) fn command(session: &Session, name: &'static str, work: Work) -> Work {
    match session.tracer().and_then(|tracer| tracer.sample(Layer::Resp, name)) {
        Some(span) => spanned(span, work),
        None => work,
    }
}

#[cold]
fn spanned(span: Span, work: Work) -> Work {
    Box::pin(async move {
        let reply = span.within(work).await;
        if let Reply::Error(_) = reply {
            span.fail("error-reply");
        }
        reply
    })
}

/// A `GET` that L1 has answered: a moment, as no clock is read for a hit that is not sampled.
pub(super) fn hit(tracer: &Arc<Tracer>, entry: &Entry) {
    if let Some(span) = tracer.sample(Layer::Resp, "get") {
        note_hit(&span, entry);
    }
}

#[cold]
fn note_hit(span: &Span, entry: &Entry) {
    span.note("larder.domain", Arc::clone(entry.domain()));
    span.note("larder.operation", Operation::Read.as_str());
    span.note("larder.state", State::L1Hit.as_str());
}
