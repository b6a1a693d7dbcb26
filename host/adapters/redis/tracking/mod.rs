//! Follows the changes in a Redis, by its own client tracking in broadcast mode, on a connection of its own to each node.
//!
//! ```text
//! connect, CLIENT TRACKING ON BCAST PREFIX … ──> began ──> probe, its own change comes back ──> heard ──> probe …
//!      ^                                                        |
//!      +───────── pause <───── lost <──── it does not within B, or the connection breaks
//! ```
//!
//! A probe is a change of a key of the adapter's own over the same connection. Redis tells of changes in the order in which it made
//! them, so when the probe's own has come back, all before it have. Its being told proves that both directions work, that Redis
//! tells, and how late.
//!
//! A cluster is followed at all its primaries at once ([`members`]), each of which also says with every probe who they are ([`view`]).
//!
//! Invariants: nothing is queued: what Redis tells is passed on by the task that reads the connection; the listener is told of a
//! stream's beginning only when every node follows, and of its end when one does not. Deliberately absent: tracking by key (the
//! default mode), which would cost Redis memory for every key that any host has read.

mod joint;
mod members;
mod node;
mod view;

use std::sync::Arc;

use tokio::task::JoinSet;

use self::joint::Joint;
use self::members::Members;
use self::node::{Node, Probing};
use super::RedisAddress;
use super::target::Where;
use crate::limits::{PROBE_MS_MAX, PROBE_MS_MIN, PROBES_PER_TRUST};
use crate::ports::clock::Clock;
use crate::ports::coherence::ChangeListener;
use crate::ports::metrics::Metrics;

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct TrackingSettings {
    /// The store.
    pub store: RedisAddress,
    /// The bound *B*, in milliseconds; at least 1.
    pub trust_ms: u64,
    /// What the probes' keys begin with: what the host's own keys begin with.
    pub probe_prefix: String,
}

/// Follows the changes until it is dropped.
#[derive(Debug)]
pub struct Tracking {
    _tasks: JoinSet<()>,
}

impl Tracking {
    /// Begins to follow, on the current runtime.
    #[must_use]
    pub fn start(
        settings: TrackingSettings,
        listener: Arc<dyn ChangeListener>,
        clock: &Arc<dyn Clock>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let probing = Arc::new(Probing {
            trust_ms: settings.trust_ms,
            probe_ms: (settings.trust_ms / PROBES_PER_TRUST).clamp(PROBE_MS_MIN, PROBE_MS_MAX),
            prefix: settings.probe_prefix,
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
        });
        let mut tasks = JoinSet::new();
        match Where::of(&settings.store) {
            Where::One(target) => {
                let joint = Arc::new(Joint::new(1, listener));
                tasks.spawn(Node { number: 0, target, joint, probing, member: None }.follow());
            }
            Where::Cluster(seeds) => {
                let access = settings.store.access.clone();
                tasks.spawn(Members { seeds, access, listener, probing }.follow());
            }
        }
        Self { _tasks: tasks }
    }
}
