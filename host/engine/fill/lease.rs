//! A held lease: renewed while its load runs, given back in `Drop`.
//!
//! Invariants: the flight of a lease lands when the lease ends, however it does; who leads next finds the lease free, as it is given
//! back before the flight lands; nothing renews a lease that has ended. What is counted is monotonic time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::counts::{Counted, Counts};
use super::fence::Fence;
use super::flight::{Flights, Landing, Seat, Watch};
use crate::engine::api::Answer;
use crate::engine::core::store_error;
use crate::error::{Error, Result};
use crate::limits::{LEASE_MS, LEASE_RENEWALS_PER_LIFE, LEASE_RETURN_TRIES_MAX};
use crate::ports::clock::Clock;
use crate::ports::lease::{Adopting, FillOutcome, Filling, LeaseKeys, LeaseToken, Lost, Taking};
use crate::ports::metrics::DomainMetrics;
use crate::ports::store::{Expect, Expire, Store, StoreError, StoreKey, StoreResult};

const NS_PER_MS: u64 = 1_000_000;

/// What leases and their tasks share with the engine.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) flights: Flights,
    pub(super) counts: Counts,
}

/// A token that the store may hold. Given back in the background, unless it is settled.
pub(super) struct Held {
    desk: Desk,
    keys: LeaseKeys,
    token: LeaseToken,
    /// Monotonic time before the store was asked: the life counts from then.
    asked_ns: u64,
    counted: Option<Counted>,
    settled: bool,
}

/// What the store said to a try.
pub(super) enum Taken {
    /// It is the caller's.
    Held(Held),
    /// It is somebody else's for so many milliseconds.
    HeldFor(u64),
    /// The entry is not what the caller saw.
    Changed,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.settled, Handle::try_current()) {
            let (desk, keys, token, counted) = (self.desk.clone(), self.keys.clone(), self.token, self.counted.take());
            runtime.spawn(async move {
                give_back_later(desk, keys, token, None).await;
                drop(counted);
            });
        }
    }
}

/// What is known of the lease's life by the one who renews it.
struct Life {
    desk: Desk,
    keys: LeaseKeys,
    token: LeaseToken,
    watch: Watch,
    /// Monotonic time until which the store surely holds it.
    until_ns: AtomicU64,
    /// Monotonic time at which it ends, however often it is renewed.
    end_ns: u64,
    _counted: Option<Counted>,
}

/// The one right to fill a key, for as long as this lives. Dropping it gives it back, and the next caller who waits leads
/// ([`FillOutcome::Dangling`]). It may be held across tasks; it knows nothing of the request that began it.
///
/// A load should end early when [`Self::lost`] does: what it brings will not be stored.
#[must_use]
pub(in crate::engine) struct Lease {
    life: Arc<Life>,
    seat: Option<Seat>,
    renewal: Option<AbortHandle>,
    metrics: Arc<DomainMetrics>,
    /// What the load begins under.
    pub(in crate::engine) fence: Fence,
    /// Whether the store holds nothing of it any more.
    ended: bool,
    runtime: Handle,
}

impl Desk {
    /// Asks the store once. Whoever is dropped meanwhile leaves no lease behind.
    pub(super) async fn take(&self, keys: &LeaseKeys, token: LeaseToken, seen: &Expect) -> StoreResult<Taken> {
        let asked_ns = self.clock.monotonic_ns();
        let counted = Some(self.counts.count(keys.entry.as_bytes()));
        let mut held = Held { desk: self.clone(), keys: keys.clone(), token, asked_ns, counted, settled: false };
        let answer = self.store.leases().take(keys, token, LEASE_MS, seen).await;
        held.settled = match &answer {
            Ok(Taking::HeldFor { .. } | Taking::Changed)
            | Err(
                StoreError::Unavailable(_) | StoreError::Connecting(_) | StoreError::Busy(_) | StoreError::Reply(_),
            ) => true,
            Ok(Taking::Taken) | Err(StoreError::Timeout(_) | StoreError::Broken(_) | StoreError::Protocol(_)) => false,
        };
        Ok(match answer? {
            Taking::Taken => Taken::Held(held),
            Taking::HeldFor { ms } => Taken::HeldFor(ms),
            Taking::Changed => Taken::Changed,
        })
    }

