//! What the port's own methods promise.

use std::sync::Arc;

use bytes::Bytes;
use larder::limits::TTL_MS_MAX;
use larder::ports::store::{Command, Expect, Expire, Held, Reply, Store, StoreError, StoreKey, Ttl};

use super::{Bench, key};

async fn set(bench: &Bench, key: &StoreKey, value: &'static str, expire: Expire) {
    bench.store.set(key, Bytes::from_static(value.as_bytes()), expire).await.expect("it is stored");
}

async fn get(bench: &Bench, key: &StoreKey) -> Option<Bytes> {
    bench.store.get(key, false).await.expect("it is read").map(|held| held.bytes)
}

/// The key holds this, or nothing.
#[track_caller]
fn check<'a>(bench: &'a Bench, key: &'a StoreKey, expect: Option<&'a str>) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        assert_eq!(get(bench, key).await.as_deref(), expect.map(str::as_bytes), "at {caller}");
    }
}

/// What is left of a life of so many milliseconds a moment after it began; a minute for a busy machine.
fn is_nearly(ttl: Ttl, ms: u64) -> bool {
    matches!(ttl, Ttl::Ms(left) if left <= ms && left + 60_000 >= ms)
}

pub(super) async fn what_is_stored_is_read(bench: &Bench) {
    let k = key("k");
    check(bench, &k, None).await;
    set(bench, &k, "v", Expire::Never).await;
    check(bench, &k, Some("v")).await;
    set(bench, &k, "", Expire::Never).await;
    check(bench, &k, Some("")).await;
    bench.store.ping().await.expect("it answers");
}

pub(super) async fn any_bytes_are_keys_and_values(bench: &Bench) {
    let all: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let keys = [all.clone(), Bytes::from_static(b"\r\n"), Bytes::from_static(b"\0"), Bytes::from_static(b"{a}b ")];
    for (n, name) in keys.iter().enumerate() {
        let value = all.slice(n..);
        bench.store.set(&StoreKey(name.clone()), value, Expire::Never).await.expect("it is stored");
    }
    for (n, name) in keys.iter().enumerate() {
        assert_eq!(get(bench, &StoreKey(name.clone())).await, Some(all.slice(n..)));
    }
}

