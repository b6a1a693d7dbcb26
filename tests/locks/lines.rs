//! Waiting for a lock: woken by a release, by the end of a life, never for longer than asked, in order, and without a trace
//! when given up.

use std::sync::atomic::Ordering;

use larder::error::ErrorKind;
use larder::limits::{LOCK_TTL_MS_MAX, LOCK_WAIT_MS_MAX};
use larder::ports::lock::{Ask, Grant, LockName, LockOutcome, Locks, Which};

use super::watched::{Bench, ask, name, pass};
use crate::support::wait::until;

async fn take(bench: &Bench, text: &str, ttl_ms: u64, wait_ms: u64) -> Option<Grant> {
    bench.keeper.take(&name(text), ask(ttl_ms, wait_ms)).await.expect("answers")
}

/// Waits for the lock in a task; when it had it, and its grant.
fn waiter(bench: &Bench, wait_ms: u64) -> tokio::task::JoinHandle<(u64, Option<Grant>)> {
    let (keeper, start) = (bench.keeper.clone(), bench.start);
    tokio::spawn(async move {
        let grant = keeper.take(&name("n"), ask(10_000, wait_ms)).await.expect("answers");
        (u64::try_from(start.elapsed().as_millis()).expect("short"), grant)
    })
}

#[tokio::test(start_paused = true)]
async fn a_release_wakes_who_waits() {
    let bench = Bench::new();
    let held = take(&bench, "n", 60_000, 0).await.expect("free");
    let waiting = waiter(&bench, 50_000);
    pass(5).await;
    let asked = bench.store.takes.load(Ordering::SeqCst);
    assert_eq!(asked, 2);
    assert!(bench.keeper.release(&name("n"), &held.token).await.expect("answers"));
    let (at_ms, grant) = waiting.await.expect("it ends");
    assert_eq!(at_ms, 5, "at once, not at the next try");
    assert!(grant.expect("it was freed").fence > held.fence);
}

