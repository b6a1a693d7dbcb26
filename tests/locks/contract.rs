//! One suite for the locks of every store: in memory and in a real Redis.

use std::sync::Arc;

use larder::adapters::memory::MemoryLocks;
use larder::adapters::redis::RedisStore;
use larder::engine::key::KeyRules;
use larder::limits::LOCK_FENCE_KEEP_MS;
use larder::ports::clock::VirtualClock;
use larder::ports::lock::{Attempt, Found, LockKeys, LockName, LockStore, Token};
use larder::ports::store::{Command, Reply, Store, Ttl};

use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;
use crate::support::redis::secured::SecuredRedis;
use crate::support::wait::until;

/// Longer than a test takes.
const LONG_MS: u64 = 60_000;

/// A store of locks and its time.
struct Bench {
    store: Arc<dyn LockStore>,
    clock: Option<Arc<VirtualClock>>,
    _server: Option<RedisServer>,
}

impl Bench {
    fn memory() -> Self {
        let clock = Arc::new(VirtualClock::new(1_700_000_000_000, 1));
        Self { store: Arc::new(MemoryLocks::new(clock.clone())), clock: Some(clock), _server: None }
    }

    fn redis() -> Self {
        let server = RedisServer::start();
        Self { store: Arc::new(server.store()), clock: None, _server: Some(server) }
    }

    /// Lets a lock's life of so many milliseconds pass.
    async fn outlive(&self, name: &str, ms: u64) {
        if let Some(clock) = &self.clock {
            clock.advance_ms(ms + 1);
        }
        until("the lock's life is over", async || {
            self.store.holder(&keys(name)).await.expect("answers").is_none().then_some(())
        })
        .await;
    }

    async fn take(&self, name: &str, token: u8, ttl_ms: u64) -> Attempt {
        self.store.take(&keys(name), &self::token(token), &format!("owner {token}"), ttl_ms).await.expect("answers")
    }

    /// Takes a free lock; its fence.
    async fn fence(&self, name: &str, token: u8, ttl_ms: u64) -> u64 {
        match self.take(name, token, ttl_ms).await {
            Attempt::Taken { fence } => fence,
            Attempt::HeldFor { ms } => panic!("{name} is held for {ms} ms"),
        }
    }

    async fn release(&self, name: &str, token: u8) -> bool {
        self.store.release(&keys(name), &self::token(token)).await.expect("answers")
    }

    async fn extend(&self, name: &str, token: u8, ttl_ms: u64) -> bool {
        self.store.extend(&keys(name), &self::token(token), ttl_ms).await.expect("answers")
    }
}

fn rules() -> KeyRules {
    KeyRules { prefix: "chat".into(), separator: b':', key_bytes_max: 250 }
}

fn keys(name: &str) -> LockKeys {
    rules().lock_keys(&LockName::any(name.as_bytes()).expect("a name"))
}

fn token(number: u8) -> Token {
    Token::new([number; 16])
}

async fn a_lock_has_one_holder(bench: &Bench) {
    let first = bench.fence("n", 1, LONG_MS).await;
    for taker in [2, 1] {
        let again = bench.take("n", taker, LONG_MS).await;
        assert!(matches!(again, Attempt::HeldFor { ms } if ms > 0 && ms <= LONG_MS), "{again:?}");
    }
    assert!(bench.fence("other", 2, LONG_MS).await > 0, "another name is another lock");
    assert!(!bench.release("n", 2).await);
    assert!(bench.release("n", 1).await);
    assert!(!bench.release("n", 1).await);
    assert!(bench.fence("n", 2, LONG_MS).await > first);
}

async fn a_lock_ends_with_its_life(bench: &Bench) {
    let first = bench.fence("n", 1, 30).await;
    bench.outlive("n", 30).await;
    assert!(!bench.extend("n", 1, LONG_MS).await, "what is over is not extended");
    let second = bench.fence("n", 2, LONG_MS).await;
    assert!(second > first);
    assert!(!bench.extend("n", 1, LONG_MS).await && !bench.release("n", 1).await, "it is another's now");
    assert!(bench.release("n", 2).await);
}

