//! Commands of one connection on data of raw domains that came one after the other: they begin together, and go to the store in one go
//! and in order, those on one key included. None waits for the answer of the one before it.
//!
//! Invariants: what is gathered begins before anything that came later, and before the connection waits for more. How many go together is
//! bounded, and depends on how quick those before were: they have one deadline. One that comes alone goes as if there were no others.
//! Deliberately absent: stores in this process, whose answers nobody waits for.

use std::sync::Arc;

use bytes::BytesMut;

use super::args::Laid;
use super::claims::{Access, Claims, Footprint};
use super::commands::{self, Spec};
use super::connection::Connection;
use super::dispatch::Admission;
use super::forward::Window;
use super::frame::Frame;
use super::pipeline::Work;
use super::session::Replies;
use super::tracked::Reads;
use super::{errors, traced};
use crate::error::Result;
use crate::limits::RESP_READ_BYTES;
use crate::ports::store::Reply;

/// Commands that are yet to begin.
#[derive(Default)]
pub(super) struct Sequence {
    commands: Vec<(&'static Spec, Laid, Footprint)>,
    /// Their words.
    words: BytesMut,
    /// Of a client that keeps copies of its own: what they read.
    reads: Option<Reads>,
    /// What they do with their keys.
    claims: Claims,
    window: Arc<Window>,
}

impl Sequence {
    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Whether one of them may change a key.
    pub(super) fn changes(&self, key: &[u8]) -> bool {
        self.claims.conflict_read(key)
    }
}

/// What a command has come to before the store is asked.
enum Part {
    /// It is answered.
    Answer(Reply),
    /// It is a step; with how many words it has, for its answer.
    Step(&'static Spec, usize),
}

impl Connection {
    /// Lets a command go with those before it. `None`: it goes its own way.
    pub(super) fn follow(&mut self, frame: Frame, spec: &'static Spec) -> Option<Admission> {
        let engine = self.session.engine();
        let words = self.parser.words(&self.input, frame);
        let deed = commands::deed(spec, words);
        let may = commands::follows(spec, words.len())
            && frame.len < RESP_READ_BYTES
            && self.session.replies == Replies::On
            && engine.forwards()
            && spec.keys.check(words).is_ok()
            && spec.keys.of(words).all(|key| engine.may_follow(key, deed));
        if !may {
            return None;
        }
        let footprint = self.pipeline.claims().footprint(spec.access, spec.keys.of(words));
        self.begin_forwarded();
        if self.sequence.commands.len() >= self.sequence.window.size() {
            self.begin_sequence();
        }
        let is_barred = self.pipeline.is_barred() || (self.pipeline.is_full() && self.sequence.is_empty());
        if is_barred || self.pipeline.claims().conflict(&footprint) {
            return Some(Admission::Wait);
        }
        let words = self.parser.words(&self.input, frame);
        self.sequence.claims.claim(&footprint);
        if let Some(reads) = self.session.reads(spec.access == Access::Read, || spec.keys.of(words)) {
            self.sequence.reads.get_or_insert_default().join(reads);
        }
        let laid = words.lay(&mut self.sequence.words);
        self.sequence.commands.push((spec, laid, footprint));
        Some(Admission::Done)
    }

    /// Begins what was gathered.
    pub(super) fn begin_sequence(&mut self) {
        if self.sequence.is_empty() {
            return;
        }
        self.sequence.claims.clear();
        self.blocked = false;
        let mut commands = std::mem::take(&mut self.sequence.commands);
        let words = self.sequence.words.split().freeze();
        let reads = self.sequence.reads.take();
        if let Some((last, ..)) = commands.last() {
            self.session.client().label(|label| label.command = last.name);
        }
        if commands.len() == 1
            && let Some((spec, laid, footprint)) = commands.pop()
        {
            return self.begin_with(spec, laid.args(&words), reads, Some(footprint), false);
        }
        let engine = Arc::clone(self.session.engine());
        let (count, now_ms) = (commands.len(), engine.now_ms());
        let mut parts = Vec::with_capacity(count);
        let (mut steps, mut footprints) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (spec, laid, footprint) in commands {
            let args = laid.args(&words);
            footprints.push(footprint);
            parts.push(match commands::step(spec, &args, now_ms) {
                Ok(step) => {
                    steps.push(step);
                    Part::Step(spec, args.len())
                }
                Err(reply) => Part::Answer(reply),
            });
        }
        let window = Arc::clone(&self.sequence.window);
        let work: Work = Box::pin(async move {
            let began_ns = engine.monotonic_ns();
            let answers = engine.sequence(&steps).await;
            window.learn(count, engine.monotonic_ns().saturating_sub(began_ns), engine.budget_ns());
            together(parts, answers)
        });
        let work = traced::command(&self.session, "sequence", self.session.tracked(reads, work));
        self.pipeline.begin_several(work, Footprint::together(footprints), count);
    }
}

fn together(parts: Vec<Part>, answers: Vec<Result<Reply>>) -> Reply {
    let mut answers = answers.into_iter();
    let mut answer = |part| match part {
        Part::Answer(reply) => reply,
        Part::Step(spec, words) => match answers.next() {
            Some(Ok(reply)) => commands::as_redis(spec, words, reply),
            Some(Err(error)) => errors::of(&error),
            None => Reply::Nil,
        },
    };
    Reply::Array(parts.into_iter().map(&mut answer).collect())
}
