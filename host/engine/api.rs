//! What callers ask of the engine and what it answers: plain data, the same for every front end.

use bytes::Bytes;
use serde::Serialize;

use crate::ports::lease::Waited;
use crate::ports::load::{LoadOutcome, StaleReason};
use crate::ports::metrics::State;

/// The lifetime that an application asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AskedTtl {
    /// None: the policy decides.
    #[default]
    None,
    /// What the key has (`KEEPTTL`).
    Keep,
    /// So many milliseconds from now; at least 1.
    InMs(u64),
    /// Until this wall time, milliseconds since the Unix epoch.
    AtMs(u64),
}

/// When a write is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    #[default]
    Always,
    /// If there is no such key (`NX`).
    IfAbsent,
    /// If there is such a key (`XX`).
    IfPresent,
}

impl AskedTtl {
    /// As milliseconds from now; `None`: none is asked for.
    #[must_use]
    pub const fn asked_ms(self, now_ms: u64) -> Option<u64> {
        match self {
            Self::None | Self::Keep => None,
            Self::InMs(ms) => Some(ms),
            Self::AtMs(at_ms) => Some(at_ms.saturating_sub(now_ms)),
        }
    }
}

impl SetOptions {
    /// Whether the write does not depend on what is there.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.condition == Condition::Always && !self.want_previous && self.ttl != AskedTtl::Keep
    }
}

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    /// The lifetime asked for.
    pub ttl: AskedTtl,
    /// When it is done.
    pub condition: Condition,
    /// Whether the answer brings the value that was there (`GET`).
    pub want_previous: bool,
}

/// A value of a batch that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchWrite {
    /// The key, as applications say it.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The lifetime asked for; at least 1.
    pub asked_ttl_ms: Option<u64>,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAnswer {
    /// [`State::Done`], [`State::Unmet`] or [`State::Passed`].
    pub state: State,
    /// The value that was there, if it was asked for.
    pub previous: Option<Bytes>,
}

/// When an expiry is changed (`EXPIRE … NX|XX|GT|LT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpireCondition {
    /// Always.
    #[default]
    Always,
    /// If the key has none.
    IfNone,
    /// If the key has one.
    IfSome,
    /// If the new one is later; a key without one counts as infinite.
    IfLater,
    /// If the new one is earlier.
    IfEarlier,
    /// If the key has one and the new one is earlier.
    IfSomeEarlier,
}

/// What a reader asks of an answer beyond what the policy says. By default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Nothing that was loaded before it asked (`no-cache`).
    pub anew: bool,
    /// What is loaded for it is not stored (`no-store`).
    pub unstored: bool,
    /// Nothing is loaded for it (`only-if-cached`).
    pub only_cached: bool,
    /// Nothing older, in milliseconds (`max-age`).
    pub age_ms_max: Option<u64>,
    /// Stale by so many milliseconds is good enough (`max-stale`), and no more than that.
    pub stale_ms_max: Option<u64>,
    /// Nothing that is fresh for less, in milliseconds (`min-fresh`).
    pub fresh_ms_min: Option<u64>,
}

/// Why a reader's load was begun, as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// Nothing was held.
    Miss,
    /// What was held is stale.
    Stale,
    /// What was held is fresh, and the reader would not have it.
    Request,
}

impl Forward {
    /// The word in `Cache-Status` (RFC 9211 §2.2).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Request => "request",
        }
    }
}

/// The answer of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The value; `None`: absent.
    pub value: Option<Bytes>,
    /// How it was answered.
    pub state: State,
    /// Since the start of its load, in milliseconds; `None` if unknown (raw values that this node did not write) or absent.
    pub age_ms: Option<u64>,
    /// The fresh time left in milliseconds, negative when stale; `None`: it never expires, is unknown or absent.
    pub fresh_left_ms: Option<i64>,
    /// Whether it waited for the load of another reader; `None`: it did not.
    pub waited: Option<Waited>,
    /// Why it is stale, if it is.
    pub stale: Option<StaleReason>,
    /// The load that it came from, or that failed to renew it.
    pub load: Option<LoadSeen>,
}

/// What a reader is told of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadSeen {
    /// What became of it.
    pub outcome: LoadOutcome,
    /// The origin's status, if it answered.
    pub status: Option<u16>,
    /// Whether another reader had begun it.
    pub collapsed: bool,
    /// What was held before it.
    pub forward: Forward,
}

impl Answer {
    /// The value is absent.
    #[must_use]
    pub const fn absent(state: State) -> Self {
        Self { value: None, state, age_ms: None, fresh_left_ms: None, waited: None, stale: None, load: None }
    }
}

/// What became of an invalidation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many keys were removed (hard) or made stale (soft), where the host looked at each; `None`: at none, as a generation was
    /// ended.
    pub keys: Option<u64>,
}

