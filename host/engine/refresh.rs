//! Loads as work of their own: begun by a reader, and done whatever becomes of it.
//!
//! They run where the engine was made, not on the thread of the connection that began them. Invariants: their number is bounded; a key has one
//! background refresh on this node, and one load in the cluster; at the shutdown those that run are waited for, and no new ones
//! begin. A load whose lease is lost ends at once: what it would bring is out of date.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::api::{Answer, Forward, LoadSeen};
use super::core::Engine;
use super::fetch::{Fetched, NotFetched};
use super::fill::{Filled, Lease};
use super::judge::{Place, Verdict, Wanted};
use super::recent::Went;
use super::sight::Sight;
use super::transition::Life;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LOAD_MARGIN_MS, LOADS_INFLIGHT_MAX, REFRESH_PAUSE_MS, REFRESHES_INFLIGHT_MAX};
use crate::ports::load::{LoadOutcome, LoadReason};
use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::store::StoreKey;
use crate::ports::table::Live;
use crate::ports::trace::{self, Layer};

/// The loads that are under way.
pub(super) struct Loads {
    slots: Arc<Semaphore>,
    /// Keys with a background refresh.
    refreshing: Arc<Mutex<HashSet<StoreKey, RandomState>>>,
    /// Where they run.
    runtime: Option<Handle>,
}

impl Default for Loads {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(LOADS_INFLIGHT_MAX)),
            refreshing: Arc::default(),
            runtime: Handle::try_current().ok(),
        }
    }
}

impl Loads {
    /// A place among the loads; `None`: there are too many, or the host is going down.
    pub(super) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// The right to refresh a key; `None`: somebody does.
    fn refreshing(&self, key: &StoreKey) -> std::result::Result<Refreshing, Busy> {
        let mut keys = self.refreshing.lock();
        if keys.contains(key) {
            return Err(Busy::SameKey);
        }
        if keys.len() >= REFRESHES_INFLIGHT_MAX {
            return Err(Busy::TooMany);
        }
        keys.insert(key.clone());
        Ok(Refreshing { keys: Arc::clone(&self.refreshing), key: key.clone() })
    }
}

/// Why no refresh begins.
enum Busy {
    SameKey,
    TooMany,
}

/// A background refresh of a key.
struct Refreshing {
    keys: Arc<Mutex<HashSet<StoreKey, RandomState>>>,
    key: StoreKey,
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.keys.lock().remove(&self.key);
    }
}

/// One load under a lease.
pub(super) struct Job {
    name: Bytes,
    live: Arc<Live>,
    store_key: StoreKey,
    lease: Lease,
    sight: Sight,
    reason: LoadReason,
    /// Whether what it brings may be stored.
    stores: bool,
}

/// What is told of a load when it ends.
#[derive(Clone, Copy)]
struct Begun {
    reason: LoadReason,
    began_ns: u64,
    forward: Forward,
    stores: bool,
}

impl Job {
    /// The load of what was seen.
    pub(super) fn new(place: &Place<'_>, lease: Lease, sight: &Sight) -> Self {
        Self {
            name: Bytes::copy_from_slice(place.name),
            live: Arc::clone(place.live()),
            store_key: place.store_key.clone(),
            lease,
            sight: sight.clone(),
            reason: sight.reason(),
            stores: place.stores(),
        }
    }

    fn begun(&self, began_ns: u64) -> Begun {
        Begun { reason: self.reason, began_ns, forward: self.sight.forward(), stores: self.stores }
    }

    /// The key as the application says it.
    pub(super) const fn name(&self) -> &Bytes {
        &self.name
    }

    /// The policy under which it begins.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }
}

impl Engine {
    /// Waits for the loads that are under way, for at most `within`; no new ones begin. Whether all have ended.
    pub async fn drain(&self, within: Duration) -> bool {
        let all = u32::try_from(LOADS_INFLIGHT_MAX).unwrap_or(u32::MAX);
        let ended = timeout(within, self.loads.slots.acquire_many(all)).await.is_ok_and(|all| all.is_ok());
        self.loads.slots.close();
        ended
    }