    /// The lease of what was taken. It lives for `life_ms` at the longest. Must be called within a runtime.
    pub(super) fn lease(
        &self,
        mut held: Held,
        seat: Seat,
        fence: Fence,
        metrics: &Arc<DomainMetrics>,
        life_ms: u64,
    ) -> Lease {
        held.settled = true;
        seat.leads(self.clock.monotonic_ns());
        metrics.leases_taken.increment();
        let life = Arc::new(Life {
            desk: self.clone(),
            keys: held.keys.clone(),
            token: held.token,
            watch: seat.watch().clone(),
            until_ns: (held.asked_ns + LEASE_MS * NS_PER_MS).into(),
            end_ns: held.asked_ns.saturating_add(life_ms * NS_PER_MS),
            _counted: held.counted.take(),
        });
        let runtime = Handle::current();
        let renewal = Some(runtime.spawn(Arc::clone(&life).renew()).abort_handle());
        Lease { life, seat: Some(seat), renewal, metrics: Arc::clone(metrics), fence, ended: false, runtime }
    }

    /// A lease that another node took: nobody waits for it here, and its own node renews it. Must be called within a runtime.
    pub(super) fn elsewhere(
        &self,
        keys: LeaseKeys,
        token: LeaseToken,
        fence: Fence,
        metrics: &Arc<DomainMetrics>,
    ) -> Lease {
        let seat = self.flights.unlisted(&keys.entry.0, metrics);
        let until_ns = self.clock.monotonic_ns() + LEASE_MS * NS_PER_MS;
        let watch = seat.watch().clone();
        let life = Life {
            desk: self.clone(),
            keys,
            token,
            watch,
            until_ns: until_ns.into(),
            end_ns: until_ns,
            _counted: None,
        };
        let metrics = Arc::clone(metrics);
        let (life, runtime) = (Arc::new(life), Handle::current());
        Lease { life, seat: Some(seat), renewal: None, metrics, fence, ended: false, runtime }
    }
}

/// Gives a lease back for nobody, then lands its flight. Where the store fails it tries again; in the end the lease's life is over.
async fn give_back_later(desk: Desk, keys: LeaseKeys, token: LeaseToken, seat: Option<(Watch, FillOutcome)>) {
    for tries in 1..=LEASE_RETURN_TRIES_MAX {
        let answer = desk.store.leases().give_back(&keys, token).await;
        // Who waits must not wait for the next try: the store may be gone for long.
        if let Some((watch, outcome)) = &seat {
            watch.land(Landing::Again(*outcome));
        }
        match answer {
            Ok(_) => return,
            Err(error) => tracing::debug!(%error, tries, "a lease could not be given back yet"),
        }
        sleep(Duration::from_millis(LEASE_MS / 10 * u64::from(tries))).await;
    }
}

impl Life {
    fn left(&self) -> Option<Duration> {
        self.left_at(self.desk.clock.monotonic_ns())
    }

    fn left_at(&self, now_ns: u64) -> Option<Duration> {
        let until_ns = self.until_ns.load(Ordering::Relaxed).min(self.end_ns);
        let left_ns = until_ns.checked_sub(now_ns)?;
        (left_ns > 0).then(|| Duration::from_nanos(left_ns))
    }

    /// Renews the lease whenever a part of its life is gone, until it ends.
    async fn renew(self: Arc<Self>) {
        let regular = Duration::from_millis(LEASE_MS / LEASE_RENEWALS_PER_LIFE);
        loop {
            let now_ns = self.desk.clock.monotonic_ns();
            let left = Duration::from_nanos(self.end_ns.saturating_sub(now_ns));
            sleep(regular.min(left)).await;
            if self.watch.has_landed() {
                return;
            }
            let now_ns = self.desk.clock.monotonic_ns();
            if now_ns >= self.end_ns {
                let seat = Some((self.watch.clone(), FillOutcome::AgeTimeout));
                return give_back_later(self.desk.clone(), self.keys.clone(), self.token, seat).await;
            }
            match self.desk.store.leases().renew(&self.keys, self.token, LEASE_MS).await {
                Ok(true) => self.until_ns.store(now_ns + LEASE_MS * NS_PER_MS, Ordering::Relaxed),
                Ok(false) => return self.watch.land(Landing::Again(FillOutcome::Dangling)),
                Err(_) if self.left().is_none() => return self.watch.land(Landing::Again(FillOutcome::Dangling)),
                Err(_) => {}
            }
        }
    }
}

impl Lease {
    /// What the client of a lease is told, and sends back with its fill.
    pub(in crate::engine) fn text(&self) -> String {
        self.fence.text(self.life.token)
    }

    /// Whether it is the lease of this entry.
    pub(super) fn is_of(&self, keys: &LeaseKeys) -> bool {
        self.life.keys == *keys
    }

