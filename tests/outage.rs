//! The store is away: what readers get, what writers are told, and what became of it when it is back. In virtual time.

mod waiting;

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::api::SetOptions;
use larder::ports::clock::VirtualClock;
use larder::ports::policy::{Encoding, Lifetime};
use larder::ports::table::OnStoreFailure;

use crate::support::engine::{World, description, lives, loaded, selector_of, tagged};
use crate::support::gated::GatedStore;
use crate::support::script::{answer, unreachable};

const HOUR_MS: u64 = 3_600_000;
const START_MS: u64 = 1_000_000_000_000;

/// An engine and the store that can go away.
struct Bench {
    world: World,
    store: Arc<GatedStore>,
}

/// `profile` with tags, `strict` that is never stale, `brief` with a short time in L1, `raw`, and `default`.
fn bench(store: GatedStore, clock: Arc<VirtualClock>) -> Bench {
    let store = Arc::new(store);
    let world = World::over(store.clone(), clock);
    let life = Lifetime {
        stale_while_revalidate_ms: 300_000,
        stale_if_error_ms: 600_000,
        ..Lifetime::fresh(Some(24 * HOUR_MS))
    };
    let strict = Lifetime { max_stale_ms: Some(0), ..life.clone() };
    let brief = Lifetime { l1_ms: Some(5_000), ..life.clone() };
    world.go_live("profile", description(Encoding::Enveloped), tagged(life));
    world.go_live("strict", description(Encoding::Enveloped), lives(strict));
    world.go_live("brief", description(Encoding::Enveloped), lives(brief));
    world.raw("raw", Lifetime::fresh(Some(HOUR_MS)));
    world.default_domain();
    Bench { world, store }
}

fn on_memory() -> Bench {
    let clock = Arc::new(VirtualClock::new(START_MS, 5));
    bench(GatedStore::new(MemoryStore::new(MemorySettings::default(), clock.clone())), clock)
}

impl Bench {
    /// Does one thing; what came of it, the first words of an error.
    async fn step(&self, words: &[&str]) -> String {
        let engine = &self.world.engine;
        let failed = |error: larder::error::Error| error.kind.as_str().to_owned();
        match words {
            ["away"] => self.store.set_away(true),
            ["back"] => self.store.set_away(false),
            ["catch", "up"] => engine.catch_up().await,
            ["wait", ms] => self.world.clock.advance_ms(ms.parse().unwrap()),
            ["get", key] => {
                return engine.get(key.as_bytes()).await.map_or_else(failed, |answer| {
                    let value = answer.value.map(|value| String::from_utf8(value.into()).unwrap());
                    format!("{} {}", value.as_deref().unwrap_or("-"), answer.state.as_str())
                });
            }
            ["set", key, value] => {
                let value = Bytes::copy_from_slice(value.as_bytes());
                let set = engine.set(key.as_bytes(), value, SetOptions::default()).await;
                return set.map_or_else(failed, |_| String::new());
            }
            ["del", key] => {
                let deleted = engine.delete(&[Bytes::copy_from_slice(key.as_bytes())]).await;
                return deleted.map_or_else(failed, |count| count.to_string());
            }
            ["in", domain, words @ ..] => {
                let (selector, mode) = selector_of(words);
                return engine.invalidate(domain, &selector, mode).await.map_or_else(failed, |_| "done".to_owned());
            }
            other => panic!("no step: {other:?}"),
        }
        String::new()
    }

    /// Carries out a script: `step = what came of it`.
    async fn play(&self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (step, expect) = line.split_once(" = ").unwrap_or((line, ""));
            assert_eq!(self.step(&step.split(' ').collect::<Vec<_>>()).await, expect, "{line}");
        }
    }
}

async fn check(script: &str) {
    on_memory().play(script).await;
}

#[tokio::test]
async fn a_copy_is_served_for_as_long_as_its_policy_allows() {
    check(
        "set profile:a 1
         away
         get profile:a = 1 l1-hit
         wait 1000
         get profile:a = 1 stale-store-unavailable
         wait 86400000
         get profile:a = 1 stale-store-unavailable
         wait 590000
         get profile:a = 1 stale-store-unavailable
         wait 10000
         get profile:a = store-unavailable
         get profile:none = store-unavailable",
    )
    .await;
}

#[tokio::test]
async fn never_stale_is_absolute() {
    check(
        "set strict:a 1
         away
         wait 999
         get strict:a = 1 l1-hit
         wait 1
         get strict:a = store-unavailable
         back
         get strict:a = 1 store-hit",
    )
    .await;
}

