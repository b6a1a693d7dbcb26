//! What operators see and say, over RESP, over HTTP and on the command line; and what policies get.

use std::process::Command;

use larder::adapters::breaker::BreakerBoard;
use larder::error::ErrorKind;
use larder::limits::BREAKERS_PER_DOMAIN_MAX;
use larder::ports::breaker::{Breakers, Mode, Outcome, State};
use redis::Value;

use crate::support::engine::World;
use crate::support::host::{Host, HostBuilder, text, wait_until};
use crate::support::redis::RedisServer;
use crate::support::{http, resp};

fn fail(board: &BreakerBoard, domain: &str, name: &str, times: usize) {
    for _ in 0..times {
        board.acquire(domain, name).expect("a name").expect("it lets through").report(Outcome::Failure);
    }
}

#[test]
fn a_policy_has_breakers_of_its_own() {
    let world = World::new();
    let board = &world.breakers;
    assert_eq!(board.current("profile", "api"), Ok((Mode::Auto, State::Closed)), "one that is not there yet");
    assert!(board.list().is_empty());
    fail(board, "profile", "api", 5);
    assert_eq!(board.current("profile", "api"), Ok((Mode::Auto, State::Open)));
    assert!(board.acquire("profile", "api").expect("a name").is_none());
    assert!(board.acquire("session", "api").expect("a name").is_some(), "another domain's is another");
    assert_eq!(board.current("profile", "store"), Ok((Mode::Auto, State::Closed)), "this host needs none");
    board.store(80).force(Mode::ForcedOpen);
    assert_eq!(board.current("profile", "store"), Ok((Mode::ForcedOpen, State::Closed)));
    for bad in ["store", "", "a b", "A", "a/b", &"x".repeat(65)] {
        let error = board.acquire("profile", bad).map(drop).expect_err(bad);
        assert_eq!(error.kind, ErrorKind::InvalidArgument, "{bad}");
    }
    for n in 1..BREAKERS_PER_DOMAIN_MAX {
        board.acquire("profile", &format!("b{n}")).expect("there is room");
    }
    let error = board.acquire("profile", "one-more").map(drop).expect_err("too many");
    assert_eq!(error.kind, ErrorKind::Overloaded);
    assert!(board.acquire("profile", "b1").is_ok() && board.acquire("session", "b1").is_ok());
}

