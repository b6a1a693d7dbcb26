//! Consecutive commands of one client that need not wait for each other's answers: they go to the store in one go and in order, and
//! each is answered for itself.
//!
//! Only in domains without older key versions, and only what needs no answer of the store before it is sent: anything in a raw domain, and
//! plain writes of entries in envelopes ([`mod@write`]). Each is planned and admitted as ever, what its policy has follow it goes along in one
//! block, and what one is refused for is its own answer.
//!
//! Invariants: from before the store is asked until it has answered all of them, every key that one of them may change is noted in L1. A
//! read of such a key leaves no copy; a write does, if no later one of them changes the key. They have one budget, so whoever calls keeps them
//! few while they are slow.

mod write;

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;
use futures_util::future::join;

use self::write::Marked;
use super::core::Engine;
use super::entry::Stamps;
use super::judge::{Place, Wanted};
use super::l1::{Ticket, Writing};
use super::sight::Sight;
use super::step::{Read, Step};
use super::transaction::prepare::Prepared;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::lease::Ending;
use crate::ports::policy::{Description, Encoding, Operation};
use crate::ports::store::{Command, Held, Reply, Ttl};
use crate::ports::table::Live;

/// One of them, ready to be sent.
enum Link<'a> {
    /// A string is read; with what was known before that, and whether its life is asked for, too.
    Read(Place<'a>, Ticket, bool),
    /// An entry is written.
    Write(Place<'a>, Box<Marked>),
    /// Anything else, with so many commands before its own that end loads of its keys.
    Other(Prepared<'a>, usize),
}

/// What a command does with its key, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It reads.
    Reads,
    /// It stores a string, whatever is there.
    Stores,
    /// It may change it in any way.
    Changes,
}

/// What became of a block.
type Done = Result<Vec<Reply>>;

/// A key that is changed, with the last of those that may change it.
struct Change<'a> {
    writing: Writing<'a>,
    last: usize,
}

/// What all of them have in common while their answers are read.
struct Reading<'a> {
    changes: HashMap<&'a [u8], Change<'a>, RandomState>,
    done: std::vec::IntoIter<Done>,
    /// How long all of them took.
    lasted_ns: u64,
    now_ms: u64,
}

impl Reading<'_> {
    fn next(&mut self) -> Done {
        let missing = || Err(Error::new(ErrorKind::StoreData, "an answer is missing"));
        self.done.next().unwrap_or_else(missing)
    }
}

impl Engine {
    /// Whether a command on this key may be one of a sequence. A read that would load something goes by itself, and one that renews.
    #[must_use]
    pub fn may_follow(&self, key: &[u8], deed: Deed) -> bool {
        let table = self.policies.table();
        let follows = |live: &Live| {
            let Description { encoding, wants_raw_reads, .. } = &live.description;
            let goes = match (encoding, deed) {
                (Encoding::Raw, Deed::Reads) => !wants_raw_reads && live.origin.is_none(),
                (Encoding::Raw, Deed::Stores | Deed::Changes) | (Encoding::Enveloped, Deed::Stores) => true,
                (Encoding::Enveloped, Deed::Reads | Deed::Changes) => false,
            };
            goes && !self.migrates(live)
        };
        // What is wrong with the key is the command's own answer.
        self.keys.live_of(&table, key).is_some_and(|live| follows(live))
    }

    /// Carries out commands in order, in one go; one answer for each. Of those on one key none is done before one that came before it.
    pub async fn sequence(&self, steps: &[Step]) -> Vec<Result<Reply>> {
        self.budgeted(self.sequence_in_budget(steps)).await
    }

