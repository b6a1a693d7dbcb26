//! Loads from an origin as the engine does them, in virtual time, with an origin that is a script; and through real hosts
//! ([`hosts`]).

mod demands;
mod histories;
mod hooks;
mod hosts;
mod windows;

use std::sync::Arc;

use larder::engine::api::Answer;
use larder::error::{ErrorKind, Result};
use larder::ports::load::{LoadOutcome, LoadReason, StaleReason};
use larder::ports::metrics::{DomainMetrics, State};
use larder::ports::origin::OriginError;
use larder::ports::policy::{Encoding, Lifetime};

use crate::support::engine::{World, description, loaded};
use crate::support::script::{Script, answer, unreachable};

const KEY: &[u8] = b"user:42";

fn lifetime() -> Lifetime {
    Lifetime { stale_while_revalidate_ms: 50_000, stale_if_error_ms: 80_000, ..Lifetime::fresh(Some(100_000)) }
}

fn world() -> (World, Arc<Script>) {
    let world = World::new();
    let origin = world.loading("user", loaded(lifetime()));
    (world, origin)
}

fn metrics(world: &World) -> Arc<DomainMetrics> {
    world.metrics.domain("user")
}

/// Value and state of an answer: `one (loaded)`.
#[track_caller]
fn check(answer: &Result<Answer>, expect: &str) {
    let seen = match answer {
        Ok(answer) => {
            let value = answer.value.as_ref().map_or_else(|| "-".into(), |value| String::from_utf8_lossy(value));
            format!("{value} ({})", answer.state.as_str())
        }
        Err(error) => error.kind.as_str().to_owned(),
    };
    assert_eq!(seen, expect);
}

async fn get(world: &World) -> Result<Answer> {
    world.engine.get(KEY).await
}

/// Lets what was begun come to its end, or to where it waits. The memory store never waits.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Many readers at once.
async fn readers(world: &World, n: usize) -> Vec<tokio::task::JoinHandle<Result<Answer>>> {
    let reading = |_| {
        let engine = Arc::clone(&world.engine);
        tokio::spawn(async move { engine.get(KEY).await })
    };
    let readers = (0..n).map(reading).collect();
    settle().await;
    readers
}

