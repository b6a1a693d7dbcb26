//! Key versions: what an older one left is carried over when it is first asked for, and never comes back after a newer one.

mod closed;
mod collections;

use std::sync::Arc;

use bytes::Bytes;
use larder::engine::api::{Condition, SetOptions, Update};
use larder::ports::clock::VirtualClock;
use larder::ports::hooks::{Abilities, Ability, Hooks};
use larder::ports::invalidation::Mode;
use larder::ports::policy::{
    Admission, Candidate, Description, Encoding, Lifetime, Plan, Policy, PolicyError, Request, Selector,
};
use larder::ports::store::{Expire, StoreKey, Ttl};

use crate::support::engine::{Rules, World, description, lives, tagged};

const HOUR_MS: u64 = 3_600_000;

/// Rules that migrate: a value gets the version that it came from behind it; `drop…` is not wanted any more.
struct Migrating(Rules);

impl Hooks for Migrating {
    fn abilities(&self) -> Abilities {
        Abilities::default().with(Ability::Migration)
    }

    fn migrate(&self, from_version: &str, key: &str, value: &[u8]) -> Result<Option<Vec<u8>>, PolicyError> {
        let migrated = [value, b" from ", from_version.as_bytes()].concat();
        Ok((!key.starts_with("drop")).then_some(migrated))
    }
}

impl Policy for Migrating {
    fn plan(&self, request: &Request<'_>) -> Result<Plan, PolicyError> {
        self.0.plan(request)
    }

    fn plan_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Plan, PolicyError>>, PolicyError> {
        self.0.plan_batch(requests)
    }

    fn admit(&self, request: &Request<'_>, candidate: &Candidate<'_>) -> Result<Admission, PolicyError> {
        self.0.admit(request, candidate)
    }
}

fn of_version(version: &str, encoding: Encoding) -> Description {
    Description { key_version: version.into(), ..description(encoding) }
}

fn life() -> Lifetime {
    Lifetime { stale_while_revalidate_ms: HOUR_MS, ..Lifetime::fresh(Some(HOUR_MS)) }
}

fn rules(encoding: Encoding) -> Rules {
    if encoding == Encoding::Enveloped { tagged(life()) } else { lives(life()) }
}

/// Values that version `v1` wrote ten minutes ago; then `v2` serves.
async fn moved(encoding: Encoding, pairs: &[(&str, &str)]) -> World {
    let world = World::new();
    world.go_live("doc", of_version("v1", encoding), rules(encoding));
    for (key, value) in pairs {
        set(&world, key, value, SetOptions::default()).await;
    }
    world.clock.advance_ms(600_000);
    world.go_live("doc", of_version("v2", encoding), Migrating(rules(encoding)));
    world
}

async fn set(world: &World, key: &str, value: &str, options: SetOptions) -> &'static str {
    let value = Bytes::copy_from_slice(value.as_bytes());
    world.engine.set(format!("doc:{key}").as_bytes(), value, options).await.unwrap().state.as_str()
}

/// Reads a key as `value (state)`.
async fn get(world: &World, key: &str) -> String {
    let answer = world.engine.get(format!("doc:{key}").as_bytes()).await.unwrap();
    let value = answer.value.map_or_else(|| "-".into(), |value| String::from_utf8_lossy(&value).into_owned());
    format!("{value} ({})", answer.state.as_str())
}

/// The life left to what a version has.
async fn left(world: &World, version: &str, key: &str) -> Ttl {
    world.store.ttl(&StoreKey(format!("chat:{version}:doc:{key}").into())).await.unwrap()
}

#[tokio::test]
async fn a_value_is_carried_over_with_the_life_that_is_left() {
    let world = moved(Encoding::Enveloped, &[("a@red", "1")]).await;
    let answer = world.engine.get(b"doc:a@red").await.unwrap();
    assert_eq!(answer.value.as_deref(), Some(&b"1 from v1"[..]));
    assert_eq!((answer.age_ms, answer.fresh_left_ms), (Some(600_000), Some(3_000_000)));
    assert_eq!(left(&world, "v2", "a@red").await, Ttl::Ms(2 * HOUR_MS - 600_000));
    assert_eq!(left(&world, "v1", "a@red").await, Ttl::Missing);
    assert_eq!(get(&world, "a@red").await, "1 from v1 (l1-hit)");
    assert_eq!(world.metrics.domain("doc").migrated.get(), 1);
    world.clock.advance_ms(3_000_000);
    assert_eq!(get(&world, "a@red").await, "1 from v1 (stale)");
}

#[tokio::test]
async fn raw_values_keep_their_expiry() {
    let world = moved(Encoding::Raw, &[("a", "1"), ("n", "41")]).await;
    assert_eq!(get(&world, "a").await, "1 from v1 (store-hit)");
    assert_eq!(left(&world, "v2", "a").await, Ttl::Ms(2 * HOUR_MS - 600_000));
    assert_eq!(left(&world, "v1", "a").await, Ttl::Missing);
    assert_eq!(world.engine.exists(&["doc:n".into(), "doc:x".into()]).await.unwrap(), 1);
    let appended = world.engine.update(b"doc:n", Update::Append("!".into())).await.unwrap();
    assert_eq!(appended, "41 from v1!".len() as i64);
}

