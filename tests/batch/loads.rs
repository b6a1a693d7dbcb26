//! Keys of a batch that have to be loaded: one load for each key, however it is read, few at once, and one request for many where the
//! policy knows one. And batches while the store is away.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::limits::BATCH_LOADS_MAX;
use larder::ports::clock::VirtualClock;
use larder::ports::hooks::{Abilities, Ability, Hooks};
use larder::ports::metrics::State;
use larder::ports::origin::{Acceptance, BatchValues, OriginRequest, OriginResponse};
use larder::ports::policy::{Admission, Candidate, Encoding, Lifetime, Plan, Policy, PolicyError, Request};

use super::{HOUR_MS, names, sent, shown, write};
use crate::support::engine::{Rules, World, description, loaded};
use crate::support::gated::GatedStore;
use crate::support::redis::RedisServer;
use crate::support::script::{Script, answer, unreachable};

fn life() -> Lifetime {
    Lifetime { stale_if_error_ms: HOUR_MS, ..Lifetime::fresh(Some(HOUR_MS)) }
}

/// Rules that ask for many keys at once: `/many?a,b`; the answer has a line for each, an empty one for an absent value.
struct Together(Rules);

impl Hooks for Together {
    fn abilities(&self) -> Abilities {
        Abilities::default().with(Ability::Loading)
    }

    fn origin_request(&self, request: &Request<'_>) -> Result<OriginRequest, PolicyError> {
        Ok(OriginRequest { path: format!("/one?{}", request.key), headers: Vec::new() })
    }

