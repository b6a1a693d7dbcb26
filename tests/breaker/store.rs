//! The store behind its breaker: what counts against a real Redis, what does not, and what callers get while it is open.

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::breaker::{BreakerStore, CircuitBreaker};
use larder::adapters::redis::{RedisSettings, RedisStore};
use larder::engine::key::KeyRules;
use larder::ports::breaker::{BreakerMetrics, BreakerSettings, Mode, Outcome};
use larder::ports::budget;
use larder::ports::clock::{Clock, VirtualClock};
use larder::ports::lock::{LockName, LockStore, Token};
use larder::ports::metrics::Metrics;
use larder::ports::store::{Command, Expire, Reply, Sharing, Store, StoreError, StoreKey};

use crate::support::redis::{RedisServer, address, store};
use crate::support::wait::until;

const K: StoreKey = StoreKey(Bytes::from_static(b"k"));
const V: Bytes = Bytes::from_static(b"v");

struct Bench {
    store: BreakerStore<RedisStore>,
    breaker: Arc<CircuitBreaker>,
    clock: Arc<VirtualClock>,
    metrics: Arc<BreakerMetrics>,
}

/// This store behind a breaker whose time is the test's.
fn behind(inner: RedisStore) -> Bench {
    let clock = Arc::new(VirtualClock::new(0, 1));
    let metrics = Metrics::default().breaker("store");
    let settings = BreakerSettings {
        failure_threshold: 5,
        recovery_ms: 60_000,
        monitoring_ms: 300_000,
        half_open_calls_max: 3,
        slow_ms: Some(1_000),
    };
    let breaker = CircuitBreaker::new("store".into(), settings, clock.clone() as Arc<dyn Clock>, metrics.clone());
    Bench { store: BreakerStore::new(Arc::new(inner), breaker.clone()), breaker, clock, metrics }
}

#[tokio::test]
async fn a_store_that_is_down_is_left_alone_until_it_is_back() {
    let mut server = RedisServer::start();
    let bench = behind(server.store());
    assert_eq!(bench.store.sharing(), Sharing::Shared);
    bench.store.set(&K, V, Expire::Never).await.expect("it is up");
    server.kill();
    let mut failures = 0;
    while bench.breaker.status().state == "closed" {
        bench.store.get(&K, false).await.expect_err("it is down");
        failures += 1;
    }
    assert_eq!(failures, 5);
    let Err(StoreError::Unavailable(text)) = bench.store.get(&K, false).await else { panic!("it is open") };
    assert!(text.contains("the breaker 'store' is open") && text.contains("it tries again in "), "{text}");
    let sent = bench.metrics.calls[Outcome::Failure as usize].get();
    for _ in 0..100 {
        bench.store.set(&K, V, Expire::Never).await.expect_err("nothing is sent");
    }
    assert_eq!(bench.metrics.calls[Outcome::Failure as usize].get(), sent);
    server.restart();
    assert!(bench.store.get(&K, false).await.is_err(), "its time is not over");
    // On trial: the connection may need a moment, so trials may fail, each with a longer time after it.
    until("it closes", async || {
        bench.clock.advance_ms(600_000);
        let _ = bench.store.ping().await;
        (bench.breaker.status().state == "closed").then_some(())
    })
    .await;
    bench.store.set(&K, V, Expire::Never).await.expect("it serves");
}

#[tokio::test]
async fn a_store_that_answers_nothing_counts() {
    let server = RedisServer::start();
    let bench = behind(server.store_within(50));
    bench.store.ping().await.expect("it is up");
    server.pause();
    for _ in 0..5 {
        bench.store.ping().await.expect_err("it answers nothing");
    }
    assert_eq!(bench.breaker.status().state, "open");
    server.resume();
}

#[tokio::test]
async fn what_redis_itself_answers_does_not_count() {
    let server = RedisServer::start();
    let bench = behind(server.store());
    let push = Command::new("LPUSH").arg(K.0).arg("a");
    assert_eq!(bench.store.call(push).await, Ok(Reply::Integer(1)));
    for _ in 0..20 {
        assert!(matches!(bench.store.get(&K, false).await, Err(StoreError::Reply(_))));
        assert!(matches!(bench.store.call(Command::new("NONSENSE")).await, Ok(Reply::Error(_))));
    }
    assert_eq!(bench.breaker.status().state, "closed");
    assert_eq!(bench.metrics.calls[Outcome::Success as usize].get(), 41);
}

