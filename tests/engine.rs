//! What the engine does with entries, in virtual time, on the memory store, with policies that are Rust functions.

mod refusals;

use std::sync::Arc;

use bytes::Bytes;
use larder::engine::api::{AskedTtl, Condition, ExpireCondition, SetOptions, Update};
use larder::engine::fill::{LeaseBook, Who};
use larder::engine::l1::L1Settings;
use larder::error::ErrorKind;
use larder::ports::metrics::State;
use larder::ports::policy::{Absence, Admission, Encoding, Lifetime, Miss, Plan};
use larder::ports::store::{Expire, StoreKey, Ttl};

use crate::support::engine::{Rules, World, description, lives};

const HOUR_MS: u64 = 3_600_000;

fn profile_life() -> Lifetime {
    Lifetime { stale_while_revalidate_ms: 300_000, ..Lifetime::fresh(Some(24 * HOUR_MS)) }
}

async fn set(world: &World, key: &str, value: &str) {
    set_with(world, key, value, SetOptions::default()).await;
}

async fn set_with(world: &World, key: &str, value: &str, options: SetOptions) -> State {
    world.engine.set(key.as_bytes(), Bytes::copy_from_slice(value.as_bytes()), options).await.unwrap().state
}

/// Reads a key and compares value and state, in the words of the metrics: `Ada (l1-hit)`.
#[track_caller]
fn check(answer: larder::error::Result<larder::engine::api::Answer>, expect: &str) {
    let seen = match answer {
        Ok(answer) => {
            let value =
                answer.value.map_or_else(|| "-".to_owned(), |value| String::from_utf8_lossy(&value).into_owned());
            format!("{value} ({})", answer.state.as_str())
        }
        Err(error) => format!("{}: {}", error.kind.as_str(), error.message),
    };
    assert_eq!(seen, expect);
}

async fn get(world: &World, key: &str) -> larder::error::Result<larder::engine::api::Answer> {
    world.engine.get(key.as_bytes()).await
}

fn storage(name: &str) -> StoreKey {
    StoreKey(Bytes::copy_from_slice(name.as_bytes()))
}

#[tokio::test]
async fn an_entry_is_fresh_then_stale_then_gone() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    check(get(&world, "profile:user:42").await, "- (miss)");
    set(&world, "profile:user:42", "Ada").await;
    check(get(&world, "profile:user:42").await, "Ada (l1-hit)");
    world.clock.advance_ms(24 * HOUR_MS - 1);
    check(get(&world, "profile:user:42").await, "Ada (l1-hit)");
    world.clock.advance_ms(1);
    check(get(&world, "profile:user:42").await, "Ada (stale)");
    world.clock.advance_ms(299_999);
    check(get(&world, "profile:user:42").await, "Ada (stale)");
    world.clock.advance_ms(1);
    check(get(&world, "profile:user:42").await, "- (miss)");
    // The store, as Redis, lets a key go after its last millisecond.
    world.clock.advance_ms(1);
    assert_eq!(world.store.ttl(&storage("chat:v1:profile:user:42")).await, Ok(Ttl::Missing));
}

#[tokio::test]
async fn the_storage_key_is_the_hosts_prefix_and_the_policys_suffix() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    let rules = Rules {
        plan: Box::new(|request| {
            Ok(Plan { suffix: Some(format!("by-id:{}", request.key)), miss: Miss::Answer, collapse_wait_ms: 0 })
        }),
        ..lives(Lifetime::fresh(None))
    };
    world.go_live("other", description(Encoding::Raw), rules);
    set(&world, "profile:user:42", "Ada").await;
    set(&world, "other:7", "x").await;
    for key in ["chat:v1:profile:user:42", "chat:v1:other:by-id:7"] {
        assert!(world.store.get(&storage(key), false).await.unwrap().is_some(), "{key}");
    }
    let raw = world.store.get(&storage("chat:v1:other:by-id:7"), false).await.unwrap().unwrap();
    assert_eq!(raw.bytes, "x");
}

#[tokio::test]
async fn a_swap_judges_what_is_cached_anew_on_the_next_touch() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    set(&world, "profile:user:42", "Ada").await;
    world.clock.advance_ms(HOUR_MS);
    world.enveloped("profile", Lifetime::fresh(Some(2 * HOUR_MS)));
    check(get(&world, "profile:user:42").await, "Ada (store-hit)");
    check(get(&world, "profile:user:42").await, "Ada (l1-hit)");
    assert_eq!(world.engine.ttl(b"profile:user:42").await, Ok(Ttl::Ms(HOUR_MS)));
    assert_eq!(world.store.ttl(&storage("chat:v1:profile:user:42")).await, Ok(Ttl::Ms(HOUR_MS)));
    world.clock.advance_ms(HOUR_MS);
    check(get(&world, "profile:user:42").await, "- (miss)");
}