    /// Begins work of its own. Whether it did: there may be too much of it.
    pub(super) fn begin<F, Fut>(&self, live: Arc<Live>, work: F) -> bool
    where
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (Some(engine), Some(slot)) = (self.me.upgrade(), self.loads.slot()) else { return false };
        let Some(runtime) = self.loads.runtime.clone().or_else(|| Handle::try_current().ok()) else { return false };
        let (work, here) = (work(engine), trace::here());
        runtime.spawn(async move {
            let _slot = slot;
            // The policy that began it is not dropped under it.
            let _live = live;
            here.within(work).await;
        });
        true
    }

    /// Begins the background refresh of an entry that is served, unless this node does so already.
    pub(super) fn refresh_later(&self, place: &Place<'_>, sight: &Sight) {
        if !place.is_leased() {
            return;
        }
        let metrics = &place.live().metrics.loads;
        let refreshing = match self.loads.refreshing(&place.store_key) {
            Ok(refreshing) => refreshing,
            Err(Busy::SameKey) => return,
            Err(Busy::TooMany) => return metrics.refreshes_dropped.increment(),
        };
        let name = Bytes::copy_from_slice(place.name);
        let (reason, born_ms) = (sight.reason(), sight.found.as_ref().map_or(0, |found| found.stamps.born_ms));
        let begun = self.begin(Arc::clone(place.live()), |engine| async move {
            let _refreshing = refreshing;
            if let Err(error) = engine.refresh_entry(&name, reason, born_ms).await {
                tracing::debug!(%error, reason = reason.as_str(), "a background refresh failed");
            }
        });
        if !begun {
            metrics.refreshes_dropped.increment();
        }
    }

    /// Refreshes an entry unless somebody else has, or does.
    async fn refresh_entry(&self, name: &[u8], reason: LoadReason, born_ms: u64) -> Result<()> {
        let place = self.locate(name, Operation::Read, Wanted::String)?;
        let (Some(origin), Some(keys)) = (place.live().origin.as_ref(), place.lease_keys()) else { return Ok(()) };
        let sight = self.look(&place, self.now_ms()).await?;
        let renewed = sight.found.as_ref().is_none_or(|found| found.stamps.born_ms > born_ms);
        let fresh = matches!(sight.life, Life::Fresh | Life::Early | Life::Negative | Life::Uncacheable);
        if renewed || fresh && reason != LoadReason::Early {
            return Ok(());
        }
        let life_ms =
            u64::try_from(origin.patience().hard.as_millis()).unwrap_or(u64::MAX).saturating_add(LOAD_MARGIN_MS);
        let Some(lease) = self.try_lead(&place, &keys, &sight.seen(), life_ms).await? else {
            // Another node does: this one need not ask with every read.
            sleep(Duration::from_millis(REFRESH_PAUSE_MS)).await;
            return Ok(());
        };
        self.perform(Job { reason, ..Job::new(&place, lease, &sight) }).await.map(drop)
    }

    /// Loads, stores, and tells all who wait. `None`: it was overtaken.
    ///
    /// # Errors
    /// The load's.
    pub(super) async fn perform(&self, job: Job) -> Result<Option<Answer>> {
        let span = trace::span(Layer::Load, job.reason.as_str());
        let done = span.within(self.perform_here(job)).await;
        if let Err(error) = &done {
            span.fail(error.kind.as_str());
        }
        done
    }

    async fn perform_here(&self, job: Job) -> Result<Option<Answer>> {
        let name = job.name.clone();
        let (place, job) = self.place_of(job, &name)?;
        let Some(origin) = place.live().origin.clone() else { return Ok(None) };
        let began_ns = self.monotonic_ns();
        let begun = job.begun(began_ns);
        let Job { lease, sight, reason, .. } = job;
        place.live().metrics.loads.begun[reason as usize].increment();
        let fetched = tokio::select! {
            biased;
            fetched = self.fetch(&place, &*origin, sight.found.as_ref()) => fetched,
            () = lease.lost() => {
                self.note_load(&place, reason, LoadOutcome::Lost, None, began_ns);
                return Ok(None);
            }
        };
        self.ended(&place, lease, fetched, begun).await.map(Some)
    }

    /// The place of a load under the policy of now; of its own, as the policy may be another one by then.
    ///
    /// # Errors
    /// The policy's, or that it has another way with the key now. Those who wait are told.
    pub(super) fn place_of<'a>(&self, job: Job, name: &'a Bytes) -> Result<(Place<'a>, Job)> {
        match self.locate(name, Operation::Read, Wanted::String) {
            Ok(place) if place.store_key == job.store_key && place.loads() => Ok((place, job)),
            // Another policy came in between: it has its own way.
            Ok(_) => {
                job.lease.give_up();
                Err(Error::new(ErrorKind::PolicyUnavailable, "the policy was replaced during the load; retry"))
            }
            Err(error) => {
                job.lease.fail(error.clone());
                Err(error)
            }
        }
    }

    /// Ends a load that was one of many: as [`Self::perform`] does. `None`: it was overtaken.
    ///
    /// # Errors
    /// The load's.
    pub(super) async fn land(
        &self,
        place: &Place<'_>,
        job: Job,
        fetched: std::result::Result<Fetched, NotFetched>,
        began_ns: u64,
    ) -> Result<Option<Answer>> {
        let begun = job.begun(began_ns);
        let Job { lease, reason, .. } = job;
        place.live().metrics.loads.begun[reason as usize].increment();
        if lease.is_lost() {
            self.note_load(place, reason, LoadOutcome::Lost, None, began_ns);
            return Ok(None);
        }
        self.ended(place, lease, fetched, begun).await.map(Some)
    }

    async fn ended(
        &self,
        place: &Place<'_>,
        lease: Lease,
        fetched: std::result::Result<Fetched, NotFetched>,
        begun: Begun,
    ) -> Result<Answer> {
        match fetched {
            Ok(fetched) => self.landed(place, lease, fetched, begun).await,
            Err(not) => {
                let error = self.note_failed(place, begun.reason, &not, begun.began_ns, true);
                lease.fail(error.clone());
                Err(error)
            }
        }
    }

    /// Stores what was loaded as the policy says; the answer of who waits.
    async fn landed(&self, place: &Place<'_>, lease: Lease, fetched: Fetched, begun: Begun) -> Result<Answer> {
        let Fetched { value, verdict, unchanged, absent, status } = fetched;
        let wanted = match &verdict {
            _ if !begun.stores => LoadOutcome::Unkept,
            Verdict::Pass(_) => LoadOutcome::Passed,
            Verdict::Store(_) if absent => LoadOutcome::Absent,
            Verdict::Store(_) if unchanged => LoadOutcome::Unchanged,
            Verdict::Store(_) => LoadOutcome::Stored,
        };
        let loaded = (!absent).then(|| value.clone());
        let filled = match verdict {
            _ if !begun.stores => self.share_unkept(place, lease, value, absent).await,
            Verdict::Store(terms) => self.fill_as(place, lease, value, terms).await,
            Verdict::Pass(marker_ms) => self.pass_on(place, lease, value, absent, marker_ms).await,
        };
        let filled = filled.unwrap_or_else(|error| {
            // It could not be stored. Whoever began the load has it all the same; the others were told the error.
            tracing::debug!(domain = %place.live().domain, %error, "what was loaded could not be stored");
            let answer = Answer { value: loaded, ..Answer::absent(State::Loaded) };
            Filled { state: State::StoreFailed, lost: None, answer }
        });
        let outcome = match filled.state {
            State::StoreFailed => LoadOutcome::Broken,
            State::Unmet => LoadOutcome::Lost,
            _ => wanted,
        };
        self.note_load(place, begun.reason, outcome, Some(status), begun.began_ns);
        let load = Some(LoadSeen { outcome, status: Some(status), collapsed: false, forward: begun.forward });
        Ok(Answer { state: State::Loaded, load, ..filled.answer })
    }

    /// Remembers and counts a load that ended well, or at least not by the origin's fault.
    pub(super) fn note_load(
        &self,
        place: &Place<'_>,
        reason: LoadReason,
        outcome: LoadOutcome,
        status: Option<u16>,
        began_ns: u64,
    ) {
        self.remember(place, reason, outcome, status, None, began_ns);
    }

    /// Remembers and counts a load; with its error, and whether the key rests for that.
    pub(super) fn remember(
        &self,
        place: &Place<'_>,
        reason: LoadReason,
        outcome: LoadOutcome,
        status: Option<u16>,
        error: Option<(&Error, bool)>,
        began_ns: u64,
    ) {
        place.live().metrics.loads.outcomes[outcome as usize].increment();
        let operation = if reason == LoadReason::Miss { Operation::Load } else { Operation::Refresh };
        let state = error.map_or(State::Loaded, |(error, _)| Self::state_of(error.kind));
        self.tally(place, operation, state, began_ns);
        let now_ns = self.monotonic_ns();
        let took_ms = u32::try_from(now_ns.saturating_sub(began_ns) / 1_000_000).unwrap_or(u32::MAX);
        let throttle = error.is_some_and(|(_, throttles)| throttles);
        let error = error.map(|(error, _)| Arc::new(error.clone()));
        let went = Went { outcome, status, error, took_ms, throttle };
        self.recent.note(place.store_key.as_bytes(), went, self.now_ms(), now_ns, self.clock.random());
    }
}
