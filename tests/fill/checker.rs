//! A checker of histories: clients on two nodes read, lease, load and fill while others write, remove and invalidate, and everything
//! is dropped half-way at random. No read that begins after an acknowledged invalidation or write gets a value whose load began
//! before it: as fresh, or at all after a hard one. On the node that acknowledged it at once; on the other one after the bound.
//!
//! Every store command takes a random while before and after it is done, leases are evicted and expire, clients die with theirs. The
//! order of events is that of one counter, as all run on one thread. With the fence switched off the same runs break the rule.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use larder::engine::api::AskedTtl;
use larder::engine::fill::{LeaseBook, Who};
use larder::ports::clock::{Clock as _, VirtualClock};
use larder::ports::invalidation::Mode;
use larder::ports::metrics::State;
use larder::ports::policy::Selector;
use larder::ports::store::{Command, Store};

use super::{START_MS, furnished, go_with_time, memory};
use crate::support::engine::World;
use crate::support::gated::GatedStore;
use crate::support::giving_up::after_turns;
use crate::support::redis::RedisServer;

const KEYS: [&str; 3] = ["a@red", "b@red+blue", "c"];
const ACTORS: usize = 6;
const STEPS: usize = 30;
const BOUND_MS: u64 = 1_000;

/// Something after which older loads must not be seen any more.
struct Done {
    node: usize,
    selector: Selector,
    mode: Mode,
    begun: u64,
    ended: u64,
    ended_ms: u64,
}

/// A value: the load or the write that it is of.
#[derive(Clone, Copy)]
struct Origin {
    begun: u64,
    is_load: bool,
}

/// Nodes over one store, and everything that happened.
struct Run {
    nodes: Vec<World>,
    clock: Arc<VirtualClock>,
    store: Arc<dyn Store>,
    counter: Cell<u64>,
    values: RefCell<HashMap<u64, Origin>>,
    done: RefCell<Vec<Done>>,
    breaches: RefCell<Vec<String>>,
    /// Values of loads that were read, waits among them.
    seen: Cell<u64>,
    waited: Cell<u64>,
}

fn covers(selector: &Selector, key: &str) -> bool {
    match selector {
        Selector::Key(name) => name == key,
        Selector::Tag(tag) => key.split_once('@').is_some_and(|(_, tags)| tags.split('+').any(|one| one == tag)),
        Selector::Prefix(prefix) => key.starts_with(prefix.as_str()),
        Selector::Domain => true,
        Selector::Pattern(glob) => {
            let inner = glob.trim_matches('*');
            if glob.starts_with('*') { key.contains(inner) } else { key.starts_with(inner) }
        }
    }
}

fn name(key: &str) -> String {
    format!("profile:{key}")
}

impl Run {
    fn tick(&self) -> u64 {
        self.counter.set(self.counter.get() + 1);
        self.counter.get()
    }

    fn begin(&self, is_load: bool) -> u64 {
        let begun = self.tick();
        self.values.borrow_mut().insert(begun, Origin { begun, is_load });
        begun
    }

    /// Holds an answer against everything that was acknowledged before the read began.
    fn look(&self, node: usize, key: &str, value: &Bytes, state: State, begun: u64, begun_ms: u64) {
        let id: u64 = std::str::from_utf8(value).unwrap().parse().unwrap();
        let origin = self.values.borrow()[&id];
        if !origin.is_load {
            return;
        }
        self.seen.set(self.seen.get() + 1);
        let fresh = matches!(state, State::L1Hit | State::StoreHit);
        for done in self.done.borrow().iter().filter(|done| done.ended < begun && covers(&done.selector, key)) {
            let in_force = done.node == node || begun_ms >= done.ended_ms + BOUND_MS;
            if in_force && origin.begun < done.begun && (fresh || done.mode == Mode::Hard) {
                self.breaches.borrow_mut().push(format!(
                    "node {node} read {key} at {begun}: {} of the load at {id}, after {:?} {} at {}..{} on node {}",
                    state.as_str(),
                    done.selector,
                    done.mode.as_str(),
                    done.begun,
                    done.ended,
                    done.node,
                ));
            }
        }
    }

