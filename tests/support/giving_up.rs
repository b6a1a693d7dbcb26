//! Callers that go away before their answer is there: the future is dropped at whatever await it has come to.

/// Polls so often, lets the others run between two polls, and drops what is not done by then.
pub(crate) async fn after_polls<F: Future>(polls: u64, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        if let std::task::Poll::Ready(output) = futures_util::poll!(future.as_mut()) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Drops what is not done when the others have had so many turns. It is polled when it is woken, as a caller is.
pub(crate) async fn after_turns<F: Future>(turns: u8, future: F) -> Option<F::Output> {
    let patience = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = patience => None,
        output = future => Some(output),
    }
}
