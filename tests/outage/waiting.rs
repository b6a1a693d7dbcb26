//! Invalidations that could not reach the store: nobody here sees what they name, and they are done when it is back.

use std::sync::Arc;

use larder::limits::RECOVERY_WAITING_MAX;
use larder::ports::clock::VirtualClock;

use super::{Bench, START_MS, bench, check, on_memory};
use crate::support::gated::GatedStore;
use crate::support::redis::RedisServer;

#[tokio::test]
async fn nothing_of_what_waits_is_served() {
    for (domain, key, words) in [
        ("profile", "a@red", "key a@red"),
        ("profile", "a@red", "tag red"),
        ("profile", "a@red", "prefix a"),
        ("profile", "a@red", "pattern a*"),
        ("profile", "a@red", "domain"),
        ("profile", "a@red", "tag red soft"),
        ("raw", "a", "key a"),
        ("raw", "a", "prefix a"),
        ("raw", "a", "domain"),
    ] {
        check(&format!(
            "set {domain}:{key} 1
             set {domain}:other 1
             get {domain}:other = 1 {}
             away
             in {domain} {words} = store-unavailable
             get {domain}:{key} = store-unavailable
             back
             get {domain}:{key} = - miss
             get {domain}:{key} = - miss
             catch up
             get {domain}:{key} = {}",
            if domain == "raw" { "store-hit" } else { "l1-hit" },
            if words.ends_with("soft") { "1 stale" } else { "- miss" },
        ))
        .await;
    }
}

#[tokio::test]
async fn a_delete_waits() {
    let bench = on_memory();
    bench.play("set profile:a 1\naway").await;
    let error = bench.world.engine.delete(&["profile:a".into()]).await.expect_err("it is away");
    assert!(error.message.contains("it is done when the store is back, with 1 that wait"), "{}", error.message);
    assert!(error.kind.retry() && bench.world.engine.is_behind());
    bench.play("catch up\nback\nget profile:a = - miss\ncatch up").await;
    assert!(!bench.world.engine.is_behind());
    let metrics = &bench.world.metrics.recovery;
    assert_eq!((metrics.queued.get(), metrics.replayed.get(), metrics.superseded.get()), (1, 1, 0));
    bench.play("get profile:a = - miss\nset profile:a 2\nget profile:a = 2 l1-hit").await;
}

#[tokio::test]
async fn what_this_node_writes_anew_stays() {
    check(
        "set raw:a 1
         set profile:a 1
         away
         del raw:a = store-unavailable
         del profile:a = store-unavailable
         back
         set raw:a 2
         set profile:a 2
         get raw:a = 2 store-hit
         get profile:a = 2 l1-hit
         catch up
         get raw:a = 2 store-hit
         get profile:a = 2 l1-hit",
    )
    .await;
}

#[tokio::test]
async fn a_verbatim_key_is_not_deleted_later() {
    let bench = on_memory();
    bench.play("set plainly 1\naway").await;
    let error = bench.world.engine.delete(&["plainly".into()]).await.expect_err("it is away");
    assert!(error.message.contains("not done later"), "{}", error.message);
    bench.play("back\ncatch up\nget plainly = 1 store-hit").await;
}

#[tokio::test]
async fn too_many_invalidate_the_domain() {
    let bench = on_memory();
    bench.play("set profile:kept 1\nset strict:kept 1\nget profile:kept = 1 l1-hit\naway").await;
    for n in 0..=RECOVERY_WAITING_MAX {
        bench.world.engine.delete(&[format!("profile:{n}").into()]).await.expect_err("it is away");
    }
    bench.world.engine.report();
    let metrics = &bench.world.metrics.recovery;
    assert_eq!((metrics.waiting.get(), metrics.overflowed.get()), (1, 1));
    bench
        .play(
            "get profile:kept = store-unavailable
             get strict:kept = 1 l1-hit
             back
             get profile:kept = - miss
             catch up
             get profile:kept = - miss
             get strict:kept = 1 l1-hit",
        )
        .await;
}

/// Two nodes over one Redis, with one clock; the first can be cut off.
fn nodes(redis: &RedisServer) -> (Bench, Bench) {
    let clock = Arc::new(VirtualClock::new(START_MS, 3));
    let node = || bench(GatedStore::new(redis.store()), clock.clone());
    (node(), node())
}

#[tokio::test]
async fn what_another_node_wrote_since_stays_and_what_it_wrote_before_goes() {
    let redis = RedisServer::start();
    let (cut_off, other) = nodes(&redis);
    other.play("set profile:old 1\nset profile:new 1").await;
    cut_off.play("get profile:old = 1 store-hit\nwait 10\naway").await;
    cut_off.play("del profile:old = store-unavailable\ndel profile:new = store-unavailable").await;
    // Redis' own clock is not the test's: the entry has to be younger by both.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    other.play("wait 100\nset profile:new 2").await;
    cut_off.play("back\ncatch up\nget profile:old = - miss\nget profile:new = 2 store-hit").await;
    other.play("wait 2000\nget profile:old = - miss\nget profile:new = 2 store-hit").await;
}
