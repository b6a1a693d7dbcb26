//! What lies in the store: generations that are lost, damaged or slow, and what an invalidation costs.

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::ports::policy::{Encoding, Lifetime};
use larder::ports::store::{Expire, Store, StoreKey, Ttl};

use super::{HOUR_MS, clock, get, invalidate, play, set, world_over};
use crate::support::engine::{description, tagged};
use crate::support::gated::GatedStore;
use crate::support::redis::RedisServer;

const DOMAIN: &str = "{chat:generation:profile}";
const RED: &str = "{chat:generation:profile:red}";

fn key(name: &str) -> StoreKey {
    StoreKey(Bytes::copy_from_slice(name.as_bytes()))
}

fn memory() -> MemoryStore {
    MemoryStore::new(MemorySettings::default(), clock())
}

#[tokio::test]
async fn a_lost_generation_invalidates_softly_and_comes_back_as_another_one() {
    let redis = RedisServer::start();
    let stores: [Arc<dyn Store>; 2] = [Arc::new(GatedStore::new(memory())), Arc::new(redis.store())];
    for store in stores {
        for lost in [RED, DOMAIN] {
            let world = world_over(store.clone(), clock());
            set(&world, "profile:a@red", "1").await;
            play(&world, "get a@red = 1 (l1-hit)").await;
            let before = store.get(&key(lost), false).await.unwrap().unwrap();
            store.delete(&[key(lost)]).await.unwrap();
            play(&world, "wait 1000\nget a@red = 1 (stale)\nset a@red 2\nget a@red = 2 (l1-hit)").await;
            play(&world, "wait 1000\nget a@red = 2 (store-hit)").await;
            let after = store.get(&key(lost), false).await.unwrap().unwrap();
            assert_ne!(before.bytes, after.bytes, "{lost}");
        }
    }
}

