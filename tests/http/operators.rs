//! What operators ask, and what nobody may.

use super::world;
use crate::support::engine::World;
use crate::support::http::Host;

#[tokio::test]
async fn an_explanation_says_where_and_why() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    client.call("PUT /v1/cache/profile/user:42", "Ada").await;
    let reply = client.get("/v1/explain/profile/user:42").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    let explanation = reply.json();
    for (name, value) in [("key", "profile:user:42"), ("storage_key", "chat:v1:profile:user:42"), ("state", "l1-hit")] {
        assert_eq!(explanation[name], value, "{name}");
    }
    assert_eq!((&explanation["fresh_ms"], &explanation["size_bytes"]), (&3_600_000.into(), &3.into()));
    assert_eq!(client.get("/v1/explain/profile/%00").await.problem(), "400 invalid-key");
}

#[tokio::test]
async fn policies_are_the_registrys() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    assert_eq!(client.get("/v1/policies").await.json(), serde_json::json!({ "policies": [] }));
    for head in ["GET /v1/policies/profile", "DELETE /v1/policies/profile", "POST /v1/policies/pro%66ile/rollback"] {
        let reply = client.call(head, "").await;
        assert_eq!(reply.problem(), "404 unknown-domain", "{head}");
        assert!(reply.json()["detail"].as_str().unwrap().contains("'profile'"), "{head}");
    }
    assert_eq!(client.get("/v1/policies/%FF").await.problem(), "400 invalid-argument");
}

#[tokio::test]
async fn the_host_says_how_it_is() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    client.call("PUT /v1/cache/profile/k", "v").await;
    client.get("/v1/cache/profile/k").await;
    assert_eq!(client.get("/healthz").await.text(), "ok\n");
    assert_eq!(client.get("/readyz").await.text(), "ready\n");
    let page = client.get("/metrics").await;
    assert_eq!(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        r#"larder_requests_total{domain="profile",operation="read",state="l1-hit"} 1"#,
        r#"larder_requests_total{domain="profile",operation="write",state="done"} 1"#,
        r#"cache_hit_rate{window="1m"} 1"#,
        "larder_l1_entries 1",
        "larder_http_connections 1",
        "larder_http_requests_total 5",
    ] {
        assert!(page.text().lines().any(|found| found == line), "{line}:\n{}", page.text());
    }
    let document = client.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let index = client.get("/").await;
    assert_eq!(index.header("content-type"), "text/plain; charset=utf-8");
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(index.text().contains(path.as_str()), "{path}:\n{}", index.text());
    }
}

#[tokio::test]
async fn a_host_without_policies_is_alive_but_not_ready() {
    let host = Host::start(World::new()).await;
    let mut client = host.connect().await;
    assert_eq!(client.get("/healthz").await.status, 200);
    let reply = client.get("/readyz").await;
    assert_eq!((reply.problem().as_str(), reply.header("retry-after")), ("503 not-ready", "1"));
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_is() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    let reply = client.get("/v2/cache").await;
    assert_eq!(reply.problem(), "404 unknown-path");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("/v1/cache/{domain}/{key}") && detail.contains("/metrics"), "{detail}");
    for (head, allow) in [
        ("PATCH /v1/cache/profile/k", "GET,HEAD,PUT,DELETE"),
        ("POST /v1/policies", "GET,HEAD"),
        ("OPTIONS /v1/policies/d/rollback", "POST"),
    ] {
        let reply = client.call(head, "").await;
        assert_eq!(reply.problem(), "405 method-not-allowed", "{head}");
        let mut allowed: Vec<&str> = reply.header("allow").split(',').collect();
        let mut expected: Vec<&str> = allow.split(',').collect();
        allowed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allowed, expected, "{head}");
    }
    for target in ["*", "http://larder/nowhere"] {
        let reply = client.call(&format!("OPTIONS {target}"), "").await;
        assert_eq!(reply.problem(), "404 unknown-path", "{target}");
    }
    assert!(host.stop().await, "one connection bore it all");
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    client.call("PUT /v1/cache/profile/k", "v").await;
    for origin in ["http://evil.example", "null", "http://larder:81", "http://larder.evil.example"] {
        for head in ["POST /v1/policies/profile/rollback", "DELETE /v1/cache/profile/k", "PUT /v1/cache/profile/k"] {
            let reply = client.call(&format!("{head}|origin: {origin}"), "").await;
            assert_eq!(reply.problem(), "403 cross-site", "{head} from {origin}");
        }
        assert_eq!(client.call(&format!("GET /v1/cache/profile/k|origin: {origin}"), "").await.text(), "v");
    }
    assert_eq!(client.call("DELETE /v1/cache/profile/k|origin: http://larder", "").await.status, 204);
}
