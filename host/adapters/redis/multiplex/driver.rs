//! What sends and hears for a connection: one task for as long as the connection lives.
//!
//! Invariants: it takes everything that waits at once, so that one call of the system carries it; each answer goes to whoever is first
//! in line; however it ends, everybody in line is told. It gives back the room that a large answer or command took.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use redis::{RedisError, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::answers::{Answers, odd};
use super::{Outbox, Waiter, ended};
use crate::limits::{STORE_BUFFER_KEPT_BYTES_MAX, STORE_READ_BYTES};

/// Drives a connection until that ends.
pub(in super::super) struct Driver<S> {
    stream: S,
    outbox: Arc<Outbox>,
    sending: Vec<u8>,
    sent: usize,
    flushed: bool,
    received: BytesMut,
    answers: Answers,
    waiting: VecDeque<Waiter>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn new(stream: S, outbox: Arc<Outbox>) -> Self {
        Self {
            stream,
            outbox,
            sending: Vec::new(),
            sent: 0,
            flushed: true,
            received: BytesMut::new(),
            answers: Answers::default(),
            waiting: VecDeque::new(),
        }
    }

    /// Hears and sends what can be heard and sent now.
    fn go_on(&mut self, context: &mut Context<'_>) -> RedisResult<()> {
        self.receive(context)?;
        self.send(context)
    }

    fn receive(&mut self, context: &mut Context<'_>) -> RedisResult<()> {
        loop {
            self.received.reserve(STORE_READ_BYTES);
            match pin!(self.stream.read_buf(&mut self.received)).poll(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(self.cut_off()),
                Poll::Ready(Ok(_)) => self.hear()?,
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Reads the answers that have come.
    fn hear(&mut self) -> RedisResult<()> {
        let mut read = 0;
        loop {
            let (used, answer) = self.answers.next(&self.received[read..])?;
            read += used;
            match answer {
                Some(answer) => self.hand_over(answer)?,
                None => break,
            }
        }
        self.received.advance(read);
        if self.received.is_empty() && self.received.capacity() > STORE_BUFFER_KEPT_BYTES_MAX {
            self.received = BytesMut::new();
        }
        Ok(())
    }

    fn hand_over(&mut self, answer: Value) -> RedisResult<()> {
        // Nobody has asked for what comes by itself.
        if matches!(answer, Value::Push { .. }) {
            return Ok(());
        }
        // Who does not wait any more needs no answer.
        match self.waiting.front_mut() {
            Some(Waiter::Many { left, answers, .. }) if *left > 1 => {
                *left -= 1;
                answers.push(answer);
                return Ok(());
            }
            _ => {}
        }
        match self.waiting.pop_front() {
            Some(Waiter::One(to)) => drop(to.send(Ok(answer))),
            Some(Waiter::Many { mut answers, to, .. }) => {
                answers.push(answer);
                drop(to.send(Ok(answers)));
            }
            None => return Err(unasked(&answer)),
        }
        Ok(())
    }

    fn send(&mut self, context: &mut Context<'_>) -> RedisResult<()> {
        while self.sent < self.sending.len() || self.take(context) {
            match Pin::new(&mut self.stream).poll_write(context, &self.sending[self.sent..]) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(ended()),
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
            self.flushed = false;
        }
        if self.flushed {
            return Ok(());
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(flushed) => {
                self.flushed = true;
                flushed.map_err(RedisError::from)
            }
        }
    }

    /// Takes what waits to be sent; if that is nothing, the next who sends something wakes the driver.
    fn take(&mut self, context: &Context<'_>) -> bool {
        self.sent = 0;
        self.sending.clear();
        self.sending.shrink_to(STORE_BUFFER_KEPT_BYTES_MAX);
        let mut outgoing = self.outbox.outgoing.lock();
        if outgoing.bytes.is_empty() {
            outgoing.idle = Some(context.waker().clone());
            return false;
        }
        std::mem::swap(&mut outgoing.bytes, &mut self.sending);
        let taken = outgoing.waiters.len();
        self.waiting.extend(outgoing.waiters.drain(..));
        drop(outgoing);
        self.outbox.room.add_permits(taken);
        true
    }

    fn cut_off(&self) -> RedisError {
        if self.received.is_empty() && !self.answers.is_within() {
            return ended();
        }
        io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut off").into()
    }
}

impl<S> Driver<S> {
    /// Tells everybody who waits, and who comes from now on, why it has ended.
    fn end(&mut self, error: &RedisError) {
        let mut outgoing = self.outbox.outgoing.lock();
        outgoing.ended = Some(error.clone());
        outgoing.bytes = Vec::new();
        outgoing.idle = None;
        let unsent = std::mem::take(&mut outgoing.waiters);
        drop(outgoing);
        self.outbox.room.close();
        for waiter in self.waiting.drain(..).chain(unsent) {
            waiter.fail(error);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        match driver.go_on(context) {
            Ok(()) => Poll::Pending,
            Err(error) => {
                driver.end(&error);
                Poll::Ready(())
            }
        }
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        if self.outbox.outgoing.lock().ended.is_none() {
            self.end(&ended());
        }
    }
}

/// A server says by itself why it ends a connection.
fn unasked(answer: &Value) -> RedisError {
    match answer {
        Value::ServerError(error) => error.clone().into(),
        _ => odd("nobody has asked for it"),
    }
}
