//! Entries: reading, writing and removing them, and what the headers say.

use larder::ports::metrics::State;
use larder::ports::policy::{Admission, Encoding, Lifetime, Operation};

use super::{HOUR_MS, world};
use crate::support::engine::{Rules, World, description, lives};
use crate::support::http::{Host, Reply, request};

const ADA: &str = "/v1/cache/profile/user:42";

/// The headers that say how an answer came about.
#[track_caller]
fn check(reply: &Reply, status: u16, cache_status: &str, age: &str, cache_control: &str) {
    assert_eq!(
        (reply.status, reply.header("cache-status"), reply.header("age"), reply.header("cache-control")),
        (status, cache_status, age, cache_control),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_value_is_read_with_its_age_and_what_is_left() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    let put = client.call(&format!("PUT {ADA}"), "Ada").await;
    check(&put, 204, r#"larder; stored; key="profile:user:42""#, "", "");
    assert_eq!((put.header("content-length"), put.header("content-type")), ("", ""));
    let get = client.get(ADA).await;
    check(&get, 200, r#"larder; hit; ttl=3600; key="profile:user:42"; detail=l1"#, "0", "max-age=3600");
    assert_eq!((get.body.as_slice(), get.header("content-length")), (b"Ada".as_slice(), "3"));
    assert_eq!(get.header("content-type"), "application/octet-stream");
    host.clock.advance_ms(10_000);
    let get = client.get(ADA).await;
    check(&get, 200, r#"larder; hit; ttl=3590; key="profile:user:42"; detail=l1"#, "10", "max-age=3600");
    host.clock.advance_ms(HOUR_MS);
    let get = client.get(ADA).await;
    check(&get, 200, r#"larder; hit; ttl=-10; key="profile:user:42"; detail=stale"#, "3610", "max-age=3600");
    assert_eq!(get.body, b"Ada");
    host.clock.advance_ms(HOUR_MS);
    let get = client.get(ADA).await;
    check(&get, 404, r#"larder; fwd=miss; key="profile:user:42""#, "", "no-store");
    assert_eq!(get.problem(), "404 absent");
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_head_says_what_a_get_would() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    client.call(&format!("PUT {ADA}"), "Ada").await;
    let mut heads = Vec::new();
    for head in [format!("GET {ADA}"), format!("HEAD {ADA}")] {
        let reply = client.call(&head, "").await;
        let named = ["content-length", "content-type", "etag", "age", "cache-control", "cache-status"];
        heads.push((reply.status, named.map(|name| reply.header(name).to_owned())));
    }
    assert_eq!(heads[0], heads[1]);
    let absent = client.call("HEAD /v1/cache/profile/absent", "").await;
    assert_eq!(absent.status, 404);
    assert_ne!(absent.header("content-length"), "0");
    assert_eq!(client.get(ADA).await.body, b"Ada", "nothing of the bodies came");
}

#[tokio::test]
async fn an_etag_saves_the_body() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    client.call(&format!("PUT {ADA}"), "Ada").await;
    let etag = client.get(ADA).await.header("etag").to_owned();
    let mut check = async |condition: &str, status: u16| {
        for verb in ["GET", "HEAD"] {
            let reply = client.call(&format!("{verb} {ADA}|if-none-match: {condition}"), "").await;
            assert_eq!(reply.status, status, "{verb} {condition}");
            assert_eq!(reply.header("etag"), etag);
            let hit = reply.header("cache-status").starts_with("larder; hit;");
            assert!(hit && !reply.header("age").is_empty(), "{reply:?}");
            assert_eq!(reply.body.is_empty(), status == 304 || verb == "HEAD");
            assert_eq!(reply.header("content-type").is_empty(), status == 304);
        }
    };
    check(&etag, 304).await;
    check(&format!("\"x\", W/{etag}"), 304).await;
    check("*", 304).await;
    check("\"x\"", 200).await;
    // Past its fresh time it is no short cut any more, and the router says the same.
    host.clock.advance_ms(HOUR_MS + 1);
    check(&etag, 304).await;
    check("\"x\"", 200).await;
    assert_eq!(client.call(&format!("PUT {ADA}"), "Bob").await.status, 204);
    assert_ne!(client.get(ADA).await.header("etag"), etag);
}

#[tokio::test]
async fn a_write_asks_for_a_lifetime() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    for (asked, left) in
        [("max-age=60", "60"), ("max-age=60, s-maxage=5", "5"), ("max-age=86400", "3600"), ("x", "3600")]
    {
        client.call(&format!("PUT {ADA}|cache-control: {asked}"), "Ada").await;
        let reply = client.get(ADA).await;
        assert_eq!(reply.header("cache-control"), format!("max-age={left}"), "{asked}");
    }
    // Without a policy's lifetime what was asked for is all there is.
    client.call("PUT /v1/cache/default/k|cache-control: max-age=7", "v").await;
    let reply = client.get("/v1/cache/default/k").await;
    check(&reply, 200, r#"larder; hit; ttl=7; key="k"; detail=l1"#, "", "max-age=7");
    client.call("PUT /v1/cache/default/k", "v").await;
    check(&client.get("/v1/cache/default/k").await, 200, r#"larder; hit; key="k"; detail=l1"#, "", "");
    for wrong in ["no-store", "max-age=0", "max-age=x"] {
        let reply = client.call(&format!("PUT {ADA}|cache-control: {wrong}"), "Bob").await;
        assert_eq!(reply.problem(), "400 invalid-argument", "{wrong}");
    }
    assert_eq!(client.get(ADA).await.body, b"Ada");
}

#[tokio::test]
async fn a_write_depends_on_what_is_there() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    let mut put = async |condition: &str, value: &str| client.call(&format!("PUT {ADA}|{condition}: *"), value).await;
    let unmet = put("if-match", "1").await;
    assert_eq!(unmet.problem(), "412 unmet");
    assert_eq!(unmet.header("cache-status"), r#"larder; stored=?0; key="profile:user:42"; detail=unmet"#);
    assert_eq!(put("if-none-match", "2").await.status, 204);
    assert_eq!(put("if-none-match", "3").await.problem(), "412 unmet");
    assert_eq!(put("if-match", "4").await.status, 204);
    assert_eq!(client.get(ADA).await.body, b"4");
    for refused in
        ["if-match: \"x\"", "if-none-match: \"x\"", "if-match: *|if-none-match: *", "content-range: bytes 0-1/2"]
    {
        assert_eq!(
            client.call(&format!("PUT {ADA}|{refused}"), "5").await.problem(),
            "400 invalid-argument",
            "{refused}"
        );
    }
    assert_eq!(client.call(&format!("PUT {ADA}|content-encoding: gzip"), "5").await.problem(), "415 encoded");
    assert_eq!(client.get(ADA).await.body, b"4");
}

#[tokio::test]
async fn a_policy_may_pass_or_refuse() {
    let world = World::new();
    let pass = Rules { admit: Box::new(|_, _| Ok(Admission::Pass(0))), ..lives(Lifetime::fresh(None)) };
    world.go_live("pass", description(Encoding::Enveloped), pass);
    let host = Host::start(world).await;
    let mut client = host.connect().await;
    let reply = client.call("PUT /v1/cache/pass/k", "v").await;
    check(&reply, 204, r#"larder; stored=?0; key="pass:k"; detail=passed"#, "", "");
    assert_eq!(client.get("/v1/cache/pass/k").await.problem(), "404 absent");
    let reply = client.get("/v1/cache/nobody/k").await;
    assert_eq!(reply.problem(), "404 unknown-domain");
    assert_eq!((&reply.json()["blame"], &reply.json()["retry"]), (&"caller".into(), &false.into()));
}

#[tokio::test]
async fn a_removed_value_is_gone() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    let delete = format!("DELETE {ADA}");
    assert_eq!(client.call(&delete, "").await.problem(), "404 absent");
    client.call(&format!("PUT {ADA}"), "Ada").await;
    assert_eq!(client.call(&format!("{delete}|if-match: \"x\""), "").await.problem(), "400 invalid-argument");
    assert_eq!(client.call(&delete, "").await.status, 204);
    assert_eq!(client.get(ADA).await.problem(), "404 absent");
    assert_eq!(client.call(&delete, "").await.problem(), "404 absent");
}

#[tokio::test]
async fn a_key_may_hold_what_its_domain_allows() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    for (path, same) in [
        ("profile/a/b/c", "profile/a%2Fb%2fc"),
        ("profile/a%3Fb%20%25", "profile/%61%3fb%20%25"),
        ("profile/%C3%A9", "pr%6Ffile/%c3%a9"),
        ("default/%00%FF%0D%0A", "default/%00%ff%0d%0a"),
        ("default/profile:x", "profile/x"),
        ("a-domain-without-a-policy/x", "default/a-domain-without-a-policy:x"),
        ("profile/", "profile/"),
    ] {
        let expect = if path == "profile/" { 404 } else { 204 };
        assert_eq!(client.call(&format!("PUT /v1/cache/{path}"), path).await.status, expect, "{path}");
        if expect == 204 {
            assert_eq!(client.get(&format!("/v1/cache/{same}")).await.text(), path, "{same}");
        }
    }
    for path in [
        "profile/%",
        "profile/%4",
        "profile/%G0",
        "profile/%00",
        "profile/a%0Ab",
        "profile/%FF",
        "profile/a?b",
        "pro:file/x",
        "default/chat:v1:profile:x",
        &format!("profile/{}", "x".repeat(300)),
    ] {
        for verb in ["GET", "PUT", "DELETE"] {
            let reply = client.call(&format!("{verb} /v1/cache/{path}"), "").await;
            assert_eq!(reply.problem(), "400 invalid-key", "{verb} {path}");
        }
    }
    assert!(host.stop().await, "one connection bore it all");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let host = Host::start(world()).await;
    let mut client = host.connect().await;
    let mut batch = request(&format!("PUT {ADA}"), "Ada");
    for path in [ADA, "/v1/cache/profile/absent", ADA, "/healthz", ADA] {
        batch.push_str(&request(&format!("GET {path}"), ""));
    }
    client.send(batch).await;
    let mut bodies = Vec::new();
    for _ in 0..6 {
        let reply = client.answer(false).await;
        bodies.push(if reply.status == 404 { "404".to_owned() } else { reply.text() });
    }
    assert_eq!(bodies, ["", "Ada", "404", "Ada", "ok\n", "Ada"]);
    let profile = host.metrics.domain("profile");
    let counted = |state| profile.answers(Operation::Read, state);
    assert_eq!((counted(State::L1Hit), counted(State::Miss)), (3, 1));
    assert_eq!(host.metrics.http_requests.get(), 6);
}