#[tokio::test]
async fn a_longer_life_after_a_swap_counts_for_what_is_cached_too() {
    let world = World::new();
    world.enveloped("profile", Lifetime::fresh(Some(HOUR_MS)));
    set(&world, "profile:user:42", "Ada").await;
    world.clock.advance_ms(HOUR_MS - 1);
    world.enveloped("profile", Lifetime::fresh(Some(48 * HOUR_MS)));
    check(get(&world, "profile:user:42").await, "Ada (store-hit)");
    world.clock.advance_ms(46 * HOUR_MS);
    check(get(&world, "profile:user:42").await, "Ada (l1-hit)");
}

#[tokio::test]
async fn rules_that_would_not_have_an_entry_do_not_serve_it() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    set(&world, "profile:user:42", "Ada").await;
    let rules = Rules { admit: Box::new(|_, _| Ok(Admission::Pass(0))), ..lives(profile_life()) };
    world.go_live("profile", description(Encoding::Enveloped), rules);
    check(get(&world, "profile:user:42").await, "- (miss)");
    assert_eq!(set_with(&world, "profile:user:42", "Bob", SetOptions::default()).await, State::Passed);
    check(get(&world, "profile:user:42").await, "- (miss)");
}

#[tokio::test]
async fn a_swap_of_another_domain_leaves_copies_in_l1() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    set(&world, "profile:user:42", "Ada").await;
    world.enveloped("other", profile_life());
    check(get(&world, "profile:user:42").await, "Ada (l1-hit)");
    assert!(world.engine.hit(b"profile:user:42", world.engine.now_ms()).is_some());
}

#[tokio::test]
async fn a_key_moves_to_a_domain_of_its_own_when_that_gets_a_policy() {
    let world = World::new();
    world.default_domain();
    set(&world, "profile:user:42", "raw").await;
    check(get(&world, "profile:user:42").await, "raw (l1-hit)");
    world.enveloped("profile", profile_life());
    check(get(&world, "profile:user:42").await, "- (miss)");
}

#[tokio::test]
async fn an_asked_lifetime_is_put_before_the_policy() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    world.default_domain();
    for key in ["profile:user:42", "plain"] {
        set_with(&world, key, "x", SetOptions { ttl: AskedTtl::InMs(5_000), ..SetOptions::default() }).await;
        assert_eq!(world.engine.ttl(key.as_bytes()).await, Ok(Ttl::Ms(5_000)), "{key}");
        let at_ms = world.engine.now_ms() + 9_000;
        assert_eq!(world.engine.expire(key.as_bytes(), at_ms, ExpireCondition::IfEarlier).await, Ok(false), "{key}");
        assert_eq!(world.engine.expire(key.as_bytes(), at_ms, ExpireCondition::IfLater).await, Ok(true), "{key}");
        assert_eq!(world.engine.ttl(key.as_bytes()).await, Ok(Ttl::Ms(9_000)), "{key}");
    }
    assert_eq!(world.engine.persist(b"plain").await, Ok(true));
    assert_eq!(world.engine.ttl(b"plain").await, Ok(Ttl::Never));
    assert_eq!(world.engine.persist(b"profile:user:42").await, Ok(true));
    assert_eq!(world.engine.ttl(b"profile:user:42").await, Ok(Ttl::Ms(24 * HOUR_MS)));
    for key in ["profile:user:42", "plain"] {
        assert_eq!(world.engine.expire(key.as_bytes(), 0, ExpireCondition::Always).await, Ok(true), "{key}");
        check(get(&world, key).await, "- (miss)");
        let later_ms = world.engine.now_ms() + 5_000;
        assert_eq!(world.engine.expire(key.as_bytes(), later_ms, ExpireCondition::Always).await, Ok(false), "{key}");
        let error = world.engine.expire(key.as_bytes(), u64::MAX, ExpireCondition::Always).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidArgument, "{key}");
    }
}

