//! A host over a real cluster: what is changed at any of its primaries is told, also when slots move and primaries are replaced. The bound is
//! 20 s where a test shows that it is not needed.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::hosts::{copied, get, host, patient, soon, state, status};
use crate::support::host::{Host, wait_until};
use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;
use crate::support::resp::Client;
use crate::support::wait::until;

fn flushes(host: &Host) -> f64 {
    host.metric("larder_coherence_flushes_total")
}

#[track_caller]
fn write(node: &RedisServer, key: &str, value: &str) {
    assert_eq!(node.cli(&["SET", key, value]), "OK", "{key}");
}

/// There is a copy, a write straight at this node ends it, and there is one again.
#[track_caller]
fn is_told(node: &RedisServer, host: &Host, key: &str) {
    write(node, key, "before");
    copied(host, key, "before");
    write(node, key, "after");
    soon("a write past all hosts is seen", || get(host, key) == "after");
    copied(host, key, "after");
}

/// A replica takes over from its primary, which lives.
#[track_caller]
fn fail_over(cluster: &RedisCluster, to: usize) {
    let replica = &cluster.nodes[to];
    wait_until("it follows", || replica.cli(&["INFO", "replication"]).contains("master_link_status:up"));
    // Who takes it for a primary still gives it no vote, and it asks once.
    let name = id(replica);
    let is_known = |known: String| known.lines().any(|line| line.starts_with(&name) && line.contains("slave "));
    for node in &cluster.nodes {
        wait_until("all know that it is a replica", || is_known(node.cli(&["CLUSTER", "NODES"])));
    }
    assert_eq!(replica.cli(&["CLUSTER", "FAILOVER"]), "OK");
    wait_until("it is a primary", || replica.cli(&["ROLE"]).starts_with("master"));
}

