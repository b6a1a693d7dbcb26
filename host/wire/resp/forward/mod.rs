//! Commands that are not in the table: forwarded to the Redis behind this host, if there is one.
//!
//! Invariants: they keep their place among the connection's other commands, by their keys where those are known at once; a command
//! that waits ends when its client leaves, for nobody would read its answer; subscriptions end with their connection.

mod gathered;
mod known;
mod listener;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::oneshot;

pub(super) use self::gathered::{Gathered, Window};
pub(super) use self::listener::Listener;
use self::listener::told_here;

use super::args::Words;
use super::claims;
use super::clients::Unblock;
use super::commands::{cannot_be_queued, find};
use super::connection::Connection;
use super::dispatch::Admission;
use super::errors;
use super::frame::Frame;
use super::pipeline::Work;
use super::reply::{self, Protocol};
use super::session::Replies;
use super::traced;
use super::transaction::Queued;
use crate::config::users::Role;
use crate::engine::Engine;
use crate::engine::forward::{Database, is_of_database};
use crate::limits::RESP_READ_BYTES;
use crate::ports::store::Reply;
use crate::ports::table::DEFAULT_DOMAIN;
use crate::ports::upstream::Facts;
use crate::ports::way::{self, Way};
use crate::wire::access::Access;

/// What is shown of one word of an unknown command, in bytes.
const SHOWN_BYTES_MAX: usize = 128;
/// What a subscriber in RESP2 may still say.
const WHILE_LISTENING: [&str; 3] = ["ping", "quit", "reset"];

impl Connection {
    /// Begins a command that is not in the table, unless Redis does not know it either, or one that goes into another database as it
    /// is.
    pub(super) fn begin_forward(&mut self, frame: Frame) -> Admission {
        let words = self.parser.words(&self.input, frame);
        let name = words.get(0).unwrap_or_default();
        let may_go = self.session.engine().forwards() || known::is_known(name);
        let refusal = match self.session.access() {
            _ if !may_go => not_known(&words),
            None => errors::reply(errors::NO_AUTH),
            Some(_) if self.session.transaction.is_some() => match way::of(&[name]) {
                Way::Listening => cannot_be_queued(&errors::shown(name, 128).to_ascii_lowercase()),
                _ => return self.queue_forward(frame),
            },
            Some(_) => return self.begin_allowed(frame),
        };
        if self.session.transaction.is_some() { self.begin_queued(frame, Err(refusal)) } else { self.refuse(refusal) }
    }

    fn begin_allowed(&mut self, frame: Frame) -> Admission {
        self.begin_sequence();
        let words = self.parser.words(&self.input, frame);
        let words: Vec<&[u8]> = words.iter().collect();
        let way = way::of(&words);
        if way == Way::Listening {
            return self.begin_listening(frame);
        }
        if self.pipeline.is_barred() || (self.pipeline.is_full() && self.gathered.is_empty()) {
            return Admission::Wait;
        }
        let claims = self.pipeline.claims();
        let footprint = match self.session.engine().forward_places(&words) {
            Some((writes, places)) if way == Way::Shared && !places.is_empty() => {
                let access = if writes { claims::Access::Write } else { claims::Access::Read };
                Some(claims.footprint(access, places.into_iter().filter_map(|place| words.get(place).copied())))
            }
            _ => None,
        };
        match footprint {
            Some(footprint) if claims.conflict(&footprint) => Admission::Wait,
            Some(footprint) if self.session.replies == Replies::On => self.gather(frame, footprint),
            footprint => {
                self.begin_gathered();
                if self.pipeline.is_full() || (footprint.is_none() && !self.pipeline.is_empty()) {
                    return Admission::Wait;
                }
                self.begin_asking(frame, way, footprint)
            }
        }
    }

    fn begin_asking(&mut self, frame: Frame, way: Way, footprint: Option<claims::Footprint>) -> Admission {
        let words = self.parser.words(&self.input, frame);
        self.session.client().label(|label| label.command = known::label(words.get(0).unwrap_or_default()));
        let words = words.to_args().all_shared();
        let muted = self.session.next_is_muted();
        let reads = self.session.reads_of_forwarded(&words);
        let types = self.session.protocol().types();
        let (engine, database) = (Arc::clone(self.session.engine()), self.session.database().map(Arc::clone));
        let Some(access) = self.session.access().cloned() else {
            return self.refuse(errors::reply(errors::NO_AUTH));
        };
        let work: Work = Box::pin(async move {
            let at = database.as_deref();
            let (asked, name) = (words.clone(), words[0].clone());
            let may = |facts: &Facts, keys: &[Bytes]| allowed(&access, &engine, at, facts, &name, keys);
            match engine.forward(at, words, types, may).await {
                Ok(answer) => answer.unwrap_or_else(|| unknown(&asked)),
                Err(error) => errors::of(&error),
            }
        });
        let work = self.session.tracked(reads, work);
        self.blocked = way == Way::Own;
        let work = if way == Way::Own { until_unblocked(work, self.session.client().blocks()) } else { work };
        let work = traced::command(&self.session, "forwarded", work);
        if let Some(reply) = self.pipeline.begin(work, footprint, muted) {
            reply::write(self.outbox.buffer(), self.session.protocol(), &reply);
        }
        Admission::Done
    }

