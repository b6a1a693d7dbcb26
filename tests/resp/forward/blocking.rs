//! Commands that wait: on connections of their own, which end with their clients and are bounded.

use std::sync::Arc;

use larder::adapters::redis::RedisSettings;
use larder::engine::forward::ForwardRules;
use larder::ports::clock::VirtualClock;

use super::{direct, host};
use crate::support::engine::World;
use crate::support::redis::{RedisServer, address, store};
use crate::support::resp::{Client, Host, frame};
use crate::support::wait::until;

/// How many clients wait at the server.
async fn blocked(server: &RedisServer) -> String {
    let info = direct(server).await.line("INFO clients").await;
    info.split("blocked_clients:").nth(1).unwrap().split("\r\n").next().unwrap().to_owned()
}

async fn blocks(server: &RedisServer, count: &str) {
    until("so many wait", async || (blocked(server).await == count).then_some(())).await;
}

/// How many clients wait, as the host itself tells.
async fn waiting(host: &Host) -> String {
    let info = host.connect().await.line("INFO clients").await;
    info.split("blocked_clients:").nth(1).unwrap().split("\r\n").next().unwrap().to_owned()
}

async fn waits(client: &mut Client, line: &str) {
    client.send(frame(&line.split(' ').collect::<Vec<_>>())).await;
}

#[tokio::test]
async fn a_client_is_woken_and_others_go_on() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut waiting, mut other) = (host.connect().await, host.connect().await);
    for (wait, push, told) in [
        ("BLPOP l 0", "EVAL return(redis.call('rpush',KEYS[1],'v')) 1 l", "[\"l\", \"v\"]"),
        ("BZPOPMIN z 0", "ZADD z 1 m", "[\"z\", \"m\", \"1\"]"),
        ("XREAD BLOCK 0 STREAMS s $", "XADD s 1-1 f v", "[[\"s\", [[\"1-1\", [\"f\", \"v\"]]]]]"),
    ] {
        waits(&mut waiting, wait).await;
        waits(&mut waiting, "PING").await;
        blocks(&server, "1").await;
        assert!(!other.line(push).await.starts_with('-'));
        assert_eq!(waiting.answer().await, told);
        assert_eq!(waiting.answer().await, "+PONG", "what comes after it waits");
    }
    assert_eq!(waiting.line("WAIT 0 100").await, ":0");
    assert!(host.stop().await);
}

#[tokio::test]
async fn another_client_ends_it() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut waiting, mut other) = (host.connect().await, host.connect().await);
    let id = waiting.line("CLIENT ID").await.trim_start_matches(':').to_owned();
    assert_eq!(other.line(&format!("CLIENT UNBLOCK {id}")).await, ":0", "it does not wait");
    for (how, told) in [("", "nil"), (" TIMEOUT", "nil"), (" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK")]
    {
        waits(&mut waiting, "BLPOP l 0").await;
        blocks(&server, "1").await;
        assert_eq!(other.line(&format!("CLIENT UNBLOCK {id}{how}")).await, ":1");
        assert_eq!(waiting.answer().await, told);
        blocks(&server, "0").await;
    }
    assert!(other.line(&format!("CLIENT UNBLOCK {id} NOW")).await.starts_with("-ERR CLIENT UNBLOCK reason"));
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_a_client_waited_for_ends_with_it() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    for more in [false, true] {
        let mut client = host.connect().await;
        waits(&mut client, "BLPOP l 0").await;
        if more {
            waits(&mut client, "PING").await;
        }
        blocks(&server, "1").await;
        drop(client);
        blocks(&server, "0").await;
    }
    let mut client = host.connect().await;
    waits(&mut client, "BLPOP l 0").await;
    blocks(&server, "1").await;
    assert!(host.stop().await, "a host that ends does not wait for what never comes");
    blocks(&server, "0").await;
}

#[tokio::test]
async fn who_waits_is_counted_once_the_server_knows() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut operator = host.connect().await;
    assert_eq!(waiting(&host).await, "0");
    let mut clients = [host.connect().await, host.connect().await];
    for (client, count) in clients.iter_mut().zip(["1", "2"]) {
        waits(client, "BLPOP l 0").await;
        until("it is counted", async || (waiting(&host).await == count).then_some(())).await;
        // Whoever was told so may go on: nothing that comes now is in front of it.
        assert_eq!(blocked(&server).await, count);
    }
    let listed = operator.line("CLIENT LIST").await;
    assert_eq!(listed.matches("flags=b ").count(), 2, "{listed}");
    assert_eq!(operator.line("RPUSH l v").await, ":1");
    assert_eq!(clients[0].answer().await, "[\"l\", \"v\"]", "the first one is served first");
    assert_eq!(waiting(&host).await, "1");
    assert_eq!(operator.line("CLIENT PAUSE 60000 WRITE").await, "+OK");
    waits(&mut clients[0], "SET k v").await;
    until("a pause counts, too", async || (waiting(&host).await == "2").then_some(())).await;
    assert_eq!(operator.line("CLIENT UNPAUSE").await, "+OK");
    assert_eq!(clients[0].answer().await, "+OK");
    assert_eq!(waiting(&host).await, "1");
    assert!(host.stop().await);
}

#[tokio::test]
async fn such_connections_are_bounded_and_used_again() {
    let server = RedisServer::start();
    let settings = RedisSettings { store_ms: 10_000, own_max: 2, ..RedisSettings::new(address(server.port())) };
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let world = World::forwarding(Arc::new(store(settings)), clock, ForwardRules::default());
    world.default_domain();
    let host = Host::start(world).await;
    let mut clients = [host.connect().await, host.connect().await];
    for client in &mut clients {
        waits(client, "BLPOP l 0").await;
    }
    blocks(&server, "2").await;
    let mut third = host.connect().await;
    for line in ["BLPOP l 0", "SUBSCRIBE c"] {
        let told = third.line(line).await;
        assert!(told.contains("2 connections for blocking commands and subscriptions are allowed"), "{told}");
        assert!(told.contains("overloaded; blame: host; retry: yes"), "{told}");
    }
    drop(clients);
    until("a place is free", async || (host.connect().await.line("BLPOP l 0.01").await == "nil").then_some(())).await;
    let received = async || {
        let info = direct(&server).await.line("INFO stats").await;
        info.split("total_connections_received:").nth(1).unwrap().split("\r\n").next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(third.line("BLPOP l 0.001").await, "nil", "its thread has one now");
    let before = received().await;
    for _ in 0..5 {
        assert_eq!(third.line("BLPOP l 0.001").await, "nil");
    }
    assert_eq!(received().await, before + 1, "the question's own connection is the only new one");
    assert!(host.stop().await);
}
