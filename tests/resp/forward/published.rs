//! Subscriptions: confirmed and told in order, with a connection of their own that ends with them.

use larder::engine::forward::ForwardRules;

use super::{direct, host};
use crate::support::redis::RedisServer;
use crate::support::resp::frame;
use crate::support::wait::until;

#[tokio::test]
async fn a_subscriber_in_resp2() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut subscriber, mut other) = (host.connect().await, host.connect().await);
    let batch: Vec<u8> = ["SUBSCRIBE a b", "PSUBSCRIBE c*", "PING", "PING x", "GET k"]
        .iter()
        .flat_map(|line| frame(&line.split(' ').collect::<Vec<_>>()))
        .collect();
    subscriber.send(batch).await;
    for told in ["[\"subscribe\", \"a\", :1]", "[\"subscribe\", \"b\", :2]", "[\"psubscribe\", \"c*\", :3]"] {
        assert_eq!(subscriber.answer().await, told);
    }
    assert_eq!(subscriber.answer().await, "[\"pong\", \"\"]");
    assert_eq!(subscriber.answer().await, "[\"pong\", \"x\"]");
    let told = subscriber.answer().await;
    assert!(told.starts_with("-ERR Can't execute 'get': only (P|S)SUBSCRIBE"), "{told}");
    assert_eq!(other.line("PUBLISH a 1").await, ":1");
    assert_eq!(other.line("PUBLISH cd 2").await, ":1");
    assert_eq!(subscriber.answer().await, "[\"message\", \"a\", \"1\"]");
    assert_eq!(subscriber.answer().await, "[\"pmessage\", \"c*\", \"cd\", \"2\"]");
    subscriber.send(frame(&["UNSUBSCRIBE"])).await;
    let mut told = [subscriber.answer().await, subscriber.answer().await];
    told.sort();
    assert!(
        told[0].starts_with("[\"unsubscribe\", \"a\"") && told[1].starts_with("[\"unsubscribe\", \"b\""),
        "{told:?}"
    );
    assert_eq!(subscriber.line("PUNSUBSCRIBE c*").await, "[\"punsubscribe\", \"c*\", :0]");
    assert_eq!(subscriber.line("GET k").await, "nil", "it is a client as any other again");
    assert_eq!(subscriber.line("UNSUBSCRIBE").await, "[\"unsubscribe\", nil, :0]");
    assert_eq!(subscriber.line("SUBSCRIBE").await, "-ERR wrong number of arguments for 'subscribe' command");
    until("the connection to Redis is given back", async || (server.cli(&["PUBLISH", "a", "1"]) == "0").then_some(()))
        .await;
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_subscriber_in_resp3_goes_on() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut subscriber, mut straight) = (host.connect().await, direct(&server).await);
    subscriber.line("HELLO 3").await;
    assert_eq!(subscriber.line("SUBSCRIBE a").await, ">[\"subscribe\", \"a\", :1]");
    assert_eq!(subscriber.line("SSUBSCRIBE a").await, ">[\"ssubscribe\", \"a\", :1]");
    assert_eq!(subscriber.line("SET k v").await, "+OK");
    assert_eq!(subscriber.line("ZADD z 1.5 m").await, ":1");
    assert_eq!(straight.line("PUBLISH a m").await, ":1");
    assert_eq!(subscriber.answer().await, ">[\"message\", \"a\", \"m\"]");
    assert_eq!(straight.line("SPUBLISH a n").await, ":1");
    assert_eq!(subscriber.answer().await, ">[\"smessage\", \"a\", \"n\"]");
    assert_eq!(subscriber.line("GET k").await, "\"v\"");
    assert_eq!(subscriber.line("RESET").await, "+RESET");
    until("no one listens", async || (server.cli(&["PUBLISH", "a", "m"]) == "0").then_some(())).await;
    assert!(host.stop().await);
}

#[tokio::test]
async fn many_messages_come_in_order_and_a_lost_server_ends_the_connection() {
    let mut server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut subscriber, mut other) = (host.connect().await, host.connect().await);
    subscriber.line("SUBSCRIBE a").await;
    let lines: Vec<String> = (0..500).map(|n| format!("PUBLISH a {n}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(other.pipeline(&lines).await.iter().all(|told| told == ":1"));
    for n in 0..500 {
        assert_eq!(subscriber.answer().await, format!("[\"message\", \"a\", \"{n}\"]"));
    }
    server.kill();
    assert!(subscriber.ended().await, "so that the client subscribes anew");
    let told = host.connect().await.line("SUBSCRIBE a").await;
    assert!(told.contains("store-unavailable"), "{told}");
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_client_that_is_gone_listens_no_more() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut subscriber, mut straight) = (host.connect().await, direct(&server).await);
    subscriber.line("SUBSCRIBE a").await;
    assert_eq!(straight.line("PUBLISH a m").await, ":1");
    drop(subscriber);
    until("no one listens", async || (server.cli(&["PUBLISH", "a", "m"]) == "0").then_some(())).await;
    assert!(host.stop().await);
}