pub(super) async fn large_values_are_whole(bench: &Bench) {
    let value: Bytes = (0..5 * 1024 * 1024_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    bench.store.set(&key("large"), value.clone(), Expire::Never).await.expect("it is stored");
    assert!(get(bench, &key("large")).await == Some(value.clone()), "five mebibytes come back as they went");
    // A value must not keep the buffer alive of which it was a part.
    bench.store.set(&key("small"), value.slice(7..9), Expire::Never).await.expect("it is stored");
    assert_eq!(get(bench, &key("small")).await, Some(value.slice(7..9)));
}

pub(super) async fn what_was_read_does_not_change(bench: &Bench) {
    let (k, mut expect) = (key("k"), Vec::new());
    for n in 0..100_u8 {
        let before = get(bench, &k).await;
        let tail = vec![n; 10];
        expect.extend_from_slice(&tail);
        let length = i64::try_from(expect.len()).expect("it is short");
        let appended = bench.store.call(Command::new("APPEND").arg("k").arg(tail)).await;
        assert_eq!(appended, Ok(Reply::Integer(length)));
        // The first read holds on to its bytes while they grow; every other round nobody does.
        if n % 2 == 0 {
            assert_eq!(before.map_or(0, |before| before.len()), expect.len() - 10);
        }
        assert_eq!(get(bench, &k).await.as_deref(), Some(&expect[..]));
    }
    let before = get(bench, &k).await.expect("it is there");
    let patched = bench.store.call(Command::new("SETRANGE").arg("k").arg("5").arg("patch")).await;
    assert_eq!(patched, Ok(Reply::Integer(1_000)));
    assert_eq!(before, expect);
    expect[5..10].copy_from_slice(b"patch");
    assert_eq!(get(bench, &k).await.as_deref(), Some(&expect[..]));
}

pub(super) async fn a_ttl_is_told_only_if_asked_for(bench: &Bench) {
    let (endless, short) = (key("endless"), key("short"));
    set(bench, &endless, "v", Expire::Never).await;
    set(bench, &short, "v", Expire::InMs(100_000)).await;
    for (k, with_ttl, expect) in
        [(&endless, true, Ttl::Never), (&endless, false, Ttl::Missing), (&short, false, Ttl::Missing)]
    {
        let held = bench.store.get(k, with_ttl).await.expect("it is read");
        assert_eq!(held, Some(Held { bytes: Bytes::from_static(b"v"), ttl: expect }));
    }
    let held = bench.store.get(&short, true).await.expect("it is read").expect("it is there");
    assert!(is_nearly(held.ttl, 100_000), "{held:?}");
    assert_eq!(bench.store.get(&key("none"), true).await.expect("it is read"), None);
    assert_eq!(bench.store.ttl(&key("none")).await, Ok(Ttl::Missing));
    assert_eq!(bench.store.ttl(&endless).await, Ok(Ttl::Never));
    assert!(is_nearly(bench.store.ttl(&short).await.expect("it is told"), 100_000));
}

pub(super) async fn an_expired_key_is_gone(bench: &Bench) {
    let k = key("k");
    set(bench, &k, "v", Expire::InMs(30)).await;
    bench.outlive(&k, 30).await;
    check(bench, &k, None).await;
    assert_eq!(bench.store.get_many(std::slice::from_ref(&k), true).await, Ok(vec![None]));
    assert_eq!(bench.store.delete(std::slice::from_ref(&k)).await, Ok(vec![false]));
    assert_eq!(bench.store.expire(&k, Expire::InMs(1000)).await, Ok(false));
    assert_eq!(bench.store.remove(&k, Bytes::new()).await, Ok(false));
    assert_eq!(bench.store.call(Command::new("APPEND").arg("k").arg("new")).await, Ok(Reply::Integer(3)));
}

pub(super) async fn a_write_says_what_becomes_of_the_expiry(bench: &Bench) {
    let k = key("k");
    set(bench, &k, "v", Expire::Keep).await;
    assert_eq!(bench.store.ttl(&k).await, Ok(Ttl::Never));
    set(bench, &k, "v", Expire::InMs(100_000)).await;
    set(bench, &k, "w", Expire::Keep).await;
    check(bench, &k, Some("w")).await;
    assert!(is_nearly(bench.store.ttl(&k).await.expect("it is told"), 100_000));
    set(bench, &k, "x", Expire::Never).await;
    assert_eq!(bench.store.ttl(&k).await, Ok(Ttl::Never));
}

pub(super) async fn an_expiry_is_changed(bench: &Bench) {
    let k = key("k");
    for expire in [Expire::Keep, Expire::Never, Expire::InMs(1000)] {
        assert_eq!(bench.store.expire(&k, expire).await, Ok(false), "{expire:?}");
    }
    set(bench, &k, "v", Expire::Never).await;
    assert_eq!(bench.store.expire(&k, Expire::Never).await, Ok(true), "there is such a key, if nothing to change");
    assert_eq!(bench.store.expire(&k, Expire::InMs(100_000)).await, Ok(true));
    assert_eq!(bench.store.expire(&k, Expire::Keep).await, Ok(true));
    assert!(is_nearly(bench.store.ttl(&k).await.expect("it is told"), 100_000));
    assert_eq!(bench.store.expire(&k, Expire::Never).await, Ok(true));
    assert_eq!(bench.store.ttl(&k).await, Ok(Ttl::Never));
    check(bench, &k, Some("v")).await;
}

pub(super) async fn many_are_read_in_order(bench: &Bench) {
    const KEYS: usize = 2_000;
    let keys: Vec<StoreKey> = (0..KEYS).map(|n| StoreKey(format!("k{n}").into())).collect();
    let even = keys.iter().step_by(2).map(|k| (k.clone(), k.0.clone(), Expire::InMs(100_000))).collect();
    bench.store.set_many(even).await.expect("they are stored");
    for with_ttl in [false, true] {
        let held = bench.store.get_many(&keys, with_ttl).await.expect("they are read");
        assert_eq!(held.len(), KEYS);
        for (n, (k, held)) in keys.iter().zip(held).enumerate() {
            assert_eq!(held.as_ref().map(|held| &held.bytes), (n % 2 == 0).then_some(&k.0));
            let told =
                held.is_none_or(|held| if with_ttl { is_nearly(held.ttl, 100_000) } else { held.ttl == Ttl::Missing });
            assert!(told, "key {n} with_ttl {with_ttl}");
        }
    }
}

pub(super) async fn many_are_stored_at_once(bench: &Bench) {
    let (a, b) = (key("a"), key("b"));
    set(bench, &b, "old", Expire::InMs(100_000)).await;
    let items = vec![
        (a.clone(), Bytes::from_static(b"1"), Expire::InMs(50_000)),
        (b.clone(), Bytes::from_static(b"2"), Expire::Keep),
        (a.clone(), Bytes::from_static(b"3"), Expire::Never),
    ];
    bench.store.set_many(items).await.expect("they are stored");
    check(bench, &a, Some("3")).await;
    check(bench, &b, Some("2")).await;
    assert_eq!(bench.store.ttl(&a).await, Ok(Ttl::Never));
    assert!(is_nearly(bench.store.ttl(&b).await.expect("it is told"), 100_000));
}

pub(super) async fn deletion_tells_what_was_there(bench: &Bench) {
    let (a, b) = (key("a"), key("b"));
    set(bench, &a, "v", Expire::Never).await;
    let told = bench.store.delete(&[b.clone(), a.clone(), a.clone()]).await;
    assert_eq!(told, Ok(vec![false, true, false]));
    check(bench, &a, None).await;
}

async fn replace(bench: &Bench, expect: Expect, value: &'static str, expire: Expire) -> bool {
    let replaced = bench.store.replace(&key("k"), expect, Bytes::from_static(value.as_bytes()), expire).await;
    replaced.expect("it is compared")
}

fn prefix(prefix: &'static str) -> Expect {
    Expect::Prefix(Bytes::from_static(prefix.as_bytes()))
}

pub(super) async fn an_absent_key_is_filled_once(bench: &Bench) {
    let k = key("k");
    assert!(replace(bench, Expect::Absent, "first", Expire::InMs(30)).await);
    assert!(!replace(bench, Expect::Absent, "second", Expire::Never).await);
    check(bench, &k, Some("first")).await;
    bench.outlive(&k, 30).await;
    assert!(replace(bench, Expect::Absent, "third", Expire::Keep).await);
    check(bench, &k, Some("third")).await;
    assert_eq!(bench.store.ttl(&k).await, Ok(Ttl::Never));
}

pub(super) async fn a_value_is_replaced_if_it_begins_as_expected(bench: &Bench) {
    let k = key("k");
    for expect in ["", "a"] {
        assert!(!replace(bench, prefix(expect), "new", Expire::Never).await, "an absent key does not begin");
    }
    check(bench, &k, None).await;
    set(bench, &k, "", Expire::Never).await;
    assert!(!replace(bench, prefix("a"), "new", Expire::Never).await);
    assert!(replace(bench, prefix(""), "abc", Expire::Never).await, "the empty string begins with nothing");
    for wrong in ["b", "abd", "abcd", "ABC"] {
        assert!(!replace(bench, prefix(wrong), "new", Expire::Never).await, "{wrong}");
    }
    assert!(replace(bench, prefix("ab"), "\0\r\n", Expire::Never).await);
    assert!(replace(bench, prefix("\0\r\n"), "whole", Expire::Never).await);
    check(bench, &k, Some("whole")).await;
}

pub(super) async fn a_replacement_says_what_becomes_of_the_expiry(bench: &Bench) {
    let k = key("k");
    set(bench, &k, "v", Expire::InMs(100_000)).await;
    assert!(!replace(bench, prefix("w"), "v", Expire::Never).await);
    assert!(replace(bench, prefix("v"), "v", Expire::Keep).await);
    assert!(is_nearly(bench.store.ttl(&k).await.expect("it is told"), 100_000));
    assert!(replace(bench, prefix("v"), "v", Expire::Never).await);
    assert_eq!(bench.store.ttl(&k).await, Ok(Ttl::Never));
    assert!(replace(bench, prefix("v"), "v", Expire::InMs(500_000)).await);
    assert!(is_nearly(bench.store.ttl(&k).await.expect("it is told"), 500_000));
}

pub(super) async fn a_value_is_removed_if_it_begins_as_expected(bench: &Bench) {
    let k = key("k");
    let remove = async |prefix: &'static str| bench.store.remove(&k, Bytes::from_static(prefix.as_bytes())).await;
    assert_eq!(remove("").await, Ok(false));
    set(bench, &k, "abc", Expire::Never).await;
    assert_eq!(remove("b").await, Ok(false));
    assert_eq!(remove("abcd").await, Ok(false));
    check(bench, &k, Some("abc")).await;
    assert_eq!(remove("ab").await, Ok(true));
    check(bench, &k, None).await;
    set(bench, &k, "", Expire::Never).await;
    assert_eq!(remove("").await, Ok(true));
    check(bench, &k, None).await;
}

pub(super) async fn replacements_that_race_lose_nothing(bench: &Bench) {
    const TASKS: u64 = 8;
    const EACH: u64 = 50;
    set(bench, &key("k"), "0", Expire::Never).await;
    let increment = |store: Arc<dyn Store>| async move {
        let mut done = 0;
        while done < EACH {
            let held = store.get(&key("k"), false).await.expect("it is read").expect("it is there");
            let number: u64 = std::str::from_utf8(&held.bytes).expect("digits").trim_end().parse().expect("a number");
            // The blank ends the number, so that the prefix is the whole of it.
            let (expect, next) = (Expect::Prefix(held.bytes), format!("{} ", number + 1).into());
            done += u64::from(store.replace(&key("k"), expect, next, Expire::Keep).await.expect("it is compared"));
        }
    };
    assert!(replace(bench, prefix("0"), "0 ", Expire::Keep).await);
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(increment(Arc::clone(&bench.store)))).collect();
    for task in tasks {
        task.await.expect("it ends");
    }
    assert_eq!(get(bench, &key("k")).await, Some(format!("{} ", TASKS * EACH).into()));
}

