//! Warming: bringing keys in before anybody asks, from the policy's list, from one that the caller gives, or from what another key
//! version has in the store.
//!
//! It is done in steps, as `SCAN` is: each answers a cursor with which the next one goes on, so a warming that was broken off is resumed by
//! whoever has its last cursor, on any node. One step at a time runs on a node, at no more keys per second than the settings say; a
//! step that the store fails is answered as an error and may be repeated. A key is read as a reader would: what the store has goes
//! into L1, what an older key version has is migrated.
//!
//! Deliberately absent: a state of warmings in the host. Loads of keys that nobody has are those of a read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::sleep;

use super::core::Engine;
use super::judge::{Wanted, policy_error};
use super::lent::literal;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    KEY_VERSION_BYTES_MAX, LOCK_WAIT_MS_MAX, PATTERN_BYTES_MAX, WARM_CHUNK_KEYS, WARM_LOCK_MS, WARM_STEP_KEYS_MAX,
};
use crate::ports::hooks::Ability;
use crate::ports::lock::{Ask, Held, LockName};
use crate::ports::metrics::State;
use crate::ports::policy::{KeyScope, Operation};
use crate::ports::table::{DEFAULT_DOMAIN, Live};
use crate::ports::warming::WarmOutcome;

/// The name of the lock under which a domain is warmed at the start, among the locks of its policy.
const LOCK: &str = "host-warm";

/// Where keys come from; without their domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WarmSource {
    /// The policy's own list, the most important first.
    Policy,
    /// These.
    Keys(Vec<String>),
    /// Those of another key version whose names match a glob. Finds keys whose suffix is the key itself.
    Version {
        /// The key version.
        version: String,
        /// The glob over what follows the domain.
        pattern: String,
    },
}

/// One step of a warming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmStep {
    /// Where keys come from.
    pub source: WarmSource,
    /// What the step before answered; `None`: from the beginning.
    pub cursor: Option<String>,
    /// About how many keys.
    pub count: usize,
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Warmed {
    /// L1 had them.
    pub held: u64,
    /// The store had them.
    pub stored: u64,
    /// They were loaded.
    pub loaded: u64,
    /// Nobody has them.
    pub absent: u64,
    /// They were refused.
    pub failed: u64,
    /// How many keys there are in all, where that is known.
    pub total: Option<u64>,
    /// What the next step begins with; `None`: this was the last one.
    pub cursor: Option<String>,
}

impl Warmed {
    /// How many keys it looked at.
    #[must_use]
    pub const fn keys(&self) -> u64 {
        self.held + self.stored + self.loaded + self.absent + self.failed
    }

    const fn count(&mut self, outcome: WarmOutcome) {
        let n = match outcome {
            WarmOutcome::Held => &mut self.held,
            WarmOutcome::Stored => &mut self.stored,
            WarmOutcome::Loaded => &mut self.loaded,
            WarmOutcome::Absent => &mut self.absent,
            WarmOutcome::Failed => &mut self.failed,
        };
        *n += 1;
    }
}

/// The keys of a step, how many there are in all, and where the next one begins.
type Portion = (Vec<String>, Option<u64>, Option<String>);

impl Engine {
    /// Takes one step of a warming.
    ///
    /// # Errors
    /// An unserved domain, a source that it does not have, a bad cursor, a failure of the policy's hook; a failure of the store: the
    /// same step may be repeated.
    pub async fn warm(&self, domain: &str, step: &WarmStep) -> Result<Warmed> {
        let live = self.live(domain)?;
        if !(1..=WARM_STEP_KEYS_MAX).contains(&step.count) {
            return Err(invalid(format!("a step has 1 to {WARM_STEP_KEYS_MAX} keys")));
        }
        let _turn = self.warming.lock().await;
        let (keys, total, cursor) = self.portion(&live, step).await?;
        let mut warmed = Warmed { total, cursor, ..Warmed::default() };
        for chunk in keys.chunks(WARM_CHUNK_KEYS) {
            let began_ns = self.monotonic_ns();
            self.warm_chunk(&live, chunk, &mut warmed).await?;
            let due_ns = chunk.len() as u64 * 1_000_000_000 / self.warm_keys_per_s.max(1);
            sleep(Duration::from_nanos(due_ns.saturating_sub(self.monotonic_ns().saturating_sub(began_ns)))).await;
        }
        tracing::debug!(domain, keys = warmed.keys(), cursor = warmed.cursor.as_deref(), "a step of a warming");
        Ok(warmed)
    }

