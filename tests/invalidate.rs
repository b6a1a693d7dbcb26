//! Invalidation: what is served afterwards, on both stores, in virtual time.

mod front_ends;
mod nodes;
mod property;
mod rules;
mod scans;
mod steps;
mod store;
mod told;

use std::sync::Arc;

use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::ports::clock::VirtualClock;
use larder::ports::invalidation::{Mode, SelectorKind};
use larder::ports::policy::{Encoding, Lifetime};
use larder::ports::store::Store;

use crate::support::engine::{World, description, selector_of, tagged};
use crate::support::gated::GatedStore;
use crate::support::redis::RedisServer;

const HOUR_MS: u64 = 3_600_000;
const START_MS: u64 = 1_000_000_000_000;

/// Fresh for a day, stale for five minutes.
fn life() -> Lifetime {
    Lifetime { stale_while_revalidate_ms: 300_000, ..Lifetime::fresh(Some(24 * HOUR_MS)) }
}

/// `profile` with tags as the keys name them, `brief` that is never stale, `plain` that is raw, and `default`.
fn world_over(store: Arc<dyn Store>, clock: Arc<VirtualClock>) -> World {
    furnished(World::over(store, clock))
}

fn furnished(world: World) -> World {
    world.go_live("profile", description(Encoding::Enveloped), tagged(life()));
    world.go_live("brief", description(Encoding::Enveloped), tagged(Lifetime::fresh(Some(HOUR_MS))));
    world.raw("plain", Lifetime::fresh(Some(HOUR_MS)));
    world.default_domain();
    world
}

/// Invalidates in a domain, and what is told: a number of keys, `done`, or the error.
async fn invalidate(world: &World, domain: &str, words: &[&str]) -> String {
    let (selector, mode) = selector_of(words);
    match world.engine.invalidate(domain, &selector, mode).await {
        Ok(outcome) => outcome.keys.map_or_else(|| "done".to_owned(), |keys| keys.to_string()),
        Err(error) => format!("{}: {}", error.kind.as_str(), error.message),
    }
}

async fn get(world: &World, key: &str) -> String {
    match world.engine.get(key.as_bytes()).await {
        Ok(answer) => {
            let value =
                answer.value.map_or_else(|| "-".to_owned(), |value| String::from_utf8_lossy(&value).into_owned());
            format!("{value} ({})", answer.state.as_str())
        }
        Err(error) => format!("{}: {}", error.kind.as_str(), error.message),
    }
}

async fn set(world: &World, key: &str, value: &str) {
    let value = bytes::Bytes::copy_from_slice(value.as_bytes());
    world.engine.set(key.as_bytes(), value, larder::engine::api::SetOptions::default()).await.unwrap();
}

/// Carries out a script. Keys are of the domain `profile`, unless they have another.
///
/// `set KEY VALUE`, `get KEY = ANSWER`, `wait MS`; else an invalidation, `tag red soft = done`, with `in DOMAIN` before it or not.
async fn play(world: &World, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (step, expect) = line.split_once(" = ").unwrap_or((line, ""));
        let words: Vec<&str> = step.split(' ').collect();
        let name = |key: &str| if key.contains("::") { key.replace("::", ":") } else { format!("profile:{key}") };
        let answer = match &words[..] {
            ["set", key, value] => {
                set(world, &name(key), value).await;
                String::new()
            }
            ["get", key] => get(world, &name(key)).await,
            ["wait", ms] => {
                world.clock.advance_ms(ms.parse().unwrap());
                String::new()
            }
            ["in", domain, words @ ..] => invalidate(world, domain, words).await,
            words => invalidate(world, "profile", words).await,
        };
        assert_eq!(answer, expect, "{line}");
    }
}

/// The script does the same on the memory store, on one that is shared, and on Redis. `l1` in an answer is `l1-hit` on all of them.
async fn check(script: &str) {
    let own = clock();
    let memory = || MemoryStore::new(MemorySettings::default(), own.clone());
    play(&world_over(Arc::new(memory()), own.clone()), script).await;
    play(&world_over(Arc::new(GatedStore::new(memory())), own.clone()), script).await;
    let server = RedisServer::start();
    play(&world_over(Arc::new(server.store()), clock()), script).await;
}

#[tokio::test]
async fn a_tag() {
    check(
        "set a@red 1
        set b@red+blue 2
        set c@blue 3
        set d 4
        tag red = done
        get a@red = - (miss)
        get b@red+blue = - (miss)
        get c@blue = 3 (l1-hit)
        get d = 4 (l1-hit)
        tag nobody = done
        get d = 4 (l1-hit)
        set a@red 5
        get a@red = 5 (l1-hit)
        tag blue soft = done
        get c@blue = 3 (stale)
        get c@blue = 3 (stale)
        get a@red = 5 (l1-hit)
        wait 299999
        get c@blue = 3 (stale)
        wait 2
        get c@blue = - (miss)",
    )
    .await;
}

