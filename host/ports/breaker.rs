//! Circuit breakers: states, modes, outcomes, and what operators and policies ask of them. Names after resilience4j.
//!
//! A breaker stands before something that may fail as a whole: the store, an origin, what a policy calls. While too many calls
//! fail it lets none through, so that a sick server is left alone and callers get their error at once. Deliberately absent:
//! what a call is (adapters put a breaker around theirs), retries.

use serde::Serialize;

use super::metrics::{Counter, Gauge};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::BREAKER_NAME_BYTES_MAX;

/// The name of the store's breaker.
pub const STORE_BREAKER: &str = "store";

/// Where a breaker stands by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls go through, and are watched.
    Closed,
    /// No call goes through.
    Open,
    /// A few go through, on trial.
    HalfOpen,
}

impl State {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them; the place of each is its number in `cache_circuit_breaker_state`.
    pub const ALL: [Self; Self::COUNT] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word in logs, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What an operator lets a breaker do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As its calls fare.
    #[default]
    Auto,
    /// No call goes through.
    ForcedOpen,
    /// Every call goes through; nothing is counted for the state.
    ForcedClosed,
    /// Every call goes through, and is counted.
    MetricsOnly,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::ForcedOpen, Self::ForcedClosed, Self::MetricsOnly];

    /// The word in answers and commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ForcedOpen => "open",
            Self::ForcedClosed => "closed",
            Self::MetricsOnly => "metrics-only",
        }
    }

    /// The mode of this word, in any case of letters.
    ///
    /// # Errors
    /// There is none.
    pub fn from_word(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str().eq_ignore_ascii_case(word)).ok_or_else(|| {
            let message = "a breaker is forced open, closed or metrics-only, or left to itself with auto";
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Well, and in time.
    Success,
    /// It failed in a way that speaks against what was called.
    Failure,
    /// Well, but slowly: counts as a failure does.
    Slow,
    /// It says nothing of what was called: given up by the caller, or never sent.
    Ignored,
}

impl Outcome {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Success, Self::Failure, Self::Slow, Self::Ignored];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Slow => "slow",
            Self::Ignored => "ignored",
        }
    }
}

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failed and slow calls within the monitoring period that open it (`CACHE_CB_FAILURE_THRESHOLD`); they must be the latest
    /// ones in a row, or half of the latest calls, so that a few failures among very many calls do not.
    pub failure_threshold: u32,
    /// How long it stays open the first time, in milliseconds (`CACHE_CB_RECOVERY_TIMEOUT`); doubles with every trial that
    /// fails.
    pub recovery_ms: u64,
    /// How long a failure counts, in milliseconds (`CACHE_CB_MONITORING_PERIOD`).
    pub monitoring_ms: u64,
    /// Calls on trial, all of which must succeed (`CACHE_CB_HALF_OPEN_MAX_CALLS`).
    pub half_open_calls_max: u32,
    /// From when on a call is slow, in milliseconds; `None`: who reports it says so.
    pub slow_ms: Option<u64>,
}

/// What is counted for one breaker.
#[derive(Debug, Default)]
pub struct BreakerMetrics {
    /// The state it acts as: its place in [`State::ALL`].
    pub state: Gauge,
    /// Steps into each state.
    pub transitions: [Counter; State::COUNT],
    /// Calls that were let through, by how they went.
    pub calls: [Counter; Outcome::COUNT],
    /// Calls that were not let through.
    pub not_permitted: Counter,
}

/// One step of a breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// Wall time, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What it was: as [`BreakerStatus::state`].
    pub from: &'static str,
    /// What it became.
    pub to: &'static str,
    /// In words.
    pub why: String,
}

/// Where a breaker stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerStatus {
    /// `store`, `origin:{domain}`, or `{domain}/{name}`.
    pub name: String,
    /// `closed`, `open`, `half-open`, `forced-open`, `forced-closed` or `metrics-only`.
    pub state: &'static str,
    /// What an operator lets it do.
    pub mode: &'static str,
    /// Calls within the monitoring period.
    pub calls: u64,
    /// Failed ones among them.
    pub failures: u64,
    /// Slow ones among them.
    pub slow: u64,
    /// When it tries again, in milliseconds from now; `None` unless it is open by itself.
    pub retry_in_ms: Option<u64>,
    /// How often it opened in a row without closing.
    pub reopened: u32,
    /// What the latest failed call met, in words; `None`: nothing is known of one.
    pub last_failure: Option<String>,
}

/// What is said of a breaker: its mode where that rules, else its own state.
#[must_use]
pub const fn shown(mode: Mode, state: State) -> &'static str {
    match mode {
        Mode::Auto => state.as_str(),
        Mode::ForcedOpen => "forced-open",
        Mode::ForcedClosed => "forced-closed",
        Mode::MetricsOnly => "metrics-only",
    }
}

/// The name of the breaker before a domain's origin. No policy's own breaker has a colon in its name.
#[must_use]
pub fn origin_breaker(domain: &str) -> String {
    format!("origin:{domain}")
}

/// The checked name of a policy's breaker: `{domain}/{name}`. The name is a label of metrics, so it is short and plain.
///
/// # Errors
/// It is empty, too long, holds other characters than `a-z`, `0-9`, `-` and `_`, or is the store's.
pub fn policy_breaker(domain: &str, name: &str) -> Result<String> {
    let wrong = |words: &str| Err(Error::new(ErrorKind::InvalidArgument, format!("the breaker's name {words}")));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if name == STORE_BREAKER {
        return wrong("is the store's, which the host itself uses; choose another");
    }
    if name.is_empty() || name.len() > BREAKER_NAME_BYTES_MAX || !name.bytes().all(plain) {
        return wrong("is not 1 to 64 of a-z, 0-9, '-' and '_'");
    }
    Ok(format!("{domain}/{name}"))
}

/// The right to make one call. Dropping it without an outcome counts as [`Outcome::Ignored`].
pub trait Permit: Send {
    /// Says how the call went.
    fn report(self: Box<Self>, outcome: Outcome);
}

/// All breakers of the host.
pub trait Breakers: Send + Sync {
    /// All of them, in order of their names.
    fn list(&self) -> Vec<BreakerStatus>;

    /// One of them.
    fn status(&self, name: &str) -> Option<BreakerStatus>;

    /// Its last steps, the newest first.
    fn history(&self, name: &str) -> Option<Vec<Transition>>;

    /// Lets it do this from now on; with [`Mode::Auto`] it begins closed, with nothing counted.
    fn force(&self, name: &str, mode: Mode) -> Option<BreakerStatus>;

    /// Where the breaker stands that a policy knows by this name: `store`, or one of its own. One that is not there yet, or that
    /// this host does not need, is closed.
    ///
    /// # Errors
    /// A bad name.
    fn current(&self, domain: &str, name: &str) -> Result<(Mode, State)>;

    /// The right to make one call, from a breaker of the policy's own, which is made if need be. `None`: it lets none through.
    ///
    /// # Errors
    /// A bad name, or too many breakers.
    fn acquire(&self, domain: &str, name: &str) -> Result<Option<Box<dyn Permit>>>;
}
