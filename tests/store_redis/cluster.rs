//! The store on a real cluster: by slots, while they move, and when a primary dies.

use std::collections::BTreeSet;

use bytes::Bytes;
use larder::ports::store::{Command, Expect, Expire, Reply, Store, StoreError, StoreKey};
use larder::ports::upstream::Types;

use super::{V, is_unavailable};
use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;
use crate::support::wait::until;

fn key(name: &str) -> StoreKey {
    StoreKey(Bytes::copy_from_slice(name.as_bytes()))
}

async fn call(store: &impl Store, line: &str) -> Reply {
    let args = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    store.call(Command { args }).await.expect("it answers")
}

#[tokio::test]
async fn keys_of_many_slots_are_served_as_of_one() {
    let cluster = RedisCluster::start(false, 5_000).await;
    let store = cluster.store();
    let names: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    let keys: Vec<StoreKey> = names.iter().map(|name| key(name)).collect();
    let items = keys.iter().map(|key| (key.clone(), key.0.clone(), Expire::Never)).collect();
    store.set_many(items).await.expect("stored");
    let found = store.get_many(&keys, true).await.expect("read");
    assert!(found.iter().zip(&keys).all(|(held, key)| held.as_ref().is_some_and(|held| held.bytes == key.0)));
    let all = names.join(" ");
    assert_eq!(call(&store, "DBSIZE").await, Reply::Integer(40));
    assert_eq!(call(&store, &format!("EXISTS {all} nothing")).await, Reply::Integer(40));
    let Reply::Array(told) = call(&store, &format!("MGET {all}")).await else { panic!("a list") };
    assert!(told.iter().zip(&keys).all(|(told, key)| *told == Reply::Bulk(key.0.clone())));
    let (mut seen, mut cursor, mut steps) = (BTreeSet::new(), "0".to_owned(), 0);
    loop {
        let Reply::Array(parts) = call(&store, &format!("SCAN {cursor} COUNT 5")).await else { panic!("a list") };
        let [Reply::Bulk(next), Reply::Array(keys)] = parts.as_slice() else { panic!("{parts:?}") };
        seen.extend(keys.iter().map(|key| format!("{key:?}")));
        (cursor, steps) = (String::from_utf8_lossy(next).into_owned(), steps + 1);
        if cursor == "0" {
            break;
        }
    }
    assert!(seen.len() == 40 && steps >= 6, "{} keys in {steps} steps", seen.len());
    assert_eq!(call(&store, "MSET a 1 b 2 c 3").await, Reply::ok());
    assert_eq!(call(&store, "SCAN word").await, Reply::Error("ERR invalid cursor".into()));
    let apart = call(&store, "SINTERSTORE a b c").await;
    assert!(matches!(&apart, Reply::Error(line) if line.starts_with("CROSSSLOT")), "{apart:?}");
    let replies = store.pipeline(names.iter().map(|name| Command::new("INCR").arg(name.clone())).collect()).await;
    assert!(
        replies
            .expect("answered")
            .iter()
            .all(|reply| matches!(reply, Reply::Error(line) if line.contains("not an integer")))
    );
    let removed = store.delete(&keys).await.expect("removed");
    assert!(removed.iter().all(|&there| there));
    assert_eq!(call(&store, "FLUSHALL").await, Reply::ok());
    assert_eq!(call(&store, "RANDOMKEY").await, Reply::Nil);
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let cluster = RedisCluster::start(false, 5_000).await;
    let store = cluster.store();
    let name = cluster.keys("k")[0].clone();
    let other = format!("{{{name}}}other");
    store.set(&key(&name), V, Expire::Never).await.expect("stored");
    let (from, to) = (&cluster.nodes[0], &cluster.nodes[1]);
    let (slot, from_id, to_id) = (cluster.slot(&name), from.cli(&["CLUSTER", "MYID"]), to.cli(&["CLUSTER", "MYID"]));
    assert_eq!(to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]), "OK");
    assert_eq!(from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]), "OK");
    // What is there is read where it is; what is new goes where the slot goes (ASK).
    let value = async |name: &str| store.get(&key(name), true).await.expect("read").map(|held| held.bytes);
    assert_eq!(value(&name).await, Some(V));
    assert_eq!(value(&other).await, None);
    store.set(&key(&other), V, Expire::Never).await.expect("stored");
    assert_eq!(to.cli(&["-c", "CLUSTER", "COUNTKEYSINSLOT", &slot]), "1");
    assert_eq!(value(&other).await, Some(V));
    let replaced = store.replace(&key(&other), Expect::Prefix(V), V, Expire::Never).await;
    assert_eq!(replaced, Ok(true), "a script is sent on as well");
    let to_port = to.port().to_string();
    assert_eq!(from.cli(&["MIGRATE", "127.0.0.1", &to_port, &name, "0", "5000"]), "OK");
    assert_eq!(value(&name).await, Some(V), "it has moved already");
    for node in [to, from, &cluster.nodes[2]] {
        assert_eq!(node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]), "OK");
    }
    // Now the old node says MOVED, and soon nobody asks it any more.
    assert_eq!(value(&name).await, Some(V));
    let asked = || from.cli(&["INFO", "errorstats"]).lines().find(|line| line.contains("MOVED")).map(str::to_owned);
    until("the map is known", async || {
        let before = asked();
        assert_eq!(value(&name).await, Some(V));
        (asked() == before).then_some(())
    })
    .await;
    assert_eq!(store.delete(&[key(&name), key(&other)]).await, Ok(vec![true, true]));
}

