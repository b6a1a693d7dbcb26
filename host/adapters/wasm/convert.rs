//! The contract's types as generated, to and from those of the port: the same shapes under the same names.
//!
//! What goes to a policy is borrowed; what comes back is moved. Nothing is judged here.

use super::bindings::guest;
use super::bindings::types as wit;
use crate::ports::hooks::{EntryState, EntryStatus, Event, Revalidation};
use crate::ports::policy::{
    Absence, Admission, Candidate, Cause, Compression, Description, Encoding, KeyScope, Lifetime, Miss, Operation,
    Plan, Refusal, Request, Selector, Shape, Shapes,
};

/// A request, borrowed.
pub(super) const fn request<'a>(request: &Request<'a>) -> wit::Request<'a> {
    wit::Request { key: request.key, operation: operation(request.operation), shape: shape(request.shape) }
}

/// A candidate, borrowed; the value's bytes only if they are to be shown.
pub(super) const fn candidate<'a>(
    candidate: &Candidate<'a>,
    headers: &'a [(&'a str, &'a str)],
    show_bytes: bool,
) -> wit::Candidate<'a> {
    wit::Candidate {
        cause: cause(candidate.cause),
        size_bytes: candidate.size_bytes,
        asked_ttl_ms: candidate.asked_ttl_ms,
        origin_status: candidate.origin_status,
        origin_headers: headers,
        load_ms: candidate.load_ms,
        bytes: if show_bytes { Some(candidate.bytes) } else { None },
    }
}

/// What the host knows of an entry that is no longer fresh.
pub(super) const fn entry_state<'a>(entry: &EntryState<'a>) -> guest::revalidation::EntryState<'a> {
    let status = match entry.status {
        EntryStatus::Stale => guest::revalidation::EntryStatus::Stale,
        EntryStatus::StaleIfError => guest::revalidation::EntryStatus::StaleIfError,
        EntryStatus::Invalidated => guest::revalidation::EntryStatus::Invalidated,
    };
    guest::revalidation::EntryState {
        request: request(&entry.request),
        status,
        age_ms: entry.age_ms,
        size_bytes: entry.size_bytes,
        load_ms: entry.load_ms,
        origin_healthy: entry.origin_healthy,
    }
}

/// An event, borrowed.
pub(super) const fn event<'a>(event: &Event<'a>) -> guest::events::Event<'a> {
    guest::events::Event { kind: event.kind, payload: event.payload }
}

impl From<guest::revalidation::Verdict> for Revalidation {
    fn from(verdict: guest::revalidation::Verdict) -> Self {
        match verdict {
            guest::revalidation::Verdict::AsStamped => Self::AsStamped,
            guest::revalidation::Verdict::ServeAndRefresh => Self::ServeAndRefresh,
            guest::revalidation::Verdict::Extend(ms) => Self::Extend(ms),
            guest::revalidation::Verdict::LoadFirst => Self::LoadFirst,
            guest::revalidation::Verdict::Drop => Self::Drop,
        }
    }
}

impl From<wit::Selector> for Selector {
    fn from(selector: wit::Selector) -> Self {
        match selector {
            wit::Selector::Key(key) => Self::Key(key),
            wit::Selector::Tag(tag) => Self::Tag(tag),
            wit::Selector::Prefix(prefix) => Self::Prefix(prefix),
            wit::Selector::Pattern(pattern) => Self::Pattern(pattern),
            wit::Selector::Domain => Self::Domain,
        }
    }
}

const fn operation(operation: Operation) -> wit::Operation {
    match operation {
        Operation::Read => wit::Operation::Read,
        Operation::Write => wit::Operation::Write,
        Operation::Update => wit::Operation::Update,
        Operation::Delete => wit::Operation::Delete,
        Operation::Touch => wit::Operation::Touch,
        Operation::Fill => wit::Operation::Fill,
        Operation::Load => wit::Operation::Load,
        Operation::Refresh => wit::Operation::Refresh,
        Operation::Warm => wit::Operation::Warm,
    }
}

const fn shape(shape: Shape) -> wit::Shape {
    match shape {
        Shape::Value => wit::Shape::Value,
        Shape::Counter => wit::Shape::Counter,
        Shape::Hash => wit::Shape::Hash,
        Shape::List => wit::Shape::List,
        Shape::Set => wit::Shape::Set,
    }
}

const fn cause(cause: Cause) -> wit::Cause {
    match cause {
        Cause::Write => wit::Cause::Write,
        Cause::Fill => wit::Cause::Fill,
        Cause::Load => wit::Cause::Load,
        Cause::Refresh => wit::Cause::Refresh,
    }
}

