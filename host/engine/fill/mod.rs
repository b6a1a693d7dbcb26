//! Fills: who may load a key, who waits for it, and what is stored of it.
//!
//! A reader that found nothing (or something that should be refreshed) asks for its [`Turn`]. One caller in the whole cluster
//! leads: it has the [`Lease`], a token beside the entry in the store. The others of its node wait in memory (`flight.rs`); on every
//! other node one caller looks at the store now and then for all of that node. The leader ends its load with [`Engine::fill`],
//! [`Lease::fail`] or [`Lease::give_up`]; a lease that is dropped lets the next one lead.
//!
//! Invariants: a fill is stored only if nothing has written, removed or invalidated the key since before its load began; those
//! who wait are given a value only if that holds, too, and if no change of the domain that they began after has overtaken it. No
//! future leaves anything behind wherever it is dropped. A stale value is never held up: [`Engine::try_lead`] waits for nobody.
//! Deliberately absent: loading itself, and what a policy says of an answer.

mod alone;
mod clients;
mod counts;
mod end;
mod fence;
mod flight;
mod lease;
mod shared;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join;
use tokio::time::{Instant, sleep_until, timeout_at};

pub(in crate::engine) use self::alone::Alone;
pub use self::clients::{LeaseBook, Leased, Who};
pub(in crate::engine) use self::lease::Lease;
pub use self::store::Filled;
pub(in crate::engine) use self::store::Offer;

use self::clients::Claims;
use self::counts::Counts;
use self::fence::Fence;
use self::flight::{Boarding, Flights, Landing, Seat};
use self::lease::{Desk, Held, Taken};
use super::api::{Answer, Explanation};
use super::core::Engine;
use super::judge::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LEASE_POLL_MS_MAX, LEASE_POLL_MS_MIN};
use crate::ports::clock::Clock;
use crate::ports::lease::{FillOutcome, Leader, LeaseKeys, LeaseState, LeaseToken, Waited};
use crate::ports::store::{Expect, Store, StoreError};
use crate::ports::trace::{self, Layer};

/// What the engine needs for fills.
pub(super) struct Fills {
    desk: Desk,
    claims: Claims,
    /// For a test of the tests.
    open: AtomicBool,
}

