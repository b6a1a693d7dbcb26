//! Whatever changes a key under the version of now: nothing older comes back after it. A table of commands, on every store.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::FutureExt as _;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::Engine;
use larder::engine::api::{AskedTtl, BatchWrite, Condition, ExpireCondition, SetOptions, Update};
use larder::engine::fill::Who;
use larder::engine::step::{DataCommand, Form, Grows, Read, Step, Wanted};
use larder::error::{Error, ErrorKind};
use larder::ports::clock::VirtualClock;
use larder::ports::hooks::{Abilities, Ability, Hooks};
use larder::ports::invalidation::Mode;
use larder::ports::policy::{
    Admission, Candidate, Encoding, Miss, Plan, Policy, PolicyError, Request, Selector, Shape,
};
use larder::ports::store::{Expire, Reply, Store, StoreKey, Ttl};
use larder::ports::upstream::Types;

use super::{Migrating, get, left, of_version, rules, set};
use crate::support::engine::{Rules, World};
use crate::support::gated::GatedStore;
use crate::support::redis::RedisServer;

const KEY: &[u8] = b"doc:k";

fn words(line: &str) -> Vec<Bytes> {
    line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
}

/// A command whose keys are its words `doc:…`.
fn command(line: &str, form: Form) -> DataCommand {
    let args = words(line);
    let keys = (0..args.len()).filter(|&at| args[at].starts_with(b"doc:")).collect();
    DataCommand { args, keys, form }
}

fn set_step(options: SetOptions) -> Step {
    Step::Set { key: KEY.into(), value: "new".into(), options, answer: |_, _| Reply::ok() }
}

/// Every way to change a key; `k` has been written by an older version.
const CHANGES: &[&str] = &[
    "set",
    "set nx",
    "set xx get",
    "set keepttl",
    "set past",
    "mset",
    "batch set",
    "batch delete",
    "append",
    "incr",
    "setrange",
    "getdel",
    "getex",
    "expire",
    "expire now",
    "persist",
    "del",
    "invalidate key",
    "invalidate pattern",
    "rename from",
    "rename to",
    "copy to",
    "lpush",
    "sadd",
    "multi set",
    "multi set nx",
    "multi mset",
    "multi del",
    "multi incr",
    "multi getex",
    "multi persist",
    "multi expire",
    "fill",
    "flush",
];

