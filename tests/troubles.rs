//! What an operator sees when the store is sick: each way to look says what is wrong and what to do, and nothing is left of it when it is well.

use std::process::Command;

use crate::support::host::{Host, HostBuilder, wait_until};
use crate::support::redis::RedisServer;

fn larder(host: &Host, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    let output = command.args(words).args(["--host", &host.http.to_string()]).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn troubles(host: &Host) -> Vec<String> {
    let (status, _, body) = host.http("GET", "/v1/status", "", b"");
    assert_eq!(status, 200);
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    status["troubles"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// Does something to a Redis that served well; what is said then of it in the status, on the command line and in the log.
#[track_caller]
fn check(harm: impl FnOnce(&mut RedisServer), status: &[&str], log: &[&str]) -> (Host, RedisServer) {
    let mut redis = RedisServer::start();
    let host = HostBuilder::samples().arg("--store").arg(redis.url()).env("CACHE_MAX_LATENCY_MS", "2000").start();
    host.ask(&["SET", "session:1", "v"]).unwrap();
    assert_eq!(troubles(&host), [""; 0], "all is well");
    harm(&mut redis);
    wait_until(&format!("the status says {status:?}"), || {
        // Somebody asks, else nothing is noticed.
        let _ = host.ask(&["SET", "session:1", "v"]);
        let all = troubles(&host).join("\n");
        status.iter().all(|words| all.contains(words))
    });
    let top = larder(&host, &["top", "--once"]);
    for words in status {
        assert!(top.lines().any(|line| line.starts_with("! ") && line.contains(words)), "{words}:\n{top}");
    }
    for words in log {
        host.waits_to_log(words);
    }
    (host, redis)
}

/// The store's breaker is open, and everybody who looks at it learns why.
fn is_open_because(host: &Host, cause: &str) {
    let breakers = larder(host, &["breakers"]);
    let line = breakers.lines().find(|line| line.starts_with("last_failure: "));
    assert!(line.is_some_and(|line| line.contains(cause)), "{breakers}");
    let error = host.ask(&["SET", "session:1", "v"]).unwrap_err().to_string();
    assert!(error.contains("the breaker 'store' is open") && error.contains(cause), "{error}");
    let (status, _, body) = host.http("GET", "/readyz", "", b"");
    let body = String::from_utf8(body).unwrap();
    assert!(status == 503 && body.contains(cause), "{body}");
}

#[test]
fn a_redis_that_is_gone() {
    let log = ["a breaker lets no call through", "\"last_failure\":\"the store cannot be reached: "];
    let (host, mut redis) =
        check(RedisServer::kill, &["the breaker 'store' is open", "refused", "it tries again in"], &log);
    is_open_because(&host, "refused");
    let _ = host.ask(&["DEL", "session:2"]);
    assert!(
        troubles(&host).iter().any(|it| it.contains("1 invalidation waits for the store")),
        "{:?}",
        troubles(&host)
    );
    redis.restart();
    wait_until("all is well again", || {
        let _ = host.ask(&["SET", "session:1", "v"]);
        troubles(&host).is_empty()
    });
}

#[test]
fn a_redis_that_answers_nothing() {
    let (host, redis) =
        check(|redis| redis.pause(), &["the breaker 'store' is open", "stopped answering"], &["stopped answering"]);
    is_open_because(&host, "stopped answering");
    redis.resume();
}

#[test]
fn a_redis_that_is_full() {
    let harm = |redis: &mut RedisServer| {
        redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        redis.cli(&["CONFIG", "SET", "maxmemory", "1mb"]);
    };
    let log = ["the store refuses what it is asked", "\"reason\":\"full\"", "maxmemory-policy volatile-lru"];
    let (host, _redis) = check(harm, &["OOM command not allowed", "maxmemory-policy volatile-lru"], &log);
    assert!(host.metric("larder_store_refusals_total") >= 1.0);
    // It answers: no breaker opens, and readers are not hurt.
    assert!(larder(&host, &["breakers"]).contains("state: closed"));
    host.ask(&["GET", "session:1"]).unwrap();
}

#[test]
fn a_redis_that_wants_another_password() {
    let harm = |redis: &mut RedisServer| {
        redis.cli(&["CONFIG", "SET", "requirepass", "another"]);
        redis.cli(&["-a", "another", "--no-auth-warning", "CLIENT", "KILL", "TYPE", "normal"]);
    };
    let (host, _redis) = check(harm, &["the breaker 'store' is open", "NOAUTH"], &["it refused the greeting: NOAUTH"]);
    is_open_because(&host, "NOAUTH");
}
