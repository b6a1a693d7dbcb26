//! Operations on locks as spans of the request that they are for.
//!
//! Deliberately absent: a lock's name. It is as much a key as any other, and a trace leaves the house.

use std::future::Future;

use crate::error::Result;
use crate::ports::lock::LockOutcome;
use crate::ports::trace::{self, Layer};

/// What became of an operation.
const OUTCOME: &str = "larder.outcome";

/// An operation of this name in a span, and what became of it.
pub(super) async fn spanned<T>(
    name: &'static str,
    outcome: impl FnOnce(&T) -> LockOutcome,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let span = trace::span(Layer::Lock, name);
    let answer = span.within(work).await;
    match &answer {
        Ok(found) => span.note(OUTCOME, outcome(found).as_str()),
        Err(error) => span.fail(error.kind.as_str()),
    }
    answer
}