#[tokio::test]
async fn a_busy_host_is_no_sick_store() {
    let server = RedisServer::start();
    let bench = behind(store(RedisSettings { inflight_max: 0, ..RedisSettings::new(address(server.port())) }));
    for _ in 0..20 {
        assert!(matches!(bench.store.ping().await, Err(StoreError::Busy(_))));
    }
    assert_eq!(bench.breaker.status().state, "closed");
    assert_eq!(bench.metrics.calls[Outcome::Ignored as usize].get(), 20);
}

#[tokio::test]
async fn slow_answers_count() {
    let server = RedisServer::start();
    let bench = behind(server.store());
    bench.store.ping().await.expect("it is up");
    for _ in 0..5 {
        server.pause();
        let mut ping = std::pin::pin!(bench.store.ping());
        assert!(futures_util::poll!(ping.as_mut()).is_pending());
        bench.clock.advance_ms(1_000);
        server.resume();
        ping.await.expect("late, but well");
    }
    assert_eq!((bench.breaker.status().state, bench.metrics.calls[Outcome::Slow as usize].get()), ("open", 5));
}

#[tokio::test]
async fn calls_that_are_given_up_count_for_nothing() {
    let server = RedisServer::start();
    let bench = behind(server.store());
    bench.store.ping().await.expect("it is up");
    server.pause();
    for _ in 0..20 {
        let ping = tokio::time::timeout(std::time::Duration::from_millis(1), bench.store.ping()).await;
        assert!(ping.is_err(), "it is given up");
    }
    server.resume();
    assert_eq!(bench.breaker.status().state, "closed");
    assert_eq!(bench.metrics.calls[Outcome::Ignored as usize].get(), 20);
}

#[tokio::test]
async fn locks_stand_behind_the_same_breaker() {
    let server = RedisServer::start();
    let bench = behind(server.store());
    let rules = KeyRules { prefix: "chat".into(), separator: b':', key_bytes_max: 250 };
    let keys = rules.lock_keys(&LockName::any(b"n").expect("a name"));
    bench.breaker.force(Mode::ForcedOpen);
    let refused = bench.store.take(&keys, &Token::new([1; 16]), "o", 1_000).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(text)) if text.contains("forced open")), "{refused:?}");
    bench.breaker.force(Mode::Auto);
    bench.store.take(&keys, &Token::new([1; 16]), "o", 1_000).await.expect("it serves");
    bench.store.find(&rules.lock_pattern(""), 10).await.expect("it serves");
    assert_eq!(bench.metrics.calls[Outcome::Success as usize].get(), 2);
}

#[tokio::test]
async fn an_operation_has_one_budget_for_all_its_calls() {
    let server = RedisServer::start();
    let bench = behind(server.store_within(150));
    bench.store.ping().await.expect("it is up");
    server.pause();
    budget::within(200, async {
        bench.store.ping().await.expect_err("it answers nothing");
        assert!(budget::left_ns() <= Some(50_000_000), "{:?}", budget::left_ns());
        bench.store.ping().await.expect_err("it answers nothing");
        assert!(budget::is_spent());
        // Nothing is sent and nobody waits, and it says nothing of the store.
        let third = futures_util::FutureExt::now_or_never(bench.store.ping());
        assert!(matches!(third, Some(Err(StoreError::Timeout(150)))), "{third:?}");
    })
    .await;
    assert_eq!(bench.metrics.calls[Outcome::Failure as usize].get(), 2);
    server.resume();
}

#[tokio::test]
async fn many_calls_of_one_stall_do_not_open_it() {
    let server = RedisServer::start();
    let bench = behind(server.store_within(200));
    bench.store.ping().await.expect("it is up");
    server.pause();
    let all = futures_util::future::join_all((0..100).map(|_| bench.store.ping())).await;
    server.resume();
    assert!(all.iter().all(Result::is_err));
    assert_eq!(bench.breaker.status().state, "closed");
    assert_eq!(bench.metrics.calls[Outcome::Failure as usize].get(), 100);
}

#[tokio::test]
async fn a_first_connection_that_takes_long_is_not_held_against_it() {
    // It accepts, and greets nobody.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    let bench = behind(store(RedisSettings { store_ms: 20, ..RedisSettings::new(address(port)) }));
    for _ in 0..5 {
        let answer = bench.store.ping().await;
        assert!(matches!(answer, Err(StoreError::Connecting(_))), "{answer:?}");
    }
    assert_eq!(bench.breaker.status().state, "closed");
    assert_eq!(bench.metrics.calls[Outcome::Ignored as usize].get(), 5);
}
