//! Many keys at once: each has an answer of its own, and together they cost what one does.

mod loads;

use std::sync::Arc;

use bytes::Bytes;
use larder::engine::api::{Answer, BatchWrite};
use larder::error::Result;
use larder::ports::clock::VirtualClock;
use larder::ports::metrics::State;
use larder::ports::policy::{Absence, Admission, Encoding, Lifetime, Operation, PolicyError, Refusal};

use crate::support::engine::{Rules, World, description, lives};
use crate::support::host::{HostBuilder, command, text};
use crate::support::redis::RedisServer;

const HOUR_MS: u64 = 3_600_000;

fn names(keys: &[&str]) -> Vec<Bytes> {
    keys.iter().map(|key| Bytes::copy_from_slice(key.as_bytes())).collect()
}

fn life() -> Lifetime {
    Lifetime { stale_while_revalidate_ms: HOUR_MS, ..Lifetime::fresh(Some(HOUR_MS)) }
}

/// A domain whose policy refuses some keys and values, and remembers that some are absent.
fn picky(world: &World) {
    let refuse = |text: &str| Refusal::InvalidKey(text.to_owned());
    let rules = Rules {
        plan: Box::new(move |request| {
            let plan = (lives(life()).plan)(request);
            if request.key.starts_with("bad") { Err(PolicyError::Refused(refuse("not this one"))) } else { plan }
        }),
        admit: Box::new(move |request, candidate| match candidate.bytes {
            b"absent" => Ok(Admission::Absent(Absence { fresh_ms: HOUR_MS, tags: Vec::new() })),
            b"pass" => Ok(Admission::Pass(0)),
            b"refuse" => Ok(Admission::Refuse(Refusal::InvalidValue("not this value".into()))),
            _ => (lives(life()).admit)(request, candidate),
        }),
        revalidate: None,
    };
    world.go_live("profile", description(Encoding::Enveloped), rules);
}

fn shown(answers: Vec<Result<Answer>>) -> Vec<String> {
    let show = |answer: Result<Answer>| match answer {
        Ok(answer) => {
            let value = answer.value.map_or_else(|| "-".into(), |value| String::from_utf8_lossy(&value).into_owned());
            format!("{value} ({})", answer.state.as_str())
        }
        Err(error) => error.kind.as_str().to_owned(),
    };
    answers.into_iter().map(show).collect()
}

fn write(key: &str, value: &str) -> BatchWrite {
    BatchWrite {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        asked_ttl_ms: None,
    }
}

#[tokio::test]
async fn each_key_has_an_answer_of_its_own() {
    let world = World::new();
    picky(&world);
    world.raw("note", Lifetime::fresh(None));
    let items = [
        write("profile:a", "1"),
        write("profile:bad", "2"),
        write("note:b", "3"),
        write("profile:c", "pass"),
        write("profile:d", "refuse"),
        write("profile:e", "absent"),
        write("nobody:f", "4"),
        write("profile:g", &"x".repeat(2 << 20)),
    ];
    let states = world.engine.set_each(&items).await;
    let states: Vec<_> = states.iter().map(|s| s.as_ref().map_or_else(|e| e.kind.as_str(), |s| s.as_str())).collect();
    let expect = ["done", "invalid-key", "done", "passed", "invalid-value", "done", "unknown-domain", "invalid-value"];
    assert_eq!(states, expect);
    let keys = ["profile:a", "profile:bad", "note:b", "profile:c", "profile:e", "nobody:f", "note:", "note:b"];
    let expect = [
        "1 (l1-hit)",
        "invalid-key",
        "3 (l1-hit)",
        "- (miss)",
        "- (negative)",
        "unknown-domain",
        "invalid-key",
        "3 (l1-hit)",
    ];
    assert_eq!(shown(world.engine.get_each(&names(&keys)).await), expect);
    // What the first of them is wrong about fails Redis' own command as a whole, and nothing is stored.
    let error = world.engine.get_many(&names(&keys)).await.unwrap_err();
    assert_eq!(error.kind.as_str(), "invalid-key");
    let pairs = [("profile:h".into(), "1".into()), ("profile:bad".into(), "2".into())];
    assert_eq!(world.engine.set_many(&pairs).await.unwrap_err().kind.as_str(), "invalid-key");
    assert_eq!(shown(world.engine.get_each(&names(&["profile:h"])).await), ["- (miss)"]);
    let removed = world.engine.delete_each(&names(&["profile:a", "profile:bad", "note:b", "note:c"])).await;
    let removed: Vec<_> = removed.iter().map(|there| there.as_ref().map_err(|e| e.kind.as_str())).collect();
    assert_eq!(removed, [Ok(&true), Err("invalid-key"), Ok(&true), Ok(&false)]);
    let metrics = world.metrics.domain("profile");
    assert_eq!(metrics.answers(Operation::Read, State::Refused), 2);
    assert_eq!(metrics.answers(Operation::Read, State::Negative), 2);
}

