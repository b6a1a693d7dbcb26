//! Decisions of a policy that one thread remembers. The contract's rules are pure, so what was asked before has the same answer while
//! the policy lives, and a key that is used again and again costs no call.
//!
//! Invariants: bounded; an answer is remembered only if its call had nothing but the request to go by and left nothing behind (no time, no
//! metric, no line in the log), its instance never drew a random number, and it brings no runtime along that may make some; a candidate that an origin sent, or whose bytes the policy is shown, is always asked about.
//! Deliberately absent: refusals and failures of a plan.

use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;
use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, UnitWeighter};

use crate::limits::{DECISION_KEY_BYTES_MAX, DECISIONS_REMEMBERED_MAX};
use crate::ports::policy::{Admission, Candidate, Cause, Operation, Plan, Request, Shape};

/// What is told of a candidate besides its bytes and its origin.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Offered {
    cause: Cause,
    size_bytes: u32,
    asked_ttl_ms: Option<u64>,
}

/// What a policy is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question<'a> {
    key: &'a str,
    operation: Operation,
    shape: Shape,
    offered: Option<Offered>,
}

impl<'a> Question<'a> {
    /// Where a key is kept; `None`: it is not remembered.
    pub(super) fn plan(request: &Request<'a>) -> Option<Self> {
        let Request { key, operation, shape } = *request;
        (key.len() <= DECISION_KEY_BYTES_MAX).then_some(Self { key, operation, shape, offered: None })
    }

    /// Whether a value is stored; `None`: that is not remembered.
    pub(super) fn admit(request: &Request<'a>, candidate: &Candidate<'_>, shows_bytes: bool) -> Option<Self> {
        let Candidate { cause, size_bytes, asked_ttl_ms, origin_status, origin_headers, load_ms, bytes: _ } =
            *candidate;
        if shows_bytes || origin_status.is_some() || !origin_headers.is_empty() || load_ms != 0 {
            return None;
        }
        Some(Self { offered: Some(Offered { cause, size_bytes, asked_ttl_ms }), ..Self::plan(request)? })
    }
}

/// A question that was asked.
struct Asked {
    key: Box<str>,
    operation: Operation,
    shape: Shape,
    offered: Option<Offered>,
}

impl Asked {
    fn question(&self) -> Question<'_> {
        let Self { key, operation, shape, offered } = self;
        Question { key, operation: *operation, shape: *shape, offered: *offered }
    }
}

impl From<Question<'_>> for Asked {
    fn from(Question { key, operation, shape, offered }: Question<'_>) -> Self {
        Self { key: key.into(), operation, shape, offered }
    }
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        self.question() == other.question()
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.question().hash(state);
    }
}

impl Equivalent<Asked> for Question<'_> {
    fn equivalent(&self, asked: &Asked) -> bool {
        *self == asked.question()
    }
}

/// Answers of one kind.
pub(super) struct Answers<A>(Cache<Asked, A, UnitWeighter, RandomState>);

impl<A> Default for Answers<A> {
    fn default() -> Self {
        let max = u64::from(DECISIONS_REMEMBERED_MAX);
        Self(Cache::with(64, max, UnitWeighter, RandomState::default(), Default::default()))
    }
}

impl<A: Clone> Answers<A> {
    /// What was answered.
    pub(super) fn get(&self, question: &Question<'_>) -> Option<A> {
        self.0.get(question).cloned()
    }

    /// Remembers an answer.
    pub(super) fn keep(&mut self, question: Question<'_>, answer: A) {
        self.0.insert(question.into(), answer);
    }
}

/// What a thread remembers of a policy.
#[derive(Default)]
pub(super) struct Decisions {
    pub(super) plans: Answers<Plan>,
    pub(super) admissions: Answers<Admission>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request<'_> = Request { key: "user:1", operation: Operation::Read, shape: Shape::Value };

    #[test]
    fn each_part_of_a_question_counts() {
        let mut answers = Answers::default();
        let written = Candidate::written_of_size(5);
        let admit = |request, candidate| Question::admit(request, candidate, false).unwrap();
        answers.keep(admit(&REQUEST, &written), "kept");
        assert_eq!(answers.get(&admit(&REQUEST, &written)), Some("kept"));
        let others = [
            Question::plan(&REQUEST).unwrap(),
            admit(&Request { key: "user:2", ..REQUEST }, &written),
            admit(&Request { operation: Operation::Update, ..REQUEST }, &written),
            admit(&Request { shape: Shape::Hash, ..REQUEST }, &written),
            admit(&REQUEST, &Candidate { cause: Cause::Fill, ..written }),
            admit(&REQUEST, &Candidate { asked_ttl_ms: Some(1), ..written }),
            admit(&REQUEST, &Candidate::written_of_size(6)),
        ];
        for other in &others {
            assert_eq!(answers.get(other), None);
        }
    }

    #[test]
    fn what_is_always_asked() {
        let written = Candidate::written_of_size(5);
        assert!(Question::admit(&REQUEST, &written, true).is_none());
        assert!(Question::admit(&REQUEST, &Candidate { origin_status: Some(200), ..written }, false).is_none());
        assert!(Question::admit(&REQUEST, &Candidate { load_ms: 1, ..written }, false).is_none());
        let headers = [("age".to_owned(), "1".to_owned())];
        assert!(Question::admit(&REQUEST, &Candidate { origin_headers: &headers, ..written }, false).is_none());
        let long = "k".repeat(DECISION_KEY_BYTES_MAX + 1);
        assert!(Question::plan(&Request { key: &long, ..REQUEST }).is_none());
    }

    #[test]
    fn so_many_and_no_more() {
        let mut answers = Answers::default();
        for n in 0..DECISIONS_REMEMBERED_MAX * 2 {
            answers.keep(Question::plan(&Request { key: &n.to_string(), ..REQUEST }).unwrap(), n);
        }
        assert!(answers.0.len() <= DECISIONS_REMEMBERED_MAX as usize);
    }
}