async fn change(world: &World, what: &str) -> Result<(), Error> {
    let engine = &world.engine;
    let key = || Bytes::from_static(KEY);
    let item = || BatchWrite { key: key(), value: "new".into(), asked_ttl_ms: None };
    let with = |condition, want_previous| SetOptions { condition, want_previous, ..SetOptions::default() };
    let ttl = |ttl| SetOptions { ttl, ..SetOptions::default() };
    let set = |options| engine.set(KEY, "new".into(), options);
    let late = engine.now_ms() + 60_000;
    let list = |line| command(line, Form::grows(Wanted::Shape(Shape::List)));
    let steps = |steps: Vec<Step>| async move {
        steps.iter().try_for_each(|step| engine.may_queue("it", step))?;
        let answers = engine.execute(&steps, None, Types::Rich).await?.expect("nothing is watched");
        answers.into_iter().try_for_each(|answer| answer.map(drop))
    };
    match what {
        "set" => set(SetOptions::default()).await.map(drop),
        "set nx" => set(with(Condition::IfAbsent, false)).await.map(drop),
        "set xx get" => set(with(Condition::IfPresent, true)).await.map(drop),
        "set keepttl" => set(ttl(AskedTtl::Keep)).await.map(drop),
        "set past" => set(ttl(AskedTtl::AtMs(1))).await.map(drop),
        "mset" => engine.set_many(&[(key(), "new".into()), ("doc:other".into(), "new".into())]).await,
        "batch set" => engine.set_each(&[item()]).await.remove(0).map(drop),
        "batch delete" => engine.delete_each(&[key()]).await.remove(0).map(drop),
        "append" => engine.update(KEY, Update::Append("!".into())).await.map(drop),
        "incr" => engine.update(KEY, Update::IncrementBy(1)).await.map(drop),
        "setrange" => engine.update(KEY, Update::SetRange(1, "!".into())).await.map(drop),
        "getdel" => engine.take(KEY).await.map(drop),
        "getex" => engine.get_and_expire(KEY, AskedTtl::InMs(60_000)).await.map(drop),
        "expire" => engine.expire(KEY, late, ExpireCondition::Always).await.map(drop),
        "expire now" => engine.expire(KEY, 1, ExpireCondition::Always).await.map(drop),
        "persist" => engine.persist(KEY).await.map(drop),
        "del" => engine.delete(&[key()]).await.map(drop),
        "invalidate key" => engine.invalidate("doc", &Selector::Key("k".into()), Mode::Hard).await.map(drop),
        "invalidate pattern" => engine.invalidate("doc", &Selector::Pattern("k*".into()), Mode::Hard).await.map(drop),
        "rename from" => carry_out(engine, "RENAME doc:k doc:other", Form::moves(Wanted::Any, Grows::Nothing)).await,
        "rename to" => {
            engine.set(b"doc:other", "new".into(), SetOptions::default()).await?;
            carry_out(engine, "RENAME doc:other doc:k", Form::moves(Wanted::Any, Grows::Nothing)).await
        }
        "copy to" => {
            engine.set(b"doc:other", "new".into(), SetOptions::default()).await?;
            carry_out(engine, "COPY doc:other doc:k REPLACE", Form::copies(Wanted::Any)).await
        }
        "lpush" => engine.carry_out(&list("LPUSH doc:k x")).await.map(drop),
        "sadd" => carry_out(engine, "SADD doc:k x", Form::grows(Wanted::Shape(Shape::Set))).await,
        "multi set" => steps(vec![set_step(SetOptions::default())]).await,
        "multi set nx" => steps(vec![set_step(with(Condition::IfAbsent, false))]).await,
        "multi mset" => steps(vec![Step::SetMany(vec![(key(), "new".into())])]).await,
        "multi del" => steps(vec![Step::Delete(vec![key()])]).await,
        "multi incr" => steps(vec![Step::Command(command("INCR doc:k", Form::grows(Wanted::Counter)))]).await,
        "multi getex" => steps(vec![Step::GetAndExpire { key: key(), ttl: AskedTtl::InMs(60_000) }]).await,
        "multi persist" => steps(vec![Step::Persist(key())]).await,
        "multi expire" => {
            let condition = ExpireCondition::Always;
            steps(vec![Step::Expire { key: key(), at_ms: late, condition }]).await
        }
        "fill" => {
            // Somebody took the lease while the key was absent in all versions; the older host wrote after that.
            let fill = engine.get_or_lease(b"doc:fill", Who::Bearer).await?;
            let Some(lease) = fill.lease else { return Err(Error::new(ErrorKind::Unsupported, "no leases here")) };
            let old = StoreKey(Bytes::from_static(b"chat:v1:doc:fill"));
            world.store.set(&old, "late".into(), Expire::Never).await.expect("a store");
            engine.fill_leased(b"doc:fill", lease.as_bytes(), "new".into(), AskedTtl::None).await?;
            assert_eq!(world.store.ttl(&old).await.expect("a store"), Ttl::Missing, "fill");
            engine.delete(&[key()]).await.map(drop)
        }
        "flush" => engine.flush().await,
        other => panic!("{other}"),
    }
}

async fn carry_out(engine: &Engine, line: &str, form: Form) -> Result<(), Error> {
    engine.carry_out(&command(line, form)).await.map(drop)
}

/// Rules that give leases where they can.
fn leasing(encoding: Encoding) -> Rules {
    Rules { plan: Box::new(|_| Ok(Plan { suffix: None, miss: Miss::Lease, collapse_wait_ms: 100 })), ..rules(encoding) }
}

fn world_over(store: Arc<dyn Store>, seed: u64, encoding: Encoding) -> World {
    let world = World::over(store, Arc::new(VirtualClock::new(1_000_000_000_000, seed)));
    world.go_live("doc", of_version("v2", encoding), Migrating(leasing(encoding)));
    world
}

