//! Random interleavings: whatever reads, writes and invalidations do to each other, no read that begins after an acknowledged
//! invalidation gets, as fresh, a value whose write began before it; after a hard one it does not get it at all.
//!
//! Every store command takes a random while before and after it is done, so all orders come about. Operations are dropped
//! half-way at random. The order of events is that of one counter, as all run on one thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::api::{Condition, SetOptions};
use larder::ports::clock::VirtualClock;
use larder::ports::invalidation::Mode;
use larder::ports::metrics::State;
use larder::ports::policy::Selector;
use larder::ports::store::Store;

use super::{START_MS, world_over};
use crate::support::engine::World;
use crate::support::gated::GatedStore;
use crate::support::giving_up::after_turns;
use crate::support::redis::RedisServer;

const KEYS: [&str; 4] = ["a@red", "b@red+blue", "ab@blue", "c"];
const ACTORS: usize = 6;
const STEPS: usize = 25;
const BOUND_MS: u64 = 1_000;

/// A write that was begun: which node, when, and when it ended, if it was seen to.
#[derive(Clone, Copy)]
struct Write {
    node: usize,
    begun: u64,
    ended: Option<u64>,
}

/// An invalidation that was acknowledged.
struct Done {
    node: usize,
    selector: Selector,
    mode: Mode,
    begun: u64,
    ended: u64,
    ended_ms: u64,
}

/// Nodes over one store, and everything that happened.
struct Run {
    nodes: Vec<World>,
    clock: Arc<VirtualClock>,
    /// Of all events.
    counter: Cell<u64>,
    writes: RefCell<HashMap<u64, Write>>,
    done: RefCell<Vec<Done>>,
    breaches: RefCell<Vec<String>>,
    fresh_reads: Cell<u64>,
}

fn covers(selector: &Selector, key: &str) -> bool {
    match selector {
        Selector::Tag(tag) => key.split_once('@').is_some_and(|(_, tags)| tags.split('+').any(|one| one == tag)),
        Selector::Prefix(prefix) => key.starts_with(prefix.as_str()),
        Selector::Domain => true,
        Selector::Key(_) | Selector::Pattern(_) => false,
    }
}

impl Run {
    fn tick(&self) -> u64 {
        self.counter.set(self.counter.get() + 1);
        self.counter.get()
    }

    /// A value that no other write has, and that says which write it is of.
    fn begin_write(&self, node: usize) -> u64 {
        let begun = self.tick();
        self.writes.borrow_mut().insert(begun, Write { node, begun, ended: None });
        begun
    }

    fn end_write(&self, id: u64) {
        let ended = self.tick();
        if let Some(write) = self.writes.borrow_mut().get_mut(&id) {
            write.ended = Some(ended);
        }
    }

    /// Holds an answer against everything that was acknowledged before the read began.
    fn look(&self, node: usize, key: &str, value: Option<&Bytes>, state: State, begun: u64, begun_ms: u64) {
        let Some(value) = value else { return };
        let id: u64 = std::str::from_utf8(value).unwrap().parse().unwrap();
        let write = self.writes.borrow()[&id];
        let fresh = matches!(state, State::L1Hit | State::StoreHit);
        self.fresh_reads.set(self.fresh_reads.get() + u64::from(fresh));
        for done in self.done.borrow().iter().filter(|done| done.ended < begun && covers(&done.selector, key)) {
            // On the node that acknowledged it, at once; elsewhere after the bound.
            let in_force = done.node == node || begun_ms >= done.ended_ms + BOUND_MS;
            // On its own node it overtakes writes that are under way; for another node's it may count as the earlier one.
            let older = if done.node == write.node {
                write.begun < done.begun
            } else {
                write.ended.is_some_and(|ended| ended < done.begun)
            };
            if in_force && older && (fresh || done.mode == Mode::Hard) {
                let how = done.mode.as_str();
                self.breaches.borrow_mut().push(format!(
                    "node {node} read {key} at {begun}: {} of the write at {} on node {}, after {:?} {how} at {}..{} on node {}",
                    state.as_str(), write.begun, write.node, done.selector, done.begun, done.ended, done.node,
                ));
            }
        }
    }

    async fn read(&self, node: usize, key: &str) {
        let (begun, begun_ms) = (self.tick(), self.nodes[node].engine.now_ms());
        let name = format!("profile:{key}");
        let answer = self.nodes[node].engine.get(name.as_bytes()).await.unwrap();
        self.look(node, key, answer.value.as_ref(), answer.state, begun, begun_ms);
    }

    async fn read_all(&self, node: usize) {
        let (begun, begun_ms) = (self.tick(), self.nodes[node].engine.now_ms());
        let names: Vec<Bytes> = KEYS.iter().map(|key| format!("profile:{key}").into()).collect();
        let answers = self.nodes[node].engine.get_many(&names).await.unwrap();
        for (key, answer) in KEYS.iter().zip(answers) {
            self.look(node, key, answer.value.as_ref(), answer.state, begun, begun_ms);
        }
    }

    async fn write(&self, node: usize, key: &str, condition: Condition) {
        let id = self.begin_write(node);
        let options = SetOptions { condition, ..SetOptions::default() };
        let name = format!("profile:{key}");
        // Contention is an answer, too.
        let _ = self.nodes[node].engine.set(name.as_bytes(), id.to_string().into(), options).await;
        self.end_write(id);
    }

    async fn write_all(&self, node: usize) {
        let ids = KEYS.map(|_| self.begin_write(node));
        let items: Vec<(Bytes, Bytes)> =
            KEYS.iter().zip(ids).map(|(key, id)| (format!("profile:{key}").into(), id.to_string().into())).collect();
        self.nodes[node].engine.set_many(&items).await.unwrap();
        ids.into_iter().for_each(|id| self.end_write(id));
    }

