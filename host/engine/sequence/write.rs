//! Plain writes of entries in envelopes that go along with other commands. All of them ask once for each domain whether what they are marked
//! with still holds; one that another node has invalidated meanwhile is marked anew, unless its key was written again.

use bytes::Bytes;

use super::{Link, Reading, one};
use crate::engine::api::{AskedTtl, Condition, SetAnswer, SetOptions};
use crate::engine::core::Engine;
use crate::engine::entry::{Stamps, Terms};
use crate::engine::found::expire_for;
use crate::engine::judge::{Place, Verdict};
use crate::engine::under::Under;
use crate::engine::write::{raw_set, stamps_now};
use crate::error::Result;
use crate::ports::lease::Ending;
use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::store::{Command, Reply};

/// What a client is told of a write.
type Told = fn(SetOptions, SetAnswer) -> Reply;

/// A write, ready to be sent.
pub(super) struct Marked {
    /// Ends a load of the key, if there may be one.
    ending: Option<Command>,
    ends_load: bool,
    set: Option<Command>,
    /// As it lies in the store.
    bytes: Bytes,
    value: Bytes,
    stamps: Stamps,
    under: Under,
    options: SetOptions,
    told: Told,
}

impl Marked {
    pub(super) fn give_blocks(&mut self, blocks: &mut Vec<Vec<Command>>) {
        blocks.extend(self.ending.take().map(|ending| vec![ending]));
        blocks.extend(self.set.take().map(|set| vec![set]));
    }
}

impl<'a> Link<'a> {
    /// What a write is marked with.
    pub(super) fn marked(&self) -> Option<(&Place<'a>, &Terms, &Under)> {
        match self {
            Link::Write(place, marked) => Some((place, &marked.stamps.terms, &marked.under)),
            Link::Read(..) | Link::Other(..) => None,
        }
    }
}

impl Engine {
    /// Makes a plain write of an entry in an envelope ready. `None`: it is another one.
    ///
    /// # Errors
    /// A bad value, a refusal or failure of the policy, a failure of the store.
    pub(super) async fn marked(
        &self,
        place: &Place<'_>,
        value: &Bytes,
        options: SetOptions,
        told: Told,
        now_ms: u64,
    ) -> Result<Option<Marked>> {
        let is_plain = options.condition == Condition::Always && !options.want_previous;
        let asked_ttl_ms = options.ttl.asked_ms(now_ms);
        if !place.enveloped() || !is_plain || options.ttl == AskedTtl::Keep || asked_ttl_ms == Some(0) {
            return Ok(None);
        }
        self.check_value(value)?;
        Self::check_asked(asked_ttl_ms)?;
        let Verdict::Store(terms) = self.admit_write(place, value, asked_ttl_ms)? else { return Ok(None) };
        let under = self.under(place, &terms).await?;
        let stamps = stamps_now(terms, now_ms, &under);
        let (bytes, value) = self.packed(place, &stamps, value.clone()).await?;
        let set = raw_set(place, bytes.clone(), SetOptions::default(), expire_for(&stamps, now_ms));
        let ending = self.fills.ending(place, Ending::Written);
        let ends_load = ending.is_some();
        Ok(Some(Marked { ending, ends_load, set: Some(set), bytes, value, stamps, under, options, told }))
    }

    /// Reads the store's answers to a write.
    pub(super) async fn finish_write(
        &self,
        at: usize,
        place: Place<'_>,
        marked: Marked,
        reading: &mut Reading<'_>,
    ) -> Result<Reply> {
        let Marked { ends_load, bytes, value, stamps, under, options, told, .. } = marked;
        let ended = ends_load.then(|| one(reading.next()));
        let stored = one(reading.next());
        self.fills.overtake(&place);
        let stored = match ended {
            Some(Err(error)) => Err(error),
            _ => stored,
        };
        let newer = self.newer(&place, &stamps.terms, &under);
        let stamps = match stored {
            Ok(_) => self.mark_anew(&place, &bytes, stamps, newer).await,
            Err(error) => Err(error),
        };
        let answer = stamps.map(|stamps| {
            self.leave(at, &place, stamps.map(|stamps| (value, stamps)), reading);
            self.supersede(&place);
            SetAnswer { state: State::Done, previous: None }
        });
        let state = answer.as_ref().map_or_else(|error| Self::state_of(error.kind), |answer| answer.state);
        self.tally_lasted(&place, Operation::Write, state, reading.lasted_ns);
        answer.map(|answer| told(options, answer))
    }
}
