//! Invalidation by scan: patterns, and everything on raw domains.

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::ports::invalidation::Mode;
use larder::ports::policy::Selector;
use larder::ports::store::{Command, Expire, Reply, Store, StoreKey};

use super::{check, clock, furnished, get, invalidate, play, set, world_over};
use crate::support::engine::World;
use crate::support::gated::GatedStore;
use crate::support::redis::RedisServer;

async fn keys(store: &dyn Store) -> i64 {
    let Ok(Reply::Integer(count)) = store.call(Command::new("DBSIZE")).await else { panic!("a count") };
    count
}

#[tokio::test]
async fn a_pattern_removes_what_matches_within_the_domain() {
    check(
        "set user:1:name 1
        set user:1:face 2
        set user:2:name 3
        set brief::user:1:name 4
        pattern user:*:name = 2
        get user:1:name = - (miss)
        get user:1:face = 2 (store-hit)
        get user:2:name = - (miss)
        get brief::user:1:name = 4 (l1-hit)
        pattern user:?:face soft = 1
        get user:1:face = 2 (stale)
        pattern none* = 0
        in brief pattern * = 1
        get brief::user:1:name = - (miss)",
    )
    .await;
}

#[tokio::test]
async fn special_characters_before_the_pattern_are_the_hosts() {
    let redis = RedisServer::start();
    let world = furnished(World::named(Arc::new(redis.store()), clock(), "c*[a]t\\"));
    set(&world, "profile:a", "1").await;
    let store = redis.store();
    let foreign = StoreKey(Bytes::from_static(b"cxat\\:v1:profile:a"));
    store.set(&foreign, Bytes::from_static(b"x"), Expire::Never).await.unwrap();
    play(&world, "pattern * = 1\nget a = - (miss)").await;
    assert!(store.get(&foreign, false).await.unwrap().is_some());
}

#[tokio::test]
async fn raw_domains_are_looked_through() {
    let redis = RedisServer::start();
    let memory = MemoryStore::new(MemorySettings::default(), clock());
    let stores: [Arc<dyn Store>; 2] = [Arc::new(memory), Arc::new(redis.store())];
    for store in stores {
        let world = world_over(store, clock());
        let item = |n: usize| (format!("plain:{}:{n}", n % 3).into(), "1".into());
        let items: Vec<(Bytes, Bytes)> = (0..3_000).map(item).collect();
        world.engine.set_many(&items).await.unwrap();
        play(
            &world,
            "set a 1
            set plain::x*y 2
            in plain prefix 0: = 1000
            in plain prefix x* = 1
            get plain::1:1 = 1 (store-hit)
            in plain pattern 1:* = 1000
            in plain domain = 1000
            get plain::2:2 = - (miss)
            get a = 1 (l1-hit)",
        )
        .await;
        assert!(world.metrics.domain("plain").invalidation_scanned.get() >= 3_001);
    }
}

#[tokio::test]
async fn the_default_domain_leaves_what_others_own() {
    let redis = RedisServer::start();
    let world = world_over(Arc::new(redis.store()), clock());
    play(&world, "set a@red 1\nset plain::a 2").await;
    for key in ["counter", "chat:v1:unserved:x", "chat"] {
        set(&world, key, "3").await;
    }
    let store = redis.store();
    // Three of its own; an entry, two generations and a raw value of others.
    assert_eq!(keys(&store).await, 7);
    assert_eq!(invalidate(&world, "default", &["pattern", "*"]).await, "3");
    assert_eq!(keys(&store).await, 4);
    play(&world, "get a@red = 1 (l1-hit)\nwait 1000\nget a@red = 1 (store-hit)\nget plain::a = 2 (store-hit)").await;
    assert_eq!(
        get(&world, "{chat:generation:profile}").await,
        "invalid-key: keys that begin with '{chat:' are the host's own"
    );
}

#[tokio::test]
async fn a_scan_that_is_dropped_has_done_what_it_has_done() {
    let redis = RedisServer::start();
    let store = Arc::new(GatedStore::new(redis.store()));
    let world = world_over(store.clone(), clock());
    let items: Vec<(Bytes, Bytes)> = (0..5_000).map(|n| (format!("plain:{n}").into(), "1".into())).collect();
    world.engine.set_many(&items).await.unwrap();
    let before = keys(&redis.store()).await;
    store.clear();
    let selector = Selector::Domain;
    let scan = world.engine.invalidate("plain", &selector, Mode::Hard);
    tokio::select! {
        outcome = scan => panic!("it was to be dropped: {outcome:?}"),
        () = store.until_nth("end DEL", 1_000) => {}
    }
    let left = keys(&redis.store()).await;
    assert!(0 < left && left <= before - 1_000, "{left} of {before}");
    invalidate(&world, "plain", &["domain"]).await;
    assert_eq!(keys(&redis.store()).await, 0);
}

#[tokio::test]
async fn copies_in_l1_go_with_a_scan() {
    let redis = RedisServer::start();
    let world = world_over(Arc::new(redis.store()), clock());
    play(
        &world,
        "set a 1
        set b 2
        get a = 1 (l1-hit)
        pattern a = 1
        get a = - (miss)
        get b = 2 (store-hit)
        get b = 2 (l1-hit)",
    )
    .await;
}
