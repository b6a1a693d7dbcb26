//! A policy as the engine sees it: the contract of `wit/types.wit` and `wit/rules.wit` in Rust.
//!
//! The documentation of each item is in the WIT; the names are the same. Deliberately absent: WebAssembly, files, swaps.

#![expect(missing_docs, reason = "documented in wit/, under the same names")]

use std::fmt;

pub use super::candidate::{Candidate, Cause};
pub use super::compression::Compression;
use super::hooks::Hooks;

/// What kind of value a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    Value,
    Counter,
    Hash,
    List,
    Set,
}

impl Shape {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 5] = [Self::Value, Self::Counter, Self::Hash, Self::List, Self::Set];

    /// The word in messages and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Counter => "counter",
            Self::Hash => "hash",
            Self::List => "list",
            Self::Set => "set",
        }
    }
}

/// Shapes as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shapes(u8);

impl Shapes {
    /// All shapes.
    pub const ALL: Self = Self(0b1_1111);

    /// This set with one more.
    #[must_use]
    pub const fn with(self, shape: Shape) -> Self {
        Self(self.0 | 1 << shape as u8)
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(self, shape: Shape) -> bool {
        self.0 & 1 << shape as u8 != 0
    }
}

/// What the caller is doing with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Read,
    Write,
    Update,
    Delete,
    Touch,
    Fill,
    Load,
    Refresh,
    Warm,
}

impl Operation {
    /// How many there are.
    pub const COUNT: usize = 9;

    /// All of them, in the order of the contract.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Read,
        Self::Write,
        Self::Update,
        Self::Delete,
        Self::Touch,
        Self::Fill,
        Self::Load,
        Self::Refresh,
        Self::Warm,
    ];

    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Touch => "touch",
            Self::Fill => "fill",
            Self::Load => "load",
            Self::Refresh => "refresh",
            Self::Warm => "warm",
        }
    }
}

/// One key, without its domain, and what is done with it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub key: &'a str,
    pub operation: Operation,
    pub shape: Shape,
}

/// Why a policy will not serve a request, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    InvalidKey(String),
    Unsupported(String),
    InvalidValue(String),
    Other(String),
}

/// What a read does when the key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    Answer,
    Lease,
    Load,
}

impl Miss {
    /// The word in explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Lease => "lease",
            Self::Load => "load",
        }
    }
}

/// Where a key is kept and how its misses are handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `None`: the key itself.
    pub suffix: Option<String>,
    pub miss: Miss,
    pub collapse_wait_ms: u32,
}

/// How long a value lives, and how. Times count from the start of its load.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifetime {
    /// `None`: never expires.
    pub fresh_ms: Option<u64>,
    pub stale_while_revalidate_ms: u64,
    pub stale_if_error_ms: u64,
    pub keep_ms: u64,
    pub max_stale_ms: Option<u64>,
    pub early_refresh_beta: f32,
    pub jitter_percent: u8,
    pub l1_ms: Option<u64>,
    pub sliding: bool,
    pub list_max: Option<u32>,
    pub compression: Compression,
    pub weight_percent: u16,
    pub tags: Vec<String>,
}

impl Lifetime {
    /// Fresh for so long, and nothing else.
    #[must_use]
    pub const fn fresh(fresh_ms: Option<u64>) -> Self {
        Self {
            fresh_ms,
            stale_while_revalidate_ms: 0,
            stale_if_error_ms: 0,
            keep_ms: 0,
            max_stale_ms: None,
            early_refresh_beta: 0.0,
            jitter_percent: 0,
            l1_ms: None,
            sliding: false,
            list_max: None,
            compression: Compression::Automatic,
            weight_percent: 100,
            tags: Vec::new(),
        }
    }
}

/// "There is no such value", kept for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    pub fresh_ms: u64,
    pub tags: Vec<String>,
}

/// The answer for a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    Store(Lifetime),
    Absent(Absence),
    /// Do not store; callers do not queue for one another's load for so many milliseconds.
    Pass(u32),
    Refuse(Refusal),
}

/// How values of a domain are kept in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Raw,
    Enveloped,
}

impl Encoding {
    /// The word in explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Enveloped => "enveloped",
        }
    }
}

/// Where the storage keys of a domain lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyScope {
    Domain,
    Verbatim,
}

/// What is to be invalidated, within one domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    Key(String),
    Tag(String),
    Prefix(String),
    Pattern(String),
    Domain,
}

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub version: String,
    pub key_version: String,
    pub key_scope: KeyScope,
    pub encoding: Encoding,
    pub shapes: Shapes,
    pub wants_bytes: bool,
    pub wants_all_origin_headers: bool,
    /// `admit` is asked about raw values that are read from the store.
    pub wants_raw_reads: bool,
    pub tick_ms: Option<u32>,
}

/// How a policy call went wrong through the policy's own fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// `unreachable`, a panic, an arithmetic or memory fault, the stack.
    Trap,
    /// Past its deadline.
    Deadline,
    /// Past its memory or tables.
    Memory,
    /// An answer that is too large or breaks the contract: a suffix outside the domain, a list of a wrong length.
    BadAnswer,
    /// No instance could be had.
    Instance,
    /// More host calls than one call may make.
    HostCalls,
}

impl Fault {
    /// How many there are.
    pub const COUNT: usize = 6;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Trap, Self::Deadline, Self::Memory, Self::BadAnswer, Self::Instance, Self::HostCalls];

    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::BadAnswer => "bad-answer",
            Self::Instance => "instance",
            Self::HostCalls => "host-calls",
        }
    }

    /// Whether it is the policy's own doing. That the host had no room for an instance is not.
    #[must_use]
    pub const fn is_the_policys(self) -> bool {
        !matches!(self, Self::Instance)
    }
}

/// Why a policy gave no decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// It refuses: the caller's fault, in the policy's words.
    Refused(Refusal),
    /// It failed: the policy's fault. One decision is lost, nothing else.
    Failed { fault: Fault, message: String },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(
                Refusal::InvalidKey(text)
                | Refusal::Unsupported(text)
                | Refusal::InvalidValue(text)
                | Refusal::Other(text),
            ) => f.write_str(text),
            Self::Failed { fault, message } => write!(f, "the policy failed ({}): {message}", fault.as_str()),
        }
    }
}

impl std::error::Error for PolicyError {}

/// The rules of a live policy. Each call is synchronous, bounded in time and memory, and safe from any thread.
pub trait Policy: Hooks {
    /// Where a key is kept. The suffix is as the policy gave it: the engine checks it.
    ///
    /// # Errors
    /// A refusal, or a failure of the policy.
    fn plan(&self, request: &Request<'_>) -> Result<Plan, PolicyError>;

    /// The same for many keys in one crossing: one answer for each request, in order.
    ///
    /// # Errors
    /// The outer error is a failure that cost all of them; the inner ones are refusals.
    fn plan_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Plan, PolicyError>>, PolicyError>;

    /// Whether and for how long a value is stored.
    ///
    /// # Errors
    /// A failure of the policy; a refusal is an [`Admission`].
    fn admit(&self, request: &Request<'_>, candidate: &Candidate<'_>) -> Result<Admission, PolicyError>;
}