#[tokio::test]
async fn soft_then_hard_and_hard_then_soft() {
    check(
        "set a@red 1
        tag red soft = done
        tag red soft = done
        get a@red = 1 (stale)
        tag red = done
        get a@red = - (miss)
        tag red soft = done
        get a@red = - (miss)
        set a@red 2
        domain soft = done
        get a@red = 2 (stale)
        domain = done
        get a@red = - (miss)
        set a@red 3
        get a@red = 3 (l1-hit)",
    )
    .await;
}

#[tokio::test]
async fn a_domain_and_no_other() {
    check(
        "set a 1
        set brief::a 2
        domain = done
        get a = - (miss)
        get brief::a = 2 (l1-hit)
        in brief domain soft = done
        get brief::a = - (miss)
        set a 3
        set brief::a 4
        get a = 3 (l1-hit)
        get brief::a = 4 (l1-hit)",
    )
    .await;
}

#[tokio::test]
async fn a_prefix_of_the_key() {
    check(
        "set user:4 1
        set user:42 2
        set user:5 3
        prefix user:4 soft = done
        get user:4 = 1 (stale)
        get user:42 = 2 (stale)
        get user:5 = 3 (l1-hit)
        set user:42 4
        get user:42 = 4 (l1-hit)
        prefix user: = done
        get user:42 = - (miss)
        get user:5 = - (miss)
        set user:42 5
        set user:5 6
        prefix user:4 soft = done
        get user:42 = 5 (stale)
        get user:5 = 6 (l1-hit)
        get user:4 = - (miss)",
    )
    .await;
}

#[tokio::test]
async fn a_key() {
    check(
        "set a@red 1
        set b 2
        key a@red soft = 1
        get a@red = 1 (stale)
        get a@red = 1 (stale)
        get b = 2 (l1-hit)
        key none soft = 0
        key none = 0
        key b = 1
        get b = - (miss)
        set a@red 3
        get a@red = 3 (l1-hit)
        in brief key x soft = 0
        set plain::a 4
        in plain key a = 1
        get plain::a = - (miss)",
    )
    .await;
}

#[tokio::test]
async fn what_a_domain_cannot_do_is_said() {
    let world = world_over(Arc::new(MemoryStore::new(MemorySettings::default(), clock())), clock());
    for (domain, words, expect) in [
        (
            "nobody",
            &["domain"][..],
            "unknown-domain: no policy serves the domain 'nobody'; `LARDER.POLICY LIST` names those that do",
        ),
        ("plain", &["tag", "red"], "unsupported: the domain 'plain' is raw: its values carry no tags"),
        (
            "plain",
            &["key", "a", "soft"],
            "unsupported: the domain 'plain' is raw: its values cannot be stale; invalidate them hard",
        ),
        (
            "plain",
            &["domain", "soft"],
            "unsupported: the domain 'plain' is raw: its values cannot be stale; invalidate them hard",
        ),
        (
            "default",
            &["domain"],
            "unsupported: the keys of 'default' are whatever is in the store; name a prefix or a pattern, not the domain",
        ),
        ("default", &["key", "profile:a"], "invalid-argument: the key belongs to the domain 'profile'"),
        ("profile", &["tag", ""], "invalid-argument: a tag of 0 bytes; 1 to 128 are allowed"),
        ("profile", &["prefix", ""], "invalid-argument: a prefix of 0 bytes; 1 to 256 are allowed"),
        ("profile", &["pattern", ""], "invalid-argument: a pattern of 0 bytes; 1 to 1024 are allowed"),
        ("profile", &["key", "a\u{1}"], "invalid-key: the key holds the control character U+0001"),
    ] {
        assert_eq!(invalidate(&world, domain, words).await, expect);
    }
    let failed = &world.metrics.domain("profile").invalidations_failed;
    assert_eq!(failed[SelectorKind::Key as usize].get(), 1);
}

/// A clock with chance of its own: generations must differ from those of an engine before.
fn clock() -> Arc<VirtualClock> {
    Arc::new(VirtualClock::new(START_MS, fastrand::u64(..)))
}

#[tokio::test]
async fn everything_is_counted() {
    let world = world_over(Arc::new(MemoryStore::new(MemorySettings::default(), clock())), clock());
    play(
        &world,
        "set a@red 1
        tag red soft = done
        get a@red = 1 (stale)
        tag red = done
        get a@red = - (miss)
        domain soft = done",
    )
    .await;
    let metrics = world.metrics.domain("profile");
    let done = |kind: SelectorKind, mode: Mode| metrics.invalidations[kind as usize][mode as usize].get();
    assert_eq!((done(SelectorKind::Tag, Mode::Soft), done(SelectorKind::Tag, Mode::Hard)), (1, 1));
    assert_eq!((done(SelectorKind::Domain, Mode::Soft), done(SelectorKind::Domain, Mode::Hard)), (1, 0));
    assert_eq!(Mode::ALL.map(|mode| metrics.found_invalidated[mode as usize].get()), [1, 1]);
}
