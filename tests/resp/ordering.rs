//! Commands of one connection overlap in the store, and nobody can tell.

use std::sync::Arc;

use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::limits::RESP_INFLIGHT_MAX;
use larder::ports::clock::VirtualClock;
use larder::ports::policy::Lifetime;

use super::{host, world};
use crate::support::engine::World;
use crate::support::gated::GatedStore;
use crate::support::resp::{Client, Host, frame};

/// A host over a store that can be held up, and a client of it.
async fn gated() -> (Host, Client, Arc<GatedStore>) {
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let store = Arc::new(GatedStore::new(MemoryStore::new(MemorySettings::default(), clock.clone())));
    let world = World::over(store.clone(), clock);
    world.default_domain();
    world.enveloped("profile", Lifetime::fresh(Some(60_000)));
    let host = Host::start(world).await;
    let client = host.connect().await;
    (host, client, store)
}

async fn send(client: &mut Client, lines: &[&str]) {
    let batch: Vec<u8> = lines.iter().flat_map(|line| frame(&line.split(' ').collect::<Vec<_>>())).collect();
    client.send(batch).await;
}

#[tokio::test]
async fn commands_on_different_keys_overlap_and_are_answered_in_order() {
    let (host, mut client, store) = gated().await;
    client.pipeline(&["SET a 1", "SET b 2", "SET c 3"]).await;
    let gate = store.hold("a");
    send(&mut client, &["GET a", "GET b", "STRLEN c", "GET a", "nonsense", "SET d 4", "GET c"]).await;
    store.until("end SET d").await;
    assert!(!store.log().contains(&"end GET a".to_owned()), "{:?}", store.log());
    gate.open();
    for answer in ["\"1\"", "\"2\"", ":1", "\"1\""] {
        assert_eq!(client.answer().await, answer);
    }
    assert!(client.answer().await.starts_with("-ERR unknown command"));
    assert_eq!(client.answer().await, "+OK");
    assert_eq!(client.answer().await, "\"3\"");
    assert!(host.stop().await);
}

#[tokio::test]
async fn commands_on_one_key_do_not_overlap() {
    let (host, mut client, store) = gated().await;
    client.line("SET a 1").await;
    store.clear();
    let gate = store.hold("a");
    send(&mut client, &["GET a", "SET a 2", "GET a", "MSET b 1 a 3", "MGET a b"]).await;
    store.until("begin GET a").await;
    gate.open();
    for answer in ["\"1\"", "+OK", "\"2\"", "+OK", "[\"3\", \"1\"]"] {
        assert_eq!(client.answer().await, answer);
    }
    let log: Vec<String> = store.log().into_iter().filter(|line| line.ends_with(" a")).collect();
    for (n, pair) in log.chunks(2).enumerate() {
        assert!(pair[0].starts_with("begin ") && pair[1].starts_with("end "), "command {n} of {log:?}");
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_hit_waits_for_a_write_before_it() {
    let (host, mut client, store) = gated().await;
    client.pipeline(&["SET profile:1 old", "SET profile:2 two", "GET profile:1", "GET profile:2"]).await;
    let gate = store.hold("chat:v1:profile:1");
    send(&mut client, &["SET profile:1 new", "GET profile:2", "GET profile:1"]).await;
    store.until("begin SET chat:v1:profile:1").await;
    gate.open();
    for answer in ["+OK", "\"two\"", "\"new\""] {
        assert_eq!(client.answer().await, answer);
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_command_on_the_connection_waits_for_all_before_it() {
    let (host, mut client, store) = gated().await;
    let gate = store.hold("a");
    send(&mut client, &["GET a", "HELLO 3", "GET a"]).await;
    store.until("begin GET a").await;
    gate.open();
    assert_eq!(client.answer().await, "nil", "in the protocol of its time");
    assert!(client.answer().await.starts_with('{'));
    assert_eq!(client.answer().await, "null");
    assert!(host.stop().await);
}

#[tokio::test]
async fn more_commands_than_may_be_at_work() {
    let (host, mut client, store) = gated().await;
    let keys: Vec<String> = (0..RESP_INFLIGHT_MAX * 3).map(|n| format!("k{n}")).collect();
    let gate = store.hold("k0");
    let lines: Vec<String> = keys.iter().map(|key| format!("APPEND {key} {key}")).collect();
    send(&mut client, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    store.until(&format!("end APPEND k{}", RESP_INFLIGHT_MAX - 1)).await;
    assert!(!store.log().contains(&format!("begin APPEND k{RESP_INFLIGHT_MAX}")));
    gate.open();
    for key in &keys {
        assert_eq!(client.answer().await, format!(":{}", key.len()));
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_killed_connection_leaves_nothing_behind() {
    let (host, mut client, store) = gated().await;
    let gate = store.hold("a");
    send(&mut client, &["GET a", "SET a 1"]).await;
    store.until("begin GET a").await;
    let mut other = host.connect().await;
    assert_eq!(other.line("CLIENT KILL ID 1").await, ":1");
    assert!(client.ended().await);
    gate.open();
    assert_eq!(other.line("GET a").await, "nil", "what had not begun is not done");
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_was_read_is_answered_when_the_host_ends() {
    let (host, mut client, store) = gated().await;
    let gate = store.hold("a");
    send(&mut client, &["APPEND a 1", "APPEND a 2"]).await;
    store.until("begin APPEND a").await;
    let stopping = tokio::spawn(host.stop());
    gate.open();
    assert_eq!(client.answer().await, ":1");
    assert_eq!(client.answer().await, ":2");
    assert!(client.ended().await);
    drop(client);
    assert!(stopping.await.unwrap());
}

/// A client that sends and sends and reads late: the host stops reading, and loses nothing.
#[tokio::test]
async fn a_slow_reader_gets_everything() {
    const GETS: usize = 100;
    let (host, mut client) = host().await;
    let value = "v".repeat(1 << 20);
    assert_eq!(client.call(&["SET", "k", &value]).await, "+OK");
    client.send(frame(&["GET", "k"]).repeat(GETS)).await;
    for n in 0..GETS {
        let answer = client.answer().await;
        assert!(answer.len() == value.len() + 2, "answer {n} has {} bytes", answer.len());
    }
    assert_eq!(client.line("PING").await, "+PONG");
    assert!(host.stop().await);
}

/// Random pipelines over a store that dawdles at random give what the same commands give one by one over one that does not.
#[tokio::test]
async fn pipelines_answer_as_single_commands_do() {
    let (host, mut client, store) = gated().await;
    let plain = Host::start(world()).await;
    let mut single = plain.connect().await;
    store.dawdle();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..40 {
        let lines: Vec<String> = (0..random.usize(1..200)).map(|_| random_command(&mut random)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answers = client.pipeline(&lines).await;
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(answers[n], single.line(line).await, "command {n} of {lines:?}");
        }
    }
    assert!(host.stop().await && plain.stop().await);
}

fn random_command(random: &mut fastrand::Rng) -> String {
    let mut key = || ["a", "b", "c", "profile:1", "profile:2"][random.usize(..5)];
    let (one, two) = (key(), key());
    let n = random.u8(..);
    match random.u8(..12) {
        0..=3 => format!("GET {one}"),
        4 | 5 => format!("SET {one} {n}"),
        6 => format!("DEL {one} {two}"),
        7 => format!("MGET {one} {two}"),
        8 => format!("MSET {one} {n} {two} {n}"),
        9 => format!("APPEND {one} x"),
        10 => format!("GETSET {one} {n}"),
        _ => "PING".into(),
    }
}
