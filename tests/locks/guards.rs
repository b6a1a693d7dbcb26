//! Guards: they give back, renew while they live and not after, and say when their lock is lost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use larder::ports::lock::{Ask, Held, LockOutcome, Locks};

use super::watched::{Bench, ask, name, pass};
use crate::support::wait::until;

async fn hold(bench: &Bench, ttl_ms: u64, renew: bool) -> Held {
    let ask = Ask { renew, ..ask(ttl_ms, 0) };
    bench.keeper.hold(&name("n"), ask).await.expect("answers").expect("free")
}

async fn is_held(bench: &Bench) -> bool {
    bench.keeper.info(&name("n")).await.expect("answers").is_some()
}

async fn is_free_soon(bench: &Bench) {
    until("the lock is free", async || (!is_held(bench).await).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_guard_gives_back() {
    let bench = Bench::new();
    let mut guard = hold(&bench, 60_000, false).await;
    assert!(!guard.is_lost() && guard.fence() > 0);
    assert_eq!(guard.release().await, Ok(true));
    assert!(guard.is_lost() && !is_held(&bench).await);
    assert_eq!((guard.release().await, guard.extend(1_000).await), (Ok(false), Ok(false)));
    drop(guard);
    drop(hold(&bench, 60_000, false).await);
    is_free_soon(&bench).await;
    assert_eq!(bench.store.releases.load(Ordering::SeqCst), 2, "what was given back is not given back again");
    assert!(bench.ms() < 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_extended() {
    let bench = Bench::new();
    let guard = hold(&bench, 1_000, false).await;
    pass(900).await;
    assert_eq!(guard.extend(1_000).await, Ok(true));
    pass(900).await;
    assert!(!guard.is_lost() && is_held(&bench).await);
    assert!(guard.extend(0).await.is_err());
    pass(101).await;
    assert!(guard.is_lost() && !is_held(&bench).await);
    assert_eq!(guard.extend(1_000).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_ends_with_its_guard() {
    for by_drop in [false, true] {
        let bench = Bench::new();
        let mut guard = hold(&bench, 300, true).await;
        pass(10_050).await;
        assert!(is_held(&bench).await && !guard.is_lost());
        let renewed = bench.store.extends.load(Ordering::SeqCst);
        assert!((95..=101).contains(&renewed), "{renewed}");
        if by_drop {
            drop(guard);
        } else {
            assert_eq!(guard.release().await, Ok(true));
        }
        is_free_soon(&bench).await;
        pass(60_000).await;
        assert_eq!(bench.store.extends.load(Ordering::SeqCst), renewed, "nothing renews it after that");
        assert!(!is_held(&bench).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_under_way_is_over_before_the_lock_is_given_back() {
    let bench = Bench::new();
    let mut guard = hold(&bench, 300, true).await;
    bench.store.keep_back(true);
    pass(150).await;
    assert_eq!(bench.store.extends.load(Ordering::SeqCst), 1, "its answer is kept back");
    assert_eq!(guard.release().await, Ok(true), "and not waited for");
    bench.store.keep_back(false);
    pass(60_000).await;
    assert_eq!(bench.store.extends.load(Ordering::SeqCst), 1);
    assert!(!is_held(&bench).await);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_given_up_is_made_up_for() {
    let bench = Bench::new();
    let mut guard = hold(&bench, 60_000, true).await;
    bench.store.break_down(true);
    assert!(guard.release().await.is_err());
    drop(guard);
    pass(50).await;
    bench.store.break_down(false);
    is_free_soon(&bench).await;
    assert!(bench.ms() < 10_000);
    assert_eq!(bench.store.extends.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lock_is_said() {
    // Freed by force: the renewal finds out.
    let bench = Bench::new();
    let guard = hold(&bench, 3_000, true).await;
    bench.keeper.force_release(&name("n")).await.expect("answers");
    let stranger = bench.keeper.take(&name("n"), ask(60_000, 0)).await.expect("answers").expect("free");
    tokio::time::timeout(Duration::from_millis(1_001), guard.lost()).await.expect("at the next renewal");
    assert!(guard.is_lost() && stranger.fence > guard.fence());
    assert_eq!(bench.counted(LockOutcome::Lost), 1);
    drop(guard);
    pass(1_000).await;
    assert!(is_held(&bench).await, "what is another's is not given back");

    // Its life is over: the guard knows by itself.
    let bench = Bench::new();
    let guard = hold(&bench, 3_000, false).await;
    guard.lost().await;
    assert_eq!(bench.ms(), 3_000);

    // The store cannot be asked: not believed in for longer than its life.
    let bench = Bench::new();
    let guard = hold(&bench, 3_000, true).await;
    bench.store.break_down(true);
    guard.lost().await;
    assert_eq!(bench.ms(), 3_000);
    assert!(bench.store.extends.load(Ordering::SeqCst) > 10, "it tried in a hurry");
}
