//! Two nodes over one store: one leader among both, in memory and on a real Redis.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use larder::engine::api::AskedTtl;
use larder::engine::fill::{LeaseBook, Who};
use larder::ports::clock::VirtualClock;
use larder::ports::invalidation::Mode;
use larder::ports::policy::Selector;
use larder::ports::store::Store;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::{START_MS, WAIT_MS, furnished, go_with_time, memory, read, shown, write};
use crate::support::engine::World;
use crate::support::gated::GatedStore;
use crate::support::redis::RedisServer;

const KEY: &str = "profile:a@red";

/// Long enough for any machine.
const LONG_WAIT_MS: u32 = 30_000;

fn paused_nodes() -> (World, World) {
    let clock = Arc::new(VirtualClock::new(START_MS, 7));
    let store: Arc<dyn Store> = Arc::new(GatedStore::new(memory(&clock)));
    go_with_time(&clock);
    let node = || furnished(World::over(store.clone(), clock.clone()), WAIT_MS);
    (node(), node())
}

fn redis_nodes(redis: &RedisServer, wait_ms: u32) -> (World, World) {
    let clock = Arc::new(VirtualClock::new(START_MS, 3));
    let node = || furnished(World::over(Arc::new(redis.store()), clock.clone()), wait_ms);
    (node(), node())
}

