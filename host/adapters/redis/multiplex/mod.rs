//! One connection to a server that many callers share: what they send in one turn of the runtime travels together, and answers come
//! back in the order of the commands.
//!
//! Invariants: what is sent first is answered first; a caller that is gone takes nothing from the others; when the connection ends,
//! everybody who waits is told why, and nobody waits any more. Deliberately absent: deadlines, which are the store's business; the
//! greeting, which is the client library's (`lent.rs`); subscriptions, whose confirmations the library counts.

mod answers;
mod driver;
mod lent;

use std::io;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};

pub(super) use self::driver::Driver;
pub(super) use self::lent::Lent;

use crate::limits::STORE_WRITE_QUEUE_MAX;

/// A connection. What it sends and hears is the work of its [`Driver`], which has to be polled.
pub(super) struct Multiplexed {
    outbox: Arc<Outbox>,
}

/// Who waits for answers, and for how many.
enum Waiter {
    One(oneshot::Sender<RedisResult<Value>>),
    Many { left: usize, answers: Vec<Value>, to: oneshot::Sender<RedisResult<Vec<Value>>> },
}

/// What waits to be sent.
struct Outbox {
    outgoing: Mutex<Outgoing>,
    /// Calls that may still put something into it.
    room: Semaphore,
}

#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    /// One for each that has put something into the bytes, in their order.
    waiters: Vec<Waiter>,
    /// Of the driver, once it has taken everything.
    idle: Option<Waker>,
    /// Why nothing is sent any more.
    ended: Option<RedisError>,
}

impl Multiplexed {
    /// A connection over a stream on which the server has been greeted, and what drives it.
    pub(super) fn over<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> (Self, Driver<S>) {
        let outbox = Arc::new(Outbox { outgoing: Mutex::default(), room: Semaphore::new(STORE_WRITE_QUEUE_MAX) });
        (Self { outbox: Arc::clone(&outbox) }, Driver::new(stream, outbox))
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn one(&self, command: &Cmd) -> RedisResult<Value> {
        let (to, answer) = oneshot::channel();
        self.outbox.add(Waiter::One(to), |bytes| command.write_packed_command(bytes)).await?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Sends commands in one go and waits for all answers.
    pub(super) async fn many(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let left = commands.len();
        if left == 0 {
            return Ok(Vec::new());
        }
        let (to, answers) = oneshot::channel();
        let waiter = Waiter::Many { left, answers: Vec::with_capacity(left), to };
        let write = |bytes: &mut Vec<u8>| commands.cmd_iter().for_each(|command| command.write_packed_command(bytes));
        self.outbox.add(waiter, write).await?;
        answers.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Outbox {
    /// Puts commands behind those that wait already, and has them sent.
    async fn add(&self, waiter: Waiter, write: impl FnOnce(&mut Vec<u8>)) -> RedisResult<()> {
        let room = match self.room.try_acquire() {
            Ok(room) => Ok(room),
            // About in the order in which they came. It is closed once the connection has ended.
            Err(_) => self.room.acquire().await,
        };
        if let Ok(room) = room {
            // The driver makes room again.
            room.forget();
        }
        let mut outgoing = self.outgoing.lock();
        if let Some(error) = &outgoing.ended {
            return Err(error.clone());
        }
        write(&mut outgoing.bytes);
        outgoing.waiters.push(waiter);
        if let Some(driver) = outgoing.idle.take() {
            driver.wake();
        }
        Ok(())
    }
}

impl Waiter {
    /// It has no answer, for this reason. Who is gone needs none.
    fn fail(self, error: &RedisError) {
        match self {
            Self::One(to) => drop(to.send(Err(error.clone()))),
            Self::Many { to, .. } => drop(to.send(Err(error.clone()))),
        }
    }
}

/// The connection is gone.
fn ended() -> RedisError {
    io::Error::new(io::ErrorKind::BrokenPipe, "the connection ended").into()
}

#[cfg(test)]
mod tests;
