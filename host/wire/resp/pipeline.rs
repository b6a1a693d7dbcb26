//! The commands of one connection that were begun and not yet answered: they run side by side and are answered in order.
//!
//! Invariants: answers leave in the order in which commands came; a command's claim on its keys is held until it ends, not
//! until it is answered; a command that panics costs its own answer and nothing else. The owner keeps the bound
//! ([`Pipeline::is_full`]). Dropping the pipeline drops the commands.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::claims::{Claims, Footprint};
use super::{errors, reply};
use crate::error::{Error, ErrorKind};
use crate::limits::RESP_INFLIGHT_MAX;
use crate::ports::store::Reply;

/// A command at work.
pub type Work = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Commands begun and not answered.
#[derive(Default)]
pub struct Pipeline {
    slots: VecDeque<Slot>,
    /// Number of the slot at the front.
    first: u64,
    running: FuturesUnordered<Running>,
    claims: Claims,
    /// About what the answers take that wait for one before them, in bytes.
    held_bytes: usize,
}

/// The place of one answer.
struct Slot {
    state: SlotState,
    /// Whether the client wants no answer (`CLIENT REPLY`).
    muted: bool,
    /// Of how many commands it holds the answers, in a list, if of several.
    of: Option<usize>,
}

enum SlotState {
    Running(Option<Footprint>),
    Done(Reply),
    /// The answers of several commands that are not yet told.
    Several(std::vec::IntoIter<Reply>),
}

struct Running {
    number: u64,
    work: Work,
}

impl Future for Running {
    type Output = (u64, Reply);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = std::task::ready!(poll_caught(&mut self.work, cx));
        Poll::Ready((self.number, reply))
    }
}

/// Polls a command; a panic is its answer. What it shares with others is behind locks that do not poison, and every engine call is
/// made to be dropped at any point.
fn poll_caught(work: &mut Work, cx: &mut Context<'_>) -> Poll<Reply> {
    catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))).unwrap_or_else(|_panic| {
        tracing::error!("a command panicked; its client gets an error");
        Poll::Ready(errors::of(&Error::new(
            ErrorKind::Internal,
            "the command failed inside the host; its log says where",
        )))
    })
}

