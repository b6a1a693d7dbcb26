//! An ended span as it is handed on, and where to.
//!
//! What is noted of a span comes from closed sets, or is a domain, a number or a command: never a key, a value or a secret.

use std::sync::Arc;

use super::context::{SpanId, TraceContext};

/// Which part of the host a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// A command over RESP.
    Resp,
    /// A request over HTTP.
    Http,
    /// A hook of a policy.
    Policy,
    /// A call of the store.
    Store,
    /// A load from the origin, with all that goes with it, or the wait for somebody else's.
    Load,
    /// What the origin is asked.
    Origin,
    /// A lock that is taken, with the wait for it, held longer or given back.
    Lock,
}

impl Layer {
    /// The word in names and notes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resp => "resp",
            Self::Http => "http",
            Self::Policy => "policy",
            Self::Store => "store",
            Self::Load => "load",
            Self::Origin => "origin",
            Self::Lock => "lock",
        }
    }
}

/// What is noted of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A word of a closed set.
    Word(&'static str),
    /// A name, as that of a domain.
    Name(Arc<str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Note {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<Arc<str>> for Note {
    fn from(name: Arc<str>) -> Self {
        Self::Name(name)
    }
}

impl From<u16> for Note {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanRecord {
    /// Its own place.
    pub context: TraceContext,
    /// The span that caused it, if any did.
    pub parent: Option<SpanId>,
    /// Whether that one is of another program.
    pub parent_is_remote: bool,
    /// What it is about.
    pub layer: Layer,
    /// What was done, in a word.
    pub name: &'static str,
    /// When it began, in nanoseconds since the Unix epoch.
    pub began_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// What is known of it, each name once.
    pub notes: Vec<(&'static str, Note)>,
    /// What went wrong, as a word of a closed set.
    pub failure: Option<&'static str>,
}

/// Where ended spans go.
pub trait SpanSink: Send + Sync {
    /// Takes a span. Never waits: what cannot be taken is dropped and counted.
    fn ended(&self, span: SpanRecord);

    /// Counts a span that was not made as its trace has too many.
    fn left_out(&self);
}