fn id(node: &RedisServer) -> String {
    node.cli(&["CLUSTER", "MYID"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_at_any_primary_is_told() {
    let cluster = RedisCluster::start(false, 5_000).await;
    let one = patient(&cluster.url(), "20s");
    let (keys, before) = (cluster.keys("k"), flushes(&one));
    for (node, key) in cluster.nodes.iter().zip(&keys) {
        is_told(node, &one, key);
    }
    // Everything of one node.
    cluster.nodes[1].cli(&["FLUSHALL"]);
    soon("that a node was emptied is seen", || get(&one, &keys[1]) == "nil");
    for key in [&keys[0], &keys[2]] {
        copied(&one, key, "after");
    }
    assert_eq!(flushes(&one) - before, 1.0, "for the emptied node alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_followed_with_its_password() {
    let cluster = RedisCluster::start(false, 5_000).await;
    let key = &cluster.keys("k")[2];
    for node in &cluster.nodes {
        assert_eq!(node.cli(&["CONFIG", "SET", "requirepass", "secret"]), "OK");
    }
    let one = patient(&cluster.url().replace("//", "//:secret@"), "20s");
    let write = |value| cluster.nodes[2].cli(&["-a", "secret", "--no-auth-warning", "SET", key, value]);
    assert_eq!(write("1"), "OK");
    copied(&one, key, "1");
    assert_eq!(write("2"), "OK");
    soon("it is told", || get(&one, key) == "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_keep_copies_are_told_of_all_primaries() {
    let cluster = RedisCluster::start(true, 5_000).await;
    let one = patient(&cluster.url(), "20s");
    let keys = cluster.keys("k");
    let mut client = Client::of(one.resp).await;
    client.line("HELLO 3").await;
    assert_eq!(client.line("CLIENT TRACKING ON").await, "+OK");
    for (node, key) in cluster.nodes.iter().zip(&keys) {
        assert_eq!(client.line(&format!("GET {key}")).await, "null");
        write(node, key, "1");
        assert_eq!(client.answer().await, format!(">[\"invalidate\", [\"{key}\"]]"));
    }
    // Nobody can say what was missed meanwhile.
    fail_over(&cluster, 3);
    assert_eq!(client.answer().await, ">[\"invalidate\", null]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_hand_is_followed() {
    let cluster = RedisCluster::start(true, 5_000).await;
    let one = patient(&cluster.url(), "20s");
    let key = &cluster.keys("k")[0];
    for (from, to) in [(0, 3), (3, 0)] {
        is_told(&cluster.nodes[from], &one, key);
        let before = flushes(&one);
        fail_over(&cluster, to);
        let to = &cluster.nodes[to];
        write(to, key, "by the next");
        soon("it is seen", || get(&one, key) == "by the next");
        wait_until("a new stream begins", || flushes(&one) != before && state(&one) == "1");
        is_told(to, &one, key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_knows_nothing_of_its_successor_is_not_believed() {
    let cluster = RedisCluster::start(true, 5_000).await;
    let one = patient(&cluster.url(), "20s");
    let key = &cluster.keys("k")[0];
    let (old, next) = (&cluster.nodes[0], &cluster.nodes[3]);
    let before = flushes(&one);
    // It does not listen to the other for a minute, which takes over without asking it.
    assert_eq!(old.cli(&["CLUSTER", "FORGET", &id(next)]), "OK");
    assert_eq!(next.cli(&["CLUSTER", "FAILOVER", "TAKEOVER"]), "OK");
    until("it is a primary", async || next.cli(&["ROLE"]).starts_with("master").then_some(())).await;
    wait_until("a new stream begins", || flushes(&one) != before && state(&one) == "1");
    write(old, key, "so both are");
    let mut client = Client::of(one.resp).await;
    client.line("HELLO 3").await;
    assert_eq!(client.line(&format!("CLIENT TRACKING ON BCAST PREFIX {key}")).await, "+OK");
    write(next, key, "1");
    assert_eq!(client.answer().await, format!(">[\"invalidate\", [\"{key}\"]]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_is_older_than_the_bound_while_primaries_change() {
    const TRUST: Duration = Duration::from_secs(1);
    let cluster = RedisCluster::start(true, 5_000).await;
    let one = patient(&cluster.url(), "1s");
    let key = &cluster.keys("k")[0];
    let before = flushes(&one);
    // When each of the numbers had been written.
    let (written, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let write = || {
        while !over.load(Ordering::Acquire) {
            let number = written.lock().unwrap().len().to_string();
            // A write that fails in the middle of a failover is done again.
            if cluster.nodes[1].cli(&["-c", "SET", key, &number]) == "OK" {
                written.lock().unwrap().push(Instant::now());
            }
        }
    };
    let read = || {
        let mut seen = BTreeSet::new();
        while !over.load(Ordering::Acquire) {
            let asked = Instant::now();
            let answer = status(&one, "default", key);
            let fresh = answer.strip_suffix(" l1").or_else(|| answer.strip_suffix(" store"));
            let Some(number) = fresh.map(|number| number.parse::<usize>().unwrap()) else { continue };
            let next = written.lock().unwrap().get(number + 1).copied();
            assert!(next.is_none_or(|next| asked < next + TRUST), "{answer} {:?}", next.map(|next| asked - next));
            seen.insert(number);
        }
        seen.len()
    };
    let seen = std::thread::scope(|scope| {
        let (_, reader) = (scope.spawn(write), scope.spawn(read));
        let rounds = std::panic::catch_unwind(AssertUnwindSafe(|| {
            for to in [3, 0] {
                let before = flushes(&one);
                fail_over(&cluster, to);
                wait_until("a new stream begins", || flushes(&one) != before && state(&one) == "1");
            }
        }));
        over.store(true, Ordering::Release);
        rounds.unwrap();
        reader.join().unwrap()
    });
    assert!(seen > 10 && flushes(&one) - before >= 2.0, "{seen} numbers");
}

/// A primary goes away in one way or another, and a replica takes its place: no copy is believed for longer than the bound.
async fn is_replaced(goes: impl FnOnce(&mut RedisServer)) {
    const TRUST: Duration = Duration::from_secs(1);
    let mut cluster = RedisCluster::start(true, 1_500).await;
    let one = host(&cluster.url(), &["store.timeout=300ms", "l1.trust=1s"]);
    wait_until("changes are told", || state(&one) == "1");
    let key = cluster.keys("k")[0].clone();
    write(&cluster.nodes[0], &key, "old");
    wait_until("there is a copy", || status(&one, "default", &key) == "old l1");
    let before = flushes(&one);
    goes(&mut cluster.nodes[0]);
    wait_until("the stream is suspect", || state(&one) == "2");
    let next = &cluster.nodes[3];
    until("the replica takes over", async || (next.cli(&["SET", &key, "new"]) == "OK").then_some(())).await;
    let written = Instant::now();
    wait_until("the new value is seen", || {
        let asked = Instant::now();
        let seen = status(&one, "default", &key);
        let fresh = seen == "old l1" || seen == "old store";
        assert!(!fresh || asked < written + TRUST, "{seen}");
        seen == "new l1" || seen == "new store"
    });
    wait_until("a new stream begins", || flushes(&one) != before && state(&one) == "1");
    write(next, &key, "newer");
    wait_until("it is seen", || status(&one, "default", &key) == "newer l1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_killed_is_followed_by_its_replica() {
    is_replaced(RedisServer::kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_falls_silent_is_followed_by_its_replica() {
    is_replaced(|node| node.pause()).await;
}

/// Moves a slot with its key; `between` is done while the slot is on its way, with the key at its goal.
fn reshard(cluster: &RedisCluster, key: &str, [from, to]: [usize; 2], between: impl FnOnce()) {
    let (from, to) = (&cluster.nodes[from], &cluster.nodes[to]);
    let (slot, from_id, to_id) = (cluster.slot(key), id(from), id(to));
    assert_eq!(to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]), "OK");
    assert_eq!(from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]), "OK");
    assert_eq!(from.cli(&["MIGRATE", "127.0.0.1", &to.port().to_string(), key, "0", "5000"]), "OK");
    between();
    for node in [to, from].into_iter().chain(&cluster.nodes[1..3]) {
        assert_eq!(node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]), "OK");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_is_followed_by_the_same_stream() {
    let cluster = RedisCluster::start(false, 5_000).await;
    let one = patient(&cluster.url(), "20s");
    let (key, before) = (&cluster.keys("k")[0], flushes(&one));
    is_told(&cluster.nodes[0], &one, key);
    reshard(&cluster, key, [0, 1], || copied(&one, key, "after"));
    write(&cluster.nodes[1], key, "moved");
    soon("a write after the move is seen", || get(&one, key) == "moved");
    is_told(&cluster.nodes[1], &one, key);
    assert_eq!(flushes(&one), before, "no other stream began");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_gets_its_first_slot_is_followed() {
    let cluster = RedisCluster::start(true, 5_000).await;
    // A replica becomes a node that nobody knows, and then one without slots.
    let empty = &cluster.nodes[3];
    let line = empty.cli(&["CLUSTER", "NODES"]);
    let line = line.lines().find(|line| line.contains("myself")).expect("its own line");
    let bus = line.split(['@', ' ', ',']).nth(2).expect("the port of its bus").to_owned();
    assert_eq!(empty.cli(&["CLUSTER", "RESET", "HARD"]), "OK");
    let one = patient(&cluster.url(), "20s");
    let met = cluster.nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &empty.port().to_string(), &bus]);
    assert_eq!(met, "OK");
    let name = id(empty);
    for node in &cluster.nodes[..3] {
        until("it is known", async || {
            let known = node.cli(&["CLUSTER", "NODES"]);
            known.lines().any(|line| line.starts_with(&name) && line.contains(" master ")).then_some(())
        })
        .await;
    }
    until("it knows the others", async || empty.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(()))
        .await;
    let key = &cluster.keys("k")[0];
    is_told(&cluster.nodes[0], &one, key);
    assert_eq!(state(&one), "1", "a node without slots changes nothing");
    let before = flushes(&one);
    // It takes writes already, and is not followed.
    reshard(&cluster, key, [0, 3], || {
        wait_until("the stream is suspect", || state(&one) == "2");
    });
    wait_until("a new stream begins", || flushes(&one) != before && state(&one) == "1");
    is_told(empty, &one, key);
}
