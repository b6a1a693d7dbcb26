//! What the memory store has beyond the contract: its bound, its sweep, what it does not serve.

mod atomic;
mod collections;

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::ports::clock::VirtualClock;
use larder::ports::store::{Command, Expect, Expire, Reply, Sharing, Store, StoreError, StoreKey};

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

fn store(memory_bytes_max: u64) -> (MemoryStore, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::new(1_700_000_000_000, 1));
    (MemoryStore::new(MemorySettings { memory_bytes_max }, Arc::clone(&clock) as _), clock)
}

fn key(n: usize) -> StoreKey {
    StoreKey(format!("chat:v1:profile:{n:08}").into())
}

async fn fill(
    store: &MemoryStore,
    keys: std::ops::Range<usize>,
    bytes: usize,
    expire: Expire,
) -> Result<(), StoreError> {
    for n in keys {
        store.set(&key(n), vec![b'v'; bytes].into(), expire).await?;
    }
    Ok(())
}

async fn call(store: &MemoryStore, words: &[&'static str]) -> Reply {
    let args = words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect();
    store.call(Command { args }).await.expect("memory always answers")
}

#[test]
fn it_belongs_to_this_process() {
    assert_eq!(store(1 << 20).0.sharing(), Sharing::Exclusive);
}

#[tokio::test]
async fn what_it_does_not_serve_it_names() {
    let (store, _) = store(1 << 20);
    for (words, name) in
        [(&["ZADD", "k", "1", "v"][..], "ZADD"), (&["eval", "return 1", "0"], "eval"), (&["\r\n"], "  ")]
    {
        let expect = format!("ERR unknown command '{name}': the memory store does not serve it");
        assert_eq!(call(&store, words).await, Reply::Error(expect));
    }
}

#[tokio::test]
async fn over_its_bound_it_refuses_writes_and_serves_the_rest() {
    /// The last key may have doubled the table of its part, one of 64.
    const MOST: u64 = (4 << 20) + (4 << 20) / 32;
    let (store, _) = store(4 << 20);
    let full = fill(&store, 0..100_000, 1_000, Expire::Never).await;
    assert_eq!(full, Err(StoreError::Reply(OOM.to_owned())));
    let held = store.used_bytes();
    assert!((3 << 20..=MOST).contains(&held), "{held} bytes");

    // What is left is enough for a short value: fill it, too.
    while store.set(&StoreKey(format!("pad{}", store.len()).into()), Bytes::new(), Expire::Never).await.is_ok() {}
    let k = "chat:v1:profile:00000000";
    for words in [
        &["SET", "a-new-key", "v"][..],
        &["APPEND", k, "x"],
        &["MSET", "a", "1", "b", "2"],
        &["INCR", "a-new-number"],
        &["GETSET", k, "v"],
        &["COPY", k, "copy"],
    ] {
        assert_eq!(call(&store, words).await, Reply::Error(OOM.to_owned()), "{words:?}");
    }
    let replaced = store.replace(&key(0), Expect::Prefix(Bytes::new()), vec![0; 2_000].into(), Expire::Never).await;
    assert_eq!(replaced, Err(StoreError::Reply(OOM.to_owned())));
    assert!(store.used_bytes() <= MOST, "{} bytes", store.used_bytes());

    assert_eq!(call(&store, &["EXISTS", k]).await, Reply::Integer(1));
    assert_eq!(call(&store, &["EXPIRE", k, "100"]).await, Reply::Integer(1));
    assert_eq!(call(&store, &["RENAME", k, "renamed"]).await, Reply::ok());
    let keys: Vec<StoreKey> = (1..100).map(key).collect();
    store.delete(&keys).await.expect("deleting needs no memory");
    assert_eq!(call(&store, &["SET", "new", "v"]).await, Reply::ok());
}

#[tokio::test]
async fn a_patch_far_out_counts_before_it_is_made() {
    let (store, _) = store(4 << 20);
    assert_eq!(call(&store, &["SETRANGE", "k", "60000000", "x"]).await, Reply::Error(OOM.to_owned()));
    assert_eq!(store.used_bytes(), 0);
}

#[tokio::test]
async fn everything_removed_gives_its_bytes_back() {
    let (store, _) = store(1 << 30);
    fill(&store, 0..10_000, 100, Expire::Never).await.expect("there is room");
    let before = store.used_bytes();
    for n in 0..10_000 {
        let k = key(n);
        store.call(Command::new("APPEND").arg(k.0.clone()).arg("more and more and more")).await.expect("answers");
        store.call(Command::new("INCR").arg(format!("n{n}"))).await.expect("answers");
        store.call(Command::new("RENAME").arg(format!("n{n}")).arg(format!("m{n}"))).await.expect("answers");
    }
    assert!(store.used_bytes() > before);
    for n in 0..10_000 {
        store.delete(&[key(n), StoreKey(format!("m{n}").into())]).await.expect("answers");
    }
    assert!(store.is_empty());
    store.sweep(usize::MAX);
    assert_eq!(store.used_bytes(), 0);
}

#[tokio::test]
async fn a_sweep_removes_what_nobody_asks_for() {
    let (store, clock) = store(1 << 30);
    fill(&store, 0..1_000, 10, Expire::InMs(100)).await.expect("there is room");
    fill(&store, 1_000..1_500, 10, Expire::InMs(5_000)).await.expect("there is room");
    fill(&store, 1_500..2_000, 10, Expire::Never).await.expect("there is room");
    assert_eq!(store.sweep(usize::MAX).removed, 0);
    clock.advance_ms(101);
    assert_eq!(store.len(), 2_000, "nobody has come across them");
    assert_eq!(store.sweep(usize::MAX).removed, 1_000);
    assert_eq!(store.len(), 1_000);
    clock.advance_ms(5_000);
    let (mut removed, mut steps) = (0, 0);
    while removed < 500 {
        let swept = store.sweep(64);
        assert!(swept.examined <= 64);
        removed += swept.removed;
        steps += 1;
        assert!(steps < 1_000, "a sweep of small steps comes round");
    }
    assert_eq!(store.len(), 500);
}

/// A clock that steps back keeps what it would have taken; nothing comes back that was seen to be gone.
#[tokio::test]
async fn a_clock_that_steps_back_does_no_harm() {
    let (store, clock) = store(1 << 20);
    fill(&store, 0..1, 1, Expire::InMs(1_000)).await.expect("there is room");
    clock.step_back_ms(10_000);
    assert!(store.get(&key(0), false).await.expect("answers").is_some());
    clock.advance_ms(11_001);
    assert!(store.get(&key(0), false).await.expect("answers").is_none());
    clock.step_back_ms(10_000);
    assert!(store.get(&key(0), false).await.expect("answers").is_none());
}

#[tokio::test]
async fn a_command_on_many_keys_is_one_moment() {
    let (store, _) = store(1 << 30);
    let store = Arc::new(store);
    let writer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            for n in 0..2_000 {
                let mut command = Command::new("MSET");
                for k in 0..16 {
                    command = command.arg(format!("k{k}")).arg(n.to_string());
                }
                runtime.block_on(store.call(command)).expect("answers");
            }
        })
    };
    let mget = || (0..16).rev().fold(Command::new("MGET"), |command, k| command.arg(format!("k{k}")));
    while !writer.is_finished() {
        let Reply::Array(values) = store.call(mget()).await.expect("answers") else { panic!("MGET answers a list") };
        assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
    }
    writer.join().expect("the writer ends");
}