#[tokio::test(start_paused = true)]
async fn a_force_release_wakes_who_waits() {
    let bench = Bench::new();
    take(&bench, "n", 60_000, 0).await.expect("free");
    let waiting = waiter(&bench, 50_000);
    pass(5).await;
    assert!(bench.keeper.force_release(&name("n")).await.expect("answers"));
    assert_eq!(waiting.await.expect("it ends").0, 5);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_life_is_not_slept_through() {
    let bench = Bench::new();
    take(&bench, "n", 1_001, 0).await.expect("free");
    let (at_ms, grant) = waiter(&bench, 50_000).await.expect("it ends");
    assert!(grant.is_some() && (1_001..=1_004).contains(&at_ms), "{at_ms}");
    let tries = bench.store.takes.load(Ordering::SeqCst);
    assert!(tries <= 12, "pauses grow: {tries}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_asked() {
    let bench = Bench::new();
    take(&bench, "n", 60_000, 0).await.expect("free");
    for (wait_ms, expect_ms) in [(Some(0), 0), (Some(1), 1), (Some(730), 730), (None, 300)] {
        let began = bench.ms();
        let ask = Ask { wait_ms, ..Ask::default() };
        assert_eq!(bench.keeper.take(&name("n"), ask).await, Ok(None));
        assert_eq!(bench.ms() - began, expect_ms, "{wait_ms:?}");
    }
    assert_eq!((bench.counted(LockOutcome::Acquired), bench.counted(LockOutcome::Contended)), (1, 4));
    // Behind somebody who waits for longer, too.
    let first = waiter(&bench, 50_000);
    pass(1).await;
    let began = bench.ms();
    assert_eq!(take(&bench, "n", 1_000, 500).await, None);
    assert_eq!(bench.ms() - began, 500);
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn who_came_first_is_served_first() {
    let bench = Bench::new();
    let mut held = take(&bench, "n", 60_000, 0).await.expect("free");
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(waiter(&bench, 50_000));
        pass(3).await;
    }
    for waiter in waiting {
        bench.keeper.release(&name("n"), &held.token).await.expect("answers");
        // Who does not wait does not overtake who does.
        assert_eq!(take(&bench, "n", 1_000, 0).await, None);
        let (at_ms, grant) = waiter.await.expect("it ends");
        assert_eq!(at_ms, bench.ms());
        held = grant.expect("it is its turn");
        pass(7).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_no_trace() {
    let bench = Bench::new();
    let held = take(&bench, "n", 60_000, 0).await.expect("free");
    let waiting = [(); 3].map(|()| waiter(&bench, 50_000));
    pass(3).await;
    let [first, second, third] = waiting;
    first.abort();
    second.abort();
    pass(1).await;
    bench.keeper.release(&name("n"), &held.token).await.expect("answers");
    let (at_ms, grant) = third.await.expect("it ends");
    assert_eq!(at_ms, 4, "those before it are gone");
    bench.keeper.release(&name("n"), &grant.expect("free").token).await.expect("answers");
    assert!(take(&bench, "n", 1_000, 0).await.is_some(), "and nobody stands in line");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_taken_for_nobody_is_given_back() {
    for wait_ms in [0, 1_000] {
        let bench = Bench::new();
        bench.store.keep_back(true);
        let keeper = bench.keeper.clone();
        let taking = tokio::spawn(async move { keeper.take(&name("n"), ask(60_000, wait_ms)).await });
        pass(5).await;
        assert_eq!(bench.store.takes.load(Ordering::SeqCst), 1);
        assert!(bench.keeper.info(&name("n")).await.expect("answers").is_some(), "it is taken");
        taking.abort();
        bench.store.keep_back(false);
        until("it is free", async || bench.keeper.info(&name("n")).await.expect("answers").is_none().then_some(()))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_answer_was_lost_is_given_back() {
    let bench = Bench::new();
    bench.store.break_down(true);
    let error = bench.keeper.take(&name("n"), ask(60_000, 0)).await.expect_err("no answer");
    assert_eq!(error.kind, ErrorKind::StoreTimeout);
    pass(250).await;
    bench.store.break_down(false);
    until("it is free", async || bench.keeper.info(&name("n")).await.expect("answers").is_none().then_some(())).await;
    assert!(bench.store.releases.load(Ordering::SeqCst) >= 2, "it was tried again");
    assert!(bench.ms() < 10_000, "and not its life was waited for");
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_bounds_is_refused() {
    let bench = Bench::new();
    for wrong in [
        ask(0, 0),
        ask(LOCK_TTL_MS_MAX + 1, 0),
        ask(1, LOCK_WAIT_MS_MAX + 1),
        Ask { owner: Some(String::new()), ..Ask::default() },
        Ask { owner: Some("a\nb".into()), ..Ask::default() },
    ] {
        let error = bench.keeper.take(&name("n"), wrong.clone()).await.expect_err("out of bounds");
        assert_eq!(error.kind, ErrorKind::InvalidArgument, "{wrong:?}");
    }
    assert_eq!(bench.store.takes.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn many_are_freed_at_once() {
    let bench = Bench::new();
    for (text, owner) in [("a1", "x"), ("a2", "y"), ("b1", "x"), ("b2", "y")] {
        let ask = Ask { owner: Some(owner.into()), ..Ask::default() };
        bench.keeper.take(&name(text), ask).await.expect("answers").expect("free");
    }
    let guard = bench.keeper.acquire("profile", "a", 30_000, 0).await.expect("answers").expect("free");
    let names = async || {
        let list = bench.keeper.list("").await.expect("answers");
        assert!(list.complete);
        list.locks.into_iter().map(|lock| format!("{} {}", lock.name, lock.owner)).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["@profile/a @profile", "a1 x", "a2 y", "b1 x", "b2 y"]);
    bench.keeper.report();
    assert_eq!(bench.metrics.active_locks.get(), 5);
    let freed = bench.keeper.force_release_all(Which::Owner("x")).await.expect("answers");
    assert_eq!((freed.released, freed.complete), (2, true));
    let freed = bench.keeper.force_release_all(Which::Prefix("a")).await.expect("answers");
    assert_eq!(freed.released, 1);
    assert_eq!(names().await, ["@profile/a @profile", "b2 y"]);
    assert_eq!(bench.counted(LockOutcome::Forced), 3);
    drop(guard);
    until("the guard's lock is free", async || (names().await == ["b2 y"]).then_some(())).await;
    bench.keeper.report();
    assert_eq!(bench.metrics.active_locks.get(), 1);
    pass(30_001).await;
    bench.keeper.report();
    assert_eq!(bench.metrics.active_locks.get(), 0, "a life that is over is not counted");
}

#[tokio::test(start_paused = true)]
async fn a_policys_lock_is_not_an_applications() {
    let bench = Bench::new();
    let guard = bench.keeper.acquire("profile", "n", 30_000, 0).await.expect("answers").expect("free");
    assert!(bench.keeper.acquire("profile", "n", 30_000, 0).await.expect("answers").is_none());
    assert!(bench.keeper.acquire("session", "n", 30_000, 0).await.expect("answers").is_some());
    assert!(take(&bench, "n", 1_000, 0).await.is_some());
    let info = bench.keeper.info(&LockName::any(b"@profile/n").expect("a name")).await.expect("answers");
    assert_eq!(info.expect("held").fence, guard.fence());
}