    /// A client: reads, and loads and fills if it was told to.
    async fn visit(&self, node: usize, key: &str, bearer: bool, random: &mut fastrand::Rng) {
        let engine = &self.nodes[node].engine;
        let (begun, begun_ms) = (self.tick(), self.clock.wall_ms());
        let book = LeaseBook::new();
        let who = if bearer { Who::Bearer } else { Who::Connection(&book) };
        // Too many turns, a store that is contended: an error is an answer, too.
        let Ok(leased) = engine.get_or_lease(name(key).as_bytes(), who).await else { return };
        self.waited.set(self.waited.get() + u64::from(leased.answer.waited.is_some()));
        if let Some(value) = &leased.answer.value {
            self.look(node, key, value, leased.answer.state, begun, begun_ms);
        }
        if leased.lease.is_none() && book.is_empty() {
            return;
        }
        let id = self.begin(true);
        for _ in 0..random.u8(..30) {
            tokio::task::yield_now().await;
        }
        // It may die now, with its lease.
        if random.u8(..10) == 0 {
            return;
        }
        let value = Bytes::from(id.to_string());
        match leased.lease {
            None => drop(engine.set_or_fill(name(key).as_bytes(), value, Default::default(), &book).await),
            Some(lease) => {
                let node = if random.u8(..4) == 0 { random.usize(..self.nodes.len()) } else { node };
                let engine = &self.nodes[node].engine;
                drop(engine.fill_leased(name(key).as_bytes(), lease.as_bytes(), value, AskedTtl::None).await);
            }
        }
    }

    /// A write is as good as an invalidation of what was loaded before it.
    async fn write(&self, node: usize, key: &str) {
        let begun = self.begin(false);
        let value = Bytes::from(begun.to_string());
        if self.nodes[node].engine.set(name(key).as_bytes(), value, Default::default()).await.is_ok() {
            self.note(node, Selector::Key(key.to_owned()), Mode::Hard, begun);
        }
    }

    async fn invalidate(&self, node: usize, selector: Selector, mode: Mode) {
        let begun = self.tick();
        if self.nodes[node].engine.invalidate("profile", &selector, mode).await.is_ok() {
            self.note(node, selector, mode, begun);
        }
    }

    fn note(&self, node: usize, selector: Selector, mode: Mode, begun: u64) {
        let (ended, ended_ms) = (self.tick(), self.clock.wall_ms());
        self.done.borrow_mut().push(Done { node, selector, mode, begun, ended, ended_ms });
    }

    async fn evict(&self, key: String) {
        self.store.call(Command::new("DEL").arg(key)).await.unwrap();
    }

    async fn step(&self, node: usize, random: &mut fastrand::Rng) {
        let key = KEYS[random.usize(..KEYS.len())];
        let mode = if random.bool() { Mode::Soft } else { Mode::Hard };
        match random.u8(..26) {
            0..12 => {
                let bearer = random.u8(..3) == 0;
                self.visit(node, key, bearer, random).await;
            }
            12 => self.write(node, key).await,
            13..16 => self.invalidate(node, Selector::Key(key.to_owned()), mode).await,
            16..18 => self.invalidate(node, Selector::Tag(["red", "blue"][random.usize(..2)].to_owned()), mode).await,
            18 => self.invalidate(node, Selector::Prefix(["a", "b"][random.usize(..2)].to_owned()), mode).await,
            19 => self.invalidate(node, Selector::Domain, mode).await,
            20 => self.clock.advance_ms(random.u64(..600)),
            21 => self.evict(format!("{{chat:v1:profile:{key}}}:lease")).await,
            22 => self.evict("{chat:generations:profile}".to_owned()).await,
            23..25 => {
                let glob = ["a*", "b*", "*red*"][random.usize(..3)];
                self.invalidate(node, Selector::Pattern(glob.to_owned()), mode).await;
            }
            _ => tokio::task::yield_now().await,
        }
    }

    async fn act(&self, actor: usize, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(31).wrapping_add(actor as u64));
        for _ in 0..STEPS {
            let node = random.usize(..self.nodes.len());
            if random.u8(..8) > 0 {
                self.step(node, &mut random).await;
                continue;
            }
            // Dropped somewhere on its way.
            let patience = random.u8(..40);
            let mut inner = random.fork();
            after_turns(patience, self.step(node, &mut inner)).await;
        }
    }

    /// When all is quiet, whoever comes first leads, and what it loads is served as fresh on every node: no lease is left.
    async fn settle(&self) {
        for key in KEYS {
            self.nodes[0].engine.delete(&[name(key).into()]).await.unwrap();
        }
        self.clock.advance_ms(BOUND_MS);
        for key in KEYS {
            let book = LeaseBook::new();
            let (engine, own) = (&self.nodes[1 % self.nodes.len()].engine, name(key));
            let leads = async || {
                engine.get_or_lease(own.as_bytes(), Who::Connection(&book)).await.unwrap();
                (!book.is_empty()).then_some(())
            };
            crate::support::wait::until("the key is free", leads).await;
            let filled = engine.set_or_fill(own.as_bytes(), "0".into(), Default::default(), &book).await.unwrap();
            assert_eq!(filled.state, State::Done, "{key}");
            for reader in &self.nodes {
                let answer = reader.engine.get(name(key).as_bytes()).await.unwrap();
                let fresh = matches!(answer.state, State::L1Hit | State::StoreHit);
                assert_eq!((answer.value, fresh), (Some("0".into()), true), "{key}: {:?}", answer.state);
            }
        }
    }
}

