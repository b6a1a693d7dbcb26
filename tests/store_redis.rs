//! The Redis store when things go wrong: killed, restarted, paused, absent. What it says when it is well is
//! in `words`, servers that are no Redis in `fake`.

mod cluster;
mod fake;
mod full;
mod secured;
mod sentinel;
mod way;
mod words;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::adapters::clock::SystemClock;
use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore};
use larder::ports::metrics::Metrics;
use larder::ports::store::{Command, Expire, Reply, Store, StoreError, StoreKey};

use crate::support::redis::{RedisServer, address, free_port, store};
use crate::support::wait::until;

const K: StoreKey = StoreKey(Bytes::from_static(b"k"));
const V: Bytes = Bytes::from_static(b"v");
/// Far more than all calls of a test that fail at once, far less than all of them waiting for their deadline.
const AT_ONCE: Duration = Duration::from_secs(20);

async fn call(store: &RedisStore, words: &[&'static str]) -> Result<Reply, StoreError> {
    store.call(Command { args: words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect() }).await
}

async fn recovers(store: &RedisStore) {
    until("the store serves again", async || store.set(&K, V, Expire::Never).await.ok()).await;
    assert_eq!(store.get(&K, false).await.expect("it serves").map(|held| held.bytes), Some(V));
}

/// Many calls, all refused at once: none pays for another attempt.
async fn fails_at_once(store: &RedisStore) {
    until("the store is known to be down", async || {
        matches!(store.ping().await, Err(StoreError::Unavailable(_))).then_some(())
    })
    .await;
    let calls = async {
        for _ in 0..200 {
            let answer = store.get(&K, true).await;
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
    };
    tokio::time::timeout(AT_ONCE, calls).await.expect("200 calls do not wait for their deadlines");
}

/// The store is unavailable, with these words.
async fn is_unavailable(store: &RedisStore, words: &str) {
    let answer = store.ping().await;
    let Err(StoreError::Unavailable(text) | StoreError::Connecting(text)) = &answer else { panic!("{answer:?}") };
    assert!(text.contains(words), "{text}");
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_when_it_is_back() {
    let mut server = RedisServer::start();
    let store = server.store();
    recovers(&store).await;
    for _ in 0..2 {
        server.kill();
        fails_at_once(&store).await;
        is_unavailable(&store, &format!("127.0.0.1:{}: Connection refused", server.port())).await;
        server.restart();
        recovers(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thread_finds_the_server_again() {
    let mut server = RedisServer::start();
    let store = Arc::new(server.store());
    let all = || async {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                tokio::spawn({
                    let store = Arc::clone(&store);
                    async move { store.ping().await }
                })
            })
            .collect();
        let mut fine = true;
        for task in tasks {
            fine &= task.await.expect("it ends").is_ok();
        }
        fine.then_some(())
    };
    until("all threads are connected", all).await;
    server.restart();
    until("all threads are connected again", all).await;
}

#[tokio::test]
async fn a_server_that_answers_nothing_costs_the_deadline_then_nothing() {
    let server = RedisServer::start();
    let store = server.store_within(150);
    recovers(&store).await;
    server.pause();
    assert_eq!(store.get(&K, false).await, Err(StoreError::Timeout(150)));
    fails_at_once(&store).await;
    server.resume();
    recovers(&store).await;
}

#[tokio::test]
async fn a_short_pause_keeps_the_connection() {
    let server = RedisServer::start();
    let store = server.store_within(150);
    recovers(&store).await;
    let id = call(&store, &["EVAL", "return redis.call('INFO', 'stats')", "0"]).await.expect("it answers");
    server.pause();
    assert_eq!(store.get(&K, false).await, Err(StoreError::Timeout(150)));
    server.resume();
    recovers(&store).await;
    let connections = |reply: &Reply| {
        let Reply::Bulk(text) = reply else { panic!("{reply:?}") };
        let text = String::from_utf8_lossy(text).into_owned();
        text.lines().find_map(|line| line.strip_prefix("total_connections_received:").map(str::to_owned))
    };
    let now = call(&store, &["EVAL", "return redis.call('INFO', 'stats')", "0"]).await.expect("it answers");
    assert_eq!(connections(&now), connections(&id), "one late answer is no reason to connect anew");
}

#[tokio::test]
async fn a_server_that_comes_late_is_found() {
    let port = free_port();
    let store = store(RedisSettings::new(address(port)));
    fails_at_once(&store).await;
    let Some(_server) = RedisServer::start_on(port, &[]) else { return };
    recovers(&store).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_repeated() {
    let server = RedisServer::start_with(&["--requirepass", "correct-horse"]);
    let with = |account: &str| {
        let url = format!("redis://{account}127.0.0.1:{}", server.port());
        store(RedisSettings::new(RedisAddress::parse(&url).expect("an address")))
    };
    is_unavailable(&with(""), "it refused the greeting: NOAUTH ").await;
    let wrong = with(":battery-staple@");
    is_unavailable(&wrong, "it refused the greeting: WRONGPASS ").await;
    let text = wrong.ping().await.expect_err("it is refused").to_string();
    assert!(!text.contains("battery") && !format!("{wrong:?}").contains("battery"), "{text}");
    recovers(&with(":correct-horse@")).await;
    recovers(&with("default:correct-horse@")).await;
    let parts = RedisAddress::from_parts("127.0.0.1", server.port(), Some("correct-horse"));
    recovers(&store(RedisSettings::new(parts))).await;
}

#[tokio::test]
async fn databases_are_apart() {
    let server = RedisServer::start();
    let third = RedisAddress::parse(&format!("redis://127.0.0.1:{}/3", server.port())).expect("an address");
    let third = store(RedisSettings::new(third));
    recovers(&third).await;
    assert_eq!(server.store().get(&K, false).await, Ok(None));
    let beyond = RedisAddress::parse(&format!("redis://127.0.0.1:{}/99", server.port())).expect("an address");
    is_unavailable(&store(RedisSettings::new(beyond)), "DB index is out of range").await;
}

#[tokio::test]
async fn calls_under_way_are_bounded_and_given_up_calls_give_back() {
    let server = RedisServer::start();
    let settings = RedisSettings { store_ms: 10_000, inflight_max: 2, ..RedisSettings::new(address(server.port())) };
    let store = Arc::new(store(settings));
    recovers(&store).await;
    server.pause();
    // Whoever finds no room tries again, so that in the end both wait for an answer.
    let wait = |store: Arc<RedisStore>| async move {
        while let Err(StoreError::Busy(_)) = store.get(&K, false).await {
            tokio::task::yield_now().await;
        }
    };
    let waiting = [(); 2].map(|()| tokio::spawn(wait(Arc::clone(&store))));
    until("no more are let in", async || {
        let answer = tokio::time::timeout(Duration::from_millis(5), store.ping()).await;
        matches!(answer, Ok(Err(StoreError::Busy(_)))).then_some(())
    })
    .await;
    for call in waiting {
        call.abort();
        assert!(call.await.expect_err("it was given up").is_cancelled());
    }
    server.resume();
    recovers(&store).await;
}

#[test]
fn a_connection_does_not_outlive_its_runtime() {
    let server = RedisServer::start();
    let store = server.store();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime().block_on(recovers(&store));
    let second = runtime();
    second.block_on(recovers(&store));
    let third = runtime();
    third.block_on(recovers(&store));
    // The third one's connection cannot be driven from here, though its runtime lives.
    second.block_on(recovers(&store));
}

#[tokio::test]
async fn calls_are_timed_and_failures_counted() {
    let mut server = RedisServer::start();
    let metrics = Arc::new(Metrics::default());
    let settings = RedisSettings { store_ms: 10_000, ..RedisSettings::new(address(server.port())) };
    let store = RedisStore::new(settings, Arc::new(SystemClock::default()), Arc::clone(&metrics));
    store.ping().await.expect("it answers");
    call(&store, &["LPUSH", "k", "a"]).await.expect("it answers");
    store.get(&K, true).await.expect_err("it is a list");
    let timed = || metrics.store_latency.snapshot().0.iter().sum::<u64>();
    assert_eq!((timed(), metrics.store_errors.get()), (3, 0), "what the caller got wrong is no failure of the store");
    server.kill();
    fails_at_once(&store).await;
    assert!(metrics.store_errors.get() >= 200);
    assert!(timed() < 10, "what is not sent is not timed");
}