    /// Queues a command after it was looked at, as far as Redis and this host would: what is refused lets the transaction fail.
    fn queue_forward(&mut self, frame: Frame) -> Admission {
        self.begin_gathered();
        if !self.pipeline.is_empty() {
            return Admission::Wait;
        }
        let words = self.parser.words(&self.input, frame).to_args().all_shared();
        let (Some(access), Some(transaction)) = (self.session.access().cloned(), &mut self.session.transaction) else {
            return self.refuse(errors::reply(errors::NO_AUTH));
        };
        let (looked_at, refused) = (Arc::new(OnceLock::new()), transaction.refusal());
        if let Err(reply) = transaction.queue(Queued::Forward(Arc::clone(&looked_at)), frame.len) {
            return self.begin_queued(frame, Err(reply));
        }
        self.session.client().label(|label| label.command = known::label(&words[0]));
        let muted = self.session.next_is_muted();
        let (engine, database) = (Arc::clone(self.session.engine()), self.session.database().map(Arc::clone));
        let work: Work = Box::pin(async move {
            let at = database.as_deref();
            let (asked, name) = (words.clone(), words[0].clone());
            let may = |facts: &Facts, keys: &[Bytes]| allowed(&access, &engine, at, facts, &name, keys);
            let forwarded = match engine.to_be_forwarded(at, words, may).await {
                Ok(Some(forwarded)) => forwarded,
                Ok(None) => Err(unknown(&asked)),
                Err(error) => Err(errors::of(&error)),
            };
            match forwarded {
                Ok(forwarded) => {
                    // It is set here alone.
                    let _set = looked_at.set(forwarded);
                    Reply::Status("QUEUED".into())
                }
                Err(reply) => {
                    refused.store(true, Ordering::Relaxed);
                    reply
                }
            }
        });
        if let Some(reply) = self.pipeline.begin(work, None, muted) {
            reply::write(self.outbox.buffer(), self.session.protocol(), &reply);
        }
        Admission::Done
    }

    /// Subscribes or unsubscribes, alone: what comes after it waits until it is confirmed.
    fn begin_listening(&mut self, frame: Frame) -> Admission {
        self.begin_gathered();
        if !self.pipeline.is_empty() {
            return Admission::Wait;
        }
        let words: Vec<Bytes> = self.parser.words(&self.input, frame).iter().map(Bytes::copy_from_slice).collect();
        let is = |name: &str| words[0].eq_ignore_ascii_case(name.as_bytes());
        let name = errors::shown(&words[0], 128).to_ascii_lowercase();
        let reads = self
            .session
            .access()
            .map_or(Role::None, |access| if told_here(&words) { access.anywhere() } else { access.on_everything() });
        if reads < Role::Read {
            self.session.engine().metrics().guard.denials.increment();
            return self.refuse(errors::no_permission(&name));
        }
        if words.len() < 2 && ["subscribe", "psubscribe", "ssubscribe"].iter().any(|name| is(name)) {
            return self.refuse(errors::arity(&String::from_utf8_lossy(&words[0]).to_ascii_lowercase()));
        }
        self.session.client().label(|label| label.command = known::label(&words[0]));
        let engine = self.session.engine();
        self.listener.get_or_insert_with(|| Box::new(Listener::new(Arc::clone(engine)))).begin(words);
        Admission::Done
    }

    /// Whether what a client says has to wait until its subscription is confirmed.
    pub(super) fn is_settling(&self) -> bool {
        self.listener.as_ref().is_some_and(|listener| listener.is_settling())
    }

