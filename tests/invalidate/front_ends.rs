//! `LARDER.INVALIDATE`, `POST /v1/invalidate`, `larder invalidate`, and what explanations say.

use std::process::Command;
use std::sync::Arc;

use larder::adapters::memory::{MemorySettings, MemoryStore};

use super::{clock, play, world_over};
use crate::support::engine::World;
use crate::support::host::HostBuilder;
use crate::support::{http, resp};

fn world() -> World {
    let clock = clock();
    world_over(Arc::new(MemoryStore::new(MemorySettings::default(), clock.clone())), clock)
}

#[tokio::test]
async fn over_resp() {
    let host = resp::Host::start(world()).await;
    let mut client = host.connect().await;
    for (line, answer) in [
        ("SET profile:a@red 1", "+OK"),
        ("LARDER.INVALIDATE TAG profile red SOFT", "+OK"),
        ("GET profile:a@red", "\"1\""),
        ("larder.invalidate tag profile red", "+OK"),
        ("GET profile:a@red", "nil"),
        ("SET profile:a 1", "+OK"),
        ("LARDER.INVALIDATE KEY profile:a SOFT", ":1"),
        ("GET profile:a", "\"1\""),
        ("LARDER.INVALIDATE KEY profile:a", ":1"),
        ("LARDER.INVALIDATE KEY profile:a", ":0"),
        ("SET counter 1", "+OK"),
        ("LARDER.INVALIDATE KEY counter", ":1"),
        ("LARDER.INVALIDATE PREFIX profile user:", "+OK"),
        ("LARDER.INVALIDATE DOMAIN profile", "+OK"),
        ("LARDER.INVALIDATE DOMAIN profile SOFT", "+OK"),
        ("LARDER.INVALIDATE DOMAIN profile HARD", "-ERR syntax error"),
        ("LARDER.INVALIDATE TAG profile", "-ERR wrong number of arguments for 'larder.invalidate|tag' command"),
        ("LARDER.INVALIDATE TAG profile a b", "-ERR syntax error"),
        ("LARDER.INVALIDATE ALL", "-ERR unknown subcommand 'ALL'. Try LARDER.INVALIDATE HELP."),
        (
            "LARDER.INVALIDATE DOMAIN nobody",
            "-ERR no policy serves the domain 'nobody'; `LARDER.POLICY LIST` names those that do [unknown-domain; blame: caller; retry: no]",
        ),
        (
            "LARDER.INVALIDATE TAG plain red",
            "-ERR the domain 'plain' is raw: its values carry no tags [unsupported; blame: caller; retry: no]",
        ),
        ("COMMAND GETKEYS LARDER.INVALIDATE KEY profile:a SOFT", "[\"profile:a\"]"),
    ] {
        assert_eq!(client.line(line).await, answer, "{line}");
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn over_http() {
    let host = http::Host::start(world()).await;
    let mut client = host.connect().await;
    for key in ["a@red", "b@red", "c"] {
        client.call(&format!("PUT /v1/cache/profile/{key}"), "1").await;
    }
    let body = r#"{"mode":"soft","selectors":[{"domain":"profile","key":"c"},{"domain":"profile","tag":"red"},{"domain":"profile","prefix":"x"}]}"#;
    let reply = client.call("POST /v1/invalidate", body).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    let expect = serde_json::json!({ "invalidated": [
        { "domain": "profile", "kind": "key", "mode": "soft", "keys": 1 },
        { "domain": "profile", "kind": "tag", "mode": "soft", "keys": null },
        { "domain": "profile", "kind": "prefix", "mode": "soft", "keys": null },
    ]});
    assert_eq!(reply.json(), expect);
    let reply = client.get("/v1/cache/profile/c").await;
    assert!(reply.header("cache-status").contains("stale"), "{}", reply.header("cache-status"));
    let body = r#"{"selectors":[{"domain":"profile"},{"domain":"nobody"},{"domain":"brief"}]}"#;
    let reply = client.call("POST /v1/invalidate", body).await;
    assert_eq!(reply.problem(), "404 unknown-domain");
    assert_eq!(
        reply.json()["detail"],
        "selector 2 of 3 (domain of 'nobody'), those before it are done: no policy serves the domain 'nobody'; `LARDER.POLICY LIST` names those that do"
    );
    assert_eq!(client.get("/v1/cache/profile/c").await.problem(), "404 absent");
    assert_eq!(client.call("POST /v1/invalidate", "red").await.problem(), "400 invalid-argument");
    assert_eq!(client.get("/v1/invalidate").await.problem(), "405 method-not-allowed");
    let page = client.get("/metrics").await;
    let line = r#"larder_invalidations_total{domain="profile",kind="tag",mode="soft"} 1"#;
    assert!(page.text().lines().any(|found| found == line), "{}", page.text());
}

#[tokio::test]
async fn an_explanation_says_what_was_invalidated() {
    let world = world();
    play(&world, "set user:1@red+blue 1\nset b@red 2").await;
    for (words, state, invalidated, by) in [
        ("get b@red = 2 (l1-hit)", "l1-hit", None, &[][..]),
        ("tag blue soft = done", "stale", Some("soft"), &["tag blue (soft)"]),
        ("prefix user: soft = done", "stale", Some("soft"), &["prefix user: (soft)", "tag blue (soft)"]),
        ("domain = done", "miss", Some("hard"), &["domain (hard)", "tag blue (soft)"]),
    ] {
        play(&world, words).await;
        for _ in 0..2 {
            let seen = world.engine.explain(b"profile:user:1@red+blue").await.unwrap();
            assert_eq!((seen.state.as_str(), seen.invalidated), (state, invalidated), "{words}");
            assert_eq!(
                (seen.tags, &seen.invalidated_by[..]),
                (vec!["red".into(), "blue".into()], &by.iter().map(|&by| by.to_owned()).collect::<Vec<_>>()[..]),
                "{words}"
            );
        }
    }
}

#[test]
fn on_the_command_line() {
    let host = HostBuilder::samples().start();
    let larder = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_larder"))
            .args(["invalidate"])
            .args(words)
            .args(["--host", &host.http.to_string()])
            .output()
            .expect("larder runs");
        let text = if output.status.success() { output.stdout } else { output.stderr };
        String::from_utf8(text).unwrap().trim_end().to_owned()
    };
    for (words, expect) in [
        (&["key", "profile:user:42", "--soft"][..], "invalidated (soft): 1 key"),
        (&["key", "profile:user:42"], "invalidated (hard): 1 key"),
        (&["pattern", "profile", "user:*"], "invalidated (hard): 1 key"),
        (&["tag", "profile", "team:7"], "invalidated (hard): all that was cached until now"),
        (&["prefix", "profile", "user:", "--soft"], "invalidated (soft): all that was cached until now"),
        (&["domain", "profile"], "invalidated (hard): all that was cached until now"),
    ] {
        host.ask(&["SET", "profile:user:42", "Ada"]).unwrap();
        assert_eq!(larder(words), expect, "{words:?}");
    }
    assert!(larder(&["domain", "nobody"]).contains("no policy serves the domain 'nobody'"));
}