impl Fills {
    pub(super) fn new(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Self {
        let (flights, counts) = (Flights::default(), Counts::default());
        let desk = Desk { store: Arc::clone(store), clock: Arc::clone(clock), flights, counts };
        Self { desk, claims: Claims::default(), open: AtomicBool::new(false) }
    }

    /// Whether nothing fences fills: see [`Engine::fence_no_fills`].
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

/// What a reader does that needs a load.
#[must_use]
pub(super) enum Turn {
    /// It loads, for all.
    Lead(Lease),
    /// It gets what somebody else's load brought: a value or its absence ([`FillOutcome::Done`]), an error, or nothing but the
    /// outcome ([`FillOutcome::GiveUp`], [`FillOutcome::WaitTimeout`]): then it goes its own way, without a lease.
    Followed(FillOutcome, Option<Answer>),
    /// The entry is not what it saw: it reads again. If it then has an answer it tells it to [`Waiting::share`], else it asks for its turn
    /// again, with the same [`Waiting`].
    Changed,
}

/// One reader's wait over all its turns. Dropping it lets the next one of this node look at the store.
pub(super) struct Waiting {
    began: Instant,
    deadline: Instant,
    /// For whom, once it has waited.
    leader: Option<Leader>,
    /// Held between [`Turn::Changed`] and the next turn.
    seat: Option<Seat>,
}

impl Waiting {
    /// Waits for so many milliseconds at the longest, from now.
    pub(super) fn new(wait_ms: u64) -> Self {
        let began = Instant::now();
        Self { began, deadline: began + Duration::from_millis(wait_ms), leader: None, seat: None }
    }

    /// Tells everybody of this node who waits as well what was read from the store. `seq`: the changes of the domain before the read.
    pub(super) fn share(&mut self, answer: &Answer, seq: u64) {
        if let Some(seat) = self.seat.take() {
            seat.watch().land(Landing::Value(answer.clone(), seq));
        }
    }

    /// What the reader is told of its wait; `None`: it did not wait.
    pub(super) fn told(&self, outcome: FillOutcome) -> Option<Waited> {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.leader.map(|leader| Waited { ms, leader, outcome })
    }
}

impl Engine {
    /// Lets fills be stored whatever was written, removed or invalidated since their loads began. For a test that the tests of fills can
    /// fail; never for anything else.
    #[doc(hidden)]
    pub fn fence_no_fills(&self) {
        self.fills.open.store(true, Ordering::Relaxed);
    }

    /// What a reader of this place does that `seen` something it cannot use, or nothing. The lease lives for `life_ms` at the longest.
    ///
    /// # Errors
    /// The leader's error, if it failed; a failure of the store; too many who wait.
    pub(super) async fn fill_turn(
        &self,
        place: &Place<'_>,
        keys: &LeaseKeys,
        seen: &Expect,
        waiting: &mut Waiting,
        life_ms: u64,
    ) -> Result<Turn> {
        let metrics = &place.live().metrics;
        loop {
            let boarding = match waiting.seat.take() {
                Some(seat) => Boarding::Seat(seat),
                None => self.fills.desk.flights.board(&place.store_key.0, metrics),
            };
            match boarding {
                Boarding::Seat(seat) => {
                    let fence = self.fence(place);
                    return self.first_turn(place, keys, seen, waiting, (seat, life_ms, fence)).await;
                }
                Boarding::Full => {
                    let message = "as many readers wait for the load of this key, or of any, as may; retry";
                    return Err(Error::new(ErrorKind::Overloaded, message));
                }
                Boarding::Ticket(mut ticket) => {
                    let since_ns = self.monotonic_ns();
                    let span = trace::span(Layer::Load, "wait");
                    let landing = timeout_at(waiting.deadline, ticket.landed()).await;
                    drop(span);
                    waiting.leader = Some(ticket.leader());
                    metrics.fill_wait.observe_ns(self.monotonic_ns().saturating_sub(since_ns));
                    match landing {
                        Err(_) => {
                            metrics.fill_outcomes[FillOutcome::WaitTimeout as usize].increment();
                            return Ok(Turn::Followed(FillOutcome::WaitTimeout, None));
                        }
                        Ok(Landing::Value(answer, seq))
                            if seq >= place.seq && place.takes(&answer, ticket.led_ns()) =>
                        {
                            return Ok(Turn::Followed(FillOutcome::Done, Some(answer)));
                        }
                        Ok(Landing::Failed(error)) => return Err(error),
                        Ok(Landing::Alone) => return Ok(Turn::Followed(FillOutcome::GiveUp, None)),
                        // What was loaded is older than something that this reader began after, or than it will have; or there was
                        // nothing.
                        Ok(Landing::Value(..) | Landing::Again(_)) => {}
                    }
                }
            }
        }
    }

    /// Takes the lease if nobody has it, in this node or another, and waits for nobody.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn try_lead(
        &self,
        place: &Place<'_>,
        keys: &LeaseKeys,
        seen: &Expect,
        life_ms: u64,
    ) -> Result<Option<Lease>> {
        self.try_lead_under(place, keys, seen, life_ms, self.fence(place)).await
    }

    /// The same under a fence that is had from somewhere else. It must be asked for after this began, or be of a load that has begun.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn try_lead_under(
        &self,
        place: &Place<'_>,
        keys: &LeaseKeys,
        seen: &Expect,
        life_ms: u64,
        fence: impl Future<Output = Result<Fence>>,
    ) -> Result<Option<Lease>> {
        let boarding = self.fills.desk.flights.board(&place.store_key.0, &place.live().metrics);
        let Boarding::Seat(seat) = boarding else { return Ok(None) };
        let mut waiting = Waiting::new(0);
        Ok(match self.first_turn(place, keys, seen, &mut waiting, (seat, life_ms, fence)).await? {
            Turn::Lead(lease) => Some(lease),
            Turn::Followed(..) | Turn::Changed => None,
        })
    }

