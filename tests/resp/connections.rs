//! How connections come and go.

use std::sync::Arc;

use larder::config::secret::Secret;
use larder::config::users::User;
use larder::limits::RESP_STRANGER_IDLE_MS_MAX;
use larder::wire::resp::{RespConfig, RespServer};

use super::{host, world};
use crate::support::resp::Host;

#[tokio::test]
async fn one_too_many_is_told_so() {
    let config = RespConfig::default();
    config.front.resp.places.set(2, None);
    let host = Host::start_with(world(), config).await;
    let (mut first, mut second) = (host.connect().await, host.connect().await);
    assert_eq!(first.line("PING").await, "+PONG");
    assert_eq!(second.line("PING").await, "+PONG");
    let mut third = host.connect().await;
    assert_eq!(third.answer().await, "-ERR max number of clients reached");
    assert!(third.ended().await);
    assert_eq!(host.metrics.resp_connections_refused.get(), 1);

    assert_eq!(first.line("QUIT").await, "+OK");
    assert!(first.ended().await);
    // The place is free once the host has let go of the connection, a moment after its end is seen.
    loop {
        let mut next = host.connect().await;
        if next.line("PING").await == "+PONG" {
            break;
        }
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn who_says_nothing_for_too_long_is_ended() {
    let config = RespConfig::default();
    config.front.resp.set_idle_ms(Some(60_000));
    let host = Host::start_with(world(), config).await;
    let (mut busy, mut silent) = (host.connect().await, host.connect().await);
    for client in [&mut busy, &mut silent] {
        assert_eq!(client.line("PING").await, "+PONG");
    }
    host.clock.advance_ms(59_000);
    assert_eq!(busy.line("PING").await, "+PONG");
    host.clock.advance_ms(2_000);
    assert!(silent.ended().await);
    assert_eq!(busy.line("PING").await, "+PONG");
    assert_eq!(host.metrics.guard.idle_ended.get(), 1);
    assert!(host.stop().await);
}

#[tokio::test]
async fn who_does_not_say_who_it_is_is_ended_soon() {
    let config = RespConfig::default();
    config.front.gate.replace(&[User::all_powerful(Secret::of(b"secret"))]);
    let host = Host::start_with(world(), config).await;
    let (mut known, mut stranger) = (host.connect().await, host.connect().await);
    assert_eq!(known.line("AUTH secret").await, "+OK");
    assert!(stranger.line("PING").await.starts_with("-NOAUTH"));
    host.clock.advance_ms(RESP_STRANGER_IDLE_MS_MAX + 1);
    assert!(stranger.ended().await);
    assert_eq!(known.line("PING").await, "+PONG");
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_was_sent_before_the_end_is_answered() {
    let (host, mut client) = host().await;
    client.send("SET k v\r\nGET k\r\n").await;
    client.finish().await;
    assert_eq!(client.answer().await, "+OK");
    assert_eq!(client.answer().await, "\"v\"");
    assert!(client.ended().await);
    assert!(host.stop().await);
}

#[tokio::test]
async fn nothing_is_carried_out_after_quit() {
    let (host, mut client) = host().await;
    client.send("QUIT\r\nSET k v\r\n").await;
    assert_eq!(client.answer().await, "+OK");
    assert!(client.ended().await);
    assert_eq!(host.connect().await.line("GET k").await, "nil");
    assert!(host.stop().await);
}

#[tokio::test]
async fn connections_may_be_killed() {
    let (host, mut client) = host().await;
    assert_eq!(client.line("CLIENT ID").await, ":1");
    let mut other = host.connect().await;
    assert_eq!(other.line("CLIENT ID").await, ":2");
    for (line, answer) in [
        ("CLIENT KILL ID 9", ":0"),
        ("CLIENT KILL ID 1", ":0"),
        ("CLIENT KILL TYPE pubsub", ":0"),
        ("CLIENT KILL USER nobody", "-ERR No such user 'nobody'"),
        ("CLIENT KILL 127.0.0.1:1", "-ERR No such client"),
        ("CLIENT KILL ID x", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL ID 1 ADDR", "-ERR syntax error"),
        ("CLIENT KILL ID 2", ":1"),
    ] {
        assert_eq!(client.line(line).await, answer, "{line}");
    }
    assert!(other.ended().await);
    assert_eq!(client.line("CLIENT KILL ID 1 SKIPME no").await, ":1");
    assert!(client.ended().await);
    assert!(host.stop().await);
}

#[tokio::test]
async fn idle_connections_end_with_the_host() {
    let (host, mut client) = host().await;
    assert_eq!(client.line("PING").await, "+PONG");
    let metrics = Arc::clone(&host.metrics);
    let stopping = tokio::spawn(host.stop());
    assert!(client.ended().await);
    drop(client);
    assert!(stopping.await.unwrap());
    assert_eq!((metrics.resp_connections.get(), metrics.resp_connections_total.get()), (0, 1));
}

#[tokio::test]
async fn an_address_in_use_says_what_to_do() {
    let (host, _client) = host().await;
    let config = RespConfig { addr: host.addr, ..RespConfig::default() };
    let error = RespServer::bind(&config, world().engine).await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot listen for Redis clients on {}: ", host.addr)), "{error}");
    assert!(error.ends_with("choose another address with --resp"), "{error}");
    assert!(host.stop().await);
}