    /// Its token.
    pub(super) fn token(&self) -> LeaseToken {
        self.life.token
    }

    /// Whether it is known, or must be feared, to be over: a write, a delete, a renewal that came too late, its longest time.
    pub(in crate::engine) fn is_lost(&self) -> bool {
        self.is_lost_at(self.now_ns())
    }

    /// The same for many at one [`Self::now_ns`].
    pub(super) fn is_lost_at(&self, now_ns: u64) -> bool {
        self.life.watch.has_landed() || self.life.left_at(now_ns).is_none()
    }

    /// The time of the clock that it ends by.
    pub(super) fn now_ns(&self) -> u64 {
        self.life.desk.clock.monotonic_ns()
    }

    /// Ends when [`Self::is_lost`] becomes true.
    pub(in crate::engine) async fn lost(&self) {
        while let (false, Some(left)) = (self.life.watch.has_landed(), self.life.left()) {
            tokio::select! {
                () = self.life.watch.landed() => {}
                () = sleep(left) => {}
            }
        }
    }

    /// Stores the entry if the lease is still held. Those who wait are not told yet: see [`Self::share`]. If this fails or is
    /// dropped, what the store holds is unknown, and the lease is given back.
    pub(in crate::engine) async fn store(
        &mut self,
        value: Bytes,
        expire: Expire,
    ) -> Result<std::result::Result<(), Lost>> {
        let (keys, token) = (&self.life.keys, self.life.token);
        let answer = self.life.desk.store.leases().fill(keys, token, value, expire).await;
        match answer.map_err(store_error)? {
            Filling::Stored => {
                self.end();
                Ok(Ok(()))
            }
            Filling::Lost(lost) => {
                self.end();
                self.metrics.fills_lost[lost as usize].increment();
                Ok(Err(lost))
            }
        }
    }

    /// Makes the entry of the collection at `from`, if the lease is still held. Whatever comes of it is what the store says; the lease is over, or
    /// given back.
    ///
    /// # Errors
    /// A failure of the store.
    pub(in crate::engine) async fn adopt(&mut self, from: &StoreKey) -> Result<Adopting> {
        let (keys, token) = (&self.life.keys, self.life.token);
        let adopting = self.life.desk.store.leases().adopt(keys, token, from).await.map_err(store_error)?;
        match adopting {
            Adopting::Adopted => self.end(),
            Adopting::Lost(lost) => self.metrics.fills_lost[lost as usize].increment(),
            Adopting::Nothing | Adopting::Taken => {}
        }
        Ok(adopting)
    }

    /// Gives the lease back. Whether it was still held: only then nothing has overtaken the load.
    ///
    /// # Errors
    /// A failure of the store; dropping the lease tries again.
    pub(in crate::engine) async fn give_back(&mut self) -> Result<bool> {
        let held = self.life.desk.store.leases().give_back(&self.life.keys, self.life.token).await;
        let held = held.map_err(store_error)?;
        self.end();
        Ok(held)
    }

    /// Ends the load with a value, or the knowledge that there is none, for all who wait. Only for what nothing has overtaken:
    /// after a [`Self::store`] that was stored, or a [`Self::give_back`] that was still held.
    pub(in crate::engine) fn share(mut self, answer: Answer) {
        let seq = self.fence.seq;
        self.land(Landing::Value(answer, seq));
    }

    /// Ends the load with an error for all who wait.
    pub(in crate::engine) fn fail(mut self, error: Error) {
        self.land_after_return(Landing::Failed(error));
    }

    /// Ends the load with nothing: whoever waits goes its own way ([`FillOutcome::GiveUp`]).
    pub(in crate::engine) fn give_up(mut self) {
        self.land_after_return(Landing::Alone);
    }

    fn end(&mut self) {
        self.ended = true;
        self.stop_renewal();
    }

    fn stop_renewal(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
    }

    fn land(&mut self, landing: Landing) {
        if let Some(seat) = self.seat.take() {
            seat.watch().land(landing);
        }
    }

    /// Tells everybody at once, as nobody leads anew because of it; the lease is given back by `Drop`.
    fn land_after_return(&mut self, landing: Landing) {
        if let Some(seat) = &self.seat {
            seat.watch().land(landing);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop_renewal();
        let seat = self.seat.take();
        if self.ended {
            return;
        }
        let life = Arc::clone(&self.life);
        self.runtime.spawn(async move {
            let watch = Some((life.watch.clone(), FillOutcome::Dangling));
            give_back_later(life.desk.clone(), life.keys.clone(), life.token, watch).await;
            drop(seat);
        });
    }
}