pub(super) async fn fills_that_race_have_one_winner(bench: &Bench) {
    let fill = |n: u8, store: Arc<dyn Store>| async move {
        let filled = store.replace(&key("k"), Expect::Absent, Bytes::copy_from_slice(&[n]), Expire::Never).await;
        filled.expect("it is compared").then_some(n)
    };
    let tasks: Vec<_> = (0..32).map(|n| tokio::spawn(fill(n, Arc::clone(&bench.store)))).collect();
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await.expect("it ends"));
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(get(bench, &key("k")).await.as_deref(), Some(&winners[..]));
}

pub(super) async fn a_pipeline_answers_each_command_in_order(bench: &Bench) {
    let set = |n: usize| Command::new("SET").arg(format!("k{n}")).arg(n.to_string());
    let mut commands: Vec<Command> = (0..500).map(set).collect();
    commands.push(Command::new("INCR").arg("k7"));
    commands.push(Command::new("INCRBY").arg("k7").arg("word"));
    commands.push(Command::new("GET").arg("k7"));
    let replies = bench.store.pipeline(commands).await.expect("they are answered");
    assert_eq!(replies.len(), 503);
    assert!(replies[..500].iter().all(|reply| *reply == Reply::ok()));
    let refused = Reply::Error("ERR value is not an integer or out of range".to_owned());
    assert_eq!(replies[500..], [Reply::Integer(8), refused, Reply::Bulk(Bytes::from_static(b"8"))]);
}

