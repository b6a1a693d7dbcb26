//! The time that one operation may spend waiting for the store, over all its calls together (`CACHE_MAX_LATENCY_MS`).
//!
//! It travels with the task, so that no signature names it: the engine says where an operation begins, an adapter asks what is left
//! before each call and says what the call took. Calls side by side each may take what is left. Outside of an operation there is no
//! budget, and each call has its own deadline.

use std::cell::Cell;

use futures_util::future::Either;

tokio::task_local! {
    static LEFT_NS: Cell<u64>;
}

/// Does some work as one operation; within another one, as a part of that. To be awaited where it is made.
///
/// Not an `async fn`: one of those keeps its argument twice, before and after its first poll, and this is around the largest futures.
pub fn within<W: Future>(budget_ms: u64, work: W) -> impl Future<Output = W::Output> {
    match left_ns() {
        Some(_) => Either::Left(work),
        None => Either::Right(LEFT_NS.scope(Cell::new(budget_ms.saturating_mul(1_000_000)), work)),
    }
}

/// What is left to the operation, in nanoseconds; `None`: there is no bound but the call's own.
#[must_use]
pub fn left_ns() -> Option<u64> {
    LEFT_NS.try_with(Cell::get).ok()
}

/// Whether the operation may not wait any more.
#[must_use]
pub fn is_spent() -> bool {
    left_ns() == Some(0)
}

/// A call took this long.
pub fn spend_ns(ns: u64) {
    // Without a budget there is nothing to take from.
    let _ = LEFT_NS.try_with(|left| left.set(left.get().saturating_sub(ns)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_budget_is_of_the_whole_operation() {
        assert_eq!(left_ns(), None);
        within(2, async {
            spend_ns(500_000);
            within(9, async { assert_eq!(left_ns(), Some(1_500_000)) }).await;
            tokio::task::yield_now().await;
            spend_ns(1_500_001);
            assert!(is_spent());
        })
        .await;
        assert!(!is_spent(), "the next one has its own");
    }
}