#[tokio::test]
async fn a_raw_domain_that_became_enveloped_is_read() {
    let world = moved(Encoding::Raw, &[("a", "1")]).await;
    world.go_live("doc", of_version("v2", Encoding::Enveloped), Migrating(lives(life())));
    assert_eq!(get(&world, "a").await, "1 from v1 (store-hit)");
    let answer = world.engine.get(b"doc:a").await.unwrap();
    assert_eq!(answer.fresh_left_ms, Some(HOUR_MS as i64));
}

#[tokio::test]
async fn what_was_invalidated_stays_so() {
    for (selector, mode, expect) in [
        (Selector::Tag("red".into()), Mode::Soft, "1 from v1 (stale)"),
        (Selector::Tag("red".into()), Mode::Hard, "- (miss)"),
        (Selector::Domain, Mode::Hard, "- (miss)"),
        (Selector::Prefix("a".into()), Mode::Hard, "- (miss)"),
        (Selector::Key("a@red".into()), Mode::Hard, "- (miss)"),
        (Selector::Key("a@red".into()), Mode::Soft, "1 from v1 (stale)"),
    ] {
        let world = moved(Encoding::Enveloped, &[("a@red", "1")]).await;
        world.engine.invalidate("doc", &selector, mode).await.unwrap();
        assert_eq!(get(&world, "a@red").await, expect, "{selector:?}");
        world.clock.advance_ms(3 * HOUR_MS);
        assert_eq!(get(&world, "a@red").await, "- (miss)", "{selector:?}");
    }
}

#[tokio::test]
async fn nothing_old_comes_back_after_a_write_or_a_removal() {
    for encoding in [Encoding::Enveloped, Encoding::Raw] {
        let world = moved(encoding, &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]).await;
        set(&world, "a", "new", SetOptions::default()).await;
        let pairs = [(Bytes::from_static(b"doc:b"), Bytes::from_static(b"new"))];
        world.engine.set_many(&pairs).await.unwrap();
        assert_eq!(world.engine.delete(&["doc:c".into()]).await.unwrap(), 1);
        let absent = SetOptions { condition: Condition::IfAbsent, ..SetOptions::default() };
        assert_eq!(set(&world, "d", "new", absent).await, "unmet");
        assert!(get(&world, "d").await.starts_with("4 from v1"));
        world.engine.delete(&["doc:a".into(), "doc:b".into(), "doc:d".into()]).await.unwrap();
        for key in ["a", "b", "c", "d"] {
            assert_eq!(get(&world, key).await, "- (miss)", "{key} {encoding:?}");
            assert_eq!(left(&world, "v1", key).await, Ttl::Missing, "{key} {encoding:?}");
        }
    }
}

#[tokio::test]
async fn what_the_policy_drops_is_gone_and_damage_is_a_miss() {
    let world = moved(Encoding::Enveloped, &[("drop", "1"), ("cut", "2")]).await;
    let key = StoreKey(Bytes::from_static(b"chat:v1:doc:cut"));
    let held = world.store.get(&key, false).await.unwrap().unwrap();
    world.store.set(&key, held.bytes.slice(..20), Expire::Never).await.unwrap();
    for key in ["drop", "cut"] {
        assert_eq!(get(&world, key).await, "- (miss)");
        assert_eq!(left(&world, "v1", key).await, Ttl::Missing);
    }
}

#[tokio::test]
async fn a_batch_reads_through_and_older_versions_come_after_newer_ones() {
    let world = moved(Encoding::Enveloped, &[("a", "1"), ("b", "2")]).await;
    world.go_live("doc", of_version("v0", Encoding::Enveloped), rules(Encoding::Enveloped));
    set(&world, "a", "older", SetOptions::default()).await;
    set(&world, "c", "3", SetOptions::default()).await;
    world.go_live("doc", of_version("v2", Encoding::Enveloped), Migrating(rules(Encoding::Enveloped)));
    let keys = ["doc:a", "doc:b", "doc:c", "doc:d"].map(|key| Bytes::from_static(key.as_bytes()));
    let answers = world.engine.get_many(&keys).await.unwrap();
    let values: Vec<_> =
        answers.into_iter().map(|it| it.value.map(|v| String::from_utf8_lossy(&v).into_owned())).collect();
    let expect = [Some("1 from v1"), Some("2 from v1"), Some("3 from v0"), None];
    assert_eq!(values.iter().map(Option::as_deref).collect::<Vec<_>>(), expect);
    assert_eq!(left(&world, "v0", "a").await, Ttl::Missing);
}

#[tokio::test]
async fn two_nodes_carry_a_value_over_once() {
    let one = moved(Encoding::Enveloped, &[("a", "1")]).await;
    let two = World::over(one.store.clone(), Arc::new(VirtualClock::new(one.engine.now_ms(), 9)));
    two.go_live("doc", of_version("v2", Encoding::Enveloped), Migrating(rules(Encoding::Enveloped)));
    let (first, second) = futures_util::future::join(get(&one, "a"), get(&two, "a")).await;
    assert_eq!([first.as_str(), second.as_str()], ["1 from v1 (store-hit)"; 2]);
    assert_eq!(one.metrics.domain("doc").migrated.get() + two.metrics.domain("doc").migrated.get(), 1);
}

#[tokio::test]
async fn a_policy_that_does_not_migrate_begins_cold() {
    let world = moved(Encoding::Enveloped, &[("a", "1")]).await;
    world.go_live("doc", of_version("v2", Encoding::Enveloped), rules(Encoding::Enveloped));
    assert_eq!(get(&world, "a").await, "- (miss)");
    assert_ne!(left(&world, "v1", "a").await, Ttl::Missing);
}