#[tokio::test]
async fn conditions_see_what_a_reader_sees() {
    let world = World::new();
    world.enveloped("profile", Lifetime { keep_ms: HOUR_MS, ..Lifetime::fresh(Some(1_000)) });
    world.default_domain();
    for key in ["profile:user:42", "plain"] {
        let nx = SetOptions { condition: Condition::IfAbsent, ..SetOptions::default() };
        let xx = SetOptions { condition: Condition::IfPresent, ..SetOptions::default() };
        assert_eq!(set_with(&world, key, "a", xx).await, State::Unmet, "{key}");
        assert_eq!(set_with(&world, key, "b", nx).await, State::Done, "{key}");
        assert_eq!(set_with(&world, key, "c", nx).await, State::Unmet, "{key}");
        let swap = SetOptions { want_previous: true, ..SetOptions::default() };
        let answer = world.engine.set(key.as_bytes(), Bytes::from("d"), swap).await.unwrap();
        assert_eq!(answer.previous.as_deref(), Some(&b"b"[..]), "{key}");
        check(get(&world, key).await, if key == "plain" { "d (store-hit)" } else { "d (l1-hit)" });
    }
    // Kept for a conditional load, but not there for a reader: NX may write, DEL removes nothing that was seen.
    world.clock.advance_ms(2_000);
    assert_eq!(world.engine.exists(&[Bytes::from("profile:user:42")]).await, Ok(0));
    assert_eq!(world.engine.delete(&[Bytes::from("profile:user:42")]).await, Ok(0));
}

#[tokio::test]
async fn a_change_keeps_the_life_of_what_is_there() {
    let world = World::new();
    world.enveloped("profile", Lifetime::fresh(Some(10_000)));
    world.raw("count", Lifetime::fresh(Some(10_000)));
    for key in [&b"profile:n"[..], b"count:n"] {
        assert_eq!(world.engine.update(key, Update::IncrementBy(5)).await, Ok(5));
        world.clock.advance_ms(4_000);
        assert_eq!(world.engine.update(key, Update::IncrementBy(-7)).await, Ok(-2));
        assert_eq!(world.engine.ttl(key).await, Ok(Ttl::Ms(6_000)));
        assert_eq!(world.engine.update(key, Update::Append(Bytes::from("x"))).await, Ok(3));
        let error = world.engine.update(key, Update::IncrementBy(1)).await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::StoreReply, "ERR value is not an integer or out of range")
        );
    }
}

#[tokio::test]
async fn a_sliding_entry_lives_as_long_as_it_is_read() {
    for encoding in [Encoding::Raw, Encoding::Enveloped] {
        let world = World::new();
        let mut description = description(encoding);
        description.wants_raw_reads = true;
        world.go_live("session", description, lives(Lifetime { sliding: true, ..Lifetime::fresh(Some(HOUR_MS)) }));
        set(&world, "session:s1", "Ada").await;
        for _ in 0..10 {
            world.clock.advance_ms(HOUR_MS - 1_000);
            let answer = get(&world, "session:s1").await.unwrap();
            assert_eq!(answer.value.as_deref(), Some(&b"Ada"[..]));
        }
        world.clock.advance_ms(HOUR_MS + 1);
        check(get(&world, "session:s1").await, "- (miss)");
    }
}

#[tokio::test]
async fn an_absence_is_answered_from_the_cache() {
    let world = World::new();
    let rules = Rules {
        admit: Box::new(|_, _| Ok(Admission::Absent(Absence { fresh_ms: 1_000, tags: Vec::new() }))),
        ..lives(profile_life())
    };
    world.go_live("profile", description(Encoding::Enveloped), rules);
    set(&world, "profile:user:42", "ignored").await;
    check(get(&world, "profile:user:42").await, "- (negative)");
    check(get(&world, "profile:user:42").await, "- (negative)");
    world.clock.advance_ms(1_000);
    check(get(&world, "profile:user:42").await, "- (miss)");
}

#[tokio::test]
async fn foreign_bytes_are_a_miss_and_a_metric() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    let key = storage("chat:v1:profile:user:42");
    for bytes in [&b""[..], b"{}", b"\xF5LD", b"\xF5LD\x01", b"\xF5LD\x09xxxxxxxxxxxx", b"\xF5LD\x01xxxxxxxx\xff\xff"] {
        world.store.set(&key, Bytes::from_static(bytes), Expire::Never).await.unwrap();
        check(get(&world, "profile:user:42").await, "- (miss)");
        assert_eq!(
            set_with(
                &world,
                "profile:user:42",
                "a",
                SetOptions { condition: Condition::IfAbsent, ..SetOptions::default() }
            )
            .await,
            State::Done
        );
        check(get(&world, "profile:user:42").await, "a (l1-hit)");
        assert_eq!(world.engine.delete(&[Bytes::from("profile:user:42")]).await, Ok(1));
    }
    assert!(world.metrics.domain("profile").foreign_bytes.get() >= 6);
}