/// Each change on a store; `42` is what the older version left.
async fn never_back(store: impl Fn() -> Arc<dyn Store>, was: Encoding, now: Encoding) {
    let mut refused = Vec::new();
    for what in CHANGES {
        let store = store();
        let old = World::over(store.clone(), Arc::new(VirtualClock::new(1_000_000_000_000, 1)));
        old.go_live("doc", of_version("v1", was), rules(was));
        set(&old, "k", "42", SetOptions::default()).await;
        let world = world_over(store.clone(), 2, now);
        match change(&world, what).await {
            Ok(()) => {}
            Err(error) if error.kind == ErrorKind::Unsupported => {
                refused.push(*what);
                continue;
            }
            // What was carried over is no number, or no list: as if it had been there.
            Err(error) => assert_eq!(error.kind, ErrorKind::StoreReply, "{what}: {error}"),
        }
        assert_eq!(left(&world, "v1", "k").await, Ttl::Missing, "{what} {was:?} {now:?}");
        // Whatever becomes of what is there now.
        store.delete(&[StoreKey(Bytes::from_static(b"chat:v2:doc:k"))]).await.expect("a store");
        assert_eq!(get(&world_over(store, 3, now), "k").await, "- (miss)", "{what} {was:?} {now:?}");
    }
    let expect: &[&str] = match now {
        Encoding::Raw => &["fill"],
        Encoding::Enveloped => &["multi set nx", "multi incr", "multi getex", "multi persist", "multi expire"],
    };
    assert_eq!(refused, expect, "what is refused by name");
}

const ENCODINGS: [(Encoding, Encoding); 4] = [
    (Encoding::Raw, Encoding::Raw),
    (Encoding::Enveloped, Encoding::Enveloped),
    (Encoding::Raw, Encoding::Enveloped),
    (Encoding::Enveloped, Encoding::Raw),
];

fn memory() -> MemoryStore {
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    MemoryStore::new(MemorySettings::default(), clock)
}

#[tokio::test]
async fn no_change_brings_the_old_back_in_memory() {
    for (was, now) in ENCODINGS {
        never_back(|| Arc::new(memory()), was, now).await;
    }
}

#[tokio::test]
async fn no_change_brings_the_old_back_where_others_share_the_store() {
    for (was, now) in ENCODINGS {
        never_back(|| Arc::new(GatedStore::new(memory())), was, now).await;
    }
}

#[tokio::test]
async fn no_change_brings_the_old_back_in_redis() {
    let redis = RedisServer::start();
    for (was, now) in ENCODINGS {
        let fresh = || {
            redis.cli(&["FLUSHALL"]);
            Arc::new(redis.store()) as Arc<dyn Store>
        };
        never_back(fresh, was, now).await;
    }
}

/// Rules in whose `migrate`, between the old value's read and the new one's write, something is done on another node.
struct Meanwhile {
    rules: Migrating,
    other: Arc<OnceLock<Act>>,
}

