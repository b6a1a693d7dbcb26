//! A client that keeps copies of its own (`CLIENT TRACKING`): what it wishes, which of its commands read what, and what it is told.
//!
//! Invariant: what a client is told stands behind the answers of all commands that had begun when it was found; so it never learns that a copy is not good before
//! it has that copy. Who is told in the place of another one has no such order, as in Redis. Deliberately absent: who has read what
//! (`engine/tracking`).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::clients::Tracks;
use super::commands::Spec;
use super::connection::Connection;
use super::pipeline::Work;
use super::reply::{self, Protocol};
use super::session::Session;
use crate::config::users::Role;
use crate::engine::tracking::{Told, Tracked, TrackingWish, as_writer};
use crate::error::Result;
use crate::limits::RESP_HEARD_BYTES_MAX;
use crate::ports::store::Reply;

/// The channel by which clients in RESP2 are told.
pub(super) const CHANNEL: &[u8] = b"__redis__:invalidate";

/// For which reads a client wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// All.
    #[default]
    All,
    /// Those before which it says so.
    OptIn,
    /// All but those before which it says so.
    OptOut,
}

/// How a client keeps copies of its own.
pub(super) struct Tracking {
    pub(super) choice: Choice,
    pub(super) no_loop: bool,
    pub(super) redirect: Option<u64>,
    /// `None`: it hears of the keys that it reads.
    pub(super) prefixes: Option<Vec<Bytes>>,
    /// Whether it has said so for the next command or transaction (`CLIENT CACHING`).
    pub(super) said: bool,
    pub(super) tracked: Tracked,
}

impl Tracking {
    /// Whether what is read now is to be remembered.
    const fn wants(&self) -> bool {
        match self.choice {
            Choice::All => true,
            Choice::OptIn => self.said,
            Choice::OptOut => !self.said,
        }
    }
}

/// What a command of a client that tracks reads.
#[derive(Debug, Default)]
pub(super) struct Reads {
    names: Vec<Bytes>,
    /// The words of a command of which only the server can tell now what it reads.
    late: Option<Vec<Bytes>>,
}

impl Reads {
    /// These and those of another command.
    pub(super) fn join(&mut self, other: Self) {
        self.names.extend(other.names);
        self.late = other.late.or_else(|| self.late.take());
    }
}

impl Session {
    /// Begins to track, or does so in another way.
    ///
    /// # Errors
    /// It is not possible now.
    pub(super) fn track(&mut self, wish: TrackingWish, choice: Choice) -> Result<()> {
        let redirect = wish.redirect.as_ref().map(|(id, _)| *id);
        let (prefixes, no_loop) = (wish.prefixes.clone(), wish.no_loop);
        match &mut self.tracking {
            Some(tracking) => {
                tracking.tracked.renew(wish)?;
                (tracking.choice, tracking.no_loop, tracking.redirect) = (choice, no_loop, redirect);
                tracking.prefixes = prefixes;
            }
            None => {
                let tracked = self.engine().track(wish)?;
                self.tracking = Some(Box::new(Tracking { choice, no_loop, redirect, prefixes, said: false, tracked }));
            }
        }
        let by_prefix = self.tracking.as_ref().is_some_and(|tracking| tracking.prefixes.is_some());
        self.client().told.mend();
        let tracks = Tracks { redirect: redirect.unwrap_or(0), by_prefix };
        self.client().label(|label| label.tracking = Some(tracks));
        Ok(())
    }

    /// Tracks no more.
    pub(super) fn untrack(&mut self) {
        if self.tracking.take().is_some() {
            self.client().told.mend();
            self.client().label(|label| label.tracking = None);
        }
    }

    /// What a command reads, if the client tracks. What it has said before it counts for this one.
    pub(super) fn reads<'a, K: Iterator<Item = &'a [u8]>>(
        &mut self,
        reads: bool,
        keys: impl FnOnce() -> K,
    ) -> Option<Reads> {
        let in_transaction = self.transaction.is_some();
        let tracking = self.tracking.as_mut()?;
        let names = if reads && tracking.wants() { keys().map(Bytes::copy_from_slice).collect() } else { Vec::new() };
        tracking.said &= in_transaction;
        Some(Reads { names, late: None })
    }

    /// The same of a command that is forwarded.
    pub(super) fn reads_of_forwarded(&mut self, words: &[Bytes]) -> Option<Reads> {
        self.tracking.as_ref()?;
        let slices: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let known = self.engine().forward_places(&slices);
        let late = known.is_none().then(|| words.to_vec());
        let (writes, places) = known.unwrap_or((true, Vec::new()));
        let reads = self.reads(!writes, || places.into_iter().filter_map(|place| slices.get(place).copied()))?;
        Some(Reads { late, ..reads })
    }