/// A change of a value where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Adds bytes at the end; answers the new length.
    Append(Bytes),
    /// Adds to the number that the value is; answers the new number.
    IncrementBy(i64),
    /// Writes bytes from this place on, with noughts before it if there are too few; answers the new length.
    SetRange(usize, Bytes),
}

/// What an event made out of date: one selector of one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventOutcome {
    /// The domain.
    pub domain: String,
    /// `key`, `tag`, `prefix`, `pattern` or `domain`.
    pub selector: &'static str,
    /// How many keys it concerned, where that is known.
    pub keys: Option<u64>,
}

/// Why a key is answered as it is: everything that the host knows, nothing done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explanation {
    /// The application's key, foreign bytes as `%XX`.
    pub key: String,
    /// The domain that serves it.
    pub domain: String,
    /// SHA-256 of the policy's component, in hex.
    pub policy_digest: String,
    /// The policy's own version.
    pub policy_version: String,
    /// Generation of the policy on this node.
    pub generation: u64,
    /// What the store calls the key; empty if the policy refuses it.
    pub storage_key: String,
    /// `raw` or `enveloped`.
    pub encoding: &'static str,
    /// `answer`, `lease` or `load`.
    pub on_miss: &'static str,
    /// Who may fill the key: `free`, `this-node`, `other-node`; what ended the last lease, while that is known: `written`, `deleted`.
    /// `None`: its misses are not filled under leases.
    pub lease: Option<&'static str>,
    /// The life that is left to the lease without being renewed.
    pub lease_ttl_ms: Option<u64>,
    /// How many readers of this node wait for the load.
    pub lease_waiting: Option<u64>,
    /// How a read would be answered now: a [`State`], or `refused: …`.
    pub state: String,
    /// Where the answer would come from: `l1`, `store`, `nowhere`.
    pub from: &'static str,
    /// What Redis would call the type of what is there: `string`, `hash`, `list`, `set`; `None`: nothing is, or the store is away.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Size of the value in bytes.
    pub size_bytes: Option<u64>,
    /// Start of its load, or time of its write: wall time, milliseconds since the Unix epoch; `None`: a raw value does not say.
    pub born_ms: Option<u64>,
    /// Size of it as the store holds it, without its stamps; `None` if the store was not asked, or the domain is raw.
    pub stored_bytes: Option<u64>,
    /// How it is compressed there: `none`, `lz4`, `zstd`.
    pub compression: Option<&'static str>,
    /// Since the start of its load.
    pub age_ms: Option<u64>,
    /// The lifetime under the rules of now: fresh time; `None`: never expires or unknown.
    pub fresh_ms: Option<u64>,
    /// Stale-while-revalidate window.
    pub stale_while_revalidate_ms: Option<u64>,
    /// Stale-if-error window.
    pub stale_if_error_ms: Option<u64>,
    /// How long it is kept after these for a conditional load.
    pub keep_ms: Option<u64>,
    /// The cap on staleness.
    pub max_stale_ms: Option<u64>,
    /// Where it is in its life: `fresh`, `stale`, `stale-if-error`, `kept`, `negative`, `uncacheable`, `gone`.
    pub life: &'static str,
    /// What a read would be answered and what it would begin, in the words of the table in `ARCHITECTURE.md`.
    pub on_read: String,
    /// How it is loaded; `None`: it is not.
    pub load: Option<LoadExplained>,
    /// The fresh time left; negative when stale.
    pub fresh_left_ms: Option<i64>,
    /// Life left in the store.
    pub store_ttl_ms: Option<u64>,
    /// The rules that judged the stored entry, as far as it says; differs from `rules_now` after a swap until the next touch.
    pub rules_stored: Option<String>,
    /// The rules that serve now.
    pub rules_now: String,
    /// Whether the stored entry was judged under other rules and is judged again.
    pub rejudged: bool,
    /// Tags of the entry.
    pub tags: Vec<String>,
    /// The generations that it was loaded under, as `domain 1f…`, `tag team:7 9a…`, `prefix 5c…`; none of a raw value.
    pub generations: Vec<String>,
    /// Whether it was invalidated since it was loaded, and how: `soft`, `hard`.
    pub invalidated: Option<&'static str>,
    /// What was: `domain`, `tag …`, `prefix …`, with how it was.
    pub invalidated_by: Vec<String>,
}

/// How a key is loaded, and how that went on this node.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LoadExplained {
    /// The name of the origin.
    pub origin: String,
    /// Whether its breaker lets calls through.
    pub healthy: bool,
    /// What became of the last load.
    pub outcome: Option<&'static str>,
    /// The origin's status in it.
    pub status: Option<u16>,
    /// Why it failed.
    pub error: Option<String>,
    /// How long ago it ended.
    pub ago_ms: Option<u64>,
    /// How long it took.
    pub took_ms: Option<u32>,
    /// For how long the key is not loaded again.
    pub throttled_ms: Option<u64>,
}