async fn a_life_begins_anew(bench: &Bench) {
    bench.fence("n", 1, 20_000).await;
    assert!(!bench.extend("n", 2, LONG_MS).await);
    assert!(bench.extend("n", 1, LONG_MS).await);
    let holder = bench.store.holder(&keys("n")).await.expect("answers").expect("held");
    assert!(holder.ttl_ms > 20_000 && holder.ttl_ms <= LONG_MS, "{holder:?}");
    assert!(bench.extend("n", 1, 30).await, "a shorter one too");
    bench.outlive("n", 30).await;
}

async fn a_holder_is_told_with_its_label(bench: &Bench) {
    assert_eq!(bench.store.holder(&keys("n")).await, Ok(None));
    let fence = bench.fence("n", 1, LONG_MS).await;
    let holder = bench.store.holder(&keys("n")).await.expect("answers").expect("held");
    assert_eq!((holder.token, holder.fence, holder.owner.as_str()), (token(1), fence, "owner 1"));
    assert!(holder.ttl_ms > 0 && holder.ttl_ms <= LONG_MS);
}

async fn force_frees_and_fences_go_on(bench: &Bench) {
    assert_eq!(bench.store.force_release(&keys("n")).await, Ok(false));
    let first = bench.fence("n", 1, LONG_MS).await;
    assert_eq!(bench.store.force_release(&keys("n")).await, Ok(true));
    assert!(!bench.release("n", 1).await && !bench.extend("n", 1, LONG_MS).await);
    assert!(bench.fence("n", 2, LONG_MS).await > first);
}

async fn fences_only_grow(bench: &Bench) {
    let mut last = 0;
    for round in 0..60 {
        let fence = bench.fence("n", 1, LONG_MS).await;
        assert!(fence > last, "{fence} after {last} in round {round}");
        last = fence;
        match round % 2 {
            0 => assert!(bench.release("n", 1).await),
            _ => assert_eq!(bench.store.force_release(&keys("n")).await, Ok(true)),
        }
    }
    if let Some(clock) = &bench.clock {
        clock.step_back_ms(3_600_000);
        assert!(bench.fence("n", 1, LONG_MS).await > last, "whatever the wall clock does");
    }
}

async fn takers_that_race_have_one_winner(bench: &Bench) {
    let tries = (1..=40_u8).map(|taker| {
        let store = Arc::clone(&bench.store);
        tokio::spawn(async move { store.take(&keys("n"), &token(taker), "o", LONG_MS).await })
    });
    let mut winners = 0;
    for one in tries.collect::<Vec<_>>() {
        winners += u32::from(matches!(one.await.expect("it ends").expect("answers"), Attempt::Taken { .. }));
    }
    assert_eq!(winners, 1);
}

async fn locks_are_found_by_the_beginning_of_their_names(bench: &Bench) {
    let names = ["a", "ab", "a*", "a[b]", "a?", "b\\c", "@profile/a", "a}", "ä"];
    for name in names {
        bench.fence(name, 1, LONG_MS).await;
    }
    for (prefix, expect) in [
        ("", &names[..]),
        ("a", &["a", "ab", "a*", "a[b]", "a?", "a}"]),
        ("a*", &["a*"]),
        ("a[", &["a[b]"]),
        ("a?", &["a?"]),
        ("b\\", &["b\\c"]),
        ("@profile/", &["@profile/a"]),
        ("ä", &["ä"]),
        ("A", &[]),
    ] {
        let Found { locks, complete } = bench.store.find(&rules().lock_pattern(prefix), 100).await.expect("answers");
        let mut found: Vec<_> = locks.iter().map(|(key, _)| rules().lock_name(key).expect("a lock")).collect();
        found.sort();
        let mut expect: Vec<_> = expect.iter().map(|name| LockName::any(name.as_bytes()).expect("a name")).collect();
        expect.sort();
        assert_eq!((found, complete), (expect, true), "{prefix:?}");
    }
    let few = bench.store.find(&rules().lock_pattern(""), 3).await.expect("answers");
    assert_eq!((few.locks.len(), few.complete), (3, false));
    let all = bench.store.find(&rules().lock_pattern(""), names.len()).await.expect("answers");
    assert!(all.complete && all.locks.iter().all(|(_, holder)| holder.token == token(1)));
}

/// Runs each function on both stores.
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Bench::memory()).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&super::Bench::redis()).await;
            })*
        }
    };
}

