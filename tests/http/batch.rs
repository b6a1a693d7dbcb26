//! `POST /v1/cache/{domain}/batch`.

use serde_json::{Value, json};

use super::world;
use crate::support::http::Host;

/// Sends a batch and compares the answer.
async fn check(host: &Host, domain: &str, body: Value, expect: Value) {
    let mut client = host.connect().await;
    let reply = client.call(&format!("POST /v1/cache/{domain}/batch"), &body.to_string()).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"), "{reply:?}");
    assert_eq!(reply.json(), expect);
}

#[tokio::test]
async fn removals_come_first_then_writes_then_reads() {
    let host = Host::start(world()).await;
    check(
        &host,
        "profile",
        json!({"get": ["a", "b", "c"], "set": {"a": "Ada", "b": {"base64": "//4=", "ttl_ms": 1000}}, "delete": ["a"]}),
        json!({
            "delete": {"a": {"state": "miss"}},
            "set": {"a": {"state": "done"}, "b": {"state": "done"}},
            "get": {
                "a": {"state": "l1-hit", "text": "Ada", "age_ms": 0, "fresh_left_ms": 3_600_000},
                "b": {"state": "l1-hit", "base64": "//4=", "age_ms": 0, "fresh_left_ms": 1000},
                "c": {"state": "miss"},
            },
        }),
    )
    .await;
    check(
        &host,
        "profile",
        json!({"get": ["a"], "delete": ["a", "b"]}),
        json!({
            "delete": {"a": {"state": "done"}, "b": {"state": "done"}},
            "set": {},
            "get": {"a": {"state": "miss"}},
        }),
    )
    .await;
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_key_that_is_refused_costs_the_others_nothing() {
    let host = Host::start(world()).await;
    let long = "x".repeat(300);
    let mut client = host.connect().await;
    let body = json!({"get": ["a", long, "profile:a"], "set": {"a": "1", "": "2"}});
    let reply = client.call("POST /v1/cache/profile/batch", &body.to_string()).await.json();
    assert_eq!(reply["get"]["a"]["text"], "1");
    assert_eq!(reply["get"]["profile:a"]["state"], "miss");
    for error in [&reply["get"][&long], &reply["set"][""]] {
        assert_eq!((&error["state"], &error["error"]["kind"]), (&json!("refused"), &json!("invalid-key")), "{reply}");
        assert_eq!(error["error"]["retry"], false);
    }
    // In `default`, keys are what applications say over RESP.
    check(
        &host,
        "default",
        json!({"get": ["profile:a"]}),
        json!({"delete": {}, "set": {}, "get": {
            "profile:a": {"state": "l1-hit", "text": "1", "age_ms": 0, "fresh_left_ms": 3_600_000},
        }}),
    )
    .await;
}

#[tokio::test]
async fn a_batch_is_bounded_and_well_formed() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    for (body, detail) in [
        (json!({ "get": many }).to_string(), "101 keys; 1 to 100 are allowed"),
        ("{}".to_owned(), "0 keys; 1 to 100"),
        (r#"{"get":"a"}"#.to_owned(), "the body: invalid type"),
        (String::new(), "the body: EOF"),
    ] {
        let reply = client.call("POST /v1/cache/profile/batch", &body).await;
        assert_eq!(reply.problem(), "400 invalid-argument", "{body}");
        assert!(reply.text().contains(detail), "{}", reply.text());
    }
    let reply = client.call("POST /v1/cache/nobody:/batch", r#"{"get":["a"]}"#).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn a_key_may_be_called_batch() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    assert_eq!(client.call("PUT /v1/cache/profile/batch", "1").await.status, 204);
    assert_eq!(client.get("/v1/cache/profile/batch").await.text(), "1");
    host.clock.advance_ms(super::HOUR_MS);
    assert_eq!(client.get("/v1/cache/profile/batch").await.text(), "1");
    assert_eq!(client.call("DELETE /v1/cache/profile/batch", "").await.status, 204);
    assert_eq!(client.call("PATCH /v1/cache/profile/batch", "").await.status, 405);
}
