//! A load that readers of this node share and no lease is taken for: while the store is away. Other nodes have their own.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::flight::{Boarding, Landing};
use crate::engine::api::{Answer, Forward};
use crate::engine::core::Engine;
use crate::engine::judge::Place;
use crate::engine::load::collapsed;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::TURNS_MAX;

impl Engine {
    /// Does the `work` for all readers of the key, or waits for whoever does, for so long at most.
    ///
    /// # Errors
    /// The work's; it took too long; too many wait.
    pub(in crate::engine) async fn share_load(
        &self,
        place: &Place<'_>,
        wait: Duration,
        work: impl Future<Output = Result<Answer>>,
    ) -> Result<Answer> {
        let deadline = Instant::now() + wait;
        let late = |_| {
            let message = format!("the load of this key in the domain '{}' took too long", place.live().domain);
            Error::new(ErrorKind::OriginTimeout, message)
        };
        for _ in 0..TURNS_MAX {
            match self.fills.desk.flights.board(&place.store_key.0, &place.live().metrics) {
                Boarding::Seat(seat) => {
                    seat.leads(self.monotonic_ns());
                    let seq = place.domain.seq();
                    let done = timeout_at(deadline, work).await.map_err(late).flatten();
                    seat.watch().land(match &done {
                        Ok(answer) => Landing::Value(answer.clone(), seq),
                        Err(error) => Landing::Failed(error.clone()),
                    });
                    return done;
                }
                Boarding::Full => {
                    let message = "as many readers wait for the load of this key, or of any, as may; retry";
                    return Err(Error::new(ErrorKind::Overloaded, message));
                }
                Boarding::Ticket(mut ticket) => match timeout_at(deadline, ticket.landed()).await.map_err(late)? {
                    Landing::Value(answer, seq) if seq >= place.seq && place.takes(&answer, ticket.led_ns()) => {
                        return Ok(collapsed(answer, Forward::Miss));
                    }
                    Landing::Failed(error) => return Err(error),
                    // The leader is gone, or what it brings is older than something that this reader began after.
                    Landing::Value(..) | Landing::Alone | Landing::Again(_) => {}
                },
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "the key is changed by many callers at once; retry"))
    }
}
