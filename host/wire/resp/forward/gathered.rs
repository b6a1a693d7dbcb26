//! Forwarded commands that came one after the other: they begin together, and go to the store in one go.
//!
//! Invariants: what is gathered begins before anything that came later, and before the connection waits for more. How many go
//! together is bounded, and depends on how quick those before were: they have one deadline, so slow ones go one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::{allowed, known, unknown};
use crate::limits::{FORWARD_TOGETHER_MAX, FORWARD_TOGETHER_MIN};
use crate::ports::store::Reply;
use crate::ports::upstream::Facts;
use crate::wire::resp::claims::Footprint;
use crate::wire::resp::connection::Connection;
use crate::wire::resp::dispatch::Admission;
use crate::wire::resp::frame::Frame;
use crate::wire::resp::pipeline::Work;
use crate::wire::resp::tracked::Reads;
use crate::wire::resp::{errors, reply, traced};

/// Below this part of the budget commands that went together were quick, and more may go; above it they were slow.
const QUICK_PART: u64 = 16;
const SLOW_PART: u64 = 4;

/// Commands that are yet to begin.
#[derive(Default)]
pub(in crate::wire::resp) struct Gathered {
    commands: Vec<Vec<Bytes>>,
    footprints: Vec<Footprint>,
    /// Of a client that keeps copies of its own: what they read.
    reads: Option<Reads>,
    window: Arc<Window>,
}

impl Gathered {
    /// Whether there are none.
    pub(in crate::wire::resp) const fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// How many may go together.
#[derive(Debug)]
pub(in crate::wire::resp) struct Window(AtomicUsize);

impl Default for Window {
    fn default() -> Self {
        Self(AtomicUsize::new(FORWARD_TOGETHER_MIN))
    }
}

impl Window {
    pub(in crate::wire::resp) fn size(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from so many that took so long, of what an operation may take at most.
    pub(in crate::wire::resp) fn learn(&self, count: usize, took_ns: u64, budget_ns: u64) {
        let size = self.size();
        let size = if took_ns > budget_ns / SLOW_PART {
            (count / 2).max(1)
        } else if took_ns < budget_ns / QUICK_PART && count >= size {
            (size * 2).min(FORWARD_TOGETHER_MAX)
        } else {
            size
        };
        self.0.store(size, Ordering::Relaxed);
    }
}

impl Connection {
    /// Lets a command go with those before it.
    pub(super) fn gather(&mut self, frame: Frame, footprint: Footprint) -> Admission {
        if self.gathered.commands.len() >= self.gathered.window.size() {
            self.begin_forwarded();
            // What has begun may be in its way now.
            if self.pipeline.is_full() || self.pipeline.claims().conflict(&footprint) {
                return Admission::Wait;
            }
        }
        let words = self.parser.words(&self.input, frame);
        if self.gathered.is_empty() {
            self.session.client().label(|label| label.command = known::label(words.get(0).unwrap_or_default()));
        }
        let words = words.to_args().all_shared();
        if let Some(reads) = self.session.reads_of_forwarded(&words) {
            self.gathered.reads.get_or_insert_default().join(reads);
        }
        self.gathered.commands.push(words);
        self.gathered.footprints.push(footprint);
        Admission::Done
    }

    /// Begins what was gathered, of either kind: there never is something of both.
    pub(in crate::wire::resp) fn begin_gathered(&mut self) {
        self.begin_sequence();
        self.begin_forwarded();
    }

    /// Begins the forwarded commands that were gathered.
    pub(in crate::wire::resp) fn begin_forwarded(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let commands = std::mem::take(&mut self.gathered.commands);
        let footprint = Footprint::together(std::mem::take(&mut self.gathered.footprints));
        let reads = self.gathered.reads.take();
        self.blocked = false;
        let Some(access) = self.session.access().cloned() else {
            for _ in commands {
                self.answer(errors::reply(errors::NO_AUTH), false);
            }
            return;
        };
        let (engine, database) = (Arc::clone(self.session.engine()), self.session.database().map(Arc::clone));
        let (window, types, count) =
            (Arc::clone(&self.gathered.window), self.session.protocol().types(), commands.len());
        let work: Work = Box::pin(async move {
            let began_ns = engine.monotonic_ns();
            let at = database.as_deref();
            let may = |facts: &Facts, name: &[u8], keys: &[Bytes]| allowed(&access, &engine, at, facts, name, keys);
            let answers = engine.forward_all(at, commands, types, may).await;
            window.learn(count, engine.monotonic_ns().saturating_sub(began_ns), engine.budget_ns());
            let answer = |answer| match answer {
                Ok(Some(reply)) => reply,
                Ok(None) => unknown(&[]),
                Err(error) => errors::of(&error),
            };
            let mut answers: Vec<Reply> = answers.into_iter().map(answer).collect();
            if count == 1 { answers.pop().unwrap_or(Reply::Nil) } else { Reply::Array(answers) }
        });
        let work = traced::command(&self.session, "forwarded", self.session.tracked(reads, work));
        if count > 1 {
            self.pipeline.begin_several(work, footprint, count);
        } else if let Some(reply) = self.pipeline.begin(work, footprint, false) {
            reply::write(self.outbox.buffer(), self.session.protocol(), &reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FORWARD_TOGETHER_MAX, FORWARD_TOGETHER_MIN, Window};

    #[test]
    fn more_go_while_they_are_quick_and_fewer_when_they_are_slow() {
        let (window, budget_ns) = (Window::default(), 100_000_000);
        window.learn(3, 1_000, budget_ns);
        assert_eq!(window.size(), FORWARD_TOGETHER_MIN, "so few say nothing of more");
        for _ in 0..20 {
            window.learn(window.size(), 1_000_000, budget_ns);
        }
        assert_eq!(window.size(), FORWARD_TOGETHER_MAX);
        window.learn(window.size(), 10_000_000, budget_ns);
        assert_eq!(window.size(), FORWARD_TOGETHER_MAX, "not slow, and not quick");
        window.learn(40, 30_000_000, budget_ns);
        assert_eq!(window.size(), 20);
        for _ in 0..9 {
            window.learn(window.size(), 30_000_000, budget_ns);
        }
        assert_eq!(window.size(), 1);
    }
}
