//! Blocks of commands at one moment, and keys that are watched.

use std::sync::Arc;

use bytes::Bytes;
use larder::ports::store::{Reply, StoreKey};
use larder::ports::upstream::Types;

use super::{Bench, key, text};

fn block(lines: &[&str]) -> Vec<larder::ports::store::Command> {
    lines.iter().map(|line| text::command(line)).collect()
}

fn told(replies: &[Reply]) -> String {
    replies.iter().map(text::reply).collect::<Vec<_>>().join(" ")
}

async fn call(bench: &Bench, words: &str) -> String {
    text::reply(&bench.store.call(text::command(words)).await.expect("it is answered"))
}

pub(super) async fn a_block_answers_each_command_in_order(bench: &Bench) {
    let lines =
        ["SET k 1", "INCR k", "LPUSH k x", "HSET h f v", "HGETALL h", "SCAN 0 MATCH h", "KEYS k", "DBSIZE", "GET none"];
    let replies = bench.store.atomic(block(&lines)).await.expect("it is carried out");
    let wrong = "!WRONGTYPE Operation against a key holding the wrong kind of value";
    let expect = format!("OK 2 {wrong} 1 {{\"f\": \"v\"}} [\"0\" [\"h\"]] [\"k\"] 2 nil");
    assert_eq!(told(&replies), expect, "an error undoes nothing");
    assert_eq!(bench.store.atomic(Vec::new()).await, Ok(Vec::new()));
}

pub(super) async fn blocks_are_done_in_order(bench: &Bench) {
    let lines: [&[&str]; 7] = [
        &["SET k 1"],
        &["INCR k", "LPUSH k x", "GET k"],
        &["LPUSH k x"],
        &["SET other 1"],
        &[],
        &["INCR k", "INCR k"],
        &["GET k"],
    ];
    let done = bench.store.sequence(lines.iter().map(|lines| block(lines)).collect()).await.expect("it is answered");
    let wrong = "!WRONGTYPE Operation against a key holding the wrong kind of value";
    let expect = ["OK", &format!("2 {wrong} \"2\""), wrong, "OK", "", "3 4", "\"4\""];
    let done: Vec<String> = done.iter().map(|done| told(done.as_ref().expect("it is carried out"))).collect();
    assert_eq!(done, expect, "an error costs its own answer");
    assert_eq!(bench.store.sequence(Vec::new()).await, Ok(Vec::new()));
}

pub(super) async fn nobody_comes_between_the_commands_of_a_block(bench: &Bench) {
    const ROUNDS: usize = 200;
    let store = Arc::clone(&bench.store);
    let other = tokio::spawn(async move {
        for _ in 0..ROUNDS {
            store.call(text::command("RPUSH l x")).await.expect("it is answered");
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..ROUNDS {
        let replies = bench.store.atomic(block(&["LLEN l", "RPUSH l x", "LLEN l"])).await.expect("it is carried out");
        let [Reply::Integer(before), Reply::Integer(pushed), Reply::Integer(after)] = replies[..] else {
            panic!("{replies:?}")
        };
        assert_eq!((pushed, after), (before + 1, before + 1));
    }
    other.await.expect("it ends");
    assert_eq!(call(bench, "LLEN l").await, (2 * ROUNDS).to_string());
}

pub(super) async fn a_change_is_seen_by_who_watches(bench: &Bench) {
    let keys: Vec<StoreKey> = ["a", "b"].map(key).into();
    for (change, is_seen) in [
        ("GET a", false),
        ("SET other 1", false),
        ("SET a 2", true),
        ("DEL a", true),
        ("EXPIRE b 100", true),
        ("RENAME a c", true),
        ("RENAME c b", true),
        ("HSET b f v", true),
        ("FLUSHALL", true),
    ] {
        bench.store.atomic(block(&["FLUSHALL", "SET a 1", "HSET b g w", "SET c 1"])).await.expect("it is carried out");
        let watch = bench.store.watch(&keys).await.expect("they are watched");
        call(bench, change).await;
        let replies = watch.commit(block(&["SET done 1"]), Types::Rich).await.expect("it is answered");
        assert_eq!(replies.is_none(), is_seen, "{change}");
        assert_eq!(call(bench, "EXISTS done").await, if is_seen { "0" } else { "1" }, "{change}");
    }
}

pub(super) async fn more_keys_can_be_watched(bench: &Bench) {
    let mut watch = bench.store.watch(&[key("a")]).await.expect("it is watched");
    call(bench, "SET b 1").await;
    watch.add(&[key("b"), key("a")]).await.expect("it is watched, too");
    assert!(watch.commit(Vec::new(), Types::Rich).await.expect("it is answered").is_some(), "b was changed before");
    let mut watch = bench.store.watch(&[key("a")]).await.expect("it is watched");
    watch.add(&[key("b")]).await.expect("it is watched, too");
    call(bench, "SET b 2").await;
    assert_eq!(watch.commit(Vec::new(), Types::Rich).await, Ok(None));
}

pub(super) async fn a_watch_ends_when_it_is_dropped(bench: &Bench) {
    for _ in 0..3 {
        drop(bench.store.watch(&[key("a")]).await.expect("it is watched"));
        call(bench, "SET a 1").await;
        let watch = bench.store.watch(&[key("b")]).await.expect("it is watched");
        call(bench, "SET a 2").await;
        assert!(watch.commit(block(&["PING"]), Types::Rich).await.expect("it is answered").is_some());
    }
}

pub(super) async fn what_expires_has_changed(bench: &Bench) {
    let k = key("k");
    bench.store.set(&k, Bytes::from_static(b"v"), larder::ports::store::Expire::InMs(50)).await.expect("it is stored");
    let watch = bench.store.watch(std::slice::from_ref(&k)).await.expect("it is watched");
    bench.outlive(&k, 50).await;
    assert_eq!(watch.commit(block(&["PING"]), Types::Rich).await, Ok(None));
}