/// Through whom, and what.
type Act = (Arc<Engine>, &'static str);

impl Hooks for Meanwhile {
    fn abilities(&self) -> Abilities {
        Abilities::default().with(Ability::Migration)
    }

    fn migrate(&self, from_version: &str, key: &str, value: &[u8]) -> Result<Option<Vec<u8>>, PolicyError> {
        if let Some((engine, what)) = self.other.get() {
            // The memory store never waits.
            let done = match *what {
                "delete" => engine.delete(&[Bytes::from_static(KEY)]).now_or_never().map(|it| it.map(drop)),
                "write" => engine.set(KEY, "new".into(), SetOptions::default()).now_or_never().map(|it| it.map(drop)),
                "scan" => engine
                    .invalidate("doc", &Selector::Pattern("*".into()), Mode::Hard)
                    .now_or_never()
                    .map(|it| it.map(drop)),
                _ => engine.delete_each(&[Bytes::from_static(KEY)]).now_or_never().map(|mut it| it.remove(0).map(drop)),
            };
            done.expect("it is done at once").expect("it is done");
        }
        self.rules.migrate(from_version, key, value)
    }
}

impl Policy for Meanwhile {
    fn plan(&self, request: &Request<'_>) -> Result<Plan, PolicyError> {
        self.rules.plan(request)
    }

    fn plan_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Plan, PolicyError>>, PolicyError> {
        self.rules.plan_batch(requests)
    }

    fn admit(&self, request: &Request<'_>, candidate: &Candidate<'_>) -> Result<Admission, PolicyError> {
        self.rules.admit(request, candidate)
    }
}

#[tokio::test]
async fn a_removal_between_the_old_value_and_the_new_one_wins() {
    for encoding in [Encoding::Raw, Encoding::Enveloped] {
        for (what, expect) in [("delete", "- (miss)"), ("batch", "- (miss)"), ("scan", "- (miss)"), ("write", "new (")]
        {
            for shared in [true, false] {
                let gated = if shared { GatedStore::new(memory()) } else { GatedStore::exclusive(memory()) };
                let store: Arc<dyn Store> = Arc::new(gated);
                let world = World::over(store.clone(), Arc::new(VirtualClock::new(1_000_000_000_000, 1)));
                world.go_live("doc", of_version("v1", encoding), rules(encoding));
                set(&world, "k", "1", SetOptions::default()).await;
                let other = Arc::new(OnceLock::new());
                let rules = Meanwhile { rules: Migrating(rules(encoding)), other: other.clone() };
                world.go_live("doc", of_version("v2", encoding), rules);
                // A store that nobody shares has one node.
                let there = World::over(store.clone(), Arc::new(VirtualClock::new(1_000_000_000_000, 2)));
                there.go_live("doc", of_version("v2", encoding), Migrating(super::rules(encoding)));
                let engine = if shared { there.engine.clone() } else { world.engine.clone() };
                other.set((engine, what)).ok();
                get(&world, "k").await;
                let found = get(&world, "k").await;
                assert!(found.starts_with(expect), "{what} {encoding:?} {shared}: {found}");
                assert_eq!(left(&world, "v1", "k").await, Ttl::Missing, "{what} {encoding:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_raw_value_is_as_old_as_what_was_invalidated() {
    for (selector, mode, expect) in [
        (Selector::Domain, Mode::Hard, "- (miss)"),
        (Selector::Domain, Mode::Soft, "1 from v1 (stale)"),
        (Selector::Prefix("a".into()), Mode::Hard, "- (miss)"),
        (Selector::Tag("red".into()), Mode::Hard, "- (miss)"),
        (Selector::Prefix("b".into()), Mode::Hard, "1 from v1 (store-hit)"),
        (Selector::Tag("blue".into()), Mode::Hard, "1 from v1 (store-hit)"),
    ] {
        let world = super::moved(Encoding::Raw, &[("a@red", "1")]).await;
        world.go_live("doc", of_version("v2", Encoding::Enveloped), Migrating(rules(Encoding::Enveloped)));
        world.engine.invalidate("doc", &selector, mode).await.unwrap();
        assert_eq!(get(&world, "a@red").await, expect, "{selector:?} {mode:?}");
    }
}

#[tokio::test]
async fn a_watched_key_is_carried_over_before_it_is_watched() {
    for encoding in [Encoding::Raw, Encoding::Enveloped] {
        let world = super::moved(encoding, &[("k", "1")]).await;
        let watched = world.engine.watch(None, &[Bytes::from_static(KEY)]).await.unwrap();
        let read = Step::Read { keys: vec![Bytes::from_static(KEY)], read: Read::Value };
        let answers =
            world.engine.execute(&[read], Some(watched), Types::Rich).await.unwrap().expect("nobody changed it");
        assert!(matches!(&answers[0], Ok(Reply::Bulk(value)) if value == "1 from v1"), "{answers:?}");
        let watched = world.engine.watch(None, &[Bytes::from_static(KEY)]).await.unwrap();
        set(&world, "k", "2", SetOptions::default()).await;
        let none = world
            .engine
            .execute(&[Step::Delete(vec![Bytes::from_static(KEY)])], Some(watched), Types::Rich)
            .await
            .unwrap();
        assert!(none.is_none());
    }
}
