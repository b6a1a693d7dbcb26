//! Traces: what one request does, as spans in a tree (OpenTelemetry's model), over all programs that take part in it.
//!
//! The span that is under way travels with the task, so that no signature names it: a front end begins one for a request that is
//! sampled, and whatever works for that request may begin spans below it. Outside of such a request [`span`] is one look at a thread's
//! own variable, and gives a span that is none.
//!
//! Invariants: whether a request is traced is decided before anything is made for it; a span ends when its [`Span`] is dropped, however
//! that comes; a trace has a bound on its spans. Deliberately absent: sending them, which an adapter does ([`SpanSink`]).

mod context;
mod metrics;
mod record;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::Either;
use parking_lot::Mutex;

pub use self::context::{SpanId, TRACEPARENT, TRACESTATE, TraceContext, TraceId};
pub use self::metrics::{SpanOutcome, TraceMetrics};
pub use self::record::{Layer, Note, SpanRecord, SpanSink};
use super::clock::Clock;
use crate::limits::{SPAN_NOTES_MAX, SPANS_PER_TRACE_MAX};

tokio::task_local! {
    static CURRENT: Current;
}

/// Which requests are traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Of 2^63 traces so many, by their ids: as `traceidratio` of OpenTelemetry, so that all programs with one ratio choose the same.
    threshold: u64,
    /// Whether it counts what the caller decided, if it says so.
    follows_caller: bool,
}

impl Sampling {
    /// A ratio from 0 to 1.
    #[must_use]
    pub fn new(ratio: f64, follows_caller: bool) -> Self {
        Self { threshold: (ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64, follows_caller }
    }

    const fn takes(self, low: u64) -> bool {
        low >> 1 < self.threshold
    }
}

/// Begins traces.
pub struct Tracer {
    sampling: Sampling,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn SpanSink>,
}

impl Tracer {
    /// Traces of which ended spans go there.
    #[must_use]
    pub fn new(sampling: Sampling, clock: Arc<dyn Clock>, sink: Arc<dyn SpanSink>) -> Arc<Self> {
        Arc::new(Self { sampling, clock, sink })
    }

    /// The span of a request whose caller says nothing of a trace; `None`: it is not traced. Then nothing was made.
    #[must_use]
    pub fn sample(self: &Arc<Self>, layer: Layer, name: &'static str) -> Option<Span> {
        let low = self.clock.random();
        if !self.sampling.takes(low) {
            return None;
        }
        let id = (u128::from(self.clock.random()) << 64 | u128::from(low)).max(1);
        Some(self.begin(TraceId(id), None, None, layer, name))
    }

    /// The span of a request whose caller may say of which trace it is; `None`: it is not traced.
    #[must_use]
    pub fn request(self: &Arc<Self>, layer: Layer, name: &'static str, caller: Option<&TraceContext>) -> Option<Span> {
        let Some(caller) = caller else { return self.sample(layer, name) };
        let by_id = || self.sampling.takes(caller.trace.0 as u64);
        let taken = if self.sampling.follows_caller { caller.sampled } else { by_id() };
        taken.then(|| self.begin(caller.trace, Some(caller.span), caller.state.clone(), layer, name))
    }

    fn begin(
        self: &Arc<Self>,
        id: TraceId,
        parent: Option<SpanId>,
        state: Option<Arc<str>>,
        layer: Layer,
        name: &'static str,
    ) -> Span {
        let (wall_ns, monotonic_ns) = (self.clock.wall_ms() * 1_000_000, self.clock.monotonic_ns());
        let spans = AtomicU32::new(0);
        let trace = Arc::new(Trace { tracer: Arc::clone(self), id, state, wall_ns, monotonic_ns, spans });
        Span(Some(Open::new(trace, parent, true, layer, name)))
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("sampling", &self.sampling).finish_non_exhaustive()
    }
}

/// What all spans share that this host makes for one request.
struct Trace {
    tracer: Arc<Tracer>,
    id: TraceId,
    state: Option<Arc<str>>,
    /// The same moment on both clocks: durations are of the monotonic one.
    wall_ns: u64,
    monotonic_ns: u64,
    spans: AtomicU32,
}

impl Trace {
    fn now_ns(&self) -> u64 {
        self.wall_ns + self.tracer.clock.monotonic_ns().saturating_sub(self.monotonic_ns)
    }
}

/// A span that is under way.
struct Open {
    trace: Arc<Trace>,
    id: SpanId,
    parent: Option<SpanId>,
    parent_is_remote: bool,
    layer: Layer,
    name: &'static str,
    began_ns: u64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    notes: Vec<(&'static str, Note)>,
    failure: Option<&'static str>,
}

impl Open {
    fn new(
        trace: Arc<Trace>,
        parent: Option<SpanId>,
        parent_is_remote: bool,
        layer: Layer,
        name: &'static str,
    ) -> Arc<Self> {
        let (id, began_ns) = (SpanId(trace.tracer.clock.random().max(1)), trace.now_ns());
        Arc::new(Self { trace, id, parent, parent_is_remote, layer, name, began_ns, known: Mutex::default() })
    }