#[tokio::test(start_paused = true)]
async fn a_miss_is_loaded_once_and_then_a_hit() {
    let (world, origin) = world();
    let first = get(&world).await;
    check(&first, "one (loaded)");
    let load = first.unwrap().load.unwrap();
    assert_eq!((load.outcome, load.status, load.collapsed), (LoadOutcome::Stored, Some(200), false));
    check(&get(&world).await, "one (l1-hit)");
    assert_eq!(origin.calls(), 1);
    assert_eq!(metrics(&world).loads.begun[LoadReason::Miss as usize].get(), 1);
    assert_eq!(metrics(&world).loads.outcomes[LoadOutcome::Stored as usize].get(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_readers_of_a_cold_key_share_one_load() {
    let (world, origin) = world();
    for (status, body, expect) in
        [(200, "one", "one (loaded)"), (200, "private", "private (loaded)"), (404, "", "- (loaded)")]
    {
        world.engine.delete(&[KEY.into()]).await.unwrap();
        let calls = origin.calls();
        origin.answers([answer(status, body)]);
        origin.hold(true);
        let waiting = readers(&world, 200).await;
        assert_eq!(origin.running(), 1);
        origin.hold(false);
        let mut collapsed = 0;
        for reader in waiting {
            let answer = reader.await.unwrap();
            check(&answer, expect);
            collapsed += usize::from(answer.unwrap().load.unwrap().collapsed);
        }
        assert_eq!((origin.calls() - calls, collapsed), (1, 199), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn they_share_its_error_too_and_the_key_then_rests() {
    let (world, origin) = world();
    origin.answers([unreachable(), answer(200, "two")]);
    origin.hold(true);
    let waiting = readers(&world, 50).await;
    origin.hold(false);
    for reader in waiting {
        check(&reader.await.unwrap(), "origin-failed");
    }
    let error = get(&world).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::OriginFailed);
    assert!(error.kind.retry() && error.message.contains("the key is loaded again in"), "{error}");
    assert_eq!(origin.calls(), 1, "a dead origin is not asked by each read");
    assert_eq!(metrics(&world).loads.throttled.get(), 1);
    world.clock.advance_ms(1_000);
    check(&get(&world).await, "two (loaded)");
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_an_origin_has_its_kind() {
    let timed_out = Err(OriginError::TimedOut("late".into()));
    let refused = Err(OriginError::Refused("its breaker is open".into()));
    let cases = [
        (unreachable(), ErrorKind::OriginFailed, LoadOutcome::Failed, true),
        (answer(503, "busy"), ErrorKind::OriginFailed, LoadOutcome::Failed, true),
        (answer(304, ""), ErrorKind::OriginFailed, LoadOutcome::Failed, true),
        (timed_out, ErrorKind::OriginTimeout, LoadOutcome::TimedOut, true),
        (refused, ErrorKind::OriginUnavailable, LoadOutcome::Held, false),
    ];
    for (answer, kind, outcome, rests) in cases {
        let (world, origin) = world();
        origin.answers([answer]);
        assert_eq!(get(&world).await.unwrap_err().kind, kind);
        let load = world.engine.explain(KEY).await.unwrap().load.unwrap();
        assert_eq!(load.outcome, Some(outcome.as_str()));
        assert_eq!(load.throttled_ms.is_some(), rests, "{}", outcome.as_str());
        assert_eq!(metrics(&world).answers(larder::ports::policy::Operation::Read, State::OriginFailed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_outlives_the_reader_who_began_it() {
    let (world, origin) = world();
    origin.hold(true);
    let reader = readers(&world, 1).await.remove(0);
    assert_eq!(origin.running(), 1);
    reader.abort();
    settle().await;
    assert_eq!(origin.running(), 1, "it goes on");
    origin.hold(false);
    settle().await;
    check(&get(&world).await, "one (l1-hit)");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_came_too_late_for_its_reader_is_stored() {
    let (world, origin) = world();
    get(&world).await.unwrap();
    world.clock.advance_ms(155_000);
    origin.answers([answer(200, "two")]);
    origin.hold(true);
    let late = get(&world).await;
    check(&late, "one (stale)");
    assert_eq!(late.unwrap().stale, Some(StaleReason::SoftTimeout));
    origin.hold(false);
    settle().await;
    check(&get(&world).await, "two (l1-hit)");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_refreshed_once_in_the_background() {
    let (world, origin) = world();
    get(&world).await.unwrap();
    world.clock.advance_ms(100_000);
    origin.answers([answer(200, "two")]);
    origin.hold(true);
    for reader in readers(&world, 100).await {
        check(&reader.await.unwrap(), "one (stale)");
    }
    assert_eq!(origin.running(), 1);
    origin.hold(false);
    settle().await;
    check(&get(&world).await, "two (l1-hit)");
    assert_eq!(origin.calls(), 2);
    assert_eq!(metrics(&world).loads.stale[StaleReason::Revalidating as usize].get(), 100);
    assert_eq!(metrics(&world).loads.begun[LoadReason::Stale as usize].get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_held_value_is_asked_about_conditionally() {
    let (world, origin) = world();
    get(&world).await.unwrap();
    world.clock.advance_ms(100_000);
    origin.answers([answer(304, "")]);
    check(&get(&world).await, "one (stale)");
    settle().await;
    let condition = ("if-none-match".to_owned(), "\"one\"".to_owned());
    assert!(origin.asked()[0].headers.is_empty());
    assert_eq!(origin.asked()[1].headers, [condition]);
    check(&get(&world).await, "one (l1-hit)");
    assert_eq!(metrics(&world).loads.outcomes[LoadOutcome::Unchanged as usize].get(), 1);
    assert_eq!(get(&world).await.unwrap().fresh_left_ms, Some(100_000), "its stamps are new");
}

#[tokio::test(start_paused = true)]
async fn readers_of_what_is_not_stored_do_not_wait_for_one_another() {
    let (world, origin) = world();
    origin.answers([answer(200, "private")]);
    check(&get(&world).await, "private (loaded)");
    origin.hold(true);
    let waiting = readers(&world, 7).await;
    assert_eq!(origin.running(), 7, "each has a load of its own");
    origin.hold(false);
    for reader in waiting {
        check(&reader.await.unwrap(), "private (loaded)");
    }
    // One that may be stored takes the marker away, and the next one is stored.
    origin.answers([answer(200, "public")]);
    check(&get(&world).await, "public (loaded)");
    check(&get(&world).await, "public (loaded)");
    check(&get(&world).await, "public (l1-hit)");
}

#[tokio::test(start_paused = true)]
async fn a_removal_during_a_load_wins() {
    let (world, origin) = world();
    origin.hold(true);
    let waiting = readers(&world, 3).await;
    world.engine.delete(&[KEY.into()]).await.unwrap();
    origin.answers([answer(200, "two")]);
    origin.hold(false);
    for reader in waiting {
        // Each began before the removal ended, so both values are right for it.
        assert!(reader.await.unwrap().is_ok());
    }
    settle().await;
    let explained = world.engine.explain(KEY).await.unwrap();
    assert!(explained.life == "gone" || origin.calls() > 1, "what was loaded before the removal is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_batch_loads_what_it_misses() {
    let (world, origin) = world();
    world.engine.get(b"user:1").await.unwrap();
    let keys: Vec<_> = (0..40).map(|n| format!("user:{n}").into()).collect();
    let answers = world.engine.get_many(&keys).await.unwrap();
    assert!(answers.iter().all(|answer| answer.value.as_deref() == Some(b"one")));
    assert_eq!(answers.iter().filter(|answer| answer.state == State::L1Hit).count(), 1);
    assert_eq!(origin.calls(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_raw_value_is_loaded_and_stored_as_it_is() {
    let world = World::new();
    let origin = Script::new(&world.clock);
    let rules = loaded(Lifetime::fresh(Some(5_000)));
    world.go_live_from("user", description(Encoding::Raw), rules, Some(origin.clone()));
    check(&get(&world).await, "one (loaded)");
    check(&get(&world).await, "one (store-hit)");
    let key = larder::ports::store::StoreKey("chat:v1:user:42".into());
    let held = world.store.get(&key, true).await.unwrap().unwrap();
    assert_eq!((held.bytes, held.ttl), ("one".into(), larder::ports::store::Ttl::Ms(5_000)));
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_host_waits_for_its_loads_before_it_ends() {
    let (world, origin) = world();
    get(&world).await.unwrap();
    world.clock.advance_ms(100_000);
    origin.answers([answer(200, "two")]);
    origin.hold(true);
    check(&get(&world).await, "one (stale)");
    settle().await;
    let engine = Arc::clone(&world.engine);
    let draining = tokio::spawn(async move { engine.drain(std::time::Duration::from_secs(1)).await });
    settle().await;
    assert!(!draining.is_finished());
    origin.hold(false);
    assert!(draining.await.unwrap(), "it ended by itself");
    check(&get(&world).await, "two (l1-hit)");
    world.clock.advance_ms(100_000);
    check(&get(&world).await, "two (stale)");
    settle().await;
    assert_eq!(origin.calls(), 2, "no new ones begin");
}