#[tokio::test]
async fn a_primary_that_dies_is_followed_by_its_replica() {
    let mut cluster = RedisCluster::start(true, 1_500).await;
    let store = cluster.store();
    let keys = cluster.keys("k");
    for name in &keys {
        store.set(&key(name), V, Expire::Never).await.expect("stored");
    }
    assert_eq!(cluster.nodes[0].cli(&["WAIT", "1", "5000"]), "1", "the replica has it");
    cluster.nodes[0].kill();
    let lost = until("it is known to be away", async || store.get(&key(&keys[0]), false).await.err()).await;
    assert!(matches!(lost, StoreError::Unavailable(_) | StoreError::Broken(_)), "{lost:?}");
    for name in &keys[1..] {
        until("the other nodes serve", async || store.get(&key(name), false).await.ok()).await;
    }
    until("the replica has taken over", async || store.set(&key(&keys[0]), V, Expire::Never).await.ok()).await;
    for name in &keys {
        assert_eq!(store.get(&key(name), false).await.expect("read").map(|held| held.bytes), Some(V));
    }
}

#[tokio::test]
async fn what_is_no_cluster_is_told() {
    let server = RedisServer::start();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let address = larder::adapters::redis::RedisAddress::parse(&url).expect("an address");
    let store = crate::support::redis::store(larder::adapters::redis::RedisSettings {
        store_ms: 10_000,
        ..larder::adapters::redis::RedisSettings::new(address)
    });
    is_unavailable(&store, "ERR This instance has cluster support disabled").await;
}

#[tokio::test]
async fn blocks_and_watches_go_to_the_node_of_their_keys() {
    let cluster = RedisCluster::start(false, 5_000).await;
    let store = cluster.store();
    let set = |name: &str| vec![Command::new("SET").arg(name.to_owned()).arg("1"), Command::new("PING")];
    let done = Ok(Some(vec![Reply::ok(), Reply::Status("PONG".into())]));
    for name in ["a", "b", "c"] {
        let keys = [key(name)];
        assert_eq!(store.atomic(set(name)).await.map(Some), done, "{name}");
        assert_eq!(store.watch(&keys).await.expect("watched").commit(set(name), Types::Rich).await, done, "{name}");
        let watch = store.watch(&keys).await.expect("watched");
        store.set(&keys[0], V, Expire::Never).await.expect("stored");
        assert_eq!(watch.commit(set(name), Types::Rich).await, Ok(None), "{name}");
    }
    let apart = [set("a"), set("b")].concat();
    for error in [store.atomic(apart).await.err(), store.watch(&[key("a"), key("b")]).await.err()] {
        assert!(matches!(&error, Some(StoreError::Reply(line)) if line.starts_with("CROSSSLOT")), "{error:?}");
    }
}
