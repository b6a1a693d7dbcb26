//! Loads that run in this node, and who waits for them in memory.
//!
//! A flight is the load of one key: one caller has its seat and works for all, the others hold tickets. It *lands* once, with what
//! all get to know; then it is gone from the table and the next caller may begin another one.
//!
//! Invariants: a flight whose seat is dropped lands, so nobody waits for a caller that is gone; what waits is bounded per key and
//! in all, and counted down in `Drop`. Deliberately absent: the store (`lease.rs`), the order of those who wait.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::engine::api::Answer;
use crate::error::Error;
use crate::limits::{FLIGHT_WAITERS_MAX, FLIGHT_WAITERS_PER_KEY_MAX};
use crate::ports::lease::{FillOutcome, Leader};
use crate::ports::metrics::DomainMetrics;

/// What everybody aboard gets to know.
#[derive(Clone, Debug)]
pub(super) enum Landing {
    /// The value or its absence, loaded when the domain had seen so many changes.
    Value(Answer, u64),
    /// The leader's error.
    Failed(Error),
    /// Each goes its own way.
    Alone,
    /// Whoever waits looks again; somebody leads anew if need be.
    Again(FillOutcome),
}

impl Landing {
    const fn outcome(&self) -> FillOutcome {
        match self {
            Self::Value(..) => FillOutcome::Done,
            Self::Failed(_) => FillOutcome::TransientError,
            Self::Alone => FillOutcome::GiveUp,
            Self::Again(outcome) => *outcome,
        }
    }
}

/// All flights of a node. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    by_key: HashMap<Bytes, Arc<Flight>, RandomState>,
    waiting: usize,
}

/// The load of one key.
struct Flight {
    key: Bytes,
    metrics: Arc<DomainMetrics>,
    state: watch::Sender<Aboard>,
    waiting: Mutex<usize>,
}

/// What those aboard see.
#[derive(Clone, Debug)]
struct Aboard {
    leader: Leader,
    /// Monotonic time since when the leader has the lease, so that its end counts as the end of a load.
    led_ns: Option<u64>,
    landing: Option<Landing>,
}

/// What a caller who comes aboard gets.
pub(super) enum Boarding {
    /// Nobody works on the key: the caller does, for all who come after it.
    Seat(Seat),
    /// Somebody does.
    Ticket(Ticket),
    /// Too many wait already.
    Full,
}

/// The seat of the one who works for all. Dropping it lands the flight with [`FillOutcome::Dangling`].
pub(super) struct Seat(Watch);

/// The same flight for who only watches it: it holds nobody up.
#[derive(Clone)]
pub(super) struct Watch {
    flights: Flights,
    flight: Arc<Flight>,
}

/// A place among those who wait.
pub(super) struct Ticket {
    flights: Flights,
    flight: Arc<Flight>,
    state: watch::Receiver<Aboard>,
}

impl Flights {
    /// Comes aboard the flight of a key.
    pub(super) fn board(&self, key: &Bytes, metrics: &Arc<DomainMetrics>) -> Boarding {
        let mut table = self.0.lock();
        let Some(flight) = table.by_key.get(key).map(Arc::clone) else {
            let seat = self.unlisted(key, metrics);
            table.by_key.insert(key.clone(), Arc::clone(&seat.0.flight));
            return Boarding::Seat(seat);
        };
        let mut waiting = flight.waiting.lock();
        if *waiting >= FLIGHT_WAITERS_PER_KEY_MAX || table.waiting >= FLIGHT_WAITERS_MAX {
            return Boarding::Full;
        }
        *waiting += 1;
        drop(waiting);
        table.waiting += 1;
        flight.metrics.fill_waiting.increment();
        // Under the lock of the table: a landing that is not seen here comes later.
        let state = flight.state.subscribe();
        Boarding::Ticket(Ticket { flights: self.clone(), flight, state })
    }

    /// The seat of a flight that nobody can come aboard of.
    pub(super) fn unlisted(&self, key: &Bytes, metrics: &Arc<DomainMetrics>) -> Seat {
        let aboard = Aboard { leader: Leader::ThisNode, led_ns: None, landing: None };
        let (key, metrics) = (key.clone(), Arc::clone(metrics));
        let flight = Flight { key, metrics, state: watch::channel(aboard).0, waiting: Mutex::new(0) };
        Seat(Watch { flights: self.clone(), flight: Arc::new(flight) })
    }

    /// The key was written, removed or invalidated here: who waits for an older load looks again.
    pub(super) fn overtake(&self, key: &[u8]) {
        let flight = self.0.lock().by_key.get(key).map(Arc::clone);
        if let Some(flight) = flight {
            let overtaken = Landing::Again(FillOutcome::Dangling);
            Watch { flights: self.clone(), flight }.land(overtaken);
        }
    }

    /// How many wait for the load of a key; `None`: there is none.
    pub(super) fn waiting(&self, key: &[u8]) -> Option<usize> {
        self.0.lock().by_key.get(key).map(|flight| *flight.waiting.lock())
    }

