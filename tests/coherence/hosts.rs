//! Hosts over one real Redis: what one writes the other sees, long before the bound; and what they do when Redis stops, dies, comes back
//! without its data or with other data, or the network between is cut. The bound is 20 s where a test shows that it is not needed.

use std::time::{Duration, Instant};

use redis::Value;

use crate::support::host::{Host, HostBuilder, text, wait_until};
use crate::support::proxy::Proxy;
use crate::support::redis::{RedisServer, redis_cli};

/// Long before the bound of 20 s, on a busy machine.
const SOON: Duration = Duration::from_secs(8);

pub(super) fn host(store: &str, settings: &[&str]) -> Host {
    let host = HostBuilder::new().sample("default").sample("profile").sample("presence").arg("--store").arg(store);
    let with = |host: HostBuilder, setting: &&str| host.arg("--set").arg(*setting);
    settings.iter().fold(host, with).start()
}

/// A host whose calls of Redis may take as long as this machine lets them.
pub(super) fn patient(store: &str, trust: &str) -> Host {
    let host = host(store, &["store.timeout=10s", &format!("l1.trust={trust}")]);
    wait_until("changes are told", || state(&host) == "1");
    host
}

pub(super) fn get(host: &Host, key: &str) -> String {
    host.ask(&["GET", key]).map_or_else(|error| format!("error: {error}"), |value: Value| text(&value))
}

fn set(host: &Host, key: &str, value: &str) {
    assert_eq!(text(&host.ask(&["SET", key, value]).unwrap()), "OK");
}

