//! One connection: reads, hands what it read to [`super::dispatch`], sends the answers.
//!
//! Everything that is read in one go is carried out before anything is sent, so a batch of pipelined commands is answered with one
//! write. A connection never waits for one thing alone: commands at work, the client's reading, the client's writing and the
//! word to end are all polled in one place.
//!
//! Invariants: nothing more is read while a command waits for others or too many answers wait for the client; what was read is
//! answered before the connection ends, unless the client is gone or killed.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::buffers;
use super::clients::Ending;
use super::forward::{Gathered, Listener};
use super::frame::Frame;
use super::outbox::Outbox;
use super::parser::Parser;
use super::pause::Pausing;
use super::pipeline::Pipeline;
use super::reply;
use super::sequence::Sequence;
use super::session::Session;
use super::tally::Tally;
use super::tracked::Telling;
use crate::limits::{RESP_LINGER_MS_MAX, RESP_OUTPUT_BYTES_MAX, RESP_READ_BYTES};
use crate::wire::socket::Socket;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It reads.
    Open,
    /// It reads no more; what was read is carried out.
    Draining,
    /// No more commands are begun; those that were are answered.
    Ending,
}

/// One connection.
pub(super) struct Connection {
    pub(super) stream: Socket,
    pub(super) session: Session,
    pub(super) parser: Parser,
    pub(super) pipeline: Pipeline,
    pub(super) outbox: Outbox,
    pub(super) tally: Tally,
    /// What was read and not yet carried out.
    pub(super) input: BytesMut,
    /// A command at the front of the input that may not begin yet.
    pub(super) waiting: Option<Frame>,
    pub(super) phase: Phase,
    /// Whether the last command that was begun may wait for what others do.
    pub(super) blocked: bool,
    /// What the client has subscribed to.
    pub(super) listener: Option<Box<Listener>>,
    /// Forwarded commands that are yet to begin, in one go.
    pub(super) gathered: Gathered,
    /// What it is to be told when it has been answered so far.
    pub(super) told: Option<Box<Telling>>,
    /// Until a pause of all clients may be over.
    pub(super) paused: Option<Pausing>,
    /// Commands on data that are yet to begin, in one go.
    pub(super) sequence: Sequence,
    /// Read since other connections of the thread last had their turn.
    turn_bytes: usize,
}

/// What a connection woke up for.
enum Event {
    /// There may be commands to begin.
    Progress,
    /// All is answered, and no more will come.
    Ended,
}

impl Connection {
    pub(super) fn new(stream: Socket, session: Session) -> Self {
        let mut parser = Parser::default();
        parser.set_guarded(session.access().is_none());
        Self {
            stream,
            session,
            parser,
            pipeline: Pipeline::default(),
            outbox: Outbox::default(),
            tally: Tally::default(),
            input: BytesMut::new(),
            waiting: None,
            phase: Phase::Open,
            blocked: false,
            listener: None,
            gathered: Gathered::default(),
            told: None,
            paused: None,
            sequence: Sequence::default(),
            turn_bytes: 0,
        }
    }

    /// Serves the client until it or the host ends it.
    ///
    /// # Errors
    /// The connection broke, or the client stopped reading.
    pub(super) async fn run(mut self) -> io::Result<()> {
        loop {
            self.process();
            match poll_fn(|cx| self.poll_event(cx)).await? {
                Event::Progress => {}
                Event::Ended => return self.linger().await,
            }
        }
    }

    /// Says that no more will come, and lets what the client still sends run dry: a close with unread bytes is a reset, and a
    /// reset may take the last answers with it. Where the host is closing only what has arrived is read, else every idle
    /// client would hold it up.
    async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut dropped = [0; 1024];
        let rest = async {
            while self.stream.read(&mut dropped).await? > 0 {}
            Ok(())
        };
        let patience_ms = if self.phase == Phase::Ending { RESP_LINGER_MS_MAX } else { 0 };
        tokio::time::timeout(Duration::from_millis(patience_ms), rest).await.unwrap_or(Ok(()))
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        match self.session.client().poll_ending(cx) {
            Ending::None => {}
            Ending::Finish => self.phase = self.phase.max(Phase::Draining),
            Ending::Kill => {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "killed")));
            }
        }
        let (ended, settled) = (self.settle(cx), self.poll_heard(cx)?);
        self.poll_monitored(cx)?;
        let resumed = self.poll_paused(cx);
        if (ended || settled || resumed) && (self.waiting.is_some() || !self.input.is_empty()) {
            return Poll::Ready(Ok(Event::Progress));
        }
        self.poll_told();
        if self.is_deserted(cx) || (self.blocked && self.phase > Phase::Open) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "left while a command waited")));
        }
        let sent = self.outbox.poll_send(&mut self.stream, cx)?;
        self.session.client().awaits(!self.pipeline.is_empty());
        if sent && self.waiting.is_some() && !self.is_pressed() {
            return Poll::Ready(Ok(Event::Progress));
        }
        if self.phase > Phase::Open && self.waiting.is_none() && self.pipeline.is_empty() && self.outbox.is_empty() {
            return Poll::Ready(Ok(Event::Ended));
        }
        if self.phase == Phase::Open && self.waiting.is_none() && !self.is_pressed() {
            return self.poll_input(cx);
        }
        Poll::Pending
    }

    /// Lets commands work and writes the answers whose turn it is. Whether any command ended.
    fn settle(&mut self, cx: &mut Context<'_>) -> bool {
        if self.pipeline.is_empty() || !self.pipeline.poll(cx) {
            return false;
        }
        while let Some(answer) = self.pipeline.next_answer() {
            reply::write(self.outbox.buffer(), self.session.protocol(), &answer);
        }
        true
    }

    /// Whether so many answers wait that no more commands may begin.
    pub(super) const fn is_pressed(&self) -> bool {
        self.outbox.len() + self.pipeline.held_bytes() > RESP_OUTPUT_BYTES_MAX
    }

    /// Reads what has come behind what was read.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() == 0 {
            self.input = buffers::take_input();
        }
        self.input.reserve(RESP_READ_BYTES);
        let mut input = (&mut self.input).limit(RESP_READ_BYTES);
        pin!(self.stream.read_buf(&mut input)).poll(cx)
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if self.turn_bytes >= RESP_READ_BYTES {
            // A client that always has more to say must not hold the thread.
            self.turn_bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.poll_read(cx) {
            Poll::Pending => {
                self.turn_bytes = 0;
                if self.input.is_empty() {
                    buffers::give_input(std::mem::take(&mut self.input));
                }
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => {
                self.phase = Phase::Draining;
                Poll::Ready(Ok(Event::Progress))
            }
            Poll::Ready(Ok(n)) => {
                self.turn_bytes += n;
                Poll::Ready(Ok(Event::Progress))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        buffers::give_input(std::mem::take(&mut self.input));
    }
}