    async fn invalidate(&self, node: usize, selector: Selector, mode: Mode) {
        let begun = self.tick();
        if self.nodes[node].engine.invalidate("profile", &selector, mode).await.is_ok() {
            let (ended, ended_ms) = (self.tick(), self.clock_ms());
            self.done.borrow_mut().push(Done { node, selector, mode, begun, ended, ended_ms });
        }
    }

    fn clock_ms(&self) -> u64 {
        use larder::ports::clock::Clock as _;
        self.clock.wall_ms()
    }

    async fn step(&self, node: usize, random: &mut fastrand::Rng) {
        let key = KEYS[random.usize(..KEYS.len())];
        let mode = if random.bool() { Mode::Soft } else { Mode::Hard };
        match random.u8(..20) {
            0..7 => self.read(node, key).await,
            7 => self.read_all(node).await,
            8..12 => self.write(node, key, Condition::Always).await,
            12 => self.write(node, key, Condition::IfPresent).await,
            13 => self.write_all(node).await,
            14..16 => self.invalidate(node, Selector::Tag(["red", "blue"][random.usize(..2)].to_owned()), mode).await,
            16 => self.invalidate(node, Selector::Prefix(["a", "b"][random.usize(..2)].to_owned()), mode).await,
            17 => self.invalidate(node, Selector::Domain, mode).await,
            18 => self.clock.advance_ms(random.u64(..300)),
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
            let patience = random.u8(..12);
            let mut inner = random.fork();
            after_turns(patience, self.step(node, &mut inner)).await;
        }
    }

    /// When all is quiet, what is written is what is read, on every node: nothing stays invalidated.
    async fn settle(&self) {
        for node in 0..self.nodes.len() {
            for key in KEYS {
                self.write(node, key, Condition::Always).await;
                let name = format!("profile:{key}");
                let written = self.counter.get() - 1;
                for reader in &self.nodes {
                    self.clock.advance_ms(BOUND_MS);
                    let answer = reader.engine.get(name.as_bytes()).await.unwrap();
                    let value = answer.value.map(|value| String::from_utf8(value.into()).unwrap());
                    let fresh = matches!(answer.state, State::L1Hit | State::StoreHit);
                    assert_eq!((value, fresh), (Some(written.to_string()), true), "{key}: {:?}", answer.state);
                }
            }
        }
    }
}

/// What was broken with this seed, and how many fresh values were read.
async fn run(
    nodes: usize,
    seed: u64,
    checked: bool,
    store: impl Fn(Arc<VirtualClock>) -> Arc<dyn Store>,
) -> (Vec<String>, u64) {
    let clock = Arc::new(VirtualClock::new(START_MS, seed));
    let shared = store(clock.clone());
    let nodes: Vec<World> = (0..nodes).map(|_| world_over(shared.clone(), clock.clone())).collect();
    if !checked {
        nodes.iter().for_each(|node| node.engine.compare_no_generations());
    }
    let run = Run {
        nodes,
        clock,
        counter: Cell::new(0),
        writes: RefCell::default(),
        done: RefCell::default(),
        breaches: RefCell::default(),
        fresh_reads: Cell::new(0),
    };
    join_all((0..ACTORS).map(|actor| run.act(actor, seed))).await;
    if checked {
        run.settle().await;
    }
    (run.breaches.take(), run.fresh_reads.get())
}

fn memory(clock: Arc<VirtualClock>) -> MemoryStore {
    MemoryStore::new(MemorySettings::default(), clock)
}

/// A store that others share, on which everything takes a random while.
fn slow(store: impl Store + 'static, seed: u64) -> Arc<dyn Store> {
    let store = GatedStore::new(store);
    store.dawdle_as(seed);
    Arc::new(store)
}

/// A store that nobody shares, on which everything takes a random while.
fn slow_own(clock: Arc<VirtualClock>, seed: u64) -> Arc<dyn Store> {
    let store = GatedStore::exclusive(memory(clock));
    store.dawdle_as(seed);
    Arc::new(store)
}

async fn check(nodes: usize, seeds: std::ops::Range<u64>, store: impl Fn(Arc<VirtualClock>, u64) -> Arc<dyn Store>) {
    let mut fresh = 0;
    for seed in seeds {
        let (breaches, read) = run(nodes, seed, true, |clock| store(clock, seed)).await;
        assert!(breaches.is_empty(), "seed {seed}: {breaches:#?}");
        fresh += read;
    }
    assert!(fresh > 100, "only {fresh} fresh values were read at all");
}

#[tokio::test]
async fn on_a_store_of_its_own() {
    check(1, 0..150, slow_own).await;
}

#[tokio::test]
async fn on_a_store_that_others_share() {
    check(1, 0..150, |clock, seed| slow(memory(clock), seed)).await;
}

#[tokio::test]
async fn on_two_nodes() {
    check(2, 0..150, |clock, seed| slow(memory(clock), seed)).await;
}

#[tokio::test]
async fn on_two_nodes_over_redis() {
    let redis = RedisServer::start();
    check(2, 0..20, |_, seed| {
        redis.flush();
        slow(redis.store(), seed)
    })
    .await;
}

#[tokio::test]
async fn the_property_can_fail() {
    for nodes in [1, 2] {
        let mut broken = 0;
        for seed in 0..20 {
            let (breaches, _) = run(nodes, seed, false, |clock| slow(memory(clock), seed)).await;
            broken += usize::from(!breaches.is_empty());
        }
        assert_eq!(broken, 20, "without the comparison, every run breaks it");
    }
}