/// What a node knows to be invalidated hard stays so, whoever begins the record anew.
#[tokio::test]
async fn a_hard_invalidation_outlives_the_loss_of_its_record() {
    let redis = RedisServer::start();
    let stores: [Arc<dyn Store>; 2] = [Arc::new(GatedStore::new(memory())), Arc::new(redis.store())];
    for store in stores {
        for (invalidate, lost) in [("tag red", RED), ("domain", DOMAIN)] {
            for other_begins in [false, true] {
                let (one, other) = (world_over(store.clone(), clock()), world_over(store.clone(), clock()));
                play(&one, &format!("set a@red 1\nset b@red 1\n{invalidate} = done\nset b@red 2")).await;
                store.delete(&[key(lost)]).await.unwrap();
                if other_begins {
                    set(&other, "profile:c@red", "3").await;
                }
                play(&one, "wait 1000\nget a@red = - (miss)\nget b@red = 2 (stale)\nset d@red 4").await;
                play(&one, "wait 1000\nget a@red = - (miss)\nget d@red = 4 (store-hit)").await;
                play(&other, "wait 1000\nget d@red = 4 (store-hit)").await;
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_was_emptied_brings_nothing_back() {
    let mut redis = RedisServer::start();
    let world = world_over(Arc::new(redis.store()), clock());
    play(&world, "set a@red 1\ntag red = done\nset a@red 2").await;
    let old = redis.store().get(&key("chat:v1:profile:a@red"), false).await.unwrap().unwrap();
    redis.restart();
    let store = redis.store();
    // The entry survived, as a copy that somebody brought back; its generations did not.
    store.set(&key("chat:v1:profile:a@red"), old.bytes, Expire::Never).await.unwrap();
    let world = world_over(Arc::new(store), clock());
    play(&world, "get a@red = 2 (stale)\nset b@red 3\nget a@red = 2 (stale)\ntag red = done\nget a@red = - (miss)")
        .await;
}

#[tokio::test]
async fn a_damaged_generation_is_a_lost_one() {
    let store = Arc::new(GatedStore::new(memory()));
    for damaged in [RED, DOMAIN] {
        let world = world_over(store.clone(), clock());
        play(&world, "set a@red 1\nget a@red = 1 (l1-hit)").await;
        store.set(&key(damaged), Bytes::from_static(b"nonsense"), Expire::Never).await.unwrap();
        play(&world, "wait 1000\nget a@red = 1 (stale)\nset a@red 2\nwait 1000\nget a@red = 2 (store-hit)").await;
        store.set(&key(damaged), Bytes::from_static(b"nonsense"), Expire::Never).await.unwrap();
        play(&world, "tag red = done\ndomain = done\nget a@red = - (miss)").await;
    }
}

/// How many commands a purge of a tag sends when so many entries carry it.
async fn commands_for(keys: usize) -> usize {
    let store = Arc::new(GatedStore::new(memory()));
    let world = world_over(store.clone(), clock());
    let items: Vec<(Bytes, Bytes)> = (0..keys).map(|n| (format!("profile:{n}@red").into(), "1".into())).collect();
    world.engine.set_many(&items).await.unwrap();
    let last = format!("profile:{}@red", keys - 1);
    get(&world, &last).await;
    assert_eq!(get(&world, &last).await, "1 (l1-hit)");
    store.clear();
    assert_eq!(invalidate(&world, "profile", &["tag", "red"]).await, "done");
    let count = store.log().iter().filter(|line| line.starts_with("begin")).count();
    assert_eq!(get(&world, &last).await, "- (miss)");
    assert_eq!(get(&world, "profile:0@red").await, "- (miss)");
    count
}

#[tokio::test]
async fn a_purge_costs_the_same_for_one_key_and_for_a_hundred_thousand() {
    assert_eq!([commands_for(1).await, commands_for(100_000).await], [3, 3]);
}

#[tokio::test]
async fn a_tags_generation_outlives_its_entries_and_an_unused_one_does_not_stay_for_ever() {
    let store = Arc::new(GatedStore::new(memory()));
    let world = world_over(store.clone(), clock());
    let days = |n: u64| n * 24 * HOUR_MS;
    play(&world, "set a@red 1\ntag nobody = done").await;
    for tag in [RED, "{chat:generation:profile:nobody}"] {
        assert_eq!(store.ttl(&key(tag)).await, Ok(Ttl::Ms(days(30))), "{tag}");
    }
    assert_eq!(store.ttl(&key(DOMAIN)).await, Ok(Ttl::Never));
    let longer = Lifetime { fresh_ms: Some(days(100)), ..Lifetime::fresh(None) };
    world.go_live("profile", description(Encoding::Enveloped), tagged(longer));
    play(&world, "set b@red 1").await;
    assert_eq!(store.ttl(&key(RED)).await, Ok(Ttl::Ms(days(200))));
    play(&world, "set a@red 1\ntag red = done").await;
    assert_eq!(store.ttl(&key(RED)).await, Ok(Ttl::Ms(days(200))), "an invalidation does not shorten it");
    world.go_live("profile", description(Encoding::Enveloped), tagged(Lifetime::fresh(None)));
    play(&world, "set c@red 1").await;
    assert_eq!(store.ttl(&key(RED)).await, Ok(Ttl::Never));
}

#[tokio::test]
async fn entries_grow_by_ten_bytes_and_eight_for_each_tag() {
    let store = Arc::new(GatedStore::new(memory()));
    let world = world_over(store.clone(), clock());
    let mut sizes = Vec::new();
    for name in ["abcdefgh", "abcde@xy", "abc@xy+z", "abcd@x+y"] {
        set(&world, &format!("profile:{name}"), "1").await;
        sizes.push(store.get(&key(&format!("chat:v1:profile:{name}")), false).await.unwrap().unwrap().bytes.len());
    }
    // A tag adds its name with a byte for its length, and eight bytes.
    let [none, one, two, also_two] = sizes[..] else { panic!("four sizes") };
    assert_eq!((one - none, two - none, also_two - none), (3 + 8, 3 + 2 + 16, 2 + 2 + 16));
    assert!(none <= 12 + 2 + 48, "{none} bytes for an entry of one byte without tags");
}

#[tokio::test]
async fn too_many_prefixes_end_the_domain() {
    let world = world_over(Arc::new(GatedStore::new(memory())), clock());
    play(&world, "set zz:1 1").await;
    for n in 0..larder::limits::PREFIXES_MAX {
        assert_eq!(invalidate(&world, "profile", &["prefix", &format!("{n}:"), "soft"]).await, "done");
    }
    play(
        &world,
        "get zz:1 = 1 (l1-hit)\nprefix one-more soft = done\nget zz:1 = 1 (stale)\nset zz:1 2\nget zz:1 = 2 (l1-hit)",
    )
    .await;
    assert_eq!(world.metrics.domain("profile").prefixes_overflowed.get(), 1);
}

#[tokio::test]
async fn without_the_store_an_invalidation_fails_and_this_node_serves_no_copy() {
    let mut redis = RedisServer::start();
    let world = world_over(Arc::new(redis.store_within(2_000)), clock());
    play(&world, "set a@red 1\nset b 2\nget a@red = 1 (l1-hit)\nget b = 2 (l1-hit)").await;
    redis.kill();
    let answer = invalidate(&world, "profile", &["tag", "red"]).await;
    assert!(answer.starts_with("store-"), "{answer}");
    let answer = get(&world, "profile:a@red").await;
    assert!(answer.starts_with("store-"), "{answer}");
    assert_eq!(get(&world, "profile:b").await, "2 (l1-hit)", "nobody invalidated it");
    let answer = invalidate(&world, "profile", &["key", "b"]).await;
    assert!(answer.starts_with("store-"), "{answer}");
    let answer = get(&world, "profile:b").await;
    assert!(answer.starts_with("store-"), "{answer}");
    let failed = &world.metrics.domain("profile").invalidations_failed;
    assert_eq!(failed.iter().map(larder::ports::metrics::Counter::get).sum::<u64>(), 2);
}

#[tokio::test]
async fn a_read_sends_no_more_commands_than_before_while_generations_are_known() {
    let store = Arc::new(GatedStore::new(memory()));
    let world = world_over(store.clone(), clock());
    play(&world, "set a@red 1\nset b 2\nwait 1000\nget a@red = 1 (store-hit)").await;
    let commands = |store: &GatedStore| {
        let begun: Vec<_> =
            store.log().iter().filter_map(|line| line.strip_prefix("begin ").map(str::to_owned)).collect();
        store.clear();
        begun
    };
    commands(&store);
    play(&world, "get b = 2 (store-hit)").await;
    assert_eq!(commands(&store), ["GET chat:v1:profile:b"]);
    play(&world, "wait 1000\nget a@red = 1 (store-hit)").await;
    // In one round trip: L1 still knows the tags that it had.
    assert_eq!(
        commands(&store),
        ["GET chat:v1:profile:a@red".to_owned(), format!("MGET {DOMAIN}"), format!("MGET {RED}")]
    );
    play(&world, "get a@red = 1 (l1-hit)\nset a@red 3").await;
    let written = commands(&store);
    let confirmed = ["SET chat:v1:profile:a@red".to_owned(), format!("MGET {DOMAIN}"), format!("MGET {RED}")];
    assert_eq!(written, confirmed, "along with it");
}