    /// Whose load it is that readers of a key wait for; `None`: there is none.
    pub(super) fn leader(&self, key: &[u8]) -> Option<Leader> {
        self.0.lock().by_key.get(key).map(|flight| flight.state.borrow().leader)
    }

    /// How many flights and how many who wait there are.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let table = self.0.lock();
        (table.by_key.len(), table.waiting)
    }
}

impl Watch {
    /// Tells everybody aboard. The first landing counts.
    pub(super) fn land(&self, landing: Landing) {
        {
            let mut table = self.flights.0.lock();
            if table.by_key.get(&self.flight.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
                table.by_key.remove(&self.flight.key);
            }
        }
        let mut ended = None;
        self.flight.state.send_if_modified(|aboard| {
            if aboard.landing.is_some() {
                return false;
            }
            ended = aboard.led_ns.map(|_| landing.outcome());
            aboard.landing = Some(landing);
            true
        });
        if let Some(outcome) = ended {
            self.flight.metrics.fill_outcomes[outcome as usize].increment();
        }
    }

    /// Whether it has landed.
    pub(super) fn has_landed(&self) -> bool {
        self.flight.state.borrow().landing.is_some()
    }

    /// Ends when it has landed.
    pub(super) async fn landed(&self) {
        let mut state = self.flight.state.subscribe();
        // The sender lives in the flight, which this holds.
        let _ = state.wait_for(|aboard| aboard.landing.is_some()).await;
    }
}

impl Seat {
    /// The flight, to be watched.
    pub(super) const fn watch(&self) -> &Watch {
        &self.0
    }

    /// Whose load it is that those aboard wait for.
    pub(super) fn follows(&self, leader: Leader) {
        self.0.flight.state.send_modify(|aboard| aboard.leader = leader);
    }

    /// From now on it is a load of this node.
    pub(super) fn leads(&self, since_ns: u64) {
        self.0.flight.state.send_modify(|aboard| {
            aboard.leader = Leader::ThisNode;
            aboard.led_ns = Some(since_ns);
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.land(Landing::Again(FillOutcome::Dangling));
    }
}

impl Ticket {
    /// Waits for the landing.
    pub(super) async fn landed(&mut self) -> Landing {
        match self.state.wait_for(|aboard| aboard.landing.is_some()).await {
            Ok(aboard) => aboard.landing.clone().unwrap_or(Landing::Again(FillOutcome::Dangling)),
            // The sender lives in the flight, which this holds.
            Err(_) => Landing::Again(FillOutcome::Dangling),
        }
    }

    /// Since when this node leads, in monotonic time; `None`: it does not. The load begins after that.
    pub(super) fn led_ns(&self) -> Option<u64> {
        self.state.borrow().led_ns
    }

    /// Whose load it is, as far as is known now.
    pub(super) fn leader(&self) -> Leader {
        self.state.borrow().leader
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.flights.0.lock().waiting -= 1;
        *self.flight.waiting.lock() -= 1;
        self.flight.metrics.fill_waiting.decrement();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(flights: &Flights) -> Boarding {
        flights.board(&Bytes::from_static(b"k"), &Arc::default())
    }

    fn seat(flights: &Flights) -> Seat {
        match board(flights) {
            Boarding::Seat(seat) => seat,
            _ => panic!("somebody else sits there"),
        }
    }

    fn ticket(flights: &Flights) -> Ticket {
        match board(flights) {
            Boarding::Ticket(ticket) => ticket,
            _ => panic!("no flight, or a full one"),
        }
    }

    #[tokio::test]
    async fn a_seat_that_is_dropped_lands() {
        let flights = Flights::default();
        let seat = seat(&flights);
        let (mut one, two) = (ticket(&flights), ticket(&flights));
        assert_eq!(flights.waiting(b"k"), Some(2));
        drop(two);
        drop(seat);
        assert!(matches!(one.landed().await, Landing::Again(FillOutcome::Dangling)));
        drop(one);
        assert_eq!(flights.counts(), (0, 0));
    }

    #[tokio::test]
    async fn the_first_landing_counts_and_a_new_flight_is_another() {
        let flights = Flights::default();
        let first = seat(&flights);
        let mut waiter = ticket(&flights);
        flights.overtake(b"k");
        let second = seat(&flights);
        first.watch().land(Landing::Alone);
        drop(first);
        assert!(matches!(waiter.landed().await, Landing::Again(_)), "it was overtaken");
        assert!(matches!(board(&flights), Boarding::Ticket(_)), "the second is still there");
        drop(second);
        drop(waiter);
        assert_eq!(flights.counts(), (0, 0));
    }

    #[test]
    fn waiters_are_bounded() {
        let flights = Flights::default();
        let _seat = seat(&flights);
        let tickets: Vec<_> = (0..FLIGHT_WAITERS_PER_KEY_MAX).map(|_| ticket(&flights)).collect();
        assert!(matches!(board(&flights), Boarding::Full));
        drop(tickets);
        assert!(matches!(board(&flights), Boarding::Ticket(_)));
    }
}
