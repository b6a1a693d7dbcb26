//! What the windows of a life do to loads: early refresh, `max-stale`, what is kept, what slides.

use larder::ports::load::{LoadReason, StaleReason};
use larder::ports::policy::Lifetime;

use super::{check, get, lifetime, metrics, settle};
use crate::support::engine::{World, loaded};
use crate::support::script::{answer, unreachable};

#[tokio::test(start_paused = true)]
async fn hits_refresh_early_and_stay_hits() {
    let world = World::new();
    let origin = world.loading("user", loaded(Lifetime { early_refresh_beta: 1.0, ..lifetime() }));
    origin.takes_ms(1_000);
    get(&world).await.unwrap();
    origin.answers([answer(200, "two")]);
    // 16 βδ before its end the die is thrown for the first time; until then every hit is L1's alone.
    world.clock.advance_ms(82_000);
    for _ in 0..100 {
        check(&get(&world).await, "one (l1-hit)");
    }
    settle().await;
    assert_eq!(origin.calls(), 1);
    // With δ left, a read refreshes with a chance of 37 %: 100 reads do for certain, and are answered all the same.
    world.clock.advance_ms(16_000);
    for _ in 0..100 {
        check(&get(&world).await, "one (l1-hit)");
    }
    settle().await;
    check(&get(&world).await, "two (l1-hit)");
    assert_eq!(origin.calls(), 2, "one refresh");
    assert_eq!(metrics(&world).loads.begun[LoadReason::Early as usize].get(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_early_refresh_that_fails_is_not_seen() {
    let world = World::new();
    let origin = world.loading("user", loaded(Lifetime { early_refresh_beta: f32::MAX, ..lifetime() }));
    origin.takes_ms(1);
    get(&world).await.unwrap();
    origin.answers([unreachable()]);
    for _ in 0..10 {
        let answer = get(&world).await.unwrap();
        assert!(answer.state.is_hit() && answer.stale.is_none());
        settle().await;
    }
    assert_eq!(origin.calls(), 2, "then the key rests");
}

#[tokio::test(start_paused = true)]
async fn nothing_overrides_a_max_stale_of_nothing() {
    let world = World::new();
    let life = Lifetime { max_stale_ms: Some(0), keep_ms: 1_000_000, ..lifetime() };
    let origin = world.loading("user", loaded(life));
    get(&world).await.unwrap();
    world.clock.advance_ms(100_000);
    origin.answers([unreachable()]);
    check(&get(&world).await, "origin-failed");
    check(&get(&world).await, "origin-failed");
    origin.healthy(false);
    check(&get(&world).await, "origin-failed");
    world.clock.advance_ms(60_000);
    check(&get(&world).await, "origin-unavailable");
    origin.healthy(true);
    origin.hold(true);
    check(&get(&world).await, "origin-timeout");
    origin.hold(false);
    world.clock.advance_ms(60_000);
    origin.answers([answer(304, "")]);
    check(&get(&world).await, "one (loaded)");
    let asked = origin.asked().pop().unwrap();
    assert_eq!(asked.headers, [("if-none-match".to_owned(), "\"one\"".to_owned())], "it was kept for this");
    assert_eq!(metrics(&world).loads.stale.iter().map(|count| count.get()).sum::<u64>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_ends_while_a_load_runs_counts() {
    let world = World::new();
    let life = Lifetime { stale_while_revalidate_ms: 0, max_stale_ms: Some(10_000), ..lifetime() };
    let origin = world.loading("user", loaded(life));
    get(&world).await.unwrap();
    world.clock.advance_ms(109_999);
    origin.takes_ms(1);
    origin.answers([unreachable()]);
    check(&get(&world).await, "origin-failed");
}

#[tokio::test(start_paused = true)]
async fn an_error_is_bridged_and_then_not_asked_for_again_at_once() {
    let world = World::new();
    let origin = world.loading("user", loaded(lifetime()));
    get(&world).await.unwrap();
    world.clock.advance_ms(151_000);
    origin.answers([answer(503, "")]);
    for (expect, calls) in [(StaleReason::LoadFailed, 2), (StaleReason::Throttled, 2), (StaleReason::Throttled, 2)] {
        let bridged = get(&world).await;
        check(&bridged, "one (stale)");
        let bridged = bridged.unwrap();
        assert_eq!((bridged.stale, origin.calls()), (Some(expect), calls));
        assert_eq!(bridged.load.and_then(|load| load.status), (expect == StaleReason::LoadFailed).then_some(503));
    }
    world.clock.advance_ms(1_000);
    assert_eq!(get(&world).await.unwrap().stale, Some(StaleReason::LoadFailed));
    world.clock.advance_ms(1_500);
    assert_eq!(get(&world).await.unwrap().stale, Some(StaleReason::Throttled), "the pause doubles");
    origin.healthy(false);
    world.clock.advance_ms(1_000);
    assert_eq!(get(&world).await.unwrap().stale, Some(StaleReason::Unhealthy));
    assert_eq!(origin.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_remembered_for_its_time() {
    let world = World::new();
    let origin = world.loading("user", loaded(lifetime()));
    origin.answers([answer(404, "")]);
    check(&get(&world).await, "- (loaded)");
    check(&get(&world).await, "- (negative)");
    world.clock.advance_ms(19_999);
    check(&get(&world).await, "- (negative)");
    world.clock.advance_ms(1);
    origin.answers([answer(200, "two")]);
    check(&get(&world).await, "two (loaded)");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_slides_is_not_refreshed_early() {
    let world = World::new();
    let life = Lifetime { sliding: true, early_refresh_beta: f32::MAX, ..lifetime() };
    let origin = world.loading("user", loaded(life));
    origin.takes_ms(1_000);
    get(&world).await.unwrap();
    for _ in 0..10 {
        world.clock.advance_ms(90_000);
        assert!(get(&world).await.unwrap().state.is_hit());
        settle().await;
    }
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn fresh_times_differ_by_the_jitter() {
    let world = World::new();
    world.loading("user", loaded(Lifetime { jitter_percent: 20, ..lifetime() }));
    let mut left = Vec::new();
    for n in 0..50 {
        left.push(world.engine.get(format!("user:{n}").as_bytes()).await.unwrap().fresh_left_ms.unwrap());
    }
    assert!(left.iter().all(|ms| (80_000..=100_000).contains(ms)), "{left:?}");
    left.sort_unstable();
    left.dedup();
    assert!(left.len() > 25, "{left:?}");
}
