//! What clients get of leases: plain ones over RESP, those that know of leases, and those over HTTP.

use std::time::Duration;

use tokio::time::timeout;

use super::furnished;
use crate::support::engine::World;
use crate::support::http;
use crate::support::resp::{Client, Host, frame};
use crate::support::wait::until;

/// Long enough for any machine.
const LONG_WAIT_MS: u32 = 30_000;
const ADA: &str = "/v1/cache/profile/user:42";

async fn host(wait_ms: u32) -> Host {
    Host::start(furnished(World::new(), wait_ms)).await
}

async fn until_waiting(host: &Host, count: u64) {
    let domain = host.metrics.domain("profile");
    until("they wait", async || (domain.fill_waiting.get() == count).then_some(())).await;
}

async fn send(client: &mut Client, words: &[&str]) {
    client.send(frame(words)).await;
}

#[tokio::test]
async fn a_plain_client_that_missed_fills_for_all() {
    let host = host(LONG_WAIT_MS).await;
    for (n, set) in [
        &["SET", "profile:0", "v"][..],
        &["SETEX", "profile:1", "10", "v"],
        &["PSETEX", "profile:2", "9999", "v"],
        &["SET", "profile:3", "v", "EX", "10"],
        &["SET", "profile:4", "v", "PX", "9999"],
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("profile:{n}");
        let (mut leader, mut other) = (host.connect().await, host.connect().await);
        assert_eq!(leader.call(&["GET", &key]).await, "nil");
        send(&mut other, &["GET", &key]).await;
        until_waiting(&host, 1).await;
        // A waiting reader holds nobody else up.
        let mut third = host.connect().await;
        assert_eq!(third.line("SET other 1").await, "+OK");
        assert_eq!(third.line("PING").await, "+PONG");
        assert_eq!(leader.call(set).await, "+OK", "{set:?}");
        assert_eq!(other.answer().await, "\"v\"", "{set:?}");
        assert_eq!(third.call(&["GET", &key]).await, "\"v\"");
    }
    assert_eq!(host.metrics.domain("profile").leases_taken.get(), 5);
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_fill_that_lost_its_lease_answers_ok_and_stores_nothing() {
    let host = host(20).await;
    let (mut leader, mut other) = (host.connect().await, host.connect().await);
    for (overtake, after) in
        [("DEL profile:a", "nil"), ("LARDER.INVALIDATE KEY profile:a", "nil"), ("SET profile:a new", "nil")]
    {
        assert_eq!(leader.line("GET profile:a").await, "nil");
        other.line(overtake).await;
        assert_eq!(leader.line("SET profile:a old").await, "+OK");
        assert_eq!(other.line("MGET profile:a").await, format!("[{after}]"), "{overtake}");
    }
    // Nothing was missed here, so it is a write.
    assert_eq!(other.line("SET profile:a 1").await, "+OK");
    assert_eq!(leader.line("GET profile:a").await, "\"1\"");
    assert_eq!(leader.line("SET profile:a 2").await, "+OK");
    assert_eq!(other.line("GET profile:a").await, "\"2\"");
    assert!(host.stop().await);
}

#[tokio::test]
async fn answers_of_one_connection_stay_in_order() {
    let host = host(LONG_WAIT_MS).await;
    let mut client = host.connect().await;
    let answers =
        client.pipeline(&["GET profile:a", "GET profile:a", "GET profile:b", "SET profile:a v", "GET profile:a"]).await;
    assert_eq!(answers, ["nil", "nil", "nil", "+OK", "\"v\""]);
    let mut other = host.connect().await;
    let waiting = other.send([frame(&["GET", "profile:b"]), frame(&["PING"]), frame(&["GET", "profile:a"])].concat());
    waiting.await;
    until_waiting(&host, 1).await;
    assert_eq!(client.line("SET profile:b w").await, "+OK");
    for answer in ["\"w\"", "+PONG", "\"v\""] {
        assert_eq!(other.answer().await, answer);
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_client_that_dies_gives_its_leases_back_at_once() {
    let host = host(LONG_WAIT_MS).await;
    for how in ["it is dropped", "RESET", "QUIT"] {
        let (mut leader, mut other) = (host.connect().await, host.connect().await);
        assert_eq!(leader.line("GET profile:a").await, "nil", "{how}");
        send(&mut other, &["GET", "profile:a"]).await;
        until_waiting(&host, 1).await;
        if how == "it is dropped" {
            drop(leader);
        } else {
            send(&mut leader, &[how]).await;
        }
        let answer = timeout(Duration::from_secs(8), other.answer()).await;
        assert_eq!(answer.expect("long before its wait and the lease would be over"), "nil", "{how}");
        assert_eq!(other.line("DEL profile:a").await, ":0");
    }
    assert_eq!(host.metrics.domain("profile").leases_taken.get(), 6);
    assert!(host.stop().await);
}

#[tokio::test]
async fn batches_and_other_domains_take_no_leases() {
    let host = host(LONG_WAIT_MS).await;
    let (mut one, mut other) = (host.connect().await, host.connect().await);
    for client in [&mut one, &mut other] {
        for line in ["MGET profile:a profile:b", "MGET profile:a"] {
            assert!(client.line(line).await.starts_with("[nil"), "{line}");
        }
        for line in ["GET plain:a", "GET a"] {
            assert_eq!(client.line(line).await, "nil", "{line}");
        }
        assert_eq!(client.line("STRLEN profile:a").await, ":0");
    }
    assert_eq!(host.metrics.domain("profile").leases_taken.get(), 0);
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_client_that_knows_of_leases() {
    let host = host(20).await;
    let (mut one, mut other) = (host.connect().await, host.connect().await);
    let lease_of = |answer: &str| {
        let (_, rest) = answer.split_once("\"lease\": \"").unwrap_or_else(|| panic!("no lease: {answer}"));
        rest.split_once('"').expect("it ends").0.to_owned()
    };
    one.line("HELLO 3").await;
    other.line("HELLO 3").await;
    let missed = one.line("LARDER.GET profile:a").await;
    let lease = lease_of(&missed);
    assert_eq!(
        missed.replace(&lease, "L"),
        "{\"value\": null, \"state\": \"miss\", \"age_ms\": null, \"ttl_ms\": null, \"lease\": \"L\", \"waited_ms\": null, \
         \"waited_for\": null, \"outcome\": null}"
    );
    let waited = other.line("LARDER.GET profile:a").await;
    assert!(waited.contains("\"waited_for\": \"this-node\", \"outcome\": \"wait-timeout\""), "{waited}");
    assert!(waited.contains("\"lease\": null"), "{waited}");
    assert!(other.call(&["LARDER.EXPLAIN", "profile:a"]).await.contains("\"lease\": \"this-node\""));
    let filled = other.call(&["LARDER.FILL", "profile:a", &lease, "v", "PX", "5000"]).await;
    assert_eq!(filled, "{\"stored\": #t, \"reason\": null}", "from whichever connection");
    let found = one.line("LARDER.GET profile:a").await;
    assert!(found.starts_with("{\"value\": \"v\", \"state\": \"l1-hit\", \"age_ms\": :0, "), "{found}");
    let again = other.call(&["LARDER.FILL", "profile:a", &lease, "w"]).await;
    assert_eq!(again, "{\"stored\": #f, \"reason\": \"lease-gone\"}");
    let lease = lease_of(&one.line("LARDER.GET profile:b").await);
    other.line("DEL profile:b").await;
    let lost = one.call(&["LARDER.FILL", "profile:b", &lease, "old"]).await;
    assert_eq!(lost, "{\"stored\": #f, \"reason\": \"lost-to-delete\"}");
    for (words, error) in [
        (&["LARDER.FILL", "profile:b", "x", "v"][..], "-ERR the lease is none"),
        (&["LARDER.FILL", "plain:b", &lease, "v"], "-ERR the domain 'plain' gives no leases"),
        (&["LARDER.FILL", "profile:b", &lease, "v", "PX"], "-ERR syntax error"),
        (&["LARDER.FILL", "profile:b", &lease, "v", "PX", "0"], "-ERR invalid expire time in 'larder.fill' command"),
        (&["LARDER.FILL", "profile:b", &lease], "-ERR wrong number of arguments"),
    ] {
        let answer = one.call(words).await;
        assert!(answer.starts_with(error), "{words:?}: {answer}");
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn over_http_the_lease_is_a_header() {
    let host = http::Host::start(furnished(World::new(), 20)).await;
    let (mut one, mut other) = (host.connect().await, host.connect().await);
    let head = one.call(&format!("HEAD {ADA}"), "").await;
    assert_eq!(
        (head.status, head.header("larder-lease")),
        (404, ""),
        "whoever asks only whether it is there will not load it"
    );
    let missed = one.get(ADA).await;
    let lease = missed.header("larder-lease").to_owned();
    assert_eq!((missed.status, lease.is_empty()), (404, false));
    assert_eq!(missed.header("cache-status"), r#"larder; fwd=miss; key="profile:user:42""#);
    let waited = other.get(ADA).await;
    assert_eq!((waited.status, waited.header("larder-lease")), (404, ""));
    let status = waited.header("cache-status").to_owned();
    assert!(
        status.starts_with(r#"larder; fwd=miss; key="profile:user:42"; collapsed; detail="miss, waited "#),
        "{status}"
    );
    assert!(status.ends_with(r#" ms for this-node: wait-timeout""#), "{status}");
    let put = |lease: &str, more: &str| format!("PUT {ADA}|larder-lease: {lease}{more}");
    let refused = other.call(&put(&lease, "|if-none-match: *"), "v").await;
    assert_eq!(refused.status, 400);
    assert_eq!(other.call(&put("nonsense", ""), "v").await.status, 400);
    let filled = other.call(&put(&lease, ""), "v").await;
    assert_eq!((filled.status, filled.header("cache-status")), (204, r#"larder; stored; key="profile:user:42""#));
    assert_eq!(one.get(ADA).await.body, b"v");
    one.call(&format!("DELETE {ADA}"), "").await;
    let lease = one.get(ADA).await.header("larder-lease").to_owned();
    other.call(&format!("DELETE {ADA}"), "").await;
    let lost = one.call(&put(&lease, ""), "old").await;
    assert_eq!(
        (lost.status, lost.header("cache-status")),
        (204, r#"larder; stored=?0; key="profile:user:42"; detail=lost-to-delete"#)
    );
    assert_eq!(one.get(ADA).await.status, 404);
    assert!(host.stop().await);
}
