//! The upkeep of policies: each that asked for it is called once in its period, on one node of the cluster at a time.
//!
//! A lock in the store says who: it is held while the tick runs, and kept for what is left of the period, so that other nodes
//! do not tick in between. A node that dies in its tick is waited for as long as the longest tick may take.
//!
//! Invariants: a domain's ticks never overlap on a node; a tick that fails is counted and logged, and the next one comes in its
//! time. Deliberately absent: a timer. Whoever wires the host asks what is due.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::core::Engine;
use super::lent::Lent;
use crate::limits::{TICK_MARGIN_MS, WORKFLOW_MS_MAX};
use crate::ports::lock::{Ask, Grant, LockName};
use crate::ports::table::Live;

/// The name of the lock under which a domain ticks, among the locks of its policy.
const LOCK: &str = "host-tick";

/// When which domain ticks on this node.
#[derive(Debug, Default)]
pub struct TickSchedule {
    domains: HashMap<Arc<str>, Due>,
}

#[derive(Debug)]
struct Due {
    generation: u64,
    at_ns: u64,
    runs: Arc<AtomicBool>,
}

/// A tick that is due. Dropping it, done or not, lets the next one come.
#[derive(Debug)]
pub struct DueTick {
    live: Arc<Live>,
    period_ms: u64,
    runs: Arc<AtomicBool>,
}

impl Drop for DueTick {
    fn drop(&mut self) {
        self.runs.store(false, Ordering::Release);
    }
}

impl TickSchedule {
    /// The ticks that are due now. A policy that just went live ticks after a whole period.
    pub fn due(&mut self, engine: &Engine) -> Vec<DueTick> {
        let now_ns = engine.monotonic_ns();
        let table = engine.policies.table();
        self.domains.retain(|domain, _| table.get(domain).is_some());
        table.iter().filter_map(|live| self.due_of(live, now_ns)).collect()
    }

    fn due_of(&mut self, live: &Arc<Live>, now_ns: u64) -> Option<DueTick> {
        let period_ms = u64::from(live.description.tick_ms?);
        let next_ns = now_ns + period_ms * 1_000_000;
        let due = self.domains.entry(Arc::clone(&live.domain)).or_insert_with(|| Due {
            generation: live.generation,
            at_ns: next_ns,
            runs: Arc::default(),
        });
        if due.generation != live.generation {
            (due.generation, due.at_ns) = (live.generation, next_ns);
        }
        if now_ns < due.at_ns || due.runs.swap(true, Ordering::AcqRel) {
            return None;
        }
        due.at_ns = next_ns;
        Some(DueTick { live: Arc::clone(live), period_ms, runs: Arc::clone(&due.runs) })
    }
}

impl Engine {
    /// Carries out a tick that is due, unless another node does. Whether it was carried out here.
    pub async fn tick(self: &Arc<Self>, due: DueTick) -> bool {
        let live = &due.live;
        let Some(workflow) = live.policy.workflow() else { return false };
        let Ok(name) = LockName::policy(&live.domain, LOCK) else { return false };
        let began_ns = self.monotonic_ns();
        let ask = Ask { ttl_ms: Some(WORKFLOW_MS_MAX + TICK_MARGIN_MS), wait_ms: Some(0), owner: None, renew: false };
        let grant = match self.locks().take(&name, ask).await {
            Ok(Some(grant)) => grant,
            Ok(None) => return false,
            Err(error) => {
                tracing::debug!(domain = &*live.domain, %error, "no tick: its lock cannot be taken");
                return false;
            }
        };
        let host = Arc::new(Lent::new(Arc::clone(self), Arc::clone(live)));
        // A failure is counted and logged where the policy is called.
        if let Ok(Some(line)) = workflow.on_tick(host).await {
            tracing::info!(target: "larder::policy", domain = &*live.domain, "tick: {line}");
        }
        let ran_ms = self.monotonic_ns().saturating_sub(began_ns) / 1_000_000;
        self.settle(&name, &grant, due.period_ms, ran_ms).await;
        true
    }

    /// Keeps the lock for nearly the rest of the period, so that this node finds it free in its next one.
    async fn settle(&self, name: &LockName, grant: &Grant, period_ms: u64, ran_ms: u64) {
        let kept_ms = (period_ms - period_ms / 10).saturating_sub(ran_ms);
        let settled = if kept_ms > 0 {
            self.locks().extend(name, &grant.token, Some(kept_ms)).await.map(|left| left.is_some())
        } else {
            self.locks().release(name, &grant.token).await
        };
        if let Err(error) = settled {
            tracing::debug!(lock = name.as_str(), %error, "the lock of a tick ends with its life");
        }
    }
}