/// What a run showed.
struct Shown {
    breaches: Vec<String>,
    seen: u64,
    waited: u64,
}

async fn run(
    nodes: usize,
    seed: u64,
    fenced: bool,
    wait_ms: u32,
    store: impl Fn(Arc<VirtualClock>) -> Arc<dyn Store>,
) -> Shown {
    let clock = Arc::new(VirtualClock::new(START_MS, seed));
    go_with_time(&clock);
    let shared = store(clock.clone());
    let nodes: Vec<World> =
        (0..nodes).map(|_| furnished(World::over(shared.clone(), clock.clone()), wait_ms)).collect();
    if !fenced {
        nodes.iter().for_each(|node| node.engine.fence_no_fills());
    }
    let run = Run {
        nodes,
        clock,
        store: shared,
        counter: Cell::new(0),
        values: RefCell::new(HashMap::from([(0, Origin { begun: u64::MAX, is_load: false })])),
        done: RefCell::default(),
        breaches: RefCell::default(),
        seen: Cell::new(0),
        waited: Cell::new(0),
    };
    join_all((0..ACTORS).map(|actor| run.act(actor, seed))).await;
    // What was dropped gives its leases back in the background.
    tokio::time::sleep(Duration::from_millis(10)).await;
    if fenced {
        run.settle().await;
    }
    Shown { breaches: run.breaches.take(), seen: run.seen.get(), waited: run.waited.get() }
}

fn slow(store: impl Store + 'static, seed: u64) -> Arc<dyn Store> {
    let store = GatedStore::new(store);
    store.dawdle_as(seed);
    Arc::new(store)
}

fn slow_own(clock: &Arc<VirtualClock>, seed: u64) -> Arc<dyn Store> {
    let store = GatedStore::exclusive(memory(clock));
    store.dawdle_as(seed);
    Arc::new(store)
}

async fn check(
    nodes: usize,
    seeds: std::ops::Range<u64>,
    wait_ms: u32,
    store: impl Fn(Arc<VirtualClock>, u64) -> Arc<dyn Store>,
) {
    let (mut seen, mut waited) = (0, 0);
    for seed in seeds {
        let shown = run(nodes, seed, true, wait_ms, |clock| store(clock, seed)).await;
        assert!(shown.breaches.is_empty(), "seed {seed}: {:#?}", shown.breaches);
        seen += shown.seen;
        waited += shown.waited;
    }
    assert!(seen > 100 && waited > 20, "only {seen} loads were seen, and {waited} readers waited");
}

#[tokio::test(start_paused = true)]
async fn on_a_store_of_its_own() {
    check(1, 0..150, 200, |clock, seed| slow_own(&clock, seed)).await;
}

#[tokio::test(start_paused = true)]
async fn on_a_store_that_others_share() {
    check(1, 0..150, 200, |clock, seed| slow(memory(&clock), seed)).await;
}

#[tokio::test(start_paused = true)]
async fn on_two_nodes() {
    check(2, 0..150, 200, |clock, seed| slow(memory(&clock), seed)).await;
}

#[tokio::test]
async fn on_two_nodes_over_redis() {
    let redis = RedisServer::start();
    check(2, 0..15, 20, |_, seed| {
        redis.flush();
        slow(redis.store(), seed)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_checker_can_fail() {
    for nodes in [1, 2] {
        let mut broken = 0;
        for seed in 0..20 {
            let shown = run(nodes, seed, false, 200, |clock| slow(memory(&clock), seed)).await;
            broken += usize::from(!shown.breaches.is_empty());
        }
        assert!(broken >= 5, "without the fence, only {broken} of 20 runs break it");
    }
}
