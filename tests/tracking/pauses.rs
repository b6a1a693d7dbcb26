//! `CLIENT PAUSE`: who waits, and that answers keep their order.

use super::session::{before, within};
use crate::support::redis::RedisServer;
use crate::support::resp::frame;

#[tokio::test(flavor = "multi_thread")]
async fn writes_wait_and_reads_do_not() {
    let host = within().await;
    let (mut operator, mut writer, mut reader) = (host.connect().await, host.connect().await, host.connect().await);
    operator.line("SET k 1").await;
    assert_eq!(operator.line("CLIENT PAUSE 600000 WRITE").await, "+OK");
    writer.send([frame(&["GET", "k"]), frame(&["SET", "k", "2"]), frame(&["GET", "k"])].concat()).await;
    assert_eq!(writer.answer().await, "\"1\"");
    assert_eq!(reader.line("GET k").await, "\"1\"");
    assert_eq!(reader.line("PING").await, "+PONG");
    // A transaction that writes waits as a whole, one that reads does not.
    assert_eq!(reader.pipeline(&["MULTI", "GET k", "EXEC"]).await, ["+OK", "+QUEUED", "[\"1\"]"]);
    assert_eq!(operator.line("GET k").await, "\"1\"", "the write has waited all that time");
    assert_eq!(operator.line("CLIENT UNPAUSE").await, "+OK");
    assert_eq!([writer.answer().await, writer.answer().await], ["+OK", "\"2\""]);
    assert_eq!(reader.line("SET k 3").await, "+OK");
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_wait_but_what_is_for_operators() {
    let host = within().await;
    let (mut operator, mut client, mut gone) = (host.connect().await, host.connect().await, host.connect().await);
    client.line("SET k 1").await;
    assert_eq!(operator.line("CLIENT PAUSE 600000").await, "+OK");
    // A hit in memory waits as well.
    client.send([frame(&["GET", "k"]), frame(&["PING"]), frame(&["INCR", "k"])].concat()).await;
    gone.send(frame(&["INCR", "g"])).await;
    gone.finish().await;
    let list = operator.line("CLIENT LIST").await;
    assert_eq!(list.matches("id=").count(), 3, "{list}");
    assert!(!operator.line("CONFIG GET save").await.is_empty());
    assert_eq!(operator.line("CLIENT UNPAUSE").await, "+OK");
    assert_eq!(client.answer().await, "\"1\"");
    assert_eq!(client.answer().await, "+PONG");
    assert_eq!([client.answer().await, gone.answer().await], [":2", ":1"]);
    assert!(gone.ended().await);
    assert!(host.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_by_itself_and_with_the_host() {
    let host = within().await;
    let (mut operator, mut client) = (host.connect().await, host.connect().await);
    operator.line("CLIENT PAUSE 50").await;
    client.send(frame(&["PING"])).await;
    host.clock.advance_ms(50);
    assert_eq!(client.answer().await, "+PONG");
    operator.line("CLIENT PAUSE 600000").await;
    client.send(frame(&["PING"])).await;
    // Whoever waits is answered before the host ends.
    while !operator.line("CLIENT LIST").await.contains("cmd=") {}
    assert!(host.stop().await, "in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_writes_wait_too() {
    let redis = RedisServer::start();
    let host = before(&redis);
    let (mut operator, mut client) = (super::session::Server::new(host.resp), super::session::Server::new(host.resp));
    assert_eq!(client.step("a2: ZADD z 1 a").await, ":1");
    assert_eq!(operator.step("o2: CLIENT PAUSE 600000 WRITE").await, "+OK");
    assert_eq!(client.step("a2: ZCARD z").await, ":1");
    let (ended, ()) = tokio::join!(client.step("a2: ZADD z 1 b"), async {
        assert_eq!(client_count(&redis, "z"), "1");
        assert_eq!(operator.step("o2: CLIENT UNPAUSE").await, "+OK");
    });
    assert_eq!(ended, ":1");
    assert_eq!(client_count(&redis, "z"), "2");
    // It keeps what it has counted.
    assert_eq!(client.step("a2: PFADD h a").await, ":1");
    assert_eq!(operator.step("o2: CLIENT PAUSE 600000 WRITE").await, "+OK");
    let (ended, ()) = tokio::join!(client.step("a2: PFCOUNT h"), async {
        while !operator.step("o2: INFO clients").await.contains("blocked_clients:1") {}
        assert_eq!(operator.step("o2: CLIENT UNPAUSE").await, "+OK");
    });
    assert_eq!(ended, ":1");
}

fn client_count(redis: &RedisServer, key: &str) -> String {
    redis.cli(&["ZCARD", key]).trim().to_owned()
}
