//! What a reader may demand of an answer (RFC 9111 §5.2.1), in virtual time; and over HTTP, on both stores.

use std::sync::Arc;
use std::time::Duration;

use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::api::{Answer, Demand, Forward};
use larder::engine::fill::{Leased, Who};
use larder::engine::l1::L1Settings;
use larder::error::Result;
use larder::ports::clock::VirtualClock;
use larder::ports::load::{LoadOutcome, LoadReason};
use larder::ports::policy::{Encoding, Miss, Plan};

use super::hosts::{beside, host};
use super::{KEY, check, get, lifetime, metrics, settle, world};
use crate::support::engine::{Rules, World, description, lives, loaded};
use crate::support::host::{Host, wait_until};
use crate::support::origin::{Reply, TestOrigin, answer as http_answer};
use crate::support::redis::RedisServer;
use crate::support::script::{answer, unreachable};

const NONE: Demand = Demand {
    anew: false,
    unstored: false,
    only_cached: false,
    age_ms_max: None,
    stale_ms_max: None,
    fresh_ms_min: None,
};
const ANEW: Demand = Demand { anew: true, ..NONE };
const UNSTORED: Demand = Demand { unstored: true, ..NONE };
const ONLY_CACHED: Demand = Demand { only_cached: true, ..NONE };

const fn age(ms: u64) -> Demand {
    Demand { age_ms_max: Some(ms), ..NONE }
}

const fn stale(ms: u64) -> Demand {
    Demand { stale_ms_max: Some(ms), ..NONE }
}

const fn fresh(ms: u64) -> Demand {
    Demand { fresh_ms_min: Some(ms), ..NONE }
}

/// `None`: nothing that may be given without a load.
async fn ask(world: &World, demand: Demand) -> Option<Result<Answer>> {
    let leased = world.engine.get_demanding(KEY, demand, Some(Who::Bearer)).await.transpose();
    leased.map(|leased| leased.map(|Leased { answer, .. }| answer))
}

fn without_l1() -> World {
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let store = Arc::new(MemoryStore::new(MemorySettings::default(), clock.clone()));
    World::with_l1(store, clock, L1Settings { bytes_max: 0, separator: b':', ..L1Settings::default() })
}