on_both_stores! {
    a_lock_has_one_holder,
    a_lock_ends_with_its_life,
    a_life_begins_anew,
    a_holder_is_told_with_its_label,
    force_frees_and_fences_go_on,
    fences_only_grow,
    takers_that_race_have_one_winner,
    locks_are_found_by_the_beginning_of_their_names,
}

/// The same on a cluster, where a lock and its fence share a slot, and over TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_other_forms_of_redis() {
    let cluster = RedisCluster::start(false, 15_000).await;
    let secured = SecuredRedis::start();
    let empty = async |store: RedisStore| {
        assert_eq!(call(&store, &["FLUSHALL"]).await, Reply::ok());
        Bench { store: Arc::new(store), clock: None, _server: None }
    };
    for on_cluster in [true, false] {
        let store = || if on_cluster { cluster.store() } else { secured.tls_store() };
        a_lock_has_one_holder(&empty(store()).await).await;
        a_lock_ends_with_its_life(&empty(store()).await).await;
        a_life_begins_anew(&empty(store()).await).await;
        a_holder_is_told_with_its_label(&empty(store()).await).await;
        force_frees_and_fences_go_on(&empty(store()).await).await;
        fences_only_grow(&empty(store()).await).await;
        takers_that_race_have_one_winner(&empty(store()).await).await;
        locks_are_found_by_the_beginning_of_their_names(&empty(store()).await).await;
    }
}

async fn call(store: &impl Store, words: &[&str]) -> Reply {
    let args = words.iter().map(|word| bytes::Bytes::copy_from_slice(word.as_bytes())).collect();
    store.call(Command { args }).await.expect("it answers")
}

/// Redis alone: scripts that are flushed are loaded again; the fence outlives the lock by far; a server that lost everything
/// goes on above every earlier fence.
#[tokio::test]
async fn redis_may_forget_its_scripts_and_its_data() {
    let mut server = RedisServer::start();
    let store = server.store();
    let fence = async |number: u8| {
        until("the lock is taken", async || match store.take(&keys("n"), &token(number), "o", LONG_MS).await {
            Ok(Attempt::Taken { fence }) => Some(fence),
            Ok(Attempt::HeldFor { .. }) => panic!("nobody holds it"),
            Err(_) => None,
        })
        .await
    };
    let first = fence(1).await;
    let kept = store.ttl(&keys("n").fence).await.expect("answers");
    assert!(matches!(kept, Ttl::Ms(ms) if ms > LOCK_FENCE_KEEP_MS - LONG_MS), "{kept:?}");
    assert_eq!(call(&store, &["SCRIPT", "FLUSH"]).await, Reply::ok());
    assert_eq!(store.extend(&keys("n"), &token(1), LONG_MS).await, Ok(true));
    assert_eq!(call(&store, &["SCRIPT", "FLUSH"]).await, Reply::ok());
    assert_eq!(store.release(&keys("n"), &token(1)).await, Ok(true));
    assert_eq!(call(&store, &["SCRIPT", "FLUSH"]).await, Reply::ok());
    let second = fence(2).await;
    assert!(second > first);
    server.restart();
    let third = fence(3).await;
    assert!(third > second, "{third} after {second}, though nothing of the lock is left");
}

/// What somebody else put under a lock's key is no lock and is not touched.
#[tokio::test]
async fn a_foreign_value_under_a_locks_key_is_an_error_in_redis_words() {
    let server = RedisServer::start();
    let store = server.store();
    let key = String::from_utf8(keys("n").lock.0.to_vec()).expect("text");
    call(&store, &["SET", &key, "v"]).await;
    let held = store.take(&keys("n"), &token(1), "o", LONG_MS).await.expect("answers");
    assert!(matches!(held, Attempt::HeldFor { .. }), "{held:?}");
    let error = store.release(&keys("n"), &token(1)).await.expect_err("it is a string");
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    assert_eq!(store.holder(&keys("n")).await, Ok(None));
    assert_eq!(store.find(&rules().lock_pattern(""), 10).await, Ok(Found { locks: Vec::new(), complete: true }));
    assert_eq!(call(&store, &["GET", &key]).await, Reply::Bulk("v".into()));
}
