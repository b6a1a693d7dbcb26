//! Two nodes over one Redis: what the other node serves, and for how long.

use std::sync::Arc;

use larder::engine::api::SetOptions;
use larder::engine::step::Step;
use larder::ports::clock::VirtualClock;
use larder::ports::store::Reply;

use super::{START_MS, get, invalidate, play, set, world_over};
use crate::support::engine::World;
use crate::support::redis::RedisServer;

/// Two nodes with one clock, as machines have whose clocks agree.
fn nodes(redis: &RedisServer) -> (World, World, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::new(START_MS, 3));
    let node = || world_over(Arc::new(redis.store()), clock.clone());
    (node(), node(), clock)
}

/// A plain write in `profile`, as one of a pipeline.
fn plain_set(key: &str, value: &str) -> Step {
    let (key, value) = (format!("profile:{key}").into(), value.to_owned().into());
    Step::Set { key, value, options: SetOptions::default(), answer: |_, _| Reply::ok() }
}

#[tokio::test]
async fn the_other_node_serves_it_no_longer_than_the_bound() {
    let redis = RedisServer::start();
    let (one, other, clock) = nodes(&redis);
    for (words, key, served) in [
        (&["tag", "red"][..], "profile:a@red", "- (miss)"),
        (&["tag", "red", "soft"], "profile:a@red", "1 (stale)"),
        (&["domain"], "profile:a@red", "- (miss)"),
        (&["prefix", "a"], "profile:a@red", "- (miss)"),
        (&["prefix", "a", "soft"], "profile:a@red", "1 (stale)"),
        (&["key", "a@red"], "profile:a@red", "- (miss)"),
        (&["key", "a@red", "soft"], "profile:a@red", "1 (stale)"),
        (&["pattern", "a@*"], "profile:a@red", "- (miss)"),
    ] {
        set(&one, key, "1").await;
        // The other node has known the generations for almost as long as it may, and reads the entry just now.
        get(&other, "profile:unrelated").await;
        clock.advance_ms(990);
        let before = get(&other, key).await;
        assert!(before.starts_with("1 ("), "{words:?}: {before}");
        invalidate(&one, "profile", words).await;
        assert_eq!(get(&one, key).await, served, "{words:?}, at once");
        clock.advance_ms(1_000);
        assert_eq!(get(&other, key).await, served, "{words:?}, after the bound");
        clock.advance_ms(2_000);
    }
}

#[tokio::test]
async fn a_write_after_an_invalidation_on_another_node_stays() {
    let redis = RedisServer::start();
    let (one, other, clock) = nodes(&redis);
    set(&other, "profile:a@red", "1").await;
    for words in [&["tag", "red"][..], &["domain"], &["prefix", "a"], &["tag", "red", "soft"]] {
        invalidate(&one, "profile", words).await;
        // The other node still knows the generations of before.
        set(&other, "profile:a@red", "2").await;
        assert_eq!(get(&other, "profile:a@red").await, "2 (l1-hit)", "{words:?}");
        assert_eq!(get(&one, "profile:a@red").await, "2 (store-hit)", "{words:?}");
        invalidate(&one, "profile", words).await;
        set(&other, "profile:untagged", "2").await;
        assert_eq!(get(&other, "profile:untagged").await, "2 (l1-hit)", "{words:?}");
        assert_eq!(get(&one, "profile:untagged").await, "2 (store-hit)", "{words:?}");
        let items = [("profile:b@red".into(), "3".into())];
        invalidate(&one, "profile", words).await;
        other.engine.set_many(&items).await.unwrap();
        assert_eq!(get(&one, "profile:b@red").await, "3 (store-hit)", "{words:?}");
        clock.advance_ms(5_000);
        assert_eq!(get(&other, "profile:b@red").await, "3 (store-hit)", "{words:?}");
        invalidate(&one, "profile", words).await;
        let steps = [("c@red", "4"), ("d", "5"), ("c@red", "6")].map(|(key, value)| plain_set(key, value));
        let answers = other.engine.sequence(&steps).await;
        assert!(answers.iter().all(|answer| *answer == Ok(Reply::ok())), "{words:?}: {answers:?}");
        assert_eq!(get(&other, "profile:c@red").await, "6 (l1-hit)", "{words:?}");
        for (key, value) in [("profile:c@red", "6"), ("profile:d", "5")] {
            assert_eq!(get(&one, key).await, format!("{value} (store-hit)"), "{words:?}: {key}");
        }
        clock.advance_ms(5_000);
    }
}

#[tokio::test]
async fn many_nodes_may_invalidate_the_same_at_once() {
    let redis = RedisServer::start();
    let (one, other, _) = nodes(&redis);
    set(&one, "profile:a@red", "1").await;
    let soft = ["tag", "red", "soft"];
    let (a, b, c, d) = tokio::join!(
        invalidate(&one, "profile", &soft),
        invalidate(&other, "profile", &["tag", "red"]),
        invalidate(&one, "profile", &["tag", "red"]),
        invalidate(&other, "profile", &soft),
    );
    assert_eq!([a, b, c, d], ["done"; 4]);
    play(&one, "get a@red = - (miss)\nset a@red 2").await;
    play(&other, "get a@red = 2 (store-hit)").await;
    let all = futures_util::future::join_all((0..50).map(|n| {
        let node = if n % 2 == 0 { &one } else { &other };
        invalidate(node, "profile", &["domain"])
    }));
    assert!(all.await.iter().all(|answer| answer == "done"));
    play(&other, "get a@red = - (miss)").await;
}

#[tokio::test]
async fn a_slow_clock_does_not_make_a_soft_key_fresh() {
    let redis = RedisServer::start();
    let (one, _, _) = nodes(&redis);
    let slow = world_over(Arc::new(redis.store()), Arc::new(VirtualClock::new(START_MS - 60_000, 9)));
    play(&one, "set a 1\nwait 1000\nkey a soft = 1\nget a = 1 (stale)").await;
    play(&slow, "get a = 1 (stale)").await;
}
