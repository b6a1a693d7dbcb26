//! What the engine is made of: its settings, and the ports through which it reaches the world.

use std::sync::Arc;

use super::compress::CompressSettings;
use super::forward::ForwardRules;
use super::key::KeyRules;
use super::l1::L1Settings;
use crate::ports::breaker::Breakers;
use crate::ports::clock::Clock;
use crate::ports::lock::Locks;
use crate::ports::metrics::Metrics;
use crate::ports::registry::Registry;
use crate::ports::store::Store;
use crate::ports::table::{OnStoreFailure, Policies};

/// What the engine is told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How keys are written.
    pub keys: KeyRules,
    /// The node's own memory.
    pub l1: L1Settings,
    /// How long a copy in L1 is believed where others share the store, in milliseconds: the bound *B*.
    pub trust_ms: u64,
    /// Largest value, in bytes.
    pub value_bytes_max: usize,
    /// Key versions from which policies that migrate read, the newest first.
    pub old_versions: Vec<String>,
    /// Keys that are warmed each second.
    pub warm_keys_per_s: u64,
    /// Keys of one batch of a caller that names its parts (HTTP).
    pub batch_keys_max: usize,
    /// When values are compressed.
    pub compress: CompressSettings,
    /// What is forwarded to a Redis.
    pub forward: ForwardRules,
    /// Whether applications may remove every key that this host serves (`FLUSHDB`).
    pub flush_on: bool,
    /// How long one operation may wait for the store, over all its calls, in milliseconds (`CACHE_MAX_LATENCY_MS`).
    pub budget_ms: u64,
    /// What readers get while the store is away, where their domain does not say.
    pub on_store_failure: OnStoreFailure,
}

/// What the engine reaches the world through.
#[derive(Clone)]
pub struct Ports {
    /// The live policies.
    pub policies: Arc<Policies>,
    /// Operators' view of them.
    pub registry: Arc<dyn Registry>,
    /// Where entries live.
    pub store: Arc<dyn Store>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Locks of applications and policies.
    pub locks: Arc<dyn Locks>,
    /// The host's breakers.
    pub breakers: Arc<dyn Breakers>,
}