    /// The turn of the one who looks at the store for all of this node.
    async fn first_turn(
        &self,
        place: &Place<'_>,
        keys: &LeaseKeys,
        seen: &Expect,
        waiting: &mut Waiting,
        (seat, life_ms, fence): (Seat, u64, impl Future<Output = Result<Fence>>),
    ) -> Result<Turn> {
        let token = self.lease_token()?;
        let lead = |held: Held, seat: Seat, fence| {
            Turn::Lead(self.fills.desk.lease(held, seat, fence, &place.live().metrics, life_ms))
        };
        let (fence, taken) = join(fence, self.fills.desk.take(keys, token, seen)).await;
        let mut pause_ms = LEASE_POLL_MS_MIN;
        let mut left_ms = match taken {
            Ok(Taken::Held(held)) => return Ok(lead(held, seat, fence?)),
            Ok(Taken::Changed) => {
                waiting.seat = Some(seat);
                return Ok(Turn::Changed);
            }
            // The store takes no lease: it is full, or may only be read. Everybody for himself then, as without leases.
            Err(StoreError::Reply(error)) => {
                tracing::debug!(%error, "the store would not take a lease");
                seat.watch().land(Landing::Alone);
                return Ok(Turn::Followed(FillOutcome::GiveUp, None));
            }
            Err(error) => return Err(self.store_error(error)),
            Ok(Taken::HeldFor(left_ms)) => left_ms,
        };
        seat.follows(Leader::OtherNode);
        let since_ns = self.monotonic_ns();
        loop {
            if Instant::now() >= waiting.deadline {
                if waiting.leader.is_some() {
                    place.live().metrics.fill_outcomes[FillOutcome::WaitTimeout as usize].increment();
                }
                // Whoever waits longer looks in its stead.
                return Ok(Turn::Followed(FillOutcome::WaitTimeout, None));
            }
            waiting.leader = Some(Leader::OtherNode);
            let jittered_ms = pause_ms / 2 + self.clock.random() % (pause_ms / 2 + 1);
            let next_ms = jittered_ms.min(left_ms.saturating_add(1)).max(1);
            let until = waiting.deadline.min(Instant::now() + Duration::from_millis(next_ms));
            tokio::select! {
                () = sleep_until(until) => {}
                // A write or a delete of this node came in between: what it left is to be read.
                () = seat.watch().landed() => return Ok(Turn::Changed),
            }
            pause_ms = (pause_ms * 2).min(LEASE_POLL_MS_MAX);
            match self.fills.desk.take(keys, token, seen).await.map_err(|e| self.store_error(e))? {
                Taken::HeldFor(ms) => left_ms = ms,
                Taken::Held(held) => {
                    place.live().metrics.fill_wait.observe_ns(self.monotonic_ns().saturating_sub(since_ns));
                    // Read anew: that of before the wait would be too old by all that was invalidated meanwhile.
                    let fence = self.fence(place).await?;
                    return Ok(lead(held, seat, fence));
                }
                Taken::Changed => {
                    place.live().metrics.fill_wait.observe_ns(self.monotonic_ns().saturating_sub(since_ns));
                    waiting.seat = Some(seat);
                    return Ok(Turn::Changed);
                }
            }
        }
    }

    /// An explanation, with what is known of the key's lease.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn with_lease(&self, place: &Place<'_>, before: Explanation) -> Result<Explanation> {
        let Some(keys) = place.lease_keys() else { return Ok(before) };
        let waiting = self.fills.desk.flights.waiting(&keys.entry.0);
        let state = self.store.leases().state(&keys).await.map_err(|e| self.store_error(e))?;
        let leader = self.fills.desk.flights.leader(&keys.entry.0).unwrap_or(Leader::OtherNode);
        let (lease, lease_ttl_ms) = match state {
            LeaseState::Free => ("free", None),
            LeaseState::HeldFor { ms } => (leader.as_str(), Some(ms)),
            LeaseState::Ended(ending) => (ending.as_str(), None),
        };
        let lease_waiting = waiting.map(|waiting| waiting as u64);
        Ok(Explanation { lease: Some(lease), lease_ttl_ms, lease_waiting, ..before })
    }

    fn lease_token(&self) -> Result<LeaseToken> {
        self.clock.secret().map(LeaseToken::new).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "the system has no randomness to give, so no lease can be taken")
        })
    }
}