    async fn sequence_in_budget(&self, steps: &[Step]) -> Vec<Result<Reply>> {
        let (started_ns, now_ms) = (self.monotonic_ns(), self.now_ms());
        let mut links = Vec::with_capacity(steps.len());
        for step in steps {
            links.push(self.link(step, now_ms).await);
        }
        // After the tickets of the reads: one of a key that is changed is worth nothing.
        let changes = self.changes_of(&links);
        let mut blocks = Vec::with_capacity(links.len());
        links.iter_mut().flatten().for_each(|link| link.give_blocks(&mut blocks));
        let done = match self.ask_for_all(links.iter().flatten().filter_map(Link::marked)) {
            None => self.send_sequence(blocks).await,
            Some(asked) => join(self.send_sequence(blocks), asked).await.0,
        };
        let done = done.into_iter();
        let lasted_ns = self.monotonic_ns().saturating_sub(started_ns);
        let mut reading = Reading { changes, done, lasted_ns, now_ms };
        let mut answers = Vec::with_capacity(steps.len());
        for (at, (step, link)) in steps.iter().zip(links).enumerate() {
            answers.push(match link {
                Ok(Link::Read(place, ticket, with_ttl)) => {
                    self.finish_value(&place, ticket, with_ttl, &mut reading).await
                }
                Ok(Link::Write(place, marked)) => self.finish_write(at, place, *marked, &mut reading).await,
                Ok(Link::Other(prepared, before)) => self.finish_other(at, step, prepared, before, &mut reading).await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    async fn link<'a>(&self, step: &'a Step, now_ms: u64) -> Result<Link<'a>> {
        if let Step::Read { keys, read: Read::Value } = step
            && let [key] = &keys[..]
        {
            let place = self.locate(key, Operation::Read, Wanted::String)?;
            self.hot.seen(place.name, &place.domain.name, now_ms);
            let (ticket, with_ttl) = (self.l1.ticket(place.name), self.wants_ttl(&place));
            return Ok(Link::Read(place, ticket, with_ttl));
        }
        let mut prepared = match step {
            Step::Set { key, value, options, answer } => {
                let place = self.locate(key, Operation::Write, Wanted::String)?;
                match self.marked(&place, value, *options, *answer, now_ms).await? {
                    Some(marked) => return Ok(Link::Write(place, Box::new(marked))),
                    None => self.prepare_set_at(place, value, *options, *answer).await?,
                }
            }
            _ => self.prepare(step).await?,
        };
        let endings: Vec<_> =
            prepared.changed().filter_map(|place| self.fills.ending(place, Ending::Written)).collect();
        let before = endings.len();
        prepared.commands.splice(0..0, endings);
        Ok(Link::Other(prepared, before))
    }

    fn changes_of<'a>(&'a self, links: &[Result<Link<'a>>]) -> HashMap<&'a [u8], Change<'a>, RandomState> {
        let mut changes = HashMap::default();
        for (at, link) in links.iter().enumerate() {
            for place in link.iter().flat_map(Link::changed) {
                let new = || Change { writing: self.l1.writing(place.name), last: at };
                changes.entry(place.name).or_insert_with(new).last = at;
            }
        }
        changes
    }

    async fn send_sequence(&self, blocks: Vec<Vec<Command>>) -> Vec<Done> {
        let count = blocks.len();
        if count == 0 {
            return Vec::new();
        }
        match self.store.sequence(blocks).await {
            Ok(all) => all.into_iter().map(|done| done.map_err(|error| self.store_error(error))).collect(),
            Err(error) => vec![Err(self.store_error(error)); count],
        }
    }

    async fn finish_value(
        &self,
        place: &Place<'_>,
        ticket: Ticket,
        with_ttl: bool,
        reading: &mut Reading<'_>,
    ) -> Result<Reply> {
        let value = one(reading.next());
        let ttl = with_ttl.then(|| one(reading.next()));
        let now_ms = reading.now_ms;
        let answer = match held(value, ttl) {
            Ok(Some(held)) => match self.read_held(place, ticket, held, false, now_ms).await {
                Ok(sight) => self.serve(place, sight, now_ms).await,
                Err(error) => Err(error),
            },
            Ok(None) => self.serve(place, Sight::gone(), now_ms).await,
            Err(error) => self.without_store(place, now_ms, error).await,
        };
        let state = answer.as_ref().map_or_else(|error| Self::state_of(error.kind), |answer| answer.state);
        self.tally_lasted(place, Operation::Read, state, reading.lasted_ns);
        let answer = answer?;
        Ok(answer.value.map_or(Reply::Nil, Reply::Bulk))
    }

    async fn finish_other<'a>(
        &self,
        at: usize,
        step: &Step,
        mut prepared: Prepared<'a>,
        before: usize,
        reading: &mut Reading<'a>,
    ) -> Result<Reply> {
        let replies = reading.next().and_then(|replies| behind(replies, before));
        prepared.changed().for_each(|place| self.fills.overtake(place));
        let copy = prepared.copy.take();
        let (state, answer) = match replies {
            Ok(replies) => (prepared.state(&replies), self.finish_uncounted(&prepared, replies).await),
            Err(error) => (Self::state_of(error.kind), Err(error)),
        };
        let state = answer.as_ref().map_or_else(|error| Self::state_of(error.kind), |_| state);
        let mut copy = copy.filter(|_| answer.is_ok());
        for place in prepared.changed() {
            self.leave(at, place, copy.take().map(|copy| *copy), reading);
        }
        let operation = operation_of(step, &prepared);
        prepared.places.iter().for_each(|place| self.tally_lasted(place, operation, state, reading.lasted_ns));
        match (step, answer) {
            (Step::Set { .. }, Ok(answer)) => {
                prepared.places.iter().for_each(|place| self.supersede(place));
                Ok(answer)
            }
            (Step::Delete(_), Err(error)) => Err(self.owe_keys(&prepared.places, error)),
            (_, answer) => answer,
        }
    }

    /// The command was the last that may have changed the key: what it left there, if that is known, becomes the copy in L1.
    fn leave(&self, at: usize, place: &Place<'_>, left: Option<(Bytes, Stamps)>, reading: &mut Reading<'_>) {
        if reading.changes.get(place.name).is_some_and(|change| change.last == at)
            && let Some(Change { writing, .. }) = reading.changes.remove(place.name)
        {
            writing.done(left.and_then(|(value, stamps)| self.l1_entry(place, value, stamps, reading.now_ms)));
        }
    }
}

impl<'a> Link<'a> {
    /// The places that it may change.
    fn changed(&self) -> impl Iterator<Item = &Place<'a>> {
        let (one, several) = match self {
            Link::Read(..) => (None, None),
            Link::Write(place, _) => (Some(place), None),
            Link::Other(prepared, _) => (None, Some(prepared.changed())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    fn give_blocks(&mut self, blocks: &mut Vec<Vec<Command>>) {
        match self {
            Link::Read(place, _, with_ttl) => {
                let key = || place.store_key.0.clone();
                blocks.push(vec![Command::new("GET").arg(key())]);
                if *with_ttl {
                    blocks.push(vec![Command::new("PTTL").arg(key())]);
                }
            }
            Link::Write(_, marked) => marked.give_blocks(blocks),
            Link::Other(prepared, _) => blocks.push(std::mem::take(&mut prepared.commands)),
        }
    }
}

fn operation_of(step: &Step, prepared: &Prepared<'_>) -> Operation {
    match step {
        Step::Set { .. } => Operation::Write,
        Step::Delete(_) => Operation::Delete,
        Step::Expire { .. } | Step::Persist(_) => Operation::Touch,
        _ if prepared.changed().next().is_none() => Operation::Read,
        _ => Operation::Update,
    }
}

/// The replies behind those to so many commands before them.
fn behind(replies: Vec<Reply>, before: usize) -> Done {
    let mut replies = replies.into_iter();
    for reply in replies.by_ref().take(before) {
        if let Reply::Error(line) = reply {
            return Err(Error::new(ErrorKind::StoreReply, line));
        }
    }
    Ok(replies.collect())
}

/// The one reply of a block of one command; an error that the store answers is an error here.
fn one(done: Done) -> Result<Reply> {
    match done?.into_iter().next().unwrap_or(Reply::Nil) {
        Reply::Error(line) => Err(Error::new(ErrorKind::StoreReply, line)),
        reply => Ok(reply),
    }
}

/// What the store holds, from the replies to `GET` and `PTTL`: a key that expired between them has nothing left.
pub(super) fn held(value: Result<Reply>, ttl: Option<Result<Reply>>) -> Result<Option<Held>> {
    let bytes = match value? {
        Reply::Bulk(bytes) => bytes,
        Reply::Nil => return Ok(None),
        other => return Err(Error::new(ErrorKind::StoreData, format!("the store answered {other:?} to a read"))),
    };
    let ttl = match ttl.transpose()? {
        None => Ttl::Missing,
        Some(Reply::Integer(-1)) => Ttl::Never,
        Some(Reply::Integer(left_ms)) => Ttl::Ms(u64::try_from(left_ms).unwrap_or(0)),
        Some(other) => return Err(Error::new(ErrorKind::StoreData, format!("the store answered {other:?} to PTTL"))),
    };
    Ok(Some(Held { bytes, ttl }))
}
