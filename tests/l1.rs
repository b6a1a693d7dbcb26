//! The node's own memory: its bound, its shares, what it drops, and the keys that are read most.

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::api::{Condition, SetOptions};
use larder::engine::l1::{Eviction, L1Settings};
use larder::ports::clock::VirtualClock;
use larder::ports::metrics::State;
use larder::ports::policy::Lifetime;

use crate::support::engine::World;
use crate::support::gated::GatedStore;

const MIB: u64 = 1 << 20;

/// A world whose store is shared, so that only enveloped domains use L1.
fn world(l1: L1Settings) -> World {
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let store = Arc::new(GatedStore::new(MemoryStore::new(MemorySettings::default(), clock.clone())));
    World::with_l1(store, clock, L1Settings { separator: b':', ..l1 })
}

async fn set(world: &World, key: &str, value: Bytes) {
    world.engine.set(key.as_bytes(), value, SetOptions::default()).await.unwrap();
}

/// How many of so many keys are still in L1.
fn kept(world: &World, prefix: &str, count: usize) -> usize {
    let now_ms = world.engine.now_ms();
    (0..count).filter(|n| world.engine.hit(format!("{prefix}{n}").as_bytes(), now_ms).is_some()).count()
}

#[tokio::test]
async fn the_bound_holds_under_churn_of_every_size() {
    let world = world(L1Settings { bytes_max: 8 * MIB, ..L1Settings::default() });
    world.enveloped("doc", Lifetime::fresh(None));
    // A policy that calls its entries cheap makes no room for more of them.
    world.enveloped("cheap", Lifetime { weight_percent: 1, ..Lifetime::fresh(None) });
    let mut random = fastrand::Rng::with_seed(3);
    let (mut written, mut fullest) = (0, 0);
    for n in 0..4_000 {
        let len = 1 << random.u32(4..17);
        let domain = if random.bool() { "doc" } else { "cheap" };
        set(&world, &format!("{domain}:{}", random.u32(..2_000)), vec![0; len].into()).await;
        written += len as u64;
        if n % 16 == 0 {
            world.engine.report();
            fullest = fullest.max(world.metrics.l1_bytes.get());
        }
    }
    assert!(written > 4 * 8 * MIB, "{written} bytes are no churn");
    assert!((8 * MIB * 85 / 100..=8 * MIB).contains(&fullest), "{fullest}");
    // What is charged covers what is held.
    let now_ms = world.engine.now_ms();
    let held: usize = ["doc", "cheap"]
        .iter()
        .flat_map(|domain| (0..2_000).map(move |n| format!("{domain}:{n}")))
        .filter_map(|key| Some(key.len() + world.engine.hit(key.as_bytes(), now_ms)?.bytes().len()))
        .sum();
    world.engine.report();
    assert!(held as u64 <= world.metrics.l1_bytes.get() && held as u64 > 6 * MIB, "{held}");
}

#[tokio::test]
async fn a_copy_keeps_nothing_of_what_its_value_came_in() {
    // As a connection reads it: one buffer with many commands.
    let buffer = Bytes::from(vec![b'x'; 64 << 10]);
    let (plain, packs) = (buffer.slice(100..900), buffer.slice(1_000..40_000));
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let world = World::with_l1(
        Arc::new(MemoryStore::new(MemorySettings::default(), clock.clone())),
        clock,
        L1Settings { bytes_max: 8 * MIB, separator: b':', ..L1Settings::default() },
    );
    world.enveloped("doc", Lifetime::fresh(None));
    world.raw("raw", Lifetime::fresh(None));
    let present = SetOptions { condition: Condition::IfPresent, ..SetOptions::default() };
    for domain in ["doc", "raw"] {
        for value in [&plain, &packs] {
            let key = Bytes::from(format!("{domain}:{}", value.len()));
            let check = |how: &str| {
                let entry = world.engine.hit(&key, world.engine.now_ms());
                let Some(entry) = entry else { return assert_eq!((domain, how), ("raw", "set xx"), "no copy") };
                assert_eq!(entry.bytes(), value);
                assert!(!buffer.as_ptr_range().contains(&entry.bytes().as_ptr()), "{how} {key:?}");
            };
            world.engine.set(&key, value.clone(), SetOptions::default()).await.unwrap();
            check("set");
            world.engine.set(&key, value.clone(), present).await.unwrap();
            check("set xx");
            world.engine.set_many(&[(key.clone(), value.clone())]).await.unwrap();
            check("mset");
        }
    }
}