pub(super) async fn nothing_asked_is_nothing_answered(bench: &Bench) {
    assert_eq!(bench.store.get_many(&[], true).await, Ok(Vec::new()));
    assert_eq!(bench.store.set_many(Vec::new()).await, Ok(()));
    assert_eq!(bench.store.delete(&[]).await, Ok(Vec::new()));
    assert_eq!(bench.store.pipeline(Vec::new()).await, Ok(Vec::new()));
    let empty = || Command { args: Vec::new() };
    let refused = Reply::Error("ERR empty command".to_owned());
    assert_eq!(bench.store.call(empty()).await, Ok(refused.clone()));
    let ping = || Command::new("PING");
    let pong = || Reply::Status(Bytes::from_static(b"PONG"));
    let replies = bench.store.pipeline(vec![ping(), empty(), ping()]).await;
    assert_eq!(replies, Ok(vec![pong(), refused, pong()]));
}

pub(super) async fn a_life_beyond_the_limits_is_cut(bench: &Bench) {
    let k = key("k");
    for (asked, most) in [(0, 1), (u64::MAX, TTL_MS_MAX)] {
        set(bench, &k, "v", Expire::InMs(asked)).await;
        let left = bench.store.ttl(&k).await.expect("it is told");
        assert!(
            left == Ttl::Missing && most == 1 || matches!(left, Ttl::Ms(left) if left <= most),
            "{asked}: {left:?}"
        );
    }
    assert!(is_nearly(bench.store.ttl(&k).await.expect("it is told"), TTL_MS_MAX));
}

pub(super) async fn a_counter_lives_from_its_first_increment(bench: &Bench) {
    let k = key("k");
    for (delta, ttl_ms, sum) in [(2, Some(60_000), 2), (-5, Some(90_000), -3), (1 << 60, None, (1 << 60) - 3)] {
        assert_eq!(bench.store.increment(&k, delta, ttl_ms).await, Ok(sum));
        assert!(is_nearly(bench.store.ttl(&k).await.expect("it is told"), 60_000), "the first one says how long");
    }
    let overflow = bench.store.increment(&k, i64::MAX, None).await.expect_err("the sum does not fit");
    assert_eq!(overflow, StoreError::Reply("ERR increment or decrement would overflow".to_owned()));
    let forever = key("forever");
    assert_eq!(bench.store.increment(&forever, 1, None).await, Ok(1));
    assert_eq!(bench.store.ttl(&forever).await, Ok(Ttl::Never));
    let word = key("word");
    set(bench, &word, "word", Expire::Never).await;
    let refused = bench.store.increment(&word, 1, Some(5)).await.expect_err("it is no number");
    assert_eq!(refused, StoreError::Reply("ERR value is not an integer or out of range".to_owned()));
}