#[tokio::test]
async fn stale_copies_in_l1_answer_a_batch_as_they_answer_one() {
    let world = World::new();
    picky(&world);
    world.engine.set_each(&[write("profile:a", "1"), write("profile:b", "2")]).await;
    world.clock.advance_ms(HOUR_MS);
    let answers = world.engine.get_each(&names(&["profile:a", "profile:b"])).await;
    assert_eq!(shown(answers), ["1 (stale)", "2 (stale)"]);
    world.clock.advance_ms(HOUR_MS);
    assert_eq!(shown(world.engine.get_each(&names(&["profile:a"])).await), ["- (miss)"]);
}

/// How often each command was sent since the last look.
fn sent(redis: &RedisServer) -> String {
    let stats = redis.cli(&["INFO", "commandstats"]);
    redis.cli(&["CONFIG", "RESETSTAT"]);
    let own = ["config", "info", "hello", "client", "select", "ping"];
    let calls = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let own = own.iter().any(|own| name.starts_with(own));
        (!own).then(|| format!("{name} {}", rest.split(',').next().unwrap_or_default()))
    });
    let mut calls: Vec<_> = calls.collect();
    calls.sort();
    calls.join(", ")
}

#[tokio::test]
async fn many_keys_are_one_round_trip() {
    let redis = RedisServer::start();
    let world = |seed| World::over(Arc::new(redis.store()), Arc::new(VirtualClock::new(1_000_000_000_000, seed)));
    let writer = world(1);
    picky(&writer);
    writer.raw("note", Lifetime::fresh(None));
    let keys: Vec<String> = (0..50).flat_map(|n| [format!("profile:{n}"), format!("note:{n}")]).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let items: Vec<_> = keys.iter().map(|key| write(key, "1")).collect();
    writer.engine.set_each(&items).await;
    sent(&redis);
    let reader = world(2);
    picky(&reader);
    reader.raw("note", Lifetime::fresh(None));
    assert!(shown(reader.engine.get_each(&names(&keys)).await).iter().all(|answer| answer == "1 (store-hit)"));
    // The keys, then what is known of the domain's invalidations.
    assert_eq!(sent(&redis), "mget 2");
    assert!(shown(reader.engine.get_each(&names(&keys)).await).iter().any(|answer| answer == "1 (l1-hit)"));
    assert_eq!(sent(&redis), "mget 1");
    assert_eq!(reader.engine.exists(&names(&keys)).await.unwrap(), 100);
    assert_eq!(sent(&redis), "exists 50, mget 1");
    assert_eq!(reader.engine.delete(&names(&keys)).await.unwrap(), 100);
    assert_eq!(sent(&redis), "getdel 50, unlink 50");
    assert_eq!(reader.engine.exists(&names(&keys)).await.unwrap(), 0);
}

#[test]
fn a_domain_plans_all_its_keys_in_one_call() {
    let host = HostBuilder::samples().start();
    let mut client = host.client();
    let keys = ["profile:user:1", "presence:1", "profile:user:2", "presence:2", "profile:user:3", "presence:3"];
    let words: Vec<&str> = ["MGET"].into_iter().chain(keys).collect();
    let _: redis::Value = command(&words).query(&mut client).unwrap();
    let (_, _, page) = host.http("GET", "/metrics", "", b"");
    let page = String::from_utf8(page).unwrap();
    let calls: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("larder_policy_calls_total") && line.contains("plan-batch"))
        .collect();
    let expect = ["presence", "profile"]
        .map(|domain| format!("larder_policy_calls_total{{domain=\"{domain}\",hook=\"plan-batch\"}} 1"));
    assert_eq!(calls, expect);
    assert_eq!(text(&host.ask(&["EXISTS", "profile:user:1"]).unwrap()), "0");
}