    fn note(&self, name: &'static str, note: Note) {
        let notes = &mut self.known.lock().notes;
        if let Some((_, known)) = notes.iter_mut().find(|(known, _)| *known == name) {
            *known = note;
        } else if notes.len() < SPAN_NOTES_MAX {
            notes.push((name, note));
        }
    }

    fn context(&self) -> TraceContext {
        let (trace, state) = (self.trace.id, self.trace.state.clone());
        TraceContext { trace, span: self.id, sampled: true, state }
    }
}

/// What is under way for a request: a span, or somebody else's trace that is only passed on.
#[derive(Clone)]
enum Current {
    Open(Arc<Open>),
    Passed(Arc<TraceContext>),
}

/// A span that is under way, or none. It ends when this is dropped.
#[must_use = "a span ends when it is dropped"]
pub struct Span(Option<Arc<Open>>);

impl Span {
    /// Does some work in this span: what it begins is below it.
    pub fn within<W: Future>(&self, work: W) -> impl Future<Output = W::Output> + use<W> {
        self.here().within(work)
    }

    /// Whether it is one.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Notes something of it; a later note of the same name replaces the earlier one.
    pub fn note(&self, name: &'static str, note: impl Into<Note>) {
        if let Some(open) = &self.0 {
            open.note(name, note.into());
        }
    }

    /// Says that it went wrong, in a word of a closed set.
    pub fn fail(&self, why: &'static str) {
        if let Some(open) = &self.0 {
            open.known.lock().failure = Some(why);
        }
    }

    /// The place of who is in this span.
    #[must_use]
    pub fn here(&self) -> Here {
        Here(self.0.clone().map(Current::Open))
    }

    /// Its trace.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|open| open.trace.id)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else { return };
        let Known { notes, failure } = std::mem::take(&mut *open.known.lock());
        let &Open { parent, parent_is_remote, layer, name, began_ns, .. } = &*open;
        let ended_ns = open.trace.now_ns();
        let context = open.context();
        let parent_is_remote = parent_is_remote && parent.is_some();
        let record = SpanRecord { context, parent, parent_is_remote, layer, name, began_ns, ended_ns, notes, failure };
        open.trace.tracer.sink.ended(record);
    }
}

/// A place in a trace, for work that goes on elsewhere: on another task, or after the request.
#[derive(Clone)]
pub struct Here(Option<Current>);

impl Here {
    /// The place of a caller whose trace is not recorded here, and passed on all the same.
    #[must_use]
    pub fn passed(caller: Option<TraceContext>) -> Self {
        Self(caller.map(|caller| Current::Passed(Arc::new(caller))))
    }

    /// Whether there is any.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.0.is_some()
    }

    /// Does some work there. No `async fn`, which would keep the work twice.
    pub fn within<W: Future>(self, work: W) -> impl Future<Output = W::Output> + use<W> {
        match self.0 {
            Some(current) => Either::Left(CURRENT.scope(current, work)),
            None => Either::Right(work),
        }
    }
}

/// Where this task is.
#[must_use]
pub fn here() -> Here {
    Here(CURRENT.try_with(Clone::clone).ok())
}

/// Begins a span below the one that is under way; none if none is.
pub fn span(layer: Layer, name: &'static str) -> Span {
    let begin = |current: &Current| match current {
        Current::Open(above) => below(above, layer, name),
        Current::Passed(_) => None,
    };
    Span(CURRENT.try_with(begin).ok().flatten())
}

#[cold]
fn below(above: &Open, layer: Layer, name: &'static str) -> Option<Arc<Open>> {
    if above.trace.spans.fetch_add(1, Ordering::Relaxed) >= SPANS_PER_TRACE_MAX - 1 {
        above.trace.tracer.sink.left_out();
        return None;
    }
    Some(Open::new(Arc::clone(&above.trace), Some(above.id), false, layer, name))
}

/// Notes something of the span that is under way, if one is.
pub fn note<N: Into<Note>>(name: &'static str, note: impl FnOnce() -> N) {
    // Without a span there is nothing to note.
    let _ = CURRENT.try_with(|current| {
        if let Current::Open(open) = current {
            open.note(name, note().into());
        }
    });
}

/// Notes how an operation ended, as its metrics count it.
pub fn note_answer(domain: &Arc<str>, operation: &'static str, state: &'static str) {
    let _ = CURRENT.try_with(|current| {
        if let Current::Open(open) = current {
            open.note("larder.domain", Arc::clone(domain).into());
            open.note("larder.operation", operation.into());
            open.note("larder.state", state.into());
        }
    });
}

/// What another program is told that is asked for this request.
#[must_use]
pub fn outgoing() -> Option<TraceContext> {
    let told = |current: &Current| match current {
        Current::Open(open) => open.context(),
        Current::Passed(caller) => TraceContext::clone(caller),
    };
    CURRENT.try_with(told).ok()
}

/// The trace of what is under way, for a line of the log.
#[must_use]
pub fn trace_id() -> Option<TraceId> {
    let id = |current: &Current| match current {
        Current::Open(open) => open.trace.id,
        Current::Passed(caller) => caller.trace,
    };
    CURRENT.try_with(id).ok()
}

#[cfg(test)]
mod tests;
