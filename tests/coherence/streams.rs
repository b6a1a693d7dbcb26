//! Copies in L1 and the stream of changes, step by step: the test says what the store tells. In virtual time.

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::api::SetOptions;
use larder::ports::clock::{Clock as _, VirtualClock};
use larder::ports::coherence::ChangeListener as _;
use larder::ports::invalidation::Mode;
use larder::ports::policy::{Encoding, KeyScope, Lifetime, Plan, Selector};

use crate::support::engine::{Rules, World, description, lives, tagged};
use crate::support::gated::GatedStore;

const START_MS: u64 = 1_000_000_000_000;
const DAY_MS: u64 = 86_400_000;

/// `profile` with tags, `raw`, `moved` whose policy chooses its own suffixes, and `default`, over a store that others share.
fn world() -> World {
    let clock = Arc::new(VirtualClock::new(START_MS, 5));
    let world =
        World::over(Arc::new(GatedStore::new(MemoryStore::new(MemorySettings::default(), clock.clone()))), clock);
    world.go_live("profile", description(Encoding::Enveloped), tagged(Lifetime::fresh(Some(DAY_MS))));
    world.raw("raw", Lifetime::fresh(Some(DAY_MS)));
    let elsewhere = Rules {
        plan: Box::new(|request| {
            Ok(Plan {
                suffix: Some(format!("at/{}", request.key)),
                miss: larder::ports::policy::Miss::Answer,
                collapse_wait_ms: 0,
            })
        }),
        ..lives(Lifetime::fresh(Some(DAY_MS)))
    };
    world.go_live("moved", description(Encoding::Enveloped), elsewhere);
    world.default_domain();
    world
}

/// Carries out a script: `set KEY VALUE`, `get KEY = VALUE STATE`, `wait MS`, `began` (of all keys), `began some`, `heard`, `lost`,
/// `told STORAGE-KEY`, `emptied`, `tag TAG`.
async fn play(world: &World, script: &str) {
    let engine = &world.engine;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (step, expect) = line.split_once(" = ").unwrap_or((line, ""));
        let words: Vec<&str> = step.split(' ').collect();
        let mut answer = String::new();
        match words[..] {
            ["set", key, value] => {
                let value = Bytes::copy_from_slice(value.as_bytes());
                engine.set(key.as_bytes(), value, SetOptions::default()).await.unwrap();
            }
            ["get", key] => {
                let got = engine.get(key.as_bytes()).await.unwrap();
                let value = got.value.map(|value| String::from_utf8(value.into()).unwrap());
                answer = format!("{} {}", value.as_deref().unwrap_or("-"), got.state.as_str());
            }
            ["tag", tag] => {
                engine.invalidate("profile", &Selector::Tag(tag.to_owned()), Mode::Hard).await.unwrap();
            }
            ["wait", ms] => world.clock.advance_ms(ms.parse().unwrap()),
            ["began"] => engine.began(true),
            ["began", "some"] => engine.began(false),
            ["heard"] => engine.heard(world.clock.wall_ms()),
            ["lost"] => engine.lost(),
            ["told", key] => engine.changed(key.as_bytes()),
            ["emptied"] => engine.changed_all(),
            _ => panic!("no step: {line}"),
        }
        assert_eq!(answer, expect, "{line}");
    }
}

async fn check(script: &str) {
    play(&world(), script).await;
}

#[tokio::test]
async fn a_copy_is_good_for_as_long_as_the_stream_runs() {
    check(
        "set profile:a 1
         set raw:a 1
         began
         heard
         wait 1000
         get profile:a = 1 store-hit
         get raw:a = 1 store-hit
         get profile:a = 1 l1-hit
         wait 900
         heard
         wait 900
         get profile:a = 1 l1-hit
         get raw:a = 1 l1-hit
         wait 99
         get profile:a = 1 l1-hit
         wait 1
         get profile:a = 1 store-hit
         get raw:a = 1 store-hit",
    )
    .await;
}