    async fn portion(&self, live: &Arc<Live>, step: &WarmStep) -> Result<Portion> {
        match &step.source {
            WarmSource::Policy => {
                if !live.policy.abilities().contains(Ability::Warming) {
                    let message = format!("the policy of '{}' names no keys to warm; name some", live.domain);
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
                let keys = live.policy.warm_keys().map_err(|error| policy_error(live, error))?;
                listed(keys, step)
            }
            WarmSource::Keys(keys) => listed(keys.clone(), step),
            WarmSource::Version { version, pattern } => self.of_version(live, version, pattern, step).await,
        }
    }

    async fn of_version(&self, live: &Live, version: &str, pattern: &str, step: &WarmStep) -> Result<Portion> {
        if live.description.key_scope == KeyScope::Verbatim {
            let message = format!("the keys of '{}' have no version", live.domain);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let plain = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if version.is_empty() || version.len() > KEY_VERSION_BYTES_MAX || !version.bytes().all(plain) {
            return Err(invalid("a key version is made of a-z, 0-9, '.', '_' and '-'"));
        }
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            return Err(invalid(format!("a pattern has 1 to {PATTERN_BYTES_MAX} bytes")));
        }
        let all = self.keys.in_version(live, version, "");
        let mut glob = literal(all.as_bytes());
        glob.extend_from_slice(pattern.as_bytes());
        let cursor = step.cursor.clone().unwrap_or_else(|| "0".to_owned());
        cursor.parse::<u64>().map_err(|_| invalid("the cursor is none that a step answered"))?;
        let (next, found) = self.scan_step(&glob.into(), cursor.into(), step.count).await?;
        let key = |found: Bytes| Some(std::str::from_utf8(found.strip_prefix(all.as_bytes())?).ok()?.to_owned());
        let keys = found.into_iter().filter_map(key).collect();
        let next = String::from_utf8_lossy(&next).into_owned();
        Ok((keys, None, Some(next).filter(|next| next != "0")))
    }

    async fn warm_chunk(&self, live: &Arc<Live>, keys: &[String], warmed: &mut Warmed) -> Result<()> {
        let separator = char::from(self.separator());
        let whole = |key: &String| match &*live.domain {
            DEFAULT_DOMAIN => key.clone(),
            domain => format!("{domain}{separator}{key}"),
        };
        let names: Vec<String> = keys.iter().map(whole).collect();
        let bytes: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        let now_ms = self.now_ms();
        let mut places = Vec::with_capacity(keys.len());
        let mut note = |outcome: WarmOutcome| {
            live.metrics.warmed[outcome as usize].increment();
            warmed.count(outcome);
        };
        for place in self.plan_many(&bytes, Operation::Warm, Wanted::String) {
            match place {
                Ok(place) if self.hit(place.name, now_ms).is_some() => note(WarmOutcome::Held),
                Ok(place) => places.push(place),
                Err(error) => {
                    tracing::debug!(domain = &*live.domain, %error, "a key that cannot be warmed");
                    note(WarmOutcome::Failed);
                }
            }
        }
        for answer in self.budgeted(self.read_many(&places, now_ms)).await {
            let state = answer.as_ref().map_or_else(|error| Self::state_of(error.kind), |answer| answer.state);
            live.metrics.answered(Operation::Warm, state);
            // A hash, a list or a set: it is there, and nothing that L1 holds.
            let other_type = answer.as_ref().is_err_and(|error| error.kind == ErrorKind::StoreReply);
            note(match state {
                _ if other_type => WarmOutcome::Stored,
                State::L1Hit => WarmOutcome::Held,
                State::StoreHit | State::Stale | State::Negative => WarmOutcome::Stored,
                State::Miss => WarmOutcome::Absent,
                // The next keys would fare no better: the caller repeats the step.
                State::StoreFailed | State::HostFailed => return answer.map(drop),
                _ => WarmOutcome::Failed,
            });
        }
        Ok(())
    }

    /// Warms every domain whose policy names keys, one after the other; on one node of the cluster at a time, so that the others find in
    /// the store what the first one loaded. Nobody waits for it.
    pub async fn warm_at_start(&self) {
        let domains: Vec<Arc<Live>> = self.policies.table().iter().cloned().collect();
        for live in domains.iter().filter(|live| live.policy.abilities().contains(Ability::Warming)) {
            let lock = self.warm_lock(&live.domain).await;
            let began_ns = self.monotonic_ns();
            match self.warm_whole(&live.domain).await {
                Ok(keys) => {
                    let ms = self.monotonic_ns().saturating_sub(began_ns) / 1_000_000;
                    tracing::info!(domain = &*live.domain, keys, ms, "warmed");
                }
                Err(error) => {
                    tracing::warn!(domain = &*live.domain, %error, "a warming has failed; LARDER.WARM does it again");
                }
            }
            if let Some(mut lock) = lock {
                // Otherwise its life ends it.
                let _ = lock.release().await;
            }
        }
    }

    async fn warm_whole(&self, domain: &str) -> Result<u64> {
        let (mut keys, mut cursor) = (0, None);
        loop {
            let step = WarmStep { source: WarmSource::Policy, cursor, count: WARM_STEP_KEYS_MAX };
            let warmed = self.warm(domain, &step).await?;
            keys += warmed.keys();
            if warmed.cursor.is_none() {
                return Ok(keys);
            }
            cursor = warmed.cursor;
        }
    }

    /// The lock; `None`: others hold it for so long that waiting makes no sense. One load for each key is kept by leases anyway.
    async fn warm_lock(&self, domain: &str) -> Option<Held> {
        let name = LockName::policy(domain, LOCK).ok()?;
        let ask = Ask { ttl_ms: Some(WARM_LOCK_MS), wait_ms: Some(LOCK_WAIT_MS_MAX), owner: None, renew: true };
        self.locks()
            .hold(&name, ask)
            .await
            .inspect_err(|error| tracing::debug!(domain, %error, "warmed without its lock"))
            .ok()?
    }
}

/// A part of a list; the cursor is a place in it.
fn listed(keys: Vec<String>, step: &WarmStep) -> Result<Portion> {
    let start = step.cursor.as_deref().map_or(Ok(0), str::parse::<usize>);
    let start = start.map_err(|_| invalid("the cursor is none that a step answered"))?;
    let total = keys.len();
    let end = start.saturating_add(step.count).min(total);
    let keys = keys.into_iter().skip(start).take(step.count).collect();
    Ok((keys, Some(total as u64), (end < total).then(|| end.to_string())))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
