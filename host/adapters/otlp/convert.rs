//! A span as OpenTelemetry knows it, by its names where it has some (semantic conventions), else by the house's with `larder.` before
//! them.

#![expect(clippy::disallowed_types, reason = "times as the exporter wants them; no clock is read")]

use std::borrow::Cow;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::ports::trace::{Layer, Note, SpanRecord};

pub(super) fn span(record: SpanRecord) -> SpanData {
    let SpanRecord { context, parent, parent_is_remote, layer, began_ns, ended_ns, failure, .. } = &record;
    let state = context.state.as_deref().and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    let trace = TraceId::from_bytes(context.trace.0.to_be_bytes());
    let own = |id: u64| SpanId::from_bytes(id.to_be_bytes());
    let layer_note = KeyValue::new("larder.layer", layer.as_str());
    let failed = failure.map(|why| KeyValue::new("error.type", why));
    let notes = record.notes.iter().map(|(name, note)| KeyValue::new(*name, value(note)));
    SpanData {
        span_context: SpanContext::new(trace, own(context.span.0), TraceFlags::SAMPLED, false, state),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| own(parent.0)),
        parent_span_is_remote: *parent_is_remote,
        span_kind: kind(*layer),
        name: name(&record),
        start_time: at(*began_ns),
        end_time: at(*ended_ns),
        attributes: std::iter::once(layer_note).chain(notes).chain(failed).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: failure.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("larder").with_version(env!("CARGO_PKG_VERSION")).build(),
    }
}

const fn kind(layer: Layer) -> SpanKind {
    match layer {
        Layer::Resp | Layer::Http => SpanKind::Server,
        Layer::Store | Layer::Origin => SpanKind::Client,
        Layer::Policy | Layer::Load | Layer::Lock => SpanKind::Internal,
    }
}

/// A name of low cardinality: `GET`, `GET /v1/cache/{domain}/{key}`, `policy plan`, `store get`.
fn name(record: &SpanRecord) -> Cow<'static, str> {
    let route = record.notes.iter().find(|(name, _)| *name == "http.route").map(|(_, route)| route);
    match (record.layer, route) {
        (Layer::Resp, _) => record.name.to_ascii_uppercase().into(),
        (Layer::Http, Some(Note::Word(route))) => format!("{} {route}", record.name).into(),
        (Layer::Http, _) => record.name.into(),
        (layer, _) => format!("{} {}", layer.as_str(), record.name).into(),
    }
}

fn value(note: &Note) -> Value {
    match note {
        Note::Word(word) => (*word).into(),
        Note::Name(name) => std::sync::Arc::clone(name).into(),
        Note::Number(number) => (*number).into(),
    }
}

fn at(ns: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(ns)
}
