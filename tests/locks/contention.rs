//! Two hosts' worth of stores on one real Redis: never two holders, fences that only grow, and what a fence is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::adapters::clock::SystemClock;
use larder::engine::key::KeyRules;
use larder::engine::locks::{LockKeeper, LockSettings};
use larder::ports::lock::{Ask, Locks};
use larder::ports::metrics::Metrics;

use super::watched::{ask, name, pass};
use crate::support::redis::RedisServer;
use crate::support::wait::until;

/// What the lock protects: it knows the highest fence that it has seen, and who is inside.
#[derive(Default)]
struct Protected {
    inside: AtomicU64,
    last_fence: AtomicU64,
    entries: AtomicU64,
}

impl Protected {
    async fn work(&self, fence: u64) {
        assert_eq!(self.inside.swap(fence, Ordering::SeqCst), 0, "somebody is inside already");
        let before = self.last_fence.swap(fence, Ordering::SeqCst);
        assert!(fence > before, "{fence} after {before}");
        tokio::task::yield_now().await;
        assert_eq!(self.inside.swap(0, Ordering::SeqCst), fence, "somebody came in meanwhile");
        self.entries.fetch_add(1, Ordering::SeqCst);
    }

    /// A write with a fence: refused if a later holder has written.
    fn write(&self, fence: u64) -> bool {
        self.last_fence.fetch_max(fence, Ordering::SeqCst) <= fence
    }
}

/// A host of its own on this server.
fn host(server: &RedisServer) -> LockKeeper {
    let settings = LockSettings { ttl_ms: 30_000, retry_ms: 5, retries_max: 3, node: "host".into() };
    let rules = KeyRules { prefix: "chat".into(), separator: b':', key_bytes_max: 250 };
    LockKeeper::new(
        settings,
        rules,
        Arc::new(server.store()),
        Arc::new(SystemClock::default()),
        Arc::new(Metrics::default()),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_never_hold_one_lock_together() {
    const TASKS: u64 = 8;
    const ROUNDS: u64 = 15;
    let server = RedisServer::start();
    let hosts = [host(&server), host(&server)];
    let protected = Arc::new(Protected::default());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (keeper, protected) = (hosts[usize::try_from(task % 2).expect("small")].clone(), protected.clone());
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    // By guard, by token, and by a guard that is just dropped.
                    let ask = Ask { renew: round % 3 == 0, ..ask(30_000, 50_000) };
                    if round % 3 == 1 {
                        let grant = keeper.take(&name("n"), ask).await.expect("answers").expect("its turn comes");
                        protected.work(grant.fence).await;
                        assert_eq!(keeper.release(&name("n"), &grant.token).await, Ok(true));
                    } else {
                        let mut guard = keeper.hold(&name("n"), ask).await.expect("answers").expect("its turn comes");
                        protected.work(guard.fence()).await;
                        if round % 3 == 0 {
                            assert_eq!(guard.release().await, Ok(true));
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task saw two holders");
    }
    assert_eq!(protected.entries.load(Ordering::SeqCst), TASKS * ROUNDS);
}

#[tokio::test]
async fn a_holder_that_was_held_up_is_told_by_its_fence() {
    let server = RedisServer::start();
    let (slow, quick) = (host(&server), host(&server));
    let protected = Protected::default();
    let guard = slow.hold(&name("n"), ask(40, 0)).await.expect("answers").expect("free");
    let first = guard.fence();
    assert!(protected.write(first));
    // It is held up for longer than its life; the other host gets the lock and writes.
    let next = quick.hold(&name("n"), ask(30_000, 20_000)).await.expect("answers").expect("its life was over");
    assert!(guard.is_lost(), "it knows by itself");
    assert!(protected.write(next.fence()));
    assert!(!protected.write(first), "what it writes late is refused");
    drop(guard);
    pass(20).await;
    assert!(quick.info(&name("n")).await.expect("answers").is_some(), "its late release frees nobody else's lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fences_grow_over_a_redis_that_was_killed() {
    let mut server = RedisServer::start();
    let keeper = host(&server);
    let guard = keeper.hold(&name("n"), Ask { renew: true, ..ask(3_000, 0) }).await.expect("answers").expect("free");
    server.restart();
    // Nothing of the lock is left there: its renewal finds out.
    tokio::time::timeout(Duration::from_secs(20), guard.lost()).await.expect("the guard says so");
    let next = until("the lock is taken again", async || {
        keeper.hold(&name("n"), ask(30_000, 0)).await.ok().map(|held| held.expect("nobody holds it"))
    })
    .await;
    assert!(next.fence() > guard.fence());
}
