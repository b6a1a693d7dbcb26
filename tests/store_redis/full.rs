//! A server that may not grow, that only reads, or that waits for its data: what it says is told as what it is.

use larder::ports::store::{Expire, Store, StoreError};

use super::{K, V, call, recovers};
use crate::support::redis::RedisServer;
use crate::support::wait::until;

#[tokio::test]
async fn a_full_server_says_so_and_serves_what_it_has() {
    let server = RedisServer::start();
    let store = server.store();
    recovers(&store).await;
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = store.set(&K, V, Expire::Never).await;
    assert!(matches!(&full, Err(StoreError::Reply(line)) if line.starts_with("OOM ")), "{full:?}");
    assert_eq!(store.get(&K, false).await.expect("read").map(|held| held.bytes), Some(V));
    assert_eq!(store.delete(&[K]).await, Ok(vec![true]));
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    recovers(&store).await;
}

#[tokio::test]
async fn a_replica_says_so_and_is_read() {
    let primary = RedisServer::start();
    let port = primary.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
    primary.store().set(&K, V, Expire::Never).await.expect("stored");
    let store = replica.store();
    until("the replica has it", async || store.get(&K, false).await.ok().flatten()).await;
    let refused = store.set(&K, V, Expire::Never).await;
    assert!(matches!(&refused, Err(StoreError::Reply(line)) if line.starts_with("READONLY ")), "{refused:?}");
    let refused = call(&store, &["EVAL", "return redis.call('set', KEYS[1], 'x')", "1", "k"]).await.expect("answered");
    assert!(format!("{refused:?}").contains("READONLY"), "{refused:?}");
    assert_eq!(store.get(&K, false).await.expect("read").map(|held| held.bytes), Some(V), "it is still read");
}

#[tokio::test]
async fn a_replica_without_its_primary_serves_nobody() {
    let mut primary = RedisServer::start();
    let port = primary.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port, "--replica-serve-stale-data", "no"]);
    primary.kill();
    let store = replica.store();
    let told = until("the replica has noticed", async || store.get(&K, false).await.err()).await;
    assert!(matches!(&told, StoreError::Unavailable(text) if text.contains("MASTERDOWN ")), "{told:?}");
}
