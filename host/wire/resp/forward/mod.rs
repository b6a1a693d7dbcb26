//! Commands that are not in the table: forwarded to the Redis behind this host, if there is one.
//!
//! Invariants: they keep their place among the connection's other commands, by their keys where those are known at once; a command
//! that waits ends when its client leaves, for nobody would read its answer; subscriptions end with their connection.

mod known;
mod listener;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::oneshot;

pub(super) use self::listener::Listener;

use super::claims;
use super::clients::Unblock;
use super::commands::cannot_be_queued;
use super::connection::Connection;
use super::dispatch::Admission;
use super::errors;
use super::frame::Frame;
use super::pipeline::Work;
use super::reply::{self, Protocol};
use super::traced;
use super::transaction::Queued;
use crate::config::users::Role;
use crate::engine::Engine;
use crate::engine::forward::{ForwardRules, Way};
use crate::limits::RESP_READ_BYTES;
use crate::ports::store::Reply;
use crate::ports::upstream::Facts;
use crate::wire::access::Access;

/// What a subscriber in RESP2 may still say.
const WHILE_LISTENING: [&str; 3] = ["ping", "quit", "reset"];

impl Connection {
    /// Begins a command that is not in the table, unless Redis does not know it either.
    pub(super) fn begin_forward(&mut self, frame: Frame, unknown: Reply) -> Admission {
        let words = self.parser.words(&self.input, frame);
        let name = words.get(0).unwrap_or_default();
        let may_go = self.session.engine().forwards() || known::is_known(name);
        let refusal = match self.session.access() {
            _ if !may_go => unknown,
            None => errors::reply(errors::NO_AUTH),
            Some(_) if self.session.transaction.is_some() => match ForwardRules::way(&[name]) {
                Way::Listening => cannot_be_queued(&errors::shown(name, 128).to_ascii_lowercase()),
                _ => return self.queue_forward(frame, unknown),
            },
            Some(_) => return self.begin_allowed(frame, unknown),
        };
        if self.session.transaction.is_some() { self.begin_queued(frame, Err(refusal)) } else { self.refuse(refusal) }
    }

    fn begin_allowed(&mut self, frame: Frame, unknown: Reply) -> Admission {
        let words = self.parser.words(&self.input, frame);
        let words: Vec<&[u8]> = words.iter().collect();
        match ForwardRules::way(&words) {
            Way::Listening => self.begin_listening(frame),
            way => self.begin_asking(frame, way, unknown),
        }
    }

    fn begin_asking(&mut self, frame: Frame, way: Way, unknown: Reply) -> Admission {
        if self.pipeline.is_full() || self.pipeline.is_barred() {
            return Admission::Wait;
        }
        let words = self.parser.words(&self.input, frame);
        let all: Vec<&[u8]> = words.iter().collect();
        let claims = self.pipeline.claims();
        let footprint = match self.session.engine().forward_places(&all) {
            Some((writes, places)) if way == Way::Shared && !places.is_empty() => {
                let access = if writes { claims::Access::Write } else { claims::Access::Read };
                Some(claims.footprint(access, places.into_iter().filter_map(|place| words.get(place))))
            }
            _ => None,
        };
        let must_wait = footprint.as_ref().map_or(!self.pipeline.is_empty(), |footprint| claims.conflict(footprint));
        if must_wait {
            return Admission::Wait;
        }
        self.session.client().label(|label| label.command = known::label(all[0]));
        let words: Vec<Bytes> = all.into_iter().map(Bytes::copy_from_slice).collect();
        let muted = self.session.next_is_muted();
        let types = self.session.protocol().types();
        let engine = Arc::clone(self.session.engine());
        let Some(access) = self.session.access().cloned() else {
            return self.refuse(errors::reply(errors::NO_AUTH));
        };
        let name = errors::shown(&words[0], 128).to_ascii_lowercase();
        let work: Work = Box::pin(async move {
            let may = |facts: &Facts, keys: &[Bytes]| allowed(&access, &engine, facts, &name, keys);
            let forwarded = engine.forward(words, types, may).await;
            forwarded.map_or_else(|error| errors::of(&error), |answer| answer.unwrap_or(unknown))
        });
        self.blocked = way == Way::Own;
        let work = if way == Way::Own { until_unblocked(work, self.session.client().blocks()) } else { work };
        let work = traced::command(&self.session, "forwarded", work);
        if let Some(reply) = self.pipeline.begin(work, footprint, muted) {
            reply::write(self.outbox.buffer(), self.session.protocol(), &reply);
        }
        Admission::Done
    }

    /// Queues a command after it was looked at, as far as Redis and this host would: what is refused lets the transaction fail.
    fn queue_forward(&mut self, frame: Frame, unknown: Reply) -> Admission {
        if !self.pipeline.is_empty() {
            return Admission::Wait;
        }
        let words: Vec<Bytes> = self.parser.words(&self.input, frame).iter().map(Bytes::copy_from_slice).collect();
        let (Some(access), Some(transaction)) = (self.session.access().cloned(), &mut self.session.transaction) else {
            return self.refuse(errors::reply(errors::NO_AUTH));
        };
        let (looked_at, refused) = (Arc::new(OnceLock::new()), transaction.refusal());
        if let Err(reply) = transaction.queue(Queued::Forward(Arc::clone(&looked_at)), frame.len) {
            return self.begin_queued(frame, Err(reply));
        }
        self.session.client().label(|label| label.command = known::label(&words[0]));
        let muted = self.session.next_is_muted();
        let engine = Arc::clone(self.session.engine());
        let name = errors::shown(&words[0], 128).to_ascii_lowercase();
        let work: Work = Box::pin(async move {
            let may = |facts: &Facts, keys: &[Bytes]| allowed(&access, &engine, facts, &name, keys);
            let forwarded = match engine.to_be_forwarded(words, may).await {
                Ok(Some(forwarded)) => forwarded,
                Ok(None) => Err(unknown),
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
        if !self.pipeline.is_empty() {
            return Admission::Wait;
        }
        let words: Vec<Bytes> = self.parser.words(&self.input, frame).iter().map(Bytes::copy_from_slice).collect();
        let is = |name: &str| words[0].eq_ignore_ascii_case(name.as_bytes());
        let name = errors::shown(&words[0], 128).to_ascii_lowercase();
        if self.session.access().is_none_or(|access| access.on_everything() < Role::Read) {
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
        if !listens || WHILE_LISTENING.iter().any(is) || ForwardRules::way(&[name]) == Way::Listening {
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

/// Whether a caller may have a command forwarded: by its keys, and by everything where it has none; what the server calls dangerous
/// concerns the server then.
fn allowed(access: &Access, engine: &Engine, facts: &Facts, name: &str, keys: &[Bytes]) -> Result<(), Reply> {
    let role = if facts.reads_only { Role::Read } else { Role::Write };
    let refusal = match keys.iter().map(|key| access.on_key(engine, key)).min() {
        Some(least) if least >= role => return Ok(()),
        Some(_) => errors::reply(errors::NO_PERMISSION_KEY),
        None if facts.is_dangerous && access.on_host() < Role::Admin => errors::no_permission(name),
        None if access.on_everything() >= role => return Ok(()),
        None => errors::no_permission(name),
    };
    engine.metrics().guard.denials.increment();
    tracing::debug!(user = %access.name(), command = name, "not allowed");
    Err(refusal)
}