#[tokio::test(start_paused = true)]
async fn the_other_node_waits_for_the_fill() {
    let (one, other) = paused_nodes();
    let leader = LeaseBook::new();
    read(&one.engine, KEY, &leader).await.unwrap();
    let books: Vec<LeaseBook> = (0..20).map(|_| LeaseBook::new()).collect();
    let began = Instant::now();
    let (answers, filled) = tokio::join!(join_all(books.iter().map(|book| read(&other.engine, KEY, book))), async {
        sleep(Duration::from_millis(500)).await;
        write(&one.engine, KEY, "v", &leader).await
    });
    assert_eq!(filled, "done");
    for answer in &answers {
        assert_eq!(shown(answer), "v (store-hit, waited for other-node: done)");
    }
    assert!(began.elapsed() <= Duration::from_millis(600), "{:?}", began.elapsed());
    assert_eq!(other.metrics.domain("profile").leases_taken.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_other_node_waits_no_longer_than_its_plan_says() {
    let (one, other) = paused_nodes();
    let (leader, book) = (LeaseBook::new(), LeaseBook::new());
    read(&one.engine, KEY, &leader).await.unwrap();
    let began = Instant::now();
    assert_eq!(shown(&read(&other.engine, KEY, &book).await), "- (miss, waited for other-node: wait-timeout)");
    assert!((1_000..1_010).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert!(book.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delete_on_the_other_node_fences_the_fill() {
    for what in ["key", "pattern", "domain", "tag", "prefix"] {
        for mode in [Mode::Soft, Mode::Hard] {
            let (one, other) = paused_nodes();
            let (leader, next) = (LeaseBook::new(), LeaseBook::new());
            write(&one.engine, KEY, "0", &leader).await;
            one.engine.delete(&[KEY.into()]).await.unwrap();
            read(&one.engine, KEY, &leader).await.unwrap();
            let selector = match what {
                "key" => Selector::Key("a@red".into()),
                "pattern" => Selector::Pattern("*@red".into()),
                "domain" => Selector::Domain,
                "tag" => Selector::Tag("red".into()),
                _ => Selector::Prefix("a".into()),
            };
            other.engine.invalidate("profile", &selector, mode).await.unwrap();
            sleep(Duration::from_millis(1_000)).await;
            let (waiter, filled) = tokio::join!(read(&one.engine, KEY, &next), async {
                // The waiter may have found the lease gone already.
                for _ in 0..100 {
                    yield_now().await;
                }
                write(&one.engine, KEY, "old", &leader).await
            });
            assert_eq!(filled, if matches!(what, "key" | "pattern") { "unmet" } else { "done" }, "{what}");
            let waiter = shown(&waiter);
            let stale = mode == Mode::Soft && waiter.starts_with("old (stale");
            assert!(waiter.starts_with("- (miss") || stale, "{what} {mode:?}: a waiter got {waiter}");
            let after = shown(&read(&other.engine, KEY, &LeaseBook::new()).await);
            assert!(after.starts_with("- (miss") || after.contains("stale"), "{what} {mode:?}: {after}");
        }
    }
}

#[tokio::test]
async fn a_lease_may_be_sent_to_the_other_node() {
    let redis = RedisServer::start();
    let (one, other) = redis_nodes(&redis, LONG_WAIT_MS);
    let first = one.engine.get_or_lease(KEY.as_bytes(), Who::Bearer).await.unwrap();
    let lease = first.lease.expect("it leads");
    let book = LeaseBook::new();
    let (waiter, filled) = tokio::join!(read(&one.engine, KEY, &book), async {
        while one.metrics.domain("profile").fill_waiting.get() == 0 {
            yield_now().await;
        }
        other.engine.fill_leased(KEY.as_bytes(), lease.as_bytes(), "v".into(), AskedTtl::None).await
    });
    assert_eq!(filled.unwrap().state.as_str(), "done");
    assert_eq!(shown(&waiter), "v (store-hit, waited for this-node: done)");
    assert_eq!(shown(&read(&other.engine, KEY, &book).await), "v (l1-hit)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_one_redis_have_one_leader() {
    const READERS: usize = 200;
    let redis = RedisServer::start();
    for round in 0..5 {
        let (one, other) = redis_nodes(&redis, LONG_WAIT_MS);
        let key = format!("profile:{round}");
        let loads = std::sync::atomic::AtomicUsize::new(0);
        let reader = async |n: usize| {
            let engine = if n.is_multiple_of(2) { &one.engine } else { &other.engine };
            let book = LeaseBook::new();
            let answer = read(engine, &key, &book).await;
            if book.is_empty() {
                return shown(&answer);
            }
            loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            sleep(Duration::from_millis(30)).await;
            write(engine, &key, "v", &book).await
        };
        let answers = join_all((0..READERS).map(reader)).await;
        assert_eq!(loads.into_inner(), 1, "round {round}");
        assert_eq!(answers.iter().filter(|answer| *answer == "done").count(), 1);
        assert!(answers.iter().all(|answer| answer == "done" || answer.starts_with("v (")), "{answers:?}");
    }
}

#[tokio::test]
async fn writes_of_all_kinds_end_the_lease_on_redis() {
    let redis = RedisServer::start();
    let (one, other) = redis_nodes(&redis, 5);
    for (n, kind) in ["set", "mset", "setnx", "append", "del", "getdel", "expire 0"].into_iter().enumerate() {
        let key = format!("profile:{n}");
        let book = LeaseBook::new();
        read(&one.engine, &key, &book).await.unwrap();
        let (engine, name) = (&other.engine, key.as_bytes());
        match kind {
            "set" => drop(engine.set(name, "x".into(), Default::default()).await.unwrap()),
            "mset" => engine.set_many(&[(key.clone().into(), "x".into())]).await.unwrap(),
            "setnx" => {
                let options = larder::engine::api::SetOptions {
                    condition: larder::engine::api::Condition::IfAbsent,
                    ..Default::default()
                };
                drop(engine.set(name, "x".into(), options).await.unwrap());
            }
            "append" => {
                engine.update(name, larder::engine::api::Update::Append("x".into())).await.unwrap();
            }
            "del" => drop(engine.delete(&[key.clone().into()]).await.unwrap()),
            "getdel" => {
                engine.set(name, "x".into(), Default::default()).await.unwrap();
                drop(engine.take(name).await.unwrap());
            }
            _ => {
                engine.set(name, "x".into(), Default::default()).await.unwrap();
                assert!(engine.expire(name, 0, Default::default()).await.unwrap());
            }
        }
        assert_eq!(write(&one.engine, &key, "old", &book).await, "unmet", "{kind}");
        let after = shown(&read(&one.engine, &key, &LeaseBook::new()).await);
        assert!(after.starts_with("- (miss"), "{kind}: {after}");
    }
}