#[tokio::test]
async fn what_is_told_goes() {
    check(
        "set profile:a 1
         wait 1000
         began
         heard
         get profile:a = 1 store-hit
         get profile:a = 1 l1-hit
         told chat:v1:profile:b
         get profile:a = 1 l1-hit
         told chat:v1:profile:a
         get profile:a = 1 store-hit
         get profile:a = 1 l1-hit
         emptied
         get profile:a = 1 store-hit",
    )
    .await;
    check(
        "set some:thing 1
         began
         heard
         get some:thing = 1 store-hit
         get some:thing = 1 l1-hit
         told some:thing
         get some:thing = 1 store-hit",
    )
    .await;
}

#[tokio::test]
async fn nothing_is_believed_of_an_earlier_stream() {
    check(
        "set profile:a 1
         wait 1000
         began
         heard
         get profile:a = 1 store-hit
         lost
         wait 999
         get profile:a = 1 l1-hit
         began
         get profile:a = 1 store-hit
         heard
         wait 10
         get profile:a = 1 l1-hit",
    )
    .await;
}

#[tokio::test]
async fn the_echo_of_an_own_write_leaves_its_copy_for_the_bound() {
    check(
        "began
         heard
         set profile:a 1
         told chat:v1:profile:a
         wait 999
         get profile:a = 1 l1-hit
         heard
         wait 1
         get profile:a = 1 store-hit
         wait 5
         get profile:a = 1 l1-hit
         told chat:v1:profile:a
         get profile:a = 1 store-hit",
    )
    .await;
    check(
        "began
         heard
         set profile:a 1
         told chat:v1:profile:a
         told chat:v1:profile:a
         get profile:a = 1 store-hit",
    )
    .await;
}

#[tokio::test]
async fn a_generation_is_known_until_it_is_told_of() {
    check(
        "set profile:a@red 1
         began
         heard
         wait 2000
         heard
         get profile:a@red = 1 store-hit
         wait 500
         told {chat:generation:profile:blue}
         get profile:a@red = 1 l1-hit
         told {chat:generation:profile:red}
         get profile:a@red = 1 store-hit
         told {chat:generation:profile}
         get profile:a@red = 1 store-hit
         get profile:a@red = 1 l1-hit",
    )
    .await;
}

#[tokio::test]
async fn what_no_stream_tells_of_is_good_for_the_bound() {
    // A key whose policy chose another name, and verbatim keys while only some are told of.
    check(
        "set moved:a 1
         set other 1
         began some
         heard
         get moved:a = 1 l1-hit
         get other = 1 store-hit
         get other = 1 store-hit
         wait 900
         heard
         wait 100
         get moved:a = 1 store-hit",
    )
    .await;
}

#[tokio::test]
async fn a_read_that_a_change_overtakes_leaves_no_copy() {
    let clock = Arc::new(VirtualClock::new(START_MS, 5));
    let store = Arc::new(GatedStore::new(MemoryStore::new(MemorySettings::default(), clock.clone())));
    let world = World::over(store.clone(), clock);
    world.raw("raw", Lifetime::fresh(Some(DAY_MS)));
    play(&world, "set raw:a 1\nbegan\nheard").await;
    let gate = store.hold("chat:v1:raw:a");
    let read = world.engine.get(b"raw:a");
    let change = async {
        store.until("begin GET chat:v1:raw:a").await;
        world.engine.changed(b"chat:v1:raw:a");
        gate.open();
    };
    let (answer, ()) = tokio::join!(read, change);
    assert_eq!(answer.unwrap().state.as_str(), "store-hit");
    play(&world, "get raw:a = 1 store-hit\nget raw:a = 1 l1-hit").await;
}

#[test]
fn every_storage_key_leads_back_to_its_key() {
    let world = World::new();
    world.enveloped("profile", Lifetime::fresh(None));
    world.default_domain();
    let wanted = || world.engine.wanted();
    assert!(wanted().is_empty(), "verbatim keys may be any");
    let bounded = larder::ports::policy::Description { key_scope: KeyScope::Domain, ..description(Encoding::Raw) };
    world.go_live("default", bounded, lives(Lifetime::fresh(None)));
    assert_eq!(wanted(), ["{chat:", "chat:"]);
}