#[tokio::test]
async fn many_keys_are_read_and_written_at_once() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    world.default_domain();
    let items: Vec<_> =
        ["profile:a", "plain", "profile:b"].map(|key| (Bytes::from(key), Bytes::from(format!("v-{key}")))).into();
    world.engine.set_many(&items).await.unwrap();
    let keys: Vec<_> = ["profile:b", "absent", "plain", "profile:a", "profile:none"].map(Bytes::from).into();
    let answers = world.engine.get_many(&keys).await.unwrap();
    let values: Vec<_> = answers.iter().map(|answer| answer.value.as_deref().map(String::from_utf8_lossy)).collect();
    assert_eq!(values, [Some("v-profile:b".into()), None, Some("v-plain".into()), Some("v-profile:a".into()), None]);
    assert_eq!(world.engine.exists(&keys).await, Ok(3));
    assert_eq!(world.engine.delete(&keys).await, Ok(3));
    assert_eq!(world.engine.exists(&keys).await, Ok(0));
}

#[tokio::test]
async fn an_explanation_changes_nothing() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    set(&world, "profile:user:42", "Ada").await;
    world.clock.advance_ms(1_000);
    world.enveloped("profile", Lifetime::fresh(Some(HOUR_MS)));
    for _ in 0..2 {
        let seen = world.engine.explain(b"profile:user:42").await.unwrap();
        assert_eq!(seen.storage_key, "chat:v1:profile:user:42");
        assert_eq!((seen.state.as_str(), seen.from), ("store-hit", "store"));
        assert_eq!((seen.fresh_ms, seen.fresh_left_ms, seen.age_ms), (Some(HOUR_MS), Some(3_599_000), Some(1_000)));
        assert!(seen.rejudged);
    }
    check(get(&world, "profile:user:42").await, "Ada (store-hit)");
    let seen = world.engine.explain(b"profile:user:42").await.unwrap();
    assert_eq!((seen.state.as_str(), seen.from, seen.rejudged), ("l1-hit", "l1", false));
    assert_eq!(world.engine.explain(b"profile:none").await.unwrap().state, "miss");
}

#[tokio::test]
async fn a_write_cannot_be_undone_by_a_slower_read() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    set(&world, "profile:user:42", "old").await;
    let l1 = larder::engine::l1::L1::new(
        L1Settings { bytes_max: 1 << 20, ..L1Settings::default() },
        Arc::new(larder::ports::metrics::Metrics::default()),
    );
    let key = b"profile:user:42";
    let entry = || world.engine.hit(key, world.engine.now_ms()).unwrap();
    // A read takes its ticket, a write comes and goes, the read stores: nothing.
    let ticket = l1.ticket(key);
    l1.writing(key).done(None);
    assert!(!l1.insert(ticket, key, entry()));
    assert!(l1.get(key).is_none());
    // Two writes overlap: neither keeps a copy, for nobody here knows which was last.
    let (first, second) = (l1.writing(key), l1.writing(key));
    first.done(Some(entry()));
    second.done(Some(entry()));
    assert!(l1.get(key).is_none());
    // A write that is cancelled leaves no copy either, also of what was read while it ran.
    let writing = l1.writing(key);
    let ticket = l1.ticket(key);
    l1.insert(ticket, key, entry());
    drop(writing);
    assert!(l1.get(key).is_none());
    // Alone, it keeps one.
    l1.writing(key).done(Some(entry()));
    assert!(l1.get(key).is_some());
}

/// A command's future is moved into a box, so all of it is copied. What few commands need is boxed by itself, and nothing is an
/// `async fn` that only wraps another future, since that keeps its argument twice.
#[test]
fn the_futures_of_the_hot_path_are_small() {
    let world = World::new();
    let (engine, book) = (&world.engine, LeaseBook::new());
    let value = || Bytes::from_static(b"v");
    for (name, bytes) in [
        ("get", size_of_val(&engine.get(b"a:b"))),
        ("get_or_lease", size_of_val(&engine.get_or_lease(b"a:b", Who::Connection(&book)))),
        ("set", size_of_val(&engine.set(b"a:b", value(), SetOptions::default()))),
        ("set_or_fill", size_of_val(&engine.set_or_fill(b"a:b", value(), SetOptions::default(), &book))),
    ] {
        assert!(bytes <= 3 * 1024, "{name} takes {bytes} bytes");
    }
}
