//! What a newcomer does first, as the README tells it: a real host, real clients, a policy that is replaced.

use crate::support::host::{HostBuilder, guest, sample, text, variant, wait_until};
use crate::support::redis::{RedisServer, redis_cli};

#[test]
fn the_readmes_first_session_works() {
    let host = HostBuilder::samples().start();
    let port = host.resp.port();
    assert_eq!(redis_cli(port, &["SET", "profile:user:42", r#"{"name":"Ada"}"#]), "OK");
    assert_eq!(redis_cli(port, &["GET", "profile:user:42"]), r#"{"name":"Ada"}"#);
    let explained = redis_cli(port, &["LARDER.EXPLAIN", "profile:user:42"]);
    for word in ["storage_key", "chat:v1:profile:user:42", "86400000", "300000", "l1-hit"] {
        assert!(explained.contains(word), "{word} is not in:\n{explained}");
    }
    let (status, head, body) = host.http("GET", "/v1/cache/profile/user:42", "", b"");
    assert_eq!((status, body.as_slice()), (200, &br#"{"name":"Ada"}"#[..]));
    assert!(head.contains("cache-status: larder; hit; ttl=86"), "{head}");
    assert!(head.contains("\nage: "), "{head}");
    let (status, ..) = host.http("PUT", "/v1/cache/session/s1", "cache-control: max-age=60\r\n", b"token");
    assert_eq!(status, 204);
    assert_eq!(redis_cli(port, &["GET", "session:s1"]), "token");
    let policies = redis_cli(port, &["LARDER.POLICY", "LIST"]);
    for domain in ["default", "profile", "session"] {
        assert!(policies.contains(domain), "{policies}");
    }
    let (status, _, body) = host.http("GET", "/v1/policies", "", b"");
    assert!(status == 200 && String::from_utf8_lossy(&body).contains("\"profile\""));
    let (status, _, page) = host.http("GET", "/metrics", "", b"");
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, 200);
    assert!(page.contains(r#"larder_requests_total{domain="profile",operation="read",state="l1-hit"}"#), "{page}");
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(host.http("GET", path, "", b"").0, 200, "{path}");
    }
    assert!(host.stop(), "SIGTERM ends it well");
}

#[test]
fn a_replaced_policy_rules_what_was_already_cached() {
    let host = HostBuilder::samples().start();
    host.ask(&["SET", "profile:user:42", "Ada"]).unwrap();
    assert_eq!(host.explain("profile:user:42")["fresh_ms"], "86400000");
    let before = host.explain("profile:user:42");
    // Other settings beside the same component.
    host.put("profile.toml", b"[settings]\nttl = \"1h\"\n");
    wait_until("the settings rule", || host.explain("profile:user:42")["fresh_ms"] == "3600000");
    // Another component.
    host.put("profile.toml", b"[settings]\nfresh = \"7m\"\nversion = \"9.9.9\"\n");
    host.put("profile.wasm", &std::fs::read(guest("hostile")).unwrap());
    let took = wait_until("the component rules", || host.explain("profile:user:42")["fresh_ms"] == "420000");
    println!("live after {took:?}");
    let after = host.explain("profile:user:42");
    assert_ne!(before["policy_digest"], after["policy_digest"]);
    assert_eq!(after["policy_version"], "9.9.9");
    assert_eq!(text(&host.ask(&["GET", "profile:user:42"]).unwrap()), "Ada");
    let left: i64 = text(&host.ask(&["PTTL", "profile:user:42"]).unwrap()).parse().unwrap();
    assert!((300_000..=420_000).contains(&left), "{left}");
}

#[test]
fn with_redis_the_storage_keys_are_the_policys() {
    let redis = RedisServer::start();
    let host = HostBuilder::samples().arg("--store").arg(format!("redis://127.0.0.1:{}", redis.port())).start();
    host.ask(&["SET", "profile:user:42", r#"{"name":"Ada"}"#]).unwrap();
    host.ask(&["SET", "session:s1", "token"]).unwrap();
    host.ask(&["SET", "plain", "value", "EX", "100"]).unwrap();
    let keys = redis_cli(redis.port(), &["KEYS", "*"]);
    // With the probe of the host's stream of changes, which comes and goes.
    let mut keys: Vec<_> = keys.lines().filter(|key| !key.starts_with("{chat:probe:")).collect();
    keys.sort_unstable();
    // The host's own: what the domain `profile` is known by until it is invalidated.
    assert_eq!(keys, ["chat:v1:profile:user:42", "chat:v1:session:s1", "plain", "{chat:generation:profile}"]);
    assert_eq!(redis_cli(redis.port(), &["GET", "plain"]), "value");
    assert_eq!(redis_cli(redis.port(), &["GET", "chat:v1:session:s1"]), "token");
    let ttl: u64 = redis_cli(redis.port(), &["PTTL", "chat:v1:profile:user:42"]).parse().unwrap();
    assert!((86_000_000..=86_700_000).contains(&ttl), "{ttl}");
    // Another host on the same Redis reads what this one wrote.
    let other = HostBuilder::samples().arg("--store").arg(format!("redis://127.0.0.1:{}", redis.port())).start();
    assert_eq!(text(&other.ask(&["GET", "profile:user:42"]).unwrap()), r#"{"name":"Ada"}"#);
}

#[test]
fn a_rollback_and_a_deleted_file() {
    let host = HostBuilder::samples().start();
    host.ask(&["SET", "profile:user:1", "x"]).unwrap();
    let first = host.explain("profile:user:1")["policy_digest"].clone();
    host.put("profile.wasm", &variant(&sample("profile"), 1));
    wait_until("the variant is live", || host.explain("profile:user:1")["policy_digest"] != first);
    host.ask(&["LARDER.POLICY", "ROLLBACK", "profile"]).unwrap();
    assert_eq!(host.explain("profile:user:1")["policy_digest"], first);
    // It stays so until the file changes again.
    host.put("profile.wasm", &variant(&sample("profile"), 2));
    wait_until("the next variant is live", || host.explain("profile:user:1")["policy_digest"] != first);
    std::fs::remove_file(host.policies().join("session.wasm")).unwrap();
    wait_until("the loss is seen", || {
        let (_, _, body) = host.http("GET", "/v1/policies/session", "", b"");
        String::from_utf8_lossy(&body).contains("orphaned")
    });
    host.ask(&["SET", "session:s1", "still served"]).unwrap();
    host.ask(&["LARDER.POLICY", "REMOVE", "session"]).unwrap();
    host.ask(&["SET", "session:s1", "by default now"]).unwrap();
    assert_eq!(host.explain("session:s1")["domain"], "default");
}