#[tokio::test]
async fn over_resp() {
    let world = World::new();
    let board = world.breakers.clone();
    fail(&board, "profile", "api", 4);
    let host = resp::Host::start(world).await;
    let mut client = host.connect().await;
    client.line("HELLO 3").await;
    let closed = r#"[{"name": "profile/api", "state": "closed", "mode": "auto", "calls": :4, "failures": :4, "slow": :0, "retry_in_ms": null, "reopened": :0, "last_failure": null}]"#;
    for line in ["LARDER.BREAKER", "LARDER.BREAKER LIST"] {
        assert_eq!(client.line(line).await, closed);
    }
    fail(&board, "profile", "api", 1);
    assert!(client.line("LARDER.BREAKER").await.contains(r#""state": "open""#));
    let history = client.line("LARDER.BREAKER HISTORY profile/api").await;
    assert!(history.contains(r#""from": "closed", "to": "open", "why": "5 calls failed and 0 were slow"#), "{history}");
    for (word, state) in
        [("closed", "forced-closed"), ("OPEN", "forced-open"), ("Metrics-Only", "metrics-only"), ("AUTO", "closed")]
    {
        let answer = client.line(&format!("LARDER.BREAKER FORCE profile/api {word}")).await;
        assert!(answer.contains(&format!(r#""state": "{state}""#)), "{answer}");
    }
    for (line, error) in [
        ("LARDER.BREAKER FORCE none OPEN", "-ERR there is no breaker 'none'; LARDER.BREAKER LIST names all"),
        ("LARDER.BREAKER HISTORY none", "-ERR there is no breaker 'none'; LARDER.BREAKER LIST names all"),
        ("LARDER.BREAKER FORCE profile/api AJAR", "-ERR a breaker is forced open, closed or metrics-only"),
    ] {
        let answer = client.line(line).await;
        assert!(answer.starts_with(error), "{line}: {answer}");
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn over_http() {
    let world = World::new();
    fail(&world.breakers, "profile", "api", 5);
    let host = http::Host::start(world).await;
    let mut client = host.connect().await;
    let list = client.get("/v1/breakers").await.json();
    assert_eq!((&list["breakers"][0]["name"], &list["breakers"][0]["state"]), (&"profile/api".into(), &"open".into()));
    let shown = client.get("/v1/breakers/profile%2Fapi").await.json();
    assert_eq!((&shown["breaker"]["failures"], &shown["history"][0]["to"]), (&5.into(), &"open".into()));
    let page = client.get("/metrics").await.text();
    for line in [
        r#"cache_circuit_breaker_state{name="profile/api"} 1"#,
        r#"larder_circuit_breaker_transitions_total{name="profile/api",to="open"} 1"#,
        r#"larder_circuit_breaker_calls_total{name="profile/api",outcome="failure"} 5"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}:\n{page}");
    }
    let forced = client.call("POST /v1/breakers/profile/api", r#"{"mode": "closed"}"#).await;
    assert_eq!((forced.status, &forced.json()["state"]), (200, &"forced-closed".into()));
    assert_eq!(client.call("POST /v1/breakers/none", r#"{"mode": "open"}"#).await.problem(), "404 unknown-breaker");
    assert_eq!(client.get("/v1/breakers/none").await.problem(), "404 unknown-breaker");
    for body in [r#"{"mode": "ajar"}"#, "{}", r#"{"state": "open"}"#] {
        assert_eq!(client.call("POST /v1/breakers/profile/api", body).await.problem(), "400 invalid-argument");
    }
    assert!(host.stop().await);
}

fn store_state(host: &Host) -> String {
    let Value::Array(list) = host.ask(&["LARDER.BREAKER"]).unwrap() else { panic!("a list") };
    let Some(Value::Map(fields)) = list.first() else { return String::new() };
    fields.iter().find(|(name, _)| text(name) == "state").map(|(_, state)| text(state)).unwrap()
}

/// A real host whose Redis is killed and comes back: errors at once that say why, hits from L1 all the while, and recovery.
#[test]
fn a_real_host_whose_redis_is_killed() {
    let mut redis = RedisServer::start();
    let host = HostBuilder::samples()
        .arg("--store")
        .arg(format!("redis://127.0.0.1:{}", redis.port()))
        .arg("--set")
        .arg("l1.trust=1h")
        .env("CACHE_CB_RECOVERY_TIMEOUT", "200")
        .env("CACHE_CB_HALF_OPEN_MAX_CALLS", "1")
        .start();
    assert_eq!(store_state(&host), "closed");
    host.ask(&["SET", "profile:user:1", "Ada"]).unwrap();
    host.ask(&["GET", "profile:user:1"]).unwrap();
    redis.kill();
    wait_until("the breaker opens", || {
        let _ = host.ask(&["GET", "k"]);
        store_state(&host) == "open"
    });
    // It may be on trial at this moment, with Redis' own words then.
    wait_until("the error names the breaker", || {
        let error = host.ask(&["GET", "k"]).expect_err("Redis is gone").to_string();
        error.contains("the breaker 'store' is open") && error.contains("store-unavailable; blame: store; retry: yes")
    });
    assert_eq!(text(&host.ask(&["GET", "profile:user:1"]).unwrap()), "Ada", "a hit knows nothing of it");
    let (status, head, _) = host.http("GET", "/v1/cache/default/k", "", b"");
    assert_eq!(status, 503, "{head}");
    let page = String::from_utf8(host.http("GET", "/metrics", "", b"").2).unwrap();
    assert!(page.contains(r#"larder_circuit_breaker_calls_total{name="store",outcome="not-permitted"}"#), "{page}");
    redis.restart();
    wait_until("it closes again", || host.ask(&["SET", "k", "v"]).is_ok() && store_state(&host) == "closed");
    let larder = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        let output = command.args(words).args(["--host", &host.http.to_string()]).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert!(larder(&["breakers"]).contains("name: store\nstate: closed\n"));
    assert!(larder(&["breakers", "history", "store"]).contains("to: open\n"));
    assert!(larder(&["breakers", "force", "store", "open"]).contains("state: forced-open\n"));
    // Of `k` there may be a copy, and a copy asks no breaker.
    let error = host.ask(&["GET", "other"]).expect_err("it is forced open").to_string();
    assert!(error.contains("forced open by an operator"), "{error}");
    assert!(larder(&["breakers", "force", "store", "auto"]).contains("state: closed\n"));
    assert_eq!(text(&host.ask(&["GET", "k"]).unwrap()), "v");
    assert!(larder(&["breakers", "force", "store", "ajar"]).contains("forced open, closed or metrics-only"));
    assert!(host.log().lines().all(|line| !line.contains("does not use it yet")), "{}", host.log());
    assert!(host.stop());
}