/// What a reader with this demand gets of an entry of this age, and how often the origin is asked for it, from L1 and from the store. The
/// entry is fresh for 100 s, stale for 50 s more, and then bridges failures for 30 s.
async fn check_at(age_s: u64, demand: Demand, expect: &str, loads: usize) {
    for world in [World::new(), without_l1()] {
        let origin = world.loading("user", loaded(lifetime()));
        get(&world).await.unwrap();
        world.clock.advance_ms(age_s * 1_000);
        origin.answers([answer(200, "two")]);
        let seen = match ask(&world, demand).await {
            None => "nothing".to_owned(),
            Some(Err(error)) => error.kind.as_str().to_owned(),
            Some(Ok(answer)) => String::from_utf8(answer.value.unwrap().to_vec()).unwrap(),
        };
        settle().await;
        assert_eq!((seen.as_str(), origin.calls() - 1), (expect, loads), "{age_s} s, {demand:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_demand_makes_of_an_entry() {
    check_at(10, ANEW, "two", 1).await;
    check_at(10, age(10_000), "one", 0).await;
    check_at(10, age(9_999), "two", 1).await;
    check_at(10, age(0), "two", 1).await;
    check_at(10, fresh(90_000), "one", 0).await;
    check_at(10, fresh(90_001), "two", 1).await;
    check_at(10, stale(0), "one", 0).await;
    check_at(10, UNSTORED, "one", 0).await;
    check_at(10, ONLY_CACHED, "one", 0).await;
    check_at(10, Demand { only_cached: true, ..age(9_999) }, "nothing", 0).await;
    check_at(10, Demand { only_cached: true, ..ANEW }, "nothing", 0).await;
    // Stale: served and refreshed, unless the reader says otherwise.
    check_at(110, NONE, "one", 1).await;
    check_at(110, age(200_000), "two", 1).await;
    check_at(110, Demand { stale_ms_max: Some(10_000), ..age(200_000) }, "one", 1).await;
    check_at(110, stale(10_000), "one", 1).await;
    check_at(110, stale(9_999), "two", 1).await;
    check_at(110, fresh(0), "two", 1).await;
    check_at(110, ONLY_CACHED, "one", 0).await;
    check_at(110, UNSTORED, "one", 0).await;
    check_at(110, Demand { only_cached: true, ..stale(9_999) }, "nothing", 0).await;
    // What only bridges failures is good enough for who says so.
    check_at(160, NONE, "two", 1).await;
    check_at(160, stale(u64::MAX), "one", 1).await;
    check_at(160, stale(59_999), "two", 1).await;
    check_at(160, Demand { only_cached: true, ..stale(60_000) }, "one", 0).await;
    check_at(160, ONLY_CACHED, "nothing", 0).await;
    // What is past its windows nobody gets.
    check_at(181, stale(u64::MAX), "two", 1).await;
    check_at(181, Demand { only_cached: true, ..stale(u64::MAX) }, "nothing", 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_loaded_anew_is_stored_and_says_so() {
    let (world, origin) = world();
    get(&world).await.unwrap();
    world.clock.advance_ms(1);
    origin.answers([answer(200, "two")]);
    let found = ask(&world, ANEW).await.unwrap();
    check(&found, "two (loaded)");
    let load = found.unwrap().load.unwrap();
    assert_eq!((load.outcome, load.forward), (LoadOutcome::Stored, Forward::Request));
    let asked = origin.asked().pop().unwrap();
    assert!(asked.headers.contains(&("if-none-match".to_owned(), "\"one\"".to_owned())), "{asked:?}");
    check(&get(&world).await, "two (l1-hit)");
    assert_eq!(metrics(&world).loads.begun[LoadReason::Requested as usize].get(), 1);
    // A 304 validates what is held.
    origin.answers([answer(304, "")]);
    world.clock.advance_ms(1);
    check(&ask(&world, ANEW).await.unwrap(), "two (loaded)");
    // An absence that is remembered is asked about anew, too.
    origin.answers([answer(404, ""), answer(200, "three")]);
    world.clock.advance_ms(1);
    check(&ask(&world, ANEW).await.unwrap(), "- (loaded)");
    world.clock.advance_ms(1);
    check(&ask(&world, ONLY_CACHED).await.unwrap(), "- (negative)");
    check(&ask(&world, ANEW).await.unwrap(), "three (loaded)");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_stored_is_not() {
    let (world, origin) = world();
    let found = ask(&world, UNSTORED).await.unwrap();
    check(&found, "one (loaded)");
    assert_eq!(found.unwrap().load.unwrap().outcome, LoadOutcome::Unkept);
    assert!(ask(&world, ONLY_CACHED).await.is_none());
    check(&get(&world).await, "one (loaded)");
    // What is there stays as it is, for those who take it.
    origin.answers([answer(200, "two"), answer(404, "")]);
    world.clock.advance_ms(1);
    check(&ask(&world, Demand { unstored: true, ..ANEW }).await.unwrap(), "two (loaded)");
    check(&ask(&world, Demand { unstored: true, ..ANEW }).await.unwrap(), "- (loaded)");
    check(&get(&world).await, "one (l1-hit)");
}

#[tokio::test(start_paused = true)]
async fn readers_with_demands_share_one_load() {
    let (world, origin) = world();
    get(&world).await.unwrap();
    world.clock.advance_ms(10);
    origin.answers([answer(200, "two")]);
    origin.hold(true);
    let demanding = |demand: Demand| {
        let engine = Arc::clone(&world.engine);
        tokio::spawn(async move { engine.get_demanding(KEY, demand, Some(Who::Bearer)).await })
    };
    let first: Vec<_> = (0..200).map(|n| demanding([ANEW, age(0), fresh(100_000)][n % 3])).collect();
    settle().await;
    assert_eq!(origin.running(), 1);
    // What others are given is not held up.
    check(&get(&world).await, "one (l1-hit)");
    origin.hold(false);
    for reader in first {
        check(&reader.await.unwrap().map(|leased| leased.unwrap().answer), "two (loaded)");
    }
    assert_eq!(origin.calls(), 2, "one for the entry, one for all who would not have it");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_began_before_the_reader_asked_is_not_new_enough() {
    let (world, origin) = world();
    origin.answers([answer(200, "one"), answer(200, "two")]);
    origin.hold(true);
    let engine = Arc::clone(&world.engine);
    let early = tokio::spawn(async move { engine.get(KEY).await });
    settle().await;
    world.clock.advance_ms(5);
    let demanding = |demand: Demand| {
        let engine = Arc::clone(&world.engine);
        tokio::spawn(async move { engine.get_demanding(KEY, demand, Some(Who::Bearer)).await })
    };
    let late: Vec<_> = (0..50).map(|_| demanding(ANEW)).collect();
    let content = demanding(age(10_000));
    settle().await;
    assert_eq!(origin.running(), 1);
    origin.hold(false);
    check(&early.await.unwrap(), "one (loaded)");
    check(&content.await.unwrap().map(|leased| leased.unwrap().answer), "one (loaded)");
    for reader in late {
        check(&reader.await.unwrap().map(|leased| leased.unwrap().answer), "two (loaded)");
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_fails_is_left_alone_whatever_is_demanded() {
    let (world, origin) = world();
    get(&world).await.unwrap();
    origin.answers([unreachable()]);
    world.clock.advance_ms(1);
    for _ in 0..20 {
        check(&ask(&world, ANEW).await.unwrap(), "origin-failed");
    }
    check(&get(&world).await, "one (l1-hit)");
    assert_eq!(origin.calls(), 2);
    world.clock.advance_ms(2_000);
    origin.healthy(false);
    check(&ask(&world, ANEW).await.unwrap(), "origin-unavailable");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_domain_may_ignore_demands() {
    let world = World::new();
    world.obeys_requests.set(false);
    let origin = world.loading("user", loaded(lifetime()));
    check(&ask(&world, Demand { only_cached: true, ..ANEW }).await.unwrap(), "one (loaded)");
    world.clock.advance_ms(1);
    check(&ask(&world, Demand { unstored: true, ..ANEW }).await.unwrap(), "one (l1-hit)");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_an_origin_the_store_has_the_last_word() {
    let leasing = Rules {
        plan: Box::new(|_| Ok(Plan { suffix: None, miss: Miss::Lease, collapse_wait_ms: 0 })),
        ..lives(lifetime())
    };
    for rules in [lives(lifetime()), leasing] {
        let world = World::new();
        world.go_live("user", description(Encoding::Enveloped), rules);
        assert!(ask(&world, ONLY_CACHED).await.is_none());
        world.engine.set(KEY, "one".into(), Default::default()).await.unwrap();
        world.clock.advance_ms(10);
        check(&get(&world).await, "one (l1-hit)");
        for demand in [ANEW, age(5), fresh(100_000), Demand { only_cached: true, ..ANEW }] {
            check(&ask(&world, demand).await.unwrap(), "one (store-hit)");
        }
        for demand in [age(10), UNSTORED, ONLY_CACHED] {
            check(&ask(&world, demand).await.unwrap(), "one (l1-hit)");
        }
        world.engine.delete(&[KEY.into()]).await.unwrap();
        let leased = world.engine.get_demanding(KEY, UNSTORED, Some(Who::Bearer)).await.unwrap().unwrap();
        assert_eq!((leased.answer.value, leased.lease), (None, None), "who stores nothing gets no lease");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_obeys_as_single_reads_do() {
    let (world, origin) = world();
    let keys = ["user:1".into(), "user:2".into()];
    world.engine.get(b"user:1").await.unwrap();
    world.clock.advance_ms(10);
    let ask = async |demand| {
        let states = world.engine.get_each_demanding(&keys, Some(demand)).await;
        states.into_iter().map(|answer| answer.unwrap().state.as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ask(ONLY_CACHED).await, "l1-hit miss");
    assert_eq!(origin.calls(), 1);
    assert_eq!(ask(UNSTORED).await, "l1-hit loaded");
    assert_eq!(ask(ONLY_CACHED).await, "l1-hit miss");
    assert_eq!(ask(ANEW).await, "loaded loaded");
    assert_eq!(origin.calls(), 4);
    assert_eq!(ask(age(0)).await, "l1-hit l1-hit");
}

/// One read with this `Cache-Control`: status, `Cache-Status` without what is left, body.
async fn read(host: &Arc<Host>, path: &'static str, directives: &'static str) -> (u16, String, String) {
    let host = Arc::clone(host);
    beside(move || {
        let (status, head, body) = host.http("GET", path, &format!("cache-control: {directives}\r\n"), b"");
        let field = head.lines().find_map(|line| line.strip_prefix("cache-status: ")).unwrap_or_default();
        let timeless: Vec<_> = field.split("; ").filter(|part| !part.starts_with("ttl=")).collect();
        (status, timeless.join("; "), String::from_utf8(body).unwrap())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_on_both_stores() {
    const PATH: &str = "/v1/cache/profile/user:42";
    let redis = beside(RedisServer::start).await;
    for store in ["memory".to_owned(), redis.url()] {
        let origin = TestOrigin::start(|n, _| http_answer(200, &format!("v{n}"))).await;
        let host = Arc::new(host(&origin, "", "", &store));
        let check = async |directives, expect: (u16, &str, &str)| {
            let (status, field, body) = read(&host, PATH, directives).await;
            let body = if status == 200 { body.as_str() } else { "" };
            let field = field.replace("; key=\"profile:user:42\"", "");
            assert_eq!((status, field.as_str(), body), expect, "{store}: {directives}");
        };
        check("only-if-cached", (504, "larder; detail=only-if-cached", "")).await;
        assert_eq!(origin.requests(), 0);
        check("no-store", (200, "larder; fwd=miss; fwd-status=200; stored=?0; detail=no-store", "v0")).await;
        check("only-if-cached", (504, "larder; detail=only-if-cached", "")).await;
        check("no-cache", (200, "larder; fwd=miss; fwd-status=200; stored; detail=stored", "v1")).await;
        check("max-age=3600", (200, "larder; hit; detail=l1", "v1")).await;
        check("no-cache", (200, "larder; fwd=request; fwd-status=200; stored; detail=stored", "v2")).await;
        check("max-lunch", (200, "larder; hit; detail=l1", "v2")).await;
        check("min-fresh=999999", (200, "larder; fwd=request; fwd-status=200; stored; detail=stored", "v3")).await;
        check("max-age=abc", (400, "", "")).await;
        let asked = Arc::clone(&host);
        let batch = beside(move || {
            let head = "cache-control: only-if-cached\r\ncontent-type: application/json\r\n";
            asked.http("POST", "/v1/cache/profile/batch", head, br#"{"get":["user:42","user:43"]}"#)
        });
        let (status, _, body) = batch.await;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, &body["get"]["user:42"]["text"]), (200, &"v3".into()));
        assert_eq!(body["get"]["user:43"], serde_json::json!({ "state": "miss" }));
        assert_eq!(origin.requests(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_wants_nothing_cached_is_no_stampede() {
    let v1 = b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nv1".to_vec();
    let redis = beside(RedisServer::start).await;
    let origin = TestOrigin::in_turn(vec![http_answer(200, "v0"), Reply::Gated(v1)]).await;
    let hosts = [0, 1].map(|_| Arc::new(host(&origin, "", "", &redis.url())));
    read(&hosts[0], "/v1/cache/profile/user:42", "max-age=60").await;
    let crowd: Vec<_> = (0..40)
        .map(|n| {
            let host = Arc::clone(&hosts[n % 2]);
            tokio::spawn(async move { read(&host, "/v1/cache/profile/user:42", "no-cache").await })
        })
        .collect();
    while origin.requests() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = origin.requests();
    assert_eq!(before, 2, "one load of the key at a time, whoever asks how often");
    origin.let_out(1_000);
    for reader in crowd {
        let (status, field, body) = reader.await.unwrap();
        assert_eq!((status, body.as_str()), (200, "v1"), "{field}");
    }
    // Who came while a load was under way has one that began after it asked: at most as many as there were rounds of them.
    assert!(origin.requests() <= 2 + 2 * hosts.len(), "{} loads", origin.requests());
    let explained = Arc::clone(&hosts[0]);
    beside(move || wait_until("it is fresh", || explained.explain("profile:user:42")["life"] == "fresh")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_have_them_ignored() {
    let origin = TestOrigin::start(|n, _| http_answer(200, &format!("v{n}"))).await;
    let limits = "load_ms = 30000\nload_soft_ms = 30000\nrequest_directives = \"ignore\"";
    let host = Arc::new(host(&origin, "", limits, "memory"));
    for directives in ["only-if-cached", "no-cache", "no-store"] {
        let (status, _, body) = read(&host, "/v1/cache/profile/user:42", directives).await;
        assert_eq!((status, body.as_str()), (200, "v0"), "{directives}");
    }
    assert_eq!(origin.requests(), 1);
}