#[tokio::test]
async fn a_policys_cap_on_the_time_in_memory_holds() {
    check(
        "set brief:a 1
         away
         wait 4999
         get brief:a = 1 stale-store-unavailable
         wait 1
         get brief:a = store-unavailable",
    )
    .await;
}

#[tokio::test]
async fn a_write_fails_and_its_old_copy_goes() {
    check(
        "set profile:a 1
         away
         set profile:a 2 = store-unavailable
         get profile:a = store-unavailable
         back
         get profile:a = 1 store-hit",
    )
    .await;
}

#[tokio::test]
async fn what_was_softly_invalidated_is_stale_from_when_it_was_noticed() {
    check(
        "set profile:a@red 1
         in profile tag red soft = done
         away
         get profile:a@red = 1 stale-store-unavailable
         wait 599999
         get profile:a@red = 1 stale-store-unavailable
         wait 1
         get profile:a@red = store-unavailable",
    )
    .await;
}

#[tokio::test]
async fn what_was_invalidated_is_not_served() {
    for words in ["tag red", "prefix a", "domain", "key a@red", "pattern a*"] {
        check(&format!(
            "set profile:a@red 1
             in profile {words} = done
             away
             get profile:a@red = store-unavailable"
        ))
        .await;
    }
}

#[tokio::test]
async fn a_domain_may_want_misses() {
    let bench = on_memory();
    bench.play("set profile:a 1\naway\nget profile:b = store-unavailable").await;
    // Another policy judges the copies anew, and needs no store for that.
    bench.world.on_store_failure.set(Some(OnStoreFailure::Miss));
    bench.world.go_live("profile", description(Encoding::Enveloped), tagged(Lifetime::fresh(Some(HOUR_MS))));
    bench
        .play(
            "get profile:b = - miss-store-unavailable
             wait 2000
             get profile:a = 1 stale-store-unavailable
             set profile:b 1 = store-unavailable
             get strict:b = store-unavailable",
        )
        .await;
    let keys = ["profile:a", "profile:b"].map(|key| Bytes::from_static(key.as_bytes()));
    let answers = bench.world.engine.get_many(&keys).await.expect("both are answered");
    let states: Vec<_> = answers.iter().map(|answer| answer.state.as_str()).collect();
    assert_eq!(states, ["stale-store-unavailable", "miss-store-unavailable"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_an_origin_is_loaded_and_stored_nowhere() {
    let bench = on_memory();
    let origin =
        bench.world.loading("user", loaded(Lifetime { stale_if_error_ms: HOUR_MS, ..Lifetime::fresh(Some(HOUR_MS)) }));
    bench.play("get user:a = one loaded\naway\nget user:a = one l1-hit\nwait 2000").await;
    origin.answers([answer(200, "two")]);
    bench.play("get user:a = one stale-store-unavailable\nget user:b = two loaded\nget user:b = two loaded").await;
    assert_eq!(origin.calls(), 3, "the copy, and each read of what there is no copy of");
    // Of one key one at a time, in a batch too.
    origin.hold(true);
    let keys = ["user:c", "user:d"].map(|key| Bytes::from_static(key.as_bytes()));
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let (engine, keys) = (bench.world.engine.clone(), keys.clone());
            tokio::spawn(async move { engine.get_many(&keys).await })
        })
        .collect();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(origin.running(), 2);
    origin.hold(false);
    for reader in readers {
        let answers = reader.await.unwrap().unwrap();
        assert!(answers.iter().all(|answer| answer.value.as_deref() == Some(b"two")), "{answers:?}");
    }
    assert_eq!(origin.calls(), 5);
    // A dead origin is left alone, and it is the one to blame.
    origin.answers([unreachable()]);
    bench.play("get user:e = origin-failed\nget user:e = origin-failed").await;
    assert_eq!(origin.calls(), 6);
    origin.answers([answer(200, "three")]);
    bench.play("back\nget user:c = three loaded\nget user:c = three l1-hit").await;
}

#[tokio::test]
async fn an_explanation_says_so() {
    let bench = on_memory();
    bench.play("set profile:a 1\naway\nwait 2000").await;
    let seen = bench.world.engine.explain(b"profile:a").await.unwrap();
    assert_eq!((seen.state.as_str(), seen.from), ("stale-store-unavailable", "l1"));
    assert!(bench.world.engine.explain(b"profile:b").await.is_err());
}