#[tokio::test]
async fn a_hit_allocates_nothing() {
    let world = world(L1Settings { bytes_max: 8 * MIB, ..L1Settings::default() });
    world.enveloped("doc", Lifetime::fresh(None));
    for n in 0..100 {
        set(&world, &format!("doc:{n}"), vec![0; 1_000].into()).await;
    }
    let now_ms = world.engine.now_ms();
    let hits = |count: usize| {
        for n in 0..count {
            let entry = world.engine.hit(KEYS[n % KEYS.len()], now_ms).expect("it is there");
            world.engine.count_hits(entry.metrics(), 1, 1_000);
        }
    };
    // What a thread makes once, and the sketch of hot keys, are there by then.
    hits(100_000);
    let allocated = allocation_counter::measure(|| hits(100_000));
    assert_eq!((allocated.count_total, allocated.bytes_total), (0, 0));
}

const KEYS: [&[u8]; 4] = [b"doc:0", b"doc:1", b"doc:42", b"doc:99"];

#[tokio::test]
async fn a_share_is_safe_from_others_and_they_from_it() {
    let shares = vec![("profile".to_owned(), 2 * MIB)];
    let world = world(L1Settings { bytes_max: 8 * MIB, shares, ..L1Settings::default() });
    for domain in ["profile", "flood"] {
        world.enveloped(domain, Lifetime::fresh(None));
    }
    for n in 0..40 {
        set(&world, &format!("profile:{n}"), vec![0; 10_000].into()).await;
    }
    for n in 0..2_000 {
        set(&world, &format!("flood:{n}"), vec![0; 10_000].into()).await;
    }
    assert_eq!(kept(&world, "profile:", 40), 40);
    let share = || {
        world.engine.report();
        let shares = world.metrics.l1_shares.get().unwrap();
        (shares[0].0.clone(), shares[0].1.get())
    };
    assert!((400_000..2 * MIB).contains(&share().1));
    let others = kept(&world, "flood:", 2_000);
    assert!((400..=630).contains(&others), "{others} of 6 MiB");
    for n in 0..2_000 {
        set(&world, &format!("profile:{n}"), vec![0; 10_000].into()).await;
    }
    assert_eq!(kept(&world, "flood:", 2_000), others);
    assert!(share().1 <= 2 * MIB && kept(&world, "profile:", 2_000) < 220);
    assert!(world.metrics.l1_bytes.get() <= 8 * MIB);
    set(&world, "profile:1", "x".into()).await;
    world.engine.delete(&["profile:1".into()]).await.unwrap();
    assert_eq!(world.engine.get(b"profile:1").await.unwrap().state, State::Miss);
}

/// How much of a set that was read twice is left after a scan over many other keys.
async fn after_a_scan(eviction: Eviction, weight_percent: u16) -> usize {
    let world = world(L1Settings { bytes_max: 4 * MIB, eviction, ..L1Settings::default() });
    world.enveloped("doc", Lifetime { weight_percent, ..Lifetime::fresh(None) });
    world.enveloped("scan", Lifetime::fresh(None));
    for n in 0..300 {
        set(&world, &format!("doc:{n}"), vec![0; 10_000].into()).await;
    }
    if weight_percent == 100 {
        kept(&world, "doc:", 300);
    }
    for n in 0..3_000 {
        set(&world, &format!("scan:{n}"), vec![0; 10_000].into()).await;
    }
    kept(&world, "doc:", 300)
}

#[tokio::test]
async fn what_is_dropped_is_a_choice() {
    let frequency = after_a_scan(Eviction::Frequency, 100).await;
    let recency = after_a_scan(Eviction::Recency, 100).await;
    assert!(frequency > 255, "{frequency}");
    assert!(recency < frequency * 3 / 4, "{recency} of {frequency}");
    // A small cost keeps what nobody has read yet.
    assert!(after_a_scan(Eviction::Frequency, 50).await > 255);
}

#[tokio::test]
async fn hot_keys_are_seen_on_hits_and_on_misses() {
    let world = world(L1Settings { bytes_max: MIB, ..L1Settings::default() });
    world.enveloped("doc", Lifetime::fresh(None));
    world.raw("note", Lifetime::fresh(None));
    set(&world, "doc:hot", "1".into()).await;
    for _ in 0..3_000 {
        assert!(world.engine.hit(b"doc:hot", world.engine.now_ms()).is_some());
        world.engine.get(b"note:absent").await.unwrap();
    }
    let shown = |domain: Option<&str>| {
        let keys = world.engine.hot_keys(|of| domain.is_none_or(|domain| of == domain), 10);
        keys.iter().map(|it| (it.domain.clone(), it.key.clone())).collect::<Vec<_>>()
    };
    let (doc, note) = (("doc".to_owned(), "doc:hot".to_owned()), ("note".to_owned(), "note:absent".to_owned()));
    assert_eq!(shown(Some("doc")), std::slice::from_ref(&doc));
    assert_eq!(shown(Some("note")), std::slice::from_ref(&note));
    let mut all = shown(None);
    all.sort();
    assert_eq!(all, [doc, note]);
}
