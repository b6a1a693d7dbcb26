//! The one part of a policy that may wait: its commands and its upkeep, and what the host lends them.
//!
//! The engine lends a [`WorkflowHost`] that is bound to one domain for each call; what a policy reaches through it is confined
//! there, so an adapter need not know keys, copies in memory or other domains. Dropping the future of a call ends the call
//! and gives back what it holds.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::policy::PolicyError;
use super::store::Reply;

/// The answer of a command, as RESP and HTTP can both carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandReply {
    /// Nothing.
    Nothing,
    /// A number.
    Integer(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// A flat list.
    Items(Vec<Bytes>),
    /// Names and values, in order.
    Fields(Vec<(String, String)>),
}

/// Why a policy did not carry out a command, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// It has no command of this name.
    Unknown,
    /// The arguments are wrong.
    InvalidArguments(String),
    /// It could not be done now; retrying may help.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

/// Why the host did not do what a workflow asked for: the contract's `host-error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostError {
    /// A key outside the domain.
    NotAllowed(String),
    /// The arguments are wrong.
    Invalid(String),
    /// The key holds another shape.
    WrongType,
    /// No answer in time; the work may or may not have been done.
    TimedOut,
    /// The breaker is open.
    CircuitOpen,
    /// The store cannot be reached.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

/// A command on keys of the domain: its name, the names of the keys, what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCommand {
    /// Redis' name of it.
    pub name: &'static str,
    /// What follows `{prefix}:{version}:{domain}:` in the storage keys.
    pub keys: Vec<String>,
    /// All that follows the keys.
    pub arguments: Vec<Bytes>,
    /// Whether it may change what the keys hold.
    pub writes: bool,
}

/// A lock that a workflow holds. Dropping it releases it.
#[async_trait]
pub trait HeldLock: Send + Sync {
    /// Grows with every holder of this lock.
    fn fencing_token(&self) -> u64;

    /// Begins its life anew.
    ///
    /// # Errors
    /// It is lost, or the store does not answer.
    async fn extend(&mut self, ttl_ms: u32) -> Result<(), HostError>;

    /// Gives it back. Whether it was still held.
    ///
    /// # Errors
    /// The store does not answer; the lock ends with its life.
    async fn release(&mut self) -> Result<bool, HostError>;
}

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// Some calls pass, to see whether it may close.
    HalfOpen,
    /// An operator keeps it open.
    ForcedOpen,
    /// An operator keeps it closed.
    ForcedClosed,
}

/// How a guarded call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// Well, but too late.
    Slow,
    /// It says nothing about what was called.
    Ignored,
}

/// The right to make one guarded call. Dropped without a report it counts as [`CallOutcome::Ignored`].
pub trait CallPermit: Send {
    /// Tells how the call ended; only the first report counts.
    fn report(&mut self, outcome: CallOutcome);
}

/// What the host does for the workflow of one domain.
#[async_trait]
pub trait WorkflowHost: Send + Sync {
    /// Carries out a command on the domain's own keys. An error that the store itself answers is a [`Reply::Error`].
    ///
    /// # Errors
    /// A name that would leave the domain; a store that does not answer.
    async fn keys(&self, command: OwnCommand) -> Result<Reply, HostError>;

    /// Adds to a counter, which lives for `ttl_ms` if it is new; atomic. The counter after it.
    ///
    /// # Errors
    /// As [`Self::keys`]; what is there is no counter, or it would overflow.
    async fn increment(&self, name: String, delta: i64, ttl_ms: Option<u64>) -> Result<i64, HostError>;

    /// Names that begin with `prefix`, in portions: `cursor` 0 begins, an answer of 0 ends.
    ///
    /// # Errors
    /// As [`Self::keys`].
    async fn scan(&self, prefix: String, cursor: u64, count: u32) -> Result<(u64, Vec<String>), HostError>;

    /// A lock of the domain; `None` if somebody else holds it for longer than `wait_ms`.
    ///
    /// # Errors
    /// A name or a time that is not allowed; a store that does not answer.
    async fn lock(&self, name: String, ttl_ms: u32, wait_ms: u32) -> Result<Option<Box<dyn HeldLock>>, HostError>;

    /// The state of a breaker: `store`, or one of the domain's own.
    ///
    /// # Errors
    /// A name that is not allowed.
    fn circuit(&self, name: &str) -> Result<CircuitState, HostError>;

    /// The right to make one call under a breaker of the domain's own; `None` if it is open.
    ///
    /// # Errors
    /// A name that is not allowed.
    fn permit(&self, name: &str) -> Result<Option<Box<dyn CallPermit>>, HostError>;
}

/// The commands and the upkeep of a live policy. Each call has an instance and a deadline of its own.
#[async_trait]
pub trait Workflow: Send + Sync {
    /// Carries out a command: its answer, or why the policy would not.
    ///
    /// # Errors
    /// A failure of the policy.
    async fn on_command(
        &self,
        host: Arc<dyn WorkflowHost>,
        command: &str,
        arguments: &[Bytes],
    ) -> Result<Result<CommandReply, CommandError>, PolicyError>;

    /// Does the upkeep. A line for the log, if the policy has one.
    ///
    /// # Errors
    /// A failure of the policy.
    async fn on_tick(&self, host: Arc<dyn WorkflowHost>) -> Result<Option<String>, PolicyError>;
}