    /// What a subscriber in RESP2 is told instead of being served: only RESP3 tells answers from messages.
    pub(super) fn refusal_while_listening(&self, name: &[u8]) -> Option<Reply> {
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        let listens = self.session.protocol() == Protocol::Resp2
            && self.listener.as_ref().is_some_and(|listener| listener.listens());
        if !listens || WHILE_LISTENING.iter().any(is) || way::of(&[name]) == Way::Listening {
            return None;
        }
        let name = errors::shown(name, 128).to_ascii_lowercase();
        Some(errors::reply(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )))
    }

    /// Whether `PING` is answered as to a subscriber in RESP2.
    pub(super) fn pings_while_listening(&self) -> bool {
        self.session.protocol() == Protocol::Resp2 && self.listener.as_ref().is_some_and(|listener| listener.listens())
    }

    /// Writes what was heard. Whether a subscription was confirmed, so that commands may go on.
    ///
    /// # Errors
    /// The subscriptions are lost with their connection, or the client reads too slowly: then it has to begin anew.
    pub(super) fn poll_heard(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        let Some(listener) = &mut self.listener else { return Ok(false) };
        let (protocol, mut settled) = (self.session.protocol(), false);
        while let Poll::Ready(told) = listener.poll_next(cx) {
            match told? {
                listener::Told::Reply(reply) => reply::write(self.outbox.buffer(), protocol, &reply),
                listener::Told::Settled => settled = true,
            }
        }
        if self.outbox.len() > crate::limits::RESP_HEARD_BYTES_MAX {
            let what = "a subscriber reads more slowly than it is told";
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, what));
        }
        if !listener.is_settling() && !listener.listens() {
            self.listener = None;
        }
        Ok(settled)
    }

    /// Whether the client is gone while a command of its waits. Nobody would read the answer.
    pub(super) fn is_deserted(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.blocked {
            return false;
        }
        if self.pipeline.is_empty() {
            self.blocked = false;
            return false;
        }
        if let Some(plain) = self.stream.plain() {
            let mut byte = [0; 1];
            let mut peeked = tokio::io::ReadBuf::new(&mut byte);
            return matches!(plain.poll_peek(cx, &mut peeked), Poll::Ready(Ok(0) | Err(_)));
        }
        // Within TLS the end is a message, which only who reads finds: what comes before it is kept, up to a bound.
        while self.input.len() < RESP_READ_BYTES {
            match self.poll_read(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(0) | Err(_)) => return true,
                Poll::Ready(Ok(_)) => {}
            }
        }
        false
    }
}

/// A command that waits, until it is answered or ended by another client.
fn until_unblocked(work: Work, unblocked: oneshot::Receiver<Unblock>) -> Work {
    Box::pin(async move {
        tokio::select! {
            biased;
            reply = work => reply,
            Ok(how) = unblocked => match how {
                Unblock::AsTimeout => Reply::NilArray,
                Unblock::AsError => errors::reply("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            },
        }
    })
}

/// A command that Redis does not know either.
fn unknown(words: &[Bytes]) -> Reply {
    let (mut source, mut spans) = (Vec::new(), Vec::new());
    for word in words {
        let start = u32::try_from(source.len()).unwrap_or(u32::MAX);
        source.extend_from_slice(&word[..word.len().min(SHOWN_BYTES_MAX)]);
        spans.push((start, u32::try_from(source.len()).unwrap_or(u32::MAX)));
    }
    not_known(&Words::new(&source, &spans))
}

/// What is said of words that call nothing: of the command, or of the part of one that is served here.
fn not_known(words: &Words<'_>) -> Reply {
    match (words.get(0).and_then(find), words.get(1)) {
        (Some(found), Some(word)) if !found.subcommands.is_empty() => errors::unknown_subcommand(found.name, word),
        _ => errors::unknown_command(words),
    }
}

/// Whether a caller may have a command forwarded: by its keys, and by everything where it has none; what the server calls dangerous
/// concerns the server then. What is in another database belongs to `default`.
fn allowed(
    access: &Access,
    engine: &Engine,
    at: Option<&Database>,
    facts: &Facts,
    name: &[u8],
    keys: &[Bytes],
) -> Result<(), Reply> {
    let role = if facts.reads_only { Role::Read } else { Role::Write };
    let in_default = || access.in_domain(DEFAULT_DOMAIN.as_bytes());
    let shown = || errors::shown(name, 128).to_ascii_lowercase();
    let of_key = |key: &Bytes| if at.is_some() { in_default() } else { access.on_key(engine, key) };
    let empties = name.eq_ignore_ascii_case(b"flushdb");
    let refusal = match keys.iter().map(of_key).min() {
        Some(least) if least >= role => return Ok(()),
        Some(_) => errors::reply(errors::NO_PERMISSION_KEY),
        None if at.is_some() && is_of_database(name) && !empties && in_default() >= role => return Ok(()),
        None if (facts.is_dangerous || empties) && access.on_host() < Role::Admin => errors::no_permission(&shown()),
        None if access.on_everything() >= role => return Ok(()),
        None => errors::no_permission(&shown()),
    };
    engine.metrics().guard.denials.increment();
    tracing::debug!(user = %access.name(), command = shown(), "not allowed");
    Err(refusal)
}
