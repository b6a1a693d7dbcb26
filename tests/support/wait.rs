//! Waiting for what will be true soon: bounded, and without a pause that hopes.

use std::time::Duration;

/// How long anything may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

/// Asks until the answer is `Some`. Panics if that takes too long.
#[track_caller]
pub(crate) fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let asked = tokio::time::timeout(WITHIN, async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        asked.await.unwrap_or_else(|_| panic!("{caller}: within {WITHIN:?} it was never true that {what}"))
    }
}