pub(super) fn metric(host: &Host, name: &str) -> String {
    let (_, _, body) = host.http("GET", "/metrics", "", b"");
    let page = String::from_utf8(body).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

pub(super) fn state(host: &Host) -> String {
    metric(host, "larder_coherence_state")
}

/// How a read over HTTP is answered: `detail` of Cache-Status and the value; or the status.
pub(super) fn status(host: &Host, domain: &str, key: &str) -> String {
    let (status, head, body) = host.http("GET", &format!("/v1/cache/{domain}/{key}"), "", b"");
    if status != 200 {
        return status.to_string();
    }
    let line = head.lines().find(|line| line.starts_with("cache-status:")).unwrap();
    let detail = line.split("detail=").nth(1).unwrap();
    format!("{} {detail}", String::from_utf8(body).unwrap())
}

/// Waits until the key is answered from L1 with this value.
pub(super) fn copied(host: &Host, key: &str, value: &str) {
    wait_until(&format!("there is a copy of {key}"), || {
        get(host, key) == value && host.explain(key).get("from").is_some_and(|from| from == "l1")
    });
}

#[track_caller]
pub(super) fn soon(what: &str, is_true: impl FnMut() -> bool) {
    let took = wait_until(what, is_true);
    assert!(took < SOON, "{what}: only after {took:?}");
}

#[test]
fn one_host_sees_what_the_other_writes() {
    let redis = RedisServer::start();
    let (one, other) = (patient(&redis.url(), "20s"), patient(&redis.url(), "20s"));
    for key in ["profile:user:1", "plainly", "presence:1"] {
        set(&one, key, "1");
        copied(&other, key, "1");
        set(&one, key, "2");
        soon("the other sees the write", || get(&other, key) == "2");
        copied(&other, key, "2");
        assert_eq!(text(&one.ask(&["DEL", key]).unwrap()), "1");
        soon("the other sees the delete", || get(&other, key) == "nil");
    }
    set(&one, "profile:user:1", "3");
    copied(&other, "profile:user:1", "3");
    one.ask(&["LARDER.INVALIDATE", "DOMAIN", "profile"]).unwrap();
    soon("the other sees the invalidation", || get(&other, "profile:user:1") == "nil");
    // Somebody who knows nothing of hosts, and time itself.
    copied_after(&redis, &other, "plainly", "4");
    redis.cli(&["SET", "plainly", "5"]);
    soon("a write past all hosts is seen", || get(&other, "plainly") == "5");
    redis.cli(&["FLUSHALL"]);
    soon("that everything is gone is seen", || get(&other, "plainly") == "nil");
    redis.cli(&["SET", "plainly", "6", "PX", "3000"]);
    copied(&other, "plainly", "6");
    soon("it expires", || get(&other, "plainly") == "nil");
}

fn copied_after(redis: &RedisServer, host: &Host, key: &str, value: &str) {
    redis.cli(&["SET", key, value]);
    copied(host, key, value);
}

#[test]
fn a_lost_stream_costs_the_copies_and_no_truth() {
    let redis = RedisServer::start();
    let one = patient(&redis.url(), "20s");
    copied_after(&redis, &one, "plainly", "1");
    let flushes = metric(&one, "larder_coherence_flushes_total");
    // The one connection that follows, and nobody told of what happens until it does again.
    let list = redis.cli(&["CLIENT", "LIST"]);
    let line =
        list.lines().find(|line| line.contains(" flags=tB ") || line.contains(" flags=Bt ")).expect("it follows");
    let id = line.split_whitespace().next().unwrap().strip_prefix("id=").unwrap();
    redis.cli(&["CLIENT", "KILL", "ID", id]);
    redis.cli(&["SET", "plainly", "2"]);
    soon("it is seen", || get(&one, "plainly") == "2");
    wait_until("it follows again", || metric(&one, "larder_coherence_flushes_total") != flushes);
    copied(&one, "plainly", "2");
}

#[test]
fn a_redis_that_comes_back_with_other_data_is_believed() {
    let mut redis = RedisServer::start();
    let one = patient(&redis.url(), "20s");
    copied_after(&redis, &one, "plainly", "1");
    set(&one, "profile:user:1", "1");
    copied(&one, "profile:user:1", "1");
    redis.restart();
    redis.cli(&["SET", "plainly", "2"]);
    soon("the other data is seen", || get(&one, "plainly") == "2");
    soon("what is gone is gone", || get(&one, "profile:user:1") == "nil");
}

#[test]
fn a_redis_that_is_killed_leaves_its_copies() {
    let mut redis = RedisServer::start();
    let one = patient(&redis.url(), "1s");
    set(&one, "profile:user:1", "1");
    copied(&one, "profile:user:1", "1");
    redis.kill();
    wait_until("the copy is past the bound", || status(&one, "profile", "user:1") == "1 stale-store-unavailable");
    assert_eq!(state(&one), "2");
    assert_eq!(get(&one, "profile:user:1"), "1");
    assert_eq!(one.explain("profile:user:1")["state"], "stale-store-unavailable");
    assert!(get(&one, "profile:user:2").starts_with("error: "));
    assert!(one.ask(&["SET", "profile:user:1", "2"]).is_err());
    assert!(get(&one, "profile:user:1").starts_with("error: "), "nobody knows what a failed write left behind");
}

#[test]
fn a_redis_that_stops_costs_its_budget_and_then_nothing() {
    let redis = RedisServer::start();
    let one = host(&redis.url(), &["store.timeout=100ms", "l1.trust=1s"]);
    wait_until("changes are told", || state(&one) == "1");
    wait_until("it is written", || one.ask(&["SET", "profile:user:1", "1"]).is_ok());
    wait_until("there is a copy", || get(&one, "profile:user:1") == "1");
    redis.pause();
    let mut client = one.client();
    let mut refusal = || {
        let answer = redis::cmd("GET").arg("profile:user:2").query::<Value>(&mut client);
        answer.expect_err("it is away").to_string()
    };
    // Each call takes its budget and says so, until the breaker opens.
    let first = refusal();
    assert!(first.contains("did not answer within 100 ms"), "{first}");
    wait_until("the breaker opens", || {
        refusal();
        metric(&one, r#"cache_circuit_breaker_state{name="store"}"#) == "1"
    });
    // Then none begins: nothing is asked of Redis, so nothing waits for it.
    let kept_back = || -> u64 {
        let name = r#"larder_circuit_breaker_calls_total{name="store",outcome="not-permitted"}"#;
        metric(&one, name).parse().unwrap()
    };
    refusal();
    let before = kept_back();
    for _ in 0..1_000 {
        let each = refusal();
        assert!(each.contains("circuit") || each.contains("breaker"), "{each}");
    }
    assert!(kept_back() >= before + 1_000, "{} of 1,000", kept_back() - before);
    redis.resume();
    // Not after the breaker's minute: as soon as it is heard again.
    soon("it serves again", || get(&one, "profile:user:2") == "nil");
    redis.cli(&["SET", "plainly", "9"]);
    soon("it reads", || get(&one, "plainly") == "9");
}

#[test]
fn a_host_that_is_cut_off_serves_nothing_old_as_fresh() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(redis.port());
    let (cut_off, other) = (host(&proxy.url(), &["l1.trust=1s", "store.timeout=300ms"]), patient(&redis.url(), "1s"));
    wait_until("changes are told", || state(&cut_off) == "1");
    for round in 0..3 {
        let (old, new) = (format!("old {round}"), format!("new {round}"));
        set(&other, "profile:user:1", &old);
        wait_until("there is a copy", || status(&cut_off, "profile", "user:1") == format!("{old} l1"));
        proxy.partition();
        let began = Instant::now();
        set(&other, "profile:user:1", &new);
        let written = Instant::now();
        // As fresh for the bound at most, and never again.
        while began.elapsed() < Duration::from_millis(2_500) {
            let asked = Instant::now();
            let seen = status(&cut_off, "profile", "user:1");
            let fresh = seen == format!("{old} l1") || seen == format!("{old} store");
            assert!(!fresh || asked < written + Duration::from_millis(1_000), "{seen}");
        }
        proxy.heal();
        wait_until("it reads again", || {
            let seen = status(&cut_off, "profile", "user:1");
            assert!(seen != format!("{old} l1") && seen != format!("{old} store"), "{seen}");
            seen == format!("{new} store") || seen == format!("{new} l1")
        });
    }
}

#[test]
fn a_delete_that_could_not_reach_redis_is_done_when_it_can() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(redis.port());
    let (cut_off, other) = (host(&proxy.url(), &["l1.trust=1s", "store.timeout=300ms"]), patient(&redis.url(), "1s"));
    wait_until("changes are told", || state(&cut_off) == "1");
    for key in ["profile:user:1", "profile:user:2", "presence:1"] {
        set(&other, key, "1");
    }
    proxy.partition();
    for key in ["profile:user:1", "profile:user:2", "presence:1"] {
        let error = cut_off.ask(&["DEL", key]).expect_err("it is cut off").to_string();
        assert!(error.contains("it is done when the store is back"), "{error}");
    }
    assert_eq!(metric(&cut_off, "larder_recovery_waiting"), "3");
    assert!(get(&cut_off, "profile:user:1").starts_with("error: "));
    proxy.heal();
    wait_until("nothing waits", || metric(&cut_off, "larder_recovery_waiting") == "0");
    for key in ["profile:user:1", "presence:1"] {
        wait_until("the deleted is gone", || {
            let seen = get(&cut_off, key);
            assert!(seen == "nil" || seen.starts_with("error: "), "{key}: {seen}");
            seen == "nil"
        });
        wait_until("the other knows", || get(&other, key) == "nil");
        assert_eq!(redis.cli(&["EXISTS", &format!("chat:v1:{key}")]), "0", "{key}");
    }
    let log = cut_off.log();
    assert!(log.contains("the store knows of all invalidations that had to wait"), "{log}");
}

#[test]
fn a_redis_that_refuses_to_tell_is_believed_for_the_bound() {
    let redis =
        RedisServer::start_with(&["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-client|tracking"]);
    let one = host(&redis.url(), &["store.timeout=10s", "l1.trust=1s"]);
    wait_until("it was refused", || metric(&one, "larder_coherence_refused_total") != "0");
    assert_eq!(state(&one), "0");
    set(&one, "profile:user:1", "1");
    assert_eq!(get(&one, "profile:user:1"), "1");
    redis_cli(redis.port(), &["DEL", "chat:v1:profile:user:1"]);
    wait_until("the bound is over", || get(&one, "profile:user:1") == "nil");
    assert_eq!(one.log().matches("refuses to tell its changes").count(), 1, "{}", one.log());
}