    /// The same of a command on the connection and the engine: of a transaction, that is.
    pub(super) fn reads_of_turn(&mut self, spec: &Spec) -> Option<Reads> {
        self.tracking.as_ref()?;
        if spec.name != "exec" {
            self.caching_is_over(spec);
            return None;
        }
        let names = self.transaction.as_ref().map(|transaction| transaction.reads()).unwrap_or_default();
        let reads = self.reads(true, || names.iter().map(AsRef::as_ref));
        if let Some(tracking) = &mut self.tracking {
            tracking.said = false;
        }
        reads
    }

    /// What was said by `CLIENT CACHING` counts for one command, unless that is `CLIENT` itself or begins a transaction.
    pub(super) fn caching_is_over(&mut self, spec: &Spec) {
        let goes_on = self.transaction.is_some() || spec.name == "multi" || spec.name.starts_with("client");
        if let Some(tracking) = &mut self.tracking
            && !goes_on
        {
            tracking.said = false;
        }
    }

    /// Work of a client that tracks: what it reads is remembered before it begins.
    pub(super) fn tracked(&self, reads: Option<Reads>, work: Work) -> Work {
        let Some(Reads { names, late }) = reads else { return work };
        let (engine, client, elsewhere) = (Arc::clone(self.engine()), self.client().id, self.database().is_some());
        Box::pin(as_writer(client, async move {
            let following = (!names.is_empty()).then(|| engine.follow(client, elsewhere, names));
            let reply = work.await;
            if let Some(following) = following {
                engine.followed(following).await;
            }
            if let Some(words) = late {
                let slices: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
                if let Some((false, places)) = engine.forward_places(&slices) {
                    let names: Vec<Bytes> = places.into_iter().filter_map(|place| words.get(place).cloned()).collect();
                    engine.has_read(client, &names);
                }
            }
            reply
        }))
    }
}

/// What waits for the answers before it.
#[derive(Debug, Default)]
pub(super) struct Telling(VecDeque<(u64, Told)>);

impl Connection {
    /// Writes what the client is told and whose turn it is.
    pub(super) fn poll_told(&mut self) {
        let inbox = &self.session.client().told;
        if self.told.is_none() && !inbox.is_filled() {
            return;
        }
        let unanswered = self.pipeline.unanswered();
        // While the client reads slowly what it is to be told waits where it is bounded.
        if self.outbox.len() <= RESP_HEARD_BYTES_MAX {
            let found = inbox.take();
            let waiting = &mut self.told.get_or_insert_default().0;
            waiting.extend(found.into_iter().map(|told| (unanswered.end, told)));
        }
        while let Some((behind, _)) = self.told.as_ref().and_then(|told| told.0.front()) {
            // A command that waits for others has read nothing yet, and may wait for long.
            if *behind > unanswered.start && !self.blocked {
                return;
            }
            let Some((_, told)) = self.told.as_mut().and_then(|told| told.0.pop_front()) else { return };
            if let Some(told) = self.as_told(told) {
                reply::write(self.outbox.buffer(), self.session.protocol(), &told);
            }
        }
        self.told = None;
    }

    /// The message; `None`: it is not for this client, or it could not tell it from an answer.
    fn as_told(&self, told: Told) -> Option<Reply> {
        let is_rich = self.session.protocol() == Protocol::Resp3;
        let (told, redirected) = match told {
            Told::Broken(id) if is_rich => {
                let id = i64::try_from(id).unwrap_or(i64::MAX);
                let what = Bytes::from_static(b"tracking-redir-broken");
                return Some(Reply::Push(vec![Reply::Bulk(what), Reply::Integer(id)]));
            }
            Told::Broken(_) => return None,
            Told::All { redirected } => (Reply::Nil, redirected),
            Told::Key { name, redirected } => {
                let access = self.session.access();
                let may_know = access.is_some_and(|access| access.on_key(self.session.engine(), &name) >= Role::Read);
                match (may_know, redirected) {
                    (true, _) => (Reply::Array(vec![Reply::Bulk(name)]), redirected),
                    // The other one has a copy; which, this one may not know.
                    (false, true) => (Reply::Nil, true),
                    (false, false) => return None,
                }
            }
        };
        if is_rich {
            return Some(Reply::Push(vec![Reply::Bulk("invalidate".into()), told]));
        }
        (redirected && self.pings_while_listening()).then(|| {
            let channel = Reply::Bulk(Bytes::from_static(CHANNEL));
            Reply::Push(vec![Reply::Bulk("message".into()), channel, told])
        })
    }
}