impl Pipeline {
    /// Whether all commands are answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether no more commands may begin.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slots.len() >= RESP_INFLIGHT_MAX
    }

    /// About what the answers take that wait for one before them, in bytes.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Who uses which keys.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The number of the oldest command that is not answered, and that of the next one to begin.
    #[must_use]
    pub fn unanswered(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.slots.len() as u64
    }

    /// Begins a command. If it ends at once and no other is unanswered, its answer is returned; else it is answered in its turn.
    /// Without a footprint it may only begin while the pipeline is empty; the caller sees to it.
    #[must_use]
    pub fn begin(&mut self, mut work: Work, footprint: Option<Footprint>, muted: bool) -> Option<Reply> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(reply) = poll_caught(&mut work, &mut cx) {
            return self.answer(reply, muted);
        }
        self.go_on(work, footprint, muted, None);
        None
    }

    /// Begins work that answers so many commands in a row, with a list of their answers; one answer in place of the list is that of
    /// each. They are answered in their turn.
    pub fn begin_several(&mut self, work: Work, footprint: Option<Footprint>, of: usize) {
        self.go_on(work, footprint, false, Some(of));
    }

    fn go_on(&mut self, work: Work, footprint: Option<Footprint>, muted: bool, of: Option<usize>) {
        if let Some(footprint) = &footprint {
            self.claims.claim(footprint);
        }
        let number = self.first + self.slots.len() as u64;
        self.slots.push_back(Slot { state: SlotState::Running(footprint), muted, of });
        self.running.push(Running { number, work });
    }

    /// An answer that is there already: returned if it may be written now, else kept for its turn.
    #[must_use]
    pub fn answer(&mut self, reply: Reply, muted: bool) -> Option<Reply> {
        if self.slots.is_empty() {
            return (!muted).then_some(reply);
        }
        self.held_bytes += reply::weight(&reply);
        self.slots.push_back(Slot { state: SlotState::Done(reply), muted, of: None });
        None
    }

    /// Whether a command without a footprint is at work, behind which nothing may begin.
    #[must_use]
    pub fn is_barred(&self) -> bool {
        matches!(self.slots.front(), Some(Slot { state: SlotState::Running(None), .. }))
    }

    /// Lets the commands work. Whether any ended; [`Self::next_answer`] then may have some.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut ended = false;
        while let Poll::Ready(Some((number, reply))) = self.running.poll_next_unpin(cx) {
            ended = true;
            let index = usize::try_from(number - self.first).unwrap_or(usize::MAX);
            let Some(slot) = self.slots.get_mut(index) else { continue };
            let state = match (slot.of, reply) {
                (Some(of), Reply::Array(all)) if all.len() == of => SlotState::Several(all.into_iter()),
                (Some(of), one) => SlotState::Several(vec![one; of].into_iter()),
                (None, reply) => SlotState::Done(reply),
            };
            self.held_bytes += match &state {
                SlotState::Several(all) => all.as_slice().iter().map(reply::weight).sum(),
                SlotState::Done(reply) => reply::weight(reply),
                SlotState::Running(_) => 0,
            };
            if let SlotState::Running(Some(footprint)) = std::mem::replace(&mut slot.state, state) {
                self.claims.release(&footprint);
            }
        }
        ended
    }

    /// The next answer, if the oldest unanswered command has ended.
    pub fn next_answer(&mut self) -> Option<Reply> {
        loop {
            match &mut self.slots.front_mut()?.state {
                SlotState::Running(_) => return None,
                SlotState::Several(all) => {
                    if let Some(reply) = all.next() {
                        self.held_bytes -= reply::weight(&reply);
                        return Some(reply);
                    }
                }
                SlotState::Done(_) => {}
            }
            let Slot { state, muted, .. } = self.slots.pop_front()?;
            self.first += 1;
            let SlotState::Done(reply) = state else { continue };
            self.held_bytes -= reply::weight(&reply);
            if !muted {
                return Some(reply);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use tokio::sync::oneshot;

    use super::super::claims::Access;
    use super::{Pipeline, Work};
    use crate::ports::store::Reply;

    fn waiting() -> (oneshot::Sender<i64>, Work) {
        let (send, receive) = oneshot::channel();
        (send, Box::pin(async move { Reply::Integer(receive.await.unwrap()) }))
    }

    fn begin(pipeline: &mut Pipeline, work: Work, key: &str, muted: bool) -> Option<Reply> {
        let footprint = pipeline.claims().footprint(Access::Write, std::iter::once(key.as_bytes()));
        assert!(!pipeline.claims().conflict(&footprint), "{key}");
        pipeline.begin(work, Some(footprint), muted)
    }

    fn answers(pipeline: &mut Pipeline) -> Vec<Reply> {
        pipeline.poll(&mut Context::from_waker(Waker::noop()));
        std::iter::from_fn(|| pipeline.next_answer()).collect()
    }

    #[test]
    fn answers_leave_in_order() {
        let mut pipeline = Pipeline::default();
        assert_eq!(pipeline.begin(Box::pin(async { Reply::Integer(0) }), None, false), Some(Reply::Integer(0)));
        let (a, work_a) = waiting();
        let (b, work_b) = waiting();
        let (c, work_c) = waiting();
        assert_eq!(begin(&mut pipeline, work_a, "a", false), None);
        assert_eq!(begin(&mut pipeline, work_b, "b", false), None);
        assert_eq!(pipeline.answer(Reply::Integer(3), false), None);
        assert_eq!(begin(&mut pipeline, work_c, "c", true), None);
        assert_eq!(pipeline.answer(Reply::Integer(5), true), None);
        b.send(2).unwrap();
        c.send(4).unwrap();
        assert_eq!(answers(&mut pipeline), []);
        assert!(pipeline.claims().conflict_read(b"a"));
        assert!(!pipeline.claims().conflict_read(b"b"), "it ended, though it is not answered");
        assert!(pipeline.held_bytes() > 0);
        a.send(1).unwrap();
        assert_eq!(answers(&mut pipeline), [1, 2, 3].map(Reply::Integer), "muted answers are left out");
        assert!(pipeline.is_empty());
        assert_eq!(pipeline.held_bytes(), 0);
    }

    #[test]
    fn several_answers_keep_the_place_of_their_commands() {
        let mut pipeline = Pipeline::default();
        let (a, work_a) = waiting();
        let (b, work_b) = waiting();
        let several = Box::pin(async move {
            work_a.await;
            Reply::Array(vec![Reply::Integer(1), Reply::Integer(2)])
        });
        pipeline.begin_several(several, None, 2);
        pipeline.begin_several(work_b, None, 2);
        assert_eq!(pipeline.answer(Reply::Integer(9), false), None);
        b.send(7).unwrap();
        assert_eq!(answers(&mut pipeline), []);
        a.send(0).unwrap();
        assert_eq!(answers(&mut pipeline), [1, 2, 7, 7, 9].map(Reply::Integer));
        assert!(pipeline.is_empty() && pipeline.held_bytes() == 0);
    }

    #[test]
    fn a_panic_costs_one_answer() {
        let mut pipeline = Pipeline::default();
        let (a, work_a) = waiting();
        assert_eq!(begin(&mut pipeline, work_a, "a", false), None);
        assert_eq!(begin(&mut pipeline, Box::pin(async { panic!("on purpose") }), "b", false), None);
        drop(a);
        let answers = answers(&mut pipeline);
        assert!(matches!(answers.as_slice(), [Reply::Error(_), Reply::Error(_)]), "{answers:?}");
        assert!(pipeline.is_empty());
        assert!(!pipeline.claims().conflict_read(b"a"));
    }
}