impl From<wit::Plan> for Plan {
    fn from(plan: wit::Plan) -> Self {
        let miss = match plan.miss {
            wit::Miss::Answer => Miss::Answer,
            wit::Miss::Lease => Miss::Lease,
            wit::Miss::Load => Miss::Load,
        };
        Self { suffix: plan.suffix, miss, collapse_wait_ms: plan.collapse_wait_ms }
    }
}

impl From<wit::Refusal> for Refusal {
    fn from(refusal: wit::Refusal) -> Self {
        match refusal {
            wit::Refusal::InvalidKey(text) => Self::InvalidKey(text),
            wit::Refusal::Unsupported(text) => Self::Unsupported(text),
            wit::Refusal::InvalidValue(text) => Self::InvalidValue(text),
            wit::Refusal::Other(text) => Self::Other(text),
        }
    }
}

impl From<wit::Lifetime> for Lifetime {
    fn from(lifetime: wit::Lifetime) -> Self {
        let compression = match lifetime.compression {
            wit::Compression::Automatic => Compression::Automatic,
            wit::Compression::Never => Compression::Never,
            wit::Compression::Lz4 => Compression::Lz4,
            wit::Compression::Zstd => Compression::Zstd,
        };
        Self {
            fresh_ms: lifetime.fresh_ms,
            stale_while_revalidate_ms: lifetime.stale_while_revalidate_ms,
            stale_if_error_ms: lifetime.stale_if_error_ms,
            keep_ms: lifetime.keep_ms,
            max_stale_ms: lifetime.max_stale_ms,
            early_refresh_beta: lifetime.early_refresh_beta,
            jitter_percent: lifetime.jitter_percent,
            l1_ms: lifetime.l1_ms,
            sliding: lifetime.sliding,
            list_max: lifetime.list_max,
            compression,
            weight_percent: lifetime.weight_percent,
            tags: lifetime.tags,
        }
    }
}

impl From<wit::Admission> for Admission {
    fn from(admission: wit::Admission) -> Self {
        match admission {
            wit::Admission::Store(lifetime) => Self::Store(lifetime.into()),
            wit::Admission::Absent(absence) => Self::Absent(Absence { fresh_ms: absence.fresh_ms, tags: absence.tags }),
            wit::Admission::Pass(ms) => Self::Pass(ms),
            wit::Admission::Refuse(refusal) => Self::Refuse(refusal.into()),
        }
    }
}

impl From<wit::Description> for Description {
    fn from(description: wit::Description) -> Self {
        let key_scope = match description.key_scope {
            wit::KeyScope::Domain => KeyScope::Domain,
            wit::KeyScope::Verbatim => KeyScope::Verbatim,
        };
        let encoding = match description.encoding {
            wit::Encoding::Raw => Encoding::Raw,
            wit::Encoding::Enveloped => Encoding::Enveloped,
        };
        Self {
            version: description.version,
            key_version: description.key_version,
            key_scope,
            encoding,
            shapes: shapes(description.shapes),
            wants_bytes: description.wants.contains(wit::Wants::CANDIDATE_BYTES),
            wants_all_origin_headers: description.wants.contains(wit::Wants::ALL_ORIGIN_HEADERS),
            wants_raw_reads: description.wants.contains(wit::Wants::RAW_READS),
            tick_ms: description.tick_ms,
        }
    }
}

fn shapes(flags: wit::Shapes) -> Shapes {
    let pairs = [
        (wit::Shapes::VALUE, Shape::Value),
        (wit::Shapes::COUNTER, Shape::Counter),
        (wit::Shapes::HASH, Shape::Hash),
        (wit::Shapes::LIST, Shape::List),
        (wit::Shapes::SET, Shape::Set),
    ];
    pairs
        .into_iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .fold(Shapes::default(), |shapes, (_, shape)| shapes.with(shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_keeps_its_name_on_the_way() {
        for it in Operation::ALL {
            assert_eq!(format!("{:?}", operation(it)), format!("Operation::{it:?}"));
        }
        for it in Shape::ALL {
            assert_eq!(format!("{:?}", shape(it)), format!("Shape::{it:?}"));
        }
        for it in [Cause::Write, Cause::Fill, Cause::Load, Cause::Refresh] {
            assert_eq!(format!("{:?}", cause(it)), format!("Cause::{it:?}"));
        }
    }

    #[test]
    fn shapes_keep_their_bits() {
        assert_eq!(shapes(wit::Shapes::all()), Shapes::ALL);
        let some = shapes(wit::Shapes::HASH | wit::Shapes::VALUE);
        assert_eq!(some, Shapes::default().with(Shape::Value).with(Shape::Hash));
    }
}
