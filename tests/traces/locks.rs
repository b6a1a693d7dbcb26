//! Locks in traces: taken over RESP, over HTTP and by a policy, with the wait for them, and given back by whom nobody waits for.

use super::{named, traced};
use crate::support::collector::{Collector, Manner, Span};
use crate::support::host::{Host, HostBuilder, guest};
use crate::support::redis::RedisServer;

const CLERK: &str = "[settings]\n[grants]\ninterfaces = [\"redis\", \"lock\", \"breaker\"]\n[limits]\nhook_ms = 1000\n";

fn host(collector: &Collector, redis: Option<&RedisServer>) -> Host {
    let builder = HostBuilder::samples().policy("clerk", &guest("clerk")).toml("clerk", CLERK);
    let builder = traced(builder, collector, "always_on", "").env("CACHE_MAX_LATENCY_MS", "10000");
    match redis {
        Some(redis) => builder.arg("--store").arg(redis.url()).start(),
        None => builder.start(),
    }
}

/// The spans of the trace that began with this.
fn below(spans: &[Span], root: &str) -> Vec<Span> {
    let trace = &named(spans, root).trace;
    spans.iter().filter(|span| &span.trace == trace).cloned().collect()
}

/// What is asked leaves one span of a lock, with this outcome, and its question to the store below it.
#[track_caller]
fn check(collector: &Collector, ask: impl FnOnce(), root: &str, lock: &str, outcome: &str) {
    collector.forget();
    ask();
    let name = format!("lock {lock}");
    // What an earlier request left to do may end only now: what counts is of one trace.
    let spans = collector.waits_for(&format!("{root}: {name}"), |spans| {
        let root = spans.iter().find(|it| it.name == root);
        root.is_some_and(|root| spans.iter().any(|it| it.name == name && it.trace == root.trace))
    });
    let spans = below(&spans, root);
    let (span, asked) = (named(&spans, &name), named(&spans, &format!("store lock-{lock}")));
    assert_eq!((span.at("larder.outcome"), &asked.parent), (outcome, &span.id), "{root}: {name}");
    assert_eq!((span.at("larder.layer"), span.kind, span.status), ("lock", 1, 0), "{root}: {name}");
    assert!(spans.iter().any(|above| above.id == span.parent), "it is below its request");
    assert!(spans.iter().flat_map(|span| span.attributes.values()).all(|value| !value.contains("42")), "{spans:#?}");
}

fn each_way(redis: Option<RedisServer>) {
    let collector = Collector::start(Manner::Takes);
    let host = host(&collector, redis.as_ref());
    let resp = |words: &[&str]| {
        let words = [&["LARDER.LOCK"], words].concat();
        format!("{:?}", host.ask(&words))
    };
    let mut token = String::new();
    let take =
        || token = resp(&["ACQUIRE", "jobs/42", "TTL", "60000"]).split('"').nth(3).unwrap_or_default().to_owned();
    check(&collector, take, "LARDER.LOCK|ACQUIRE", "take", "acquired");
    let (wait, extend) =
        (["ACQUIRE", "jobs/42", "TTL", "60000", "WAIT", "50"], ["EXTEND", "jobs/42", &token, "TTL", "60000"]);
    check(&collector, || drop(resp(&wait)), "LARDER.LOCK|ACQUIRE", "take", "contended");
    // The wait is within the span, and what was asked meanwhile below it.
    let spans = collector.spans();
    let waited = named(&spans, "lock take");
    assert!(waited.ended_ns - waited.began_ns >= 50_000_000, "{waited:?}");
    let tries = spans.iter().filter(|span| span.name == "store lock-take" && span.parent == waited.id).count();
    assert!(tries >= 2, "{spans:#?}");
    check(&collector, || drop(resp(&extend)), "LARDER.LOCK|EXTEND", "extend", "extended");
    check(&collector, || drop(resp(&["RELEASE", "jobs/42", &token])), "LARDER.LOCK|RELEASE", "release", "released");
    check(&collector, || drop(resp(&["RELEASE", "jobs/42", &token])), "LARDER.LOCK|RELEASE", "release", "not-held");

    let http = |method: &str, body: &str| {
        let (status, _, body) = host.http(method, "/v1/locks/jobs/42", "", body.as_bytes());
        assert!((200..300).contains(&status), "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default()["token"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    let route = |method: &str| format!("{method} /v1/locks/{{*name}}");
    let mut token = String::new();
    check(&collector, || token = http("POST", "{\"ttl_ms\": 60000}"), &route("POST"), "take", "acquired");
    let said = format!("{{\"token\": \"{token}\"}}");
    check(&collector, || drop(http("PATCH", &said)), &route("PATCH"), "extend", "extended");
    check(&collector, || drop(http("DELETE", &said)), &route("DELETE"), "release", "released");

    // A policy: below its hook. One that forgets its lock has it given back by nobody, and that is of its request, too.
    let policy = |what: &'static str| {
        let host = &host;
        move || {
            let words = ["LARDER.CALL", "clerk", "lock", "n42", "60000", "20000"];
            host.ask(&[&words[..], &what.split(' ').collect::<Vec<_>>()].concat()).unwrap();
        }
    };
    check(&collector, policy("extend 60000"), "LARDER.CALL", "take", "acquired");
    check(&collector, policy("release"), "LARDER.CALL", "release", "released");
    check(&collector, policy("forget"), "LARDER.CALL", "release", "released");
    let spans = collector.spans();
    assert_eq!(named(&spans, "lock take").parent, named(&spans, "policy on-command").id);
}

#[test]
fn locks_in_memory_are_spans() {
    each_way(None);
}

#[test]
fn locks_in_redis_are_spans() {
    each_way(Some(RedisServer::start()));
}

#[test]
fn a_lock_that_the_store_does_not_give_fails_its_span() {
    let (collector, redis) = (Collector::start(Manner::Takes), RedisServer::start());
    let host = host(&collector, Some(&redis));
    drop(redis);
    host.ask(&["LARDER.LOCK", "ACQUIRE", "jobs/42", "TTL", "60000"]).unwrap_err();
    let spans = collector.waits_for("the span", |spans| spans.iter().any(|it| it.name == "LARDER.LOCK|ACQUIRE"));
    let spans = below(&spans, "LARDER.LOCK|ACQUIRE");
    let (lock, store) = (named(&spans, "lock take"), named(&spans, "store lock-take"));
    assert_eq!((lock.status, store.status), (2, 2), "{spans:#?}");
    assert!(lock.at("error.type").starts_with("store-") && !lock.attributes.contains_key("larder.outcome"), "{lock:?}");
}