    fn batch_request(&self, requests: &[Request<'_>]) -> Result<Option<OriginRequest>, PolicyError> {
        let keys: Vec<&str> = requests.iter().map(|request| request.key).collect();
        let alone = keys.contains(&"alone");
        Ok((!alone).then(|| OriginRequest { path: format!("/many?{}", keys.join(",")), headers: Vec::new() }))
    }

    fn accept(&self, _request: &Request<'_>, response: &OriginResponse) -> Result<Acceptance, PolicyError> {
        Ok(Acceptance::of_status(response.status))
    }

    fn split(&self, requests: &[Request<'_>], body: &[u8]) -> Result<BatchValues, PolicyError> {
        let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
        if lines.len() != requests.len() {
            return Ok(Err("the answer has another number of lines".to_owned()));
        }
        Ok(Ok(lines.into_iter().map(|line| (!line.is_empty()).then(|| line.to_vec())).collect()))
    }
}

impl Policy for Together {
    fn plan(&self, request: &Request<'_>) -> Result<Plan, PolicyError> {
        self.0.plan(request)
    }

    fn plan_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Plan, PolicyError>>, PolicyError> {
        self.0.plan_batch(requests)
    }

    fn admit(&self, request: &Request<'_>, candidate: &Candidate<'_>) -> Result<Admission, PolicyError> {
        self.0.admit(request, candidate)
    }
}

fn together() -> (World, Arc<Script>) {
    let world = World::new();
    let script = Script::new(&world.clock);
    let rules = Together(loaded(life()));
    world.go_live_from("user", description(Encoding::Enveloped), rules, Some(script.clone()));
    (world, script)
}

fn paths(script: &Script) -> Vec<String> {
    script.asked().into_iter().map(|asked| asked.path).collect()
}

async fn read(world: &World, keys: &[&str]) -> Vec<String> {
    shown(world.engine.get_each(&names(keys)).await)
}

/// Lets what was begun come to where it waits. The memory store never waits.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_key_is_loaded_once_whether_alone_or_in_a_batch() {
    let world = World::new();
    let origin = world.loading("user", loaded(life()));
    origin.hold(true);
    let many = names(&["user:1", "user:2", "user:1"]);
    let batch = world.engine.get_each(&many);
    let release = async {
        settle().await;
        origin.hold(false);
        world.engine.get(b"user:1").await
    };
    let keys = names(&["user:1"]);
    let ((answers, single), other) = Box::pin(join(join(batch, release), world.engine.get_each(&keys))).await;
    assert_eq!(shown(answers), ["one (loaded)"; 3]);
    assert_eq!(shown(vec![single])[0].split(' ').next(), Some("one"));
    assert_eq!(shown(other), ["one (loaded)"]);
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn few_loads_of_a_batch_run_at_once() {
    let world = World::new();
    let origin = world.loading("user", loaded(life()));
    origin.hold(true);
    let keys: Vec<Bytes> = (0..3 * BATCH_LOADS_MAX).map(|n| format!("user:{n}").into()).collect();
    let watch = async {
        settle().await;
        let running = origin.running();
        origin.hold(false);
        running
    };
    let (answers, running) = join(world.engine.get_each(&keys), watch).await;
    assert_eq!(running, BATCH_LOADS_MAX);
    assert!(shown(answers).iter().all(|answer| answer == "one (loaded)"));
    assert_eq!(origin.calls(), keys.len());
}

#[tokio::test]
async fn what_the_policy_can_load_together_is_one_request() {
    let (world, origin) = together();
    origin.answers([answer(200, "1\n\n3"), answer(200, "4")]);
    let keys = ["user:a", "user:b", "user:c"];
    assert_eq!(read(&world, &keys).await, ["1 (loaded)", "- (loaded)", "3 (loaded)"]);
    assert_eq!(paths(&origin), ["/many?a,b,c"]);
    assert_eq!(read(&world, &keys).await, ["1 (l1-hit)", "- (negative)", "3 (l1-hit)"]);
    // One that is missing is asked for by itself, and so is what no request for many is known for.
    assert_eq!(read(&world, &["user:a", "user:d"]).await, ["1 (l1-hit)", "4 (loaded)"]);
    assert_eq!(read(&world, &["user:alone", "user:e"]).await, ["4 (loaded)", "4 (loaded)"]);
    let mut asked = paths(&origin).split_off(1);
    asked.sort();
    assert_eq!(asked, ["/one?alone", "/one?d", "/one?e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ninety_hits_of_a_hundred_are_one_round_trip_and_one_load() {
    let redis = tokio::task::spawn_blocking(RedisServer::start).await.unwrap();
    let node = |seed| {
        let world = World::over(Arc::new(redis.store()), Arc::new(VirtualClock::new(1_000_000_000_000, seed)));
        let script = Script::new(&world.clock);
        let rules = Together(loaded(life()));
        world.go_live_from("user", description(Encoding::Enveloped), rules, Some(script.clone()));
        (world, script)
    };
    let keys: Vec<String> = (0..100).map(|n| format!("user:{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (writer, _) = node(1);
    let items: Vec<_> = keys[..90].iter().map(|key| write(key, "held")).collect();
    writer.engine.set_each(&items).await;
    let (reader, script) = node(2);
    // What is known of the domain's invalidations, this node asks for once.
    read(&reader, &["user:0"]).await;
    script.answers([answer(200, &["loaded"; 10].join("\n"))]);
    sent(&redis);
    let answers = read(&reader, &keys).await;
    assert_eq!(answers.iter().filter(|it| *it == "held (store-hit)").count(), 89, "{answers:?}");
    assert_eq!(answers.iter().filter(|it| *it == "held (l1-hit)").count(), 1);
    assert_eq!(answers.iter().filter(|it| *it == "loaded (loaded)").count(), 10);
    assert_eq!(script.calls(), 1, "{:?}", paths(&script));
    // One read for all keys, and one of what the fences of the ten that are loaded have in common. A lease and a fill for each of those.
    let sent = sent(&redis);
    let of = |name: &str| sent.split(", ").find_map(|it| it.strip_prefix(name)?.trim().parse::<usize>().ok());
    assert_eq!((of("mget"), of("evalsha")), (Some(2), Some(20)), "{sent}");
    assert_eq!(read(&reader, &keys).await.iter().filter(|it| it.ends_with("(l1-hit)")).count(), 100);
}

#[tokio::test]
async fn a_key_that_somebody_loads_is_left_out_and_waited_for() {
    let (world, origin) = together();
    origin.answers_to("/one", answer(200, "single"));
    origin.answers_to("/many", answer(200, "2\n3"));
    origin.hold(true);
    let batch = async {
        while origin.running() == 0 {
            tokio::task::yield_now().await;
        }
        let keys = names(&["user:a", "user:b", "user:c"]);
        let batch = world.engine.get_each(&keys);
        let release = async {
            settle().await;
            origin.hold(false);
        };
        join(batch, release).await.0
    };
    let (single, answers) = join(world.engine.get(b"user:a"), batch).await;
    assert_eq!(shown(vec![single]), ["single (loaded)"]);
    assert_eq!(shown(answers), ["single (loaded)", "2 (loaded)", "3 (loaded)"]);
    assert_eq!(paths(&origin), ["/one?a", "/many?b,c"]);
}

#[tokio::test]
async fn a_request_for_many_that_fails_is_a_failed_load_of_each() {
    let keys = ["user:a", "user:b"];
    for reply in [answer(500, ""), answer(404, ""), answer(200, "only one line"), unreachable()] {
        let (world, origin) = together();
        origin.answers([answer(200, "1\n2"), reply]);
        read(&world, &keys).await;
        world.clock.advance_ms(HOUR_MS);
        // The stale values bridge it.
        assert_eq!(read(&world, &keys).await, ["1 (stale)", "2 (stale)"]);
        assert_eq!(read(&world, &["user:c", "user:d"]).await, ["origin-failed"; 2]);
        assert_eq!(paths(&origin), ["/many?a,b", "/many?a,b", "/many?c,d"]);
        // Now they rest, as after a failed load of one.
        assert_eq!(read(&world, &["user:c", "user:d"]).await, ["origin-failed"; 2]);
        assert_eq!(origin.calls(), 3);
    }
}

#[tokio::test]
async fn a_write_overtakes_a_load_of_many() {
    let (world, origin) = together();
    origin.hold(true);
    origin.answers([answer(200, "1\n2")]);
    let write = async {
        settle().await;
        world.engine.set(b"user:a", "new".into(), larder::engine::api::SetOptions::default()).await.unwrap();
        origin.hold(false);
    };
    let keys = names(&["user:a", "user:b"]);
    let (answers, ()) = join(world.engine.get_each(&keys), write).await;
    let answers = shown(answers);
    assert!(answers[0].starts_with("new ("), "{answers:?}");
    assert_eq!(answers[1], "2 (loaded)");
    assert_eq!(read(&world, &["user:a"]).await, ["new (l1-hit)"]);
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn a_batch_without_the_store_answers_as_single_reads_do() {
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let store = Arc::new(GatedStore::new(MemoryStore::new(MemorySettings::default(), clock.clone())));
    let world = World::over(store.clone(), clock);
    super::picky(&world);
    world.engine.set_each(&[super::write("profile:a", "1"), super::write("profile:b", "2")]).await;
    store.set_away(true);
    let keys = ["profile:a", "profile:c", "profile:bad", "profile:b"];
    for ms in [0, 2_000, HOUR_MS] {
        world.clock.advance_ms(ms);
        let mut single = Vec::new();
        for key in keys {
            single.push(world.engine.get(key.as_bytes()).await);
        }
        let batch = read(&world, &keys).await;
        assert_eq!(batch, shown(single), "after {ms} ms");
        assert_eq!(batch[1], "store-unavailable");
        assert!(batch[0].starts_with("1 ("), "{batch:?}");
    }
    let writes = world.engine.set_each(&[super::write("profile:a", "3")]).await;
    assert_eq!(writes[0].as_ref().unwrap_err().kind.as_str(), "store-unavailable");
    assert_eq!(world.metrics.domain("profile").answers(larder::ports::policy::Operation::Write, State::Done), 2);
}
