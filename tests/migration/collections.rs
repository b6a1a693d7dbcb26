//! Hashes, lists and sets of an older key version: moved as they are, once, and never back, on every store.

use std::sync::Arc;

use bytes::Bytes;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::step::{DataCommand, Form, Wanted};
use larder::error::ErrorKind;
use larder::ports::clock::VirtualClock;
use larder::ports::policy::{Encoding, Shape};
use larder::ports::store::{Command, Expire, Reply, Store, StoreKey, Ttl};

use super::{Migrating, left, of_version, rules};
use crate::support::engine::World;
use crate::support::gated::GatedStore;
use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;

/// How one is made under a storage key, and what is read and done under the key.
const KINDS: [(&str, &str, &str, &str); 3] = [
    ("RPUSH {} a b", "LRANGE doc:k 0 -1", "RPUSH doc:k c", "LLEN doc:k"),
    ("HSET {} a b", "HGETALL doc:k", "HSET doc:k c d", "HLEN doc:k"),
    ("SADD {} a", "SMEMBERS doc:k", "SADD doc:k c", "SCARD doc:k"),
];

fn words(line: &str) -> Vec<Bytes> {
    line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
}

/// Sends a command to the store as it is.
async fn send(world: &World, line: &str) -> Reply {
    let mut words = words(line).into_iter();
    let name: &'static str = match &words.next().unwrap()[..] {
        b"RPUSH" => "RPUSH",
        b"HSET" => "HSET",
        b"SADD" => "SADD",
        b"SET" => "SET",
        other => panic!("{other:?}"),
    };
    world.store.call(words.fold(Command::new(name), Command::arg)).await.unwrap()
}

/// Carries out a command on `doc:k`.
async fn carry_out(world: &World, line: &str, form: Form) -> Reply {
    world.engine.carry_out(&command(line, form)).await.unwrap()
}

fn command(line: &str, form: Form) -> DataCommand {
    let args = words(line);
    let keys = (0..args.len()).filter(|&at| args[at].starts_with(b"doc:")).collect();
    DataCommand { args, keys, form }
}

fn shape(line: &str) -> Wanted {
    Wanted::Shape(match line.as_bytes()[0] {
        b'L' | b'R' => Shape::List,
        b'H' => Shape::Hash,
        _ => Shape::Set,
    })
}

fn world_over(store: Arc<dyn Store>, seed: u64) -> World {
    let world = World::over(store, Arc::new(VirtualClock::new(1_000_000_000_000, seed)));
    world.go_live("doc", of_version("v2", Encoding::Raw), Migrating(rules(Encoding::Raw)));
    world
}

fn old(key: &str) -> StoreKey {
    StoreKey(format!("chat:v1:doc:{key}").into())
}

async fn check(store: Arc<dyn Store>) {
    let world = world_over(store.clone(), 1);
    for (n, (make, read, add, count)) in KINDS.iter().enumerate() {
        // Read first, or changed first.
        for first in [*read, *add] {
            store.delete(&[old("k"), StoreKey("chat:v2:doc:k".into())]).await.unwrap();
            send(&world, &make.replace("{}", "chat:v1:doc:k")).await;
            store.expire(&old("k"), Expire::InMs(60_000)).await.unwrap();
            let wanted = shape(first);
            let form = if first == *read { Form::reads(wanted) } else { Form::grows(wanted) };
            let reply = carry_out(&world, first, form).await;
            assert!(!matches!(reply, Reply::Error(_) | Reply::Nil), "{first}: {reply:?}");
            assert_eq!(left(&world, "v1", "k").await, Ttl::Missing, "{first}");
            let Ttl::Ms(left_ms) = left(&world, "v2", "k").await else { panic!("{first}: its expiry is gone") };
            assert!((1..=60_000).contains(&left_ms), "{first}: {left_ms}");
            let before = if n == 0 { 2 } else { 1 };
            let expect = before + i64::from(first == *add);
            let form = Form::reads(shape(count));
            assert_eq!(carry_out(&world, count, form).await, Reply::Integer(expect), "{first}");
        }
    }
    assert_eq!(world.metrics.domain("doc").migrated.get(), 6);
    // One without an end keeps that, and what asks for another type is told so.
    send(&world, "RPUSH chat:v1:doc:forever a").await;
    assert_eq!(world.engine.get(b"doc:forever").await.unwrap_err().kind, ErrorKind::StoreReply);
    assert_eq!((left(&world, "v1", "forever").await, left(&world, "v2", "forever").await), (Ttl::Missing, Ttl::Never));
    assert_eq!(world.engine.exists(&["doc:forever".into()]).await.unwrap(), 1);
    // What is there under the version of now wins, and what is removed does not come back.
    send(&world, "RPUSH chat:v1:doc:k old").await;
    let form = Form::reads(shape("SCARD"));
    assert_eq!(carry_out(&world, "SCARD doc:k", form).await, Reply::Integer(2));
    assert_eq!(world.engine.delete(&["doc:k".into()]).await.unwrap(), 1);
    assert_eq!((left(&world, "v1", "k").await, left(&world, "v2", "k").await), (Ttl::Missing, Ttl::Missing));
}

#[tokio::test]
async fn they_are_moved_as_they_are_in_memory() {
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let memory = MemoryStore::new(MemorySettings::default(), clock);
    check(Arc::new(GatedStore::new(memory))).await;
}

#[tokio::test]
async fn they_are_moved_as_they_are_in_redis() {
    let redis = RedisServer::start();
    check(Arc::new(redis.store())).await;
}

#[tokio::test]
async fn they_are_moved_as_they_are_from_node_to_node_of_a_cluster() {
    let cluster = RedisCluster::start(false, 5_000).await;
    assert_ne!(cluster.place_of("chat:v1:doc:k"), cluster.place_of("chat:v2:doc:k"), "another key is needed");
    check(Arc::new(cluster.store())).await;
}
