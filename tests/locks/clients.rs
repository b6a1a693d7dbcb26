//! What clients see: over RESP, over HTTP, from two real hosts on one Redis, and on the command line.

use std::process::Command;

use redis::Value;

use crate::support::engine::World;
use crate::support::host::{Host, HostBuilder, text};
use crate::support::redis::RedisServer;
use crate::support::{http, resp};

/// A field of an answer in RESP3: `"token": "…"`.
fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let rest = answer.split_once(&format!("\"{name}\": ")).unwrap_or_else(|| panic!("{name} in {answer}")).1;
    rest.split([',', '}']).next().unwrap().trim_matches([':', '"'])
}

#[tokio::test]
async fn over_resp() {
    let host = resp::Host::start(World::new()).await;
    let (mut a, mut b) = (host.connect().await, host.connect().await);
    a.line("HELLO 3").await;
    b.line("HELLO 3").await;
    let taken = a.line("LARDER.LOCK ACQUIRE jobs/1 TTL 20000 OWNER me").await;
    let (token, fence) = (field(&taken, "token").to_owned(), field(&taken, "fence").to_owned());
    assert_eq!((token.len(), field(&taken, "ttl_ms")), (32, "20000"));
    assert_eq!(b.line("LARDER.LOCK ACQUIRE jobs/1 TTL 20000 WAIT 0").await, "null");
    let info = b.line("LARDER.LOCK INFO jobs/1").await;
    assert_eq!((field(&info, "fence"), field(&info, "owner")), (fence.as_str(), "me"));
    assert!(!info.contains(&token), "nobody else is shown the token: {info}");
    assert_eq!(b.line("LARDER.LOCK EXTEND jobs/1 wrong TTL 1000").await, ":0");
    assert_eq!(b.line("LARDER.LOCK RELEASE jobs/1 wrong").await, ":0");
    assert_eq!(a.line(&format!("LARDER.LOCK EXTEND jobs/1 {token} TTL 25000")).await, ":1");
    assert_eq!(a.line(&format!("LARDER.LOCK EXTEND jobs/1 {token}")).await, ":1");
    // Another one waits, and is woken by the release.
    b.send(resp::frame(&["LARDER.LOCK", "ACQUIRE", "jobs/1", "WAIT", "20000"])).await;
    assert_eq!(a.line(&format!("LARDER.LOCK RELEASE jobs/1 {token}")).await, ":1");
    let next = b.answer().await;
    assert!(field(&next, "fence").parse::<u64>().unwrap() > fence.parse::<u64>().unwrap());
    assert_eq!(field(&next, "ttl_ms"), "30000", "the default");
    assert_eq!(a.line("LARDER.LOCK INFO none").await, "null");
    a.line("LARDER.LOCK ACQUIRE jobs/2").await;
    let list = a.line("LARDER.LOCK LIST jobs/").await;
    assert!(list.starts_with("{\"complete\": #t, \"locks\": [{\"name\": \"jobs/1\""), "{list}");
    assert!(list.contains("jobs/2"));
    assert_eq!(a.line("LARDER.LOCK LIST x").await, "{\"complete\": #t, \"locks\": []}");
    assert_eq!(a.line("LARDER.LOCK FORCE-RELEASE jobs/1").await, ":1");
    assert_eq!(a.line("LARDER.LOCK FORCE-RELEASE jobs/1").await, ":0");
    assert_eq!(a.line("LARDER.LOCK FORCE-RELEASE PREFIX jobs/").await, "{\"released\": :1, \"complete\": #t}");
    assert_eq!(a.line("LARDER.LOCK FORCE-RELEASE OWNER me").await, "{\"released\": :0, \"complete\": #t}");
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_resp_refuses() {
    let world = World::new();
    world.default_domain();
    let host = resp::Host::start(world).await;
    let mut client = host.connect().await;
    for (words, error) in [
        (&["LARDER.LOCK", "ACQUIRE"][..], "-ERR wrong number of arguments for 'larder.lock|acquire' command"),
        (&["LARDER.LOCK", "ACQUIRE", "n", "TTL"], "-ERR syntax error"),
        (&["LARDER.LOCK", "ACQUIRE", "n", "TTL", "1", "TTL", "1"], "-ERR syntax error"),
        (&["LARDER.LOCK", "ACQUIRE", "n", "FOR", "1"], "-ERR syntax error"),
        (&["LARDER.LOCK", "ACQUIRE", "n", "TTL", "-1"], "-ERR value is not an integer or out of range"),
        (&["LARDER.LOCK", "ACQUIRE", "n", "TTL", "0"], "-ERR a lock lives for 1 to 86400000 ms, not 0 ms"),
        (&["LARDER.LOCK", "ACQUIRE", "n", "WAIT", "60001"], "-ERR one may wait for a lock for 60000 ms, not 60001 ms"),
        (&["LARDER.LOCK", "ACQUIRE", ""], "-ERR the lock's name is empty [invalid-argument; blame: caller; retry: no]"),
        (&["LARDER.LOCK", "ACQUIRE", "a\nb"], "-ERR the lock's name holds the control character U+000A"),
        (
            &["LARDER.LOCK", "ACQUIRE", "@profile/x"],
            "-ERR the lock's name begins with '@', as the locks of policies do",
        ),
        (&["LARDER.LOCK", "EXTEND", "n", "t", "1"], "-ERR syntax error"),
        (&["LARDER.LOCK", "STEAL", "n"], "-ERR unknown subcommand 'STEAL'. Try LARDER.LOCK HELP."),
        (&["GET", "{chat:v1:LOCK:n}"], "-ERR the key is one of the host's locks; use LARDER.LOCK or /v1/locks"),
        (&["DEL", "{chat:v1:LOCK:n}:fence"], "-ERR the key is one of the host's locks"),
        (&["SET", "{chat:v1:LOCK:n}", "v"], "-ERR the key is one of the host's locks"),
    ] {
        let answer = client.call(words).await;
        assert!(answer.starts_with(error), "{words:?}: {answer}");
    }
    assert_eq!(client.line("SET chat:v1:LOCK:n v").await, "+OK", "no lock has this key");
    assert!(host.stop().await);
}

#[tokio::test]
async fn over_http() {
    let host = http::Host::start(World::new()).await;
    let mut client = host.connect().await;
    let taken = client.call("POST /v1/locks/jobs/1", r#"{"ttl_ms": 20000, "owner": "me"}"#).await;
    assert_eq!((taken.status, taken.header("cache-control")), (201, "no-store"));
    let taken = taken.json();
    assert_eq!((&taken["name"], &taken["ttl_ms"]), (&"jobs/1".into(), &20_000.into()));
    let token = taken["token"].as_str().unwrap();
    let held = client.call("POST /v1/locks/jobs%2F1", r#"{"wait_ms": 0}"#).await;
    assert_eq!((held.problem().as_str(), held.header("retry-after")), ("409 locked", "1"));
    let info = client.get("/v1/locks/jobs/1").await;
    assert_eq!((&info.json()["fence"], &info.json()["owner"]), (&taken["fence"], &"me".into()));
    assert!(!info.text().contains(token));
    let extended = client.call("PATCH /v1/locks/jobs/1", &format!(r#"{{"token": "{token}", "ttl_ms": 50000}}"#)).await;
    assert_eq!((extended.status, &extended.json()["ttl_ms"]), (200, &50_000.into()));
    assert_eq!(client.call("PATCH /v1/locks/jobs/1", r#"{"token": "wrong"}"#).await.problem(), "409 not-held");
    assert_eq!(client.call("DELETE /v1/locks/jobs/1", r#"{"token": "wrong"}"#).await.problem(), "409 not-held");
    let released = client.call("DELETE /v1/locks/jobs/1", &format!(r#"{{"token": "{token}"}}"#)).await;
    assert_eq!((released.status, released.body.len()), (204, 0));
    assert_eq!(client.get("/v1/locks/jobs/1").await.problem(), "404 not-locked");
    let again = client.call("POST /v1/locks/jobs/1", "").await;
    assert_eq!((again.status, &again.json()["ttl_ms"]), (201, &30_000.into()), "an empty body asks for the defaults");
    assert!(again.json()["fence"].as_u64() > taken["fence"].as_u64());
    client.call("POST /v1/locks/a%20b", "{}").await;
    let list = client.get("/v1/locks").await.json();
    assert_eq!((&list["complete"], list["locks"].as_array().unwrap().len()), (&true.into(), 2));
    let list = client.get("/v1/locks?prefix=a%20").await.json();
    assert_eq!(list["locks"][0]["name"], "a b");
    assert_eq!(client.call("DELETE /v1/locks/jobs/1", r#"{"force": true}"#).await.status, 204);
    assert_eq!(client.call("DELETE /v1/locks/jobs/1", r#"{"force": true}"#).await.problem(), "404 not-locked");
    let freed = client.call("DELETE /v1/locks", r#"{"prefix": "a"}"#).await.json();
    assert_eq!(freed, serde_json::json!({ "released": 1, "complete": true }));
    for (head, body) in [
        ("POST /v1/locks/n", r#"{"ttl": 5}"#),
        ("POST /v1/locks/n", r#"{"ttl_ms": 0}"#),
        ("POST /v1/locks/n", "no json"),
        ("POST /v1/locks/n?wait_ms=5", "{}"),
        ("POST /v1/locks/@profile/n", "{}"),
        ("POST /v1/locks/%00", "{}"),
        ("PATCH /v1/locks/n", "{}"),
        ("DELETE /v1/locks/n", "{}"),
        ("DELETE /v1/locks/n", r#"{"token": "t", "force": true}"#),
        ("DELETE /v1/locks", "{}"),
        ("GET /v1/locks?owner=x", ""),
    ] {
        assert_eq!(client.call(head, body).await.problem(), "400 invalid-argument", "{head} {body}");
    }
    assert!(host.stop().await);
}

fn larder(host: &Host, words: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(words)
        .args(["--host", &host.http.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

fn map(value: &Value, name: &str) -> String {
    let Value::Map(fields) = value else { panic!("no map: {value:?}") };
    let found = fields.iter().find(|(key, _)| text(key) == name);
    found.map(|(_, value)| text(value)).unwrap_or_else(|| panic!("no {name} in {value:?}"))
}

/// Two hosts on one Redis, as they run: one lock between them, the settings of the first user, metrics and the command line.
#[test]
fn two_real_hosts_share_their_locks() {
    let redis = RedisServer::start();
    let start = || {
        let store = format!("redis://127.0.0.1:{}", redis.port());
        HostBuilder::new().arg("--store").arg(store).env("CACHE_LOCK_DEFAULT_TTL", "45").start()
    };
    let (a, b) = (start(), start());
    let mut last = 0;
    for _ in 0..5 {
        for (mine, other) in [(&a, &b), (&b, &a)] {
            let taken = mine.ask(&["LARDER.LOCK", "ACQUIRE", "n"]).unwrap();
            assert_eq!(map(&taken, "ttl_ms"), "45000");
            let fence: u64 = map(&taken, "fence").parse().unwrap();
            assert!(fence > last);
            last = fence;
            assert_eq!(other.ask(&["LARDER.LOCK", "ACQUIRE", "n", "WAIT", "0"]).unwrap(), Value::Nil);
            let (status, _, body) = other.http("POST", "/v1/locks/n", "", br#"{"wait_ms": 30}"#);
            assert_eq!(status, 409, "{}", String::from_utf8_lossy(&body));
            // Its token is good on any host.
            assert_eq!(other.ask(&["LARDER.LOCK", "RELEASE", "n", &map(&taken, "token")]).unwrap(), Value::Int(1));
        }
    }
    let held = a.ask(&["LARDER.LOCK", "ACQUIRE", "n", "OWNER", "me"]).unwrap();
    let page = String::from_utf8(a.http("GET", "/metrics", "", b"").2).unwrap();
    assert!(page.lines().any(|line| line == "cache_active_locks 1"), "{page}");
    assert!(page.contains(r#"larder_lock_operations_total{outcome="acquired"} 6"#), "{page}");
    let (fine, text) = larder(&b, &["locks", "list"]);
    assert!(fine && text.contains("name: n") && text.contains("owner: me"), "{text}");
    let (fine, text) = larder(&b, &["locks", "info", "n"]);
    assert!(fine && text.contains(&map(&held, "fence")), "{text}");
    assert_eq!(larder(&b, &["locks", "release", "n"]), (true, "released n\n".into()));
    assert_eq!(larder(&b, &["locks", "release", "n"]), (false, "error: nobody holds the lock\n".into()));
    assert!(a.log().lines().all(|line| !line.contains("CACHE_LOCK")), "the setting is used: {}", a.log());
    assert!(a.stop() && b.stop());
}
