//! Random interleavings of reads, writes, invalidations, lost and late streams: whatever happens, no read gets, as fresh, a value that
//! somebody had written over, removed or invalidated the bound *B* before it began.
//!
//! Each node has a line of what the store has told and it has not heard yet, which moves at random, breaks off, and begins anew. Every
//! store command takes a random while. All runs on one thread in virtual time.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::api::SetOptions;
use larder::engine::envelope;
use larder::ports::clock::{Clock as _, VirtualClock};
use larder::ports::coherence::ChangeListener as _;
use larder::ports::invalidation::Mode;
use larder::ports::metrics::State;
use larder::ports::policy::{Lifetime, Selector};
use parking_lot::Mutex;

use crate::support::engine::World;
use crate::support::gated::GatedStore;

const KEYS: [&str; 4] = ["profile:a", "profile:b", "raw:a", "raw:b"];
const ACTORS: usize = 6;
const STEPS: usize = 60;
const BOUND_MS: u64 = 1_000;
const NODES: usize = 2;

/// What is on its way to a node.
enum Told {
    Changed(Bytes),
    Heard(u64),
}

/// A write to one key.
struct Write {
    value: Option<Bytes>,
    number: u64,
    at_ms: u64,
}

/// What happened in the store.
#[derive(Default)]
struct History {
    /// Of each storage key: what was written, in order, and when. `None`: removed.
    writes: HashMap<Vec<u8>, Vec<Write>>,
    /// How many of all keys.
    count: u64,
    /// Of the domain `profile`: how many writes there were before it began, and when it had ended.
    invalidations: Vec<(u64, u64)>,
    /// What is on its way to each node that follows.
    lines: [Option<VecDeque<Told>>; NODES],
}

struct Run {
    nodes: Vec<World>,
    clock: Arc<VirtualClock>,
    history: Arc<Mutex<History>>,
    values: Cell<u64>,
    breaches: Mutex<Vec<String>>,
    /// Fresh answers from L1.
    hits: Cell<u64>,
    /// Whether a node is told what the store tells.
    told: bool,
}

impl Run {
    fn new(seed: u64, told: bool) -> Self {
        let clock = Arc::new(VirtualClock::new(1_000_000_000_000, seed));
        let store = Arc::new(GatedStore::new(MemoryStore::new(MemorySettings::default(), clock.clone())));
        store.dawdle_as(seed);
        let history = Arc::new(Mutex::new(History::default()));
        let (seen, time) = (history.clone(), clock.clone());
        store.watch(move |key, held| {
            let mut history = seen.lock();
            let opened = |held| envelope::open(held).ok().and_then(|opened| opened.packed.unpack());
            let value = held.map(|held| opened(held).unwrap_or_else(|| held.clone()));
            history.count += 1;
            let write = Write { value, number: history.count, at_ms: time.wall_ms() };
            history.writes.entry(key.to_vec()).or_default().push(write);
            for line in history.lines.iter_mut().flatten() {
                line.push_back(Told::Changed(Bytes::copy_from_slice(key)));
            }
        });
        let node = || {
            let world = World::over(store.clone(), clock.clone());
            world.enveloped("profile", Lifetime::fresh(Some(3_600_000)));
            world.raw("raw", Lifetime::fresh(Some(3_600_000)));
            world
        };
        let nodes = (0..NODES).map(|_| node()).collect();
        let (values, breaches, hits) = (Cell::new(0), Mutex::default(), Cell::new(0));
        Self { nodes, clock, history, values, breaches, hits, told }
    }

    async fn read(&self, node: usize, key: &str) {
        let begun_ms = self.clock.wall_ms();
        let answer = self.nodes[node].engine.get(key.as_bytes()).await.unwrap();
        let Some(value) = answer.value.filter(|_| matches!(answer.state, State::L1Hit | State::StoreHit)) else {
            return;
        };
        self.hits.set(self.hits.get() + u64::from(answer.state == State::L1Hit));
        let history = self.history.lock();
        let writes = &history.writes[format!("chat:v1:{key}").as_bytes()];
        // An entry that is renewed is written more than once: its last time counts.
        let own = writes.iter().rposition(|write| write.value.as_ref() == Some(&value)).expect("it was written");
        let written_over = writes.get(own + 1).map(|write| write.at_ms);
        let invalidated = history.invalidations.iter().filter(|_| key.starts_with("profile"));
        let invalidated =
            invalidated.filter(|(before, _)| writes[own].number <= *before).map(|(_, ended_ms)| *ended_ms);
        if let Some(over_ms) = invalidated.chain(written_over).find(|over_ms| begun_ms >= over_ms + BOUND_MS) {
            self.breaches.lock().push(format!(
                "node {node} read {key} = {value:?} ({}) at {begun_ms}, which was over since {over_ms}",
                answer.state.as_str()
            ));
        }
    }

    async fn invalidate(&self, node: usize) {
        let before = self.history.lock().count;
        if self.nodes[node].engine.invalidate("profile", &Selector::Domain, Mode::Hard).await.is_ok() {
            let ended_ms = self.clock.wall_ms();
            self.history.lock().invalidations.push((before, ended_ms));
        }
    }

    async fn write(&self, node: usize, key: &str) {
        self.values.set(self.values.get() + 1);
        let value = Bytes::from(self.values.get().to_string());
        self.nodes[node].engine.set(key.as_bytes(), value, SetOptions::default()).await.unwrap();
    }

    /// Moves a node's line on by some steps.
    fn hear(&self, node: usize, steps: usize) {
        let engine = &self.nodes[node].engine;
        for _ in 0..steps {
            let next = self.history.lock().lines[node].as_mut().and_then(VecDeque::pop_front);
            match next {
                Some(Told::Changed(key)) if self.told => engine.changed(&key),
                Some(Told::Changed(_)) => {}
                Some(Told::Heard(as_of_ms)) => engine.heard(as_of_ms),
                None => return,
            }
        }
    }

    fn probe(&self, node: usize) {
        let now_ms = self.clock.wall_ms();
        if let Some(line) = &mut self.history.lock().lines[node] {
            line.push_back(Told::Heard(now_ms));
        }
    }

    fn lose(&self, node: usize) {
        self.history.lock().lines[node] = None;
        self.nodes[node].engine.lost();
    }

    fn begin(&self, node: usize) {
        let begins = {
            let mut history = self.history.lock();
            let begins = history.lines[node].is_none();
            if begins {
                history.lines[node] = Some(VecDeque::new());
            }
            begins
        };
        if begins {
            self.nodes[node].engine.began(true);
        }
    }

    async fn act(&self, actor: usize, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(31).wrapping_add(actor as u64));
        for _ in 0..STEPS {
            let node = random.usize(..NODES);
            let key = KEYS[random.usize(..KEYS.len())];
            match random.u8(..32) {
                0..14 => self.read(node, key).await,
                14..16 => self.write(node, key).await,
                16 => drop(self.nodes[node].engine.delete(&[key.into()]).await.unwrap()),
                17..23 => self.hear(node, random.usize(..6)),
                23..27 => self.probe(node),
                27 if random.u8(..4) == 0 => self.lose(node),
                27 => self.begin(node),
                28 => self.invalidate(node).await,
                29 => self.clock.advance_ms(random.u64(..400)),
                _ => tokio::task::yield_now().await,
            }
        }
    }
}

/// What was broken with this seed, and how often L1 answered.
async fn run(seed: u64, told: bool) -> (Vec<String>, u64) {
    let run = Run::new(seed, told);
    (0..NODES).for_each(|node| run.begin(node));
    join_all((0..ACTORS).map(|actor| run.act(actor, seed))).await;
    (run.breaches.into_inner(), run.hits.get())
}

#[tokio::test]
async fn nothing_older_than_the_bound_is_fresh() {
    let mut hits = 0;
    for seed in 0..300 {
        let (breaches, hit) = run(seed, true).await;
        assert!(breaches.is_empty(), "seed {seed}: {breaches:#?}");
        hits += hit;
    }
    assert!(hits > 1_000, "L1 answered {hits} times only");
}

#[tokio::test]
async fn the_property_can_fail() {
    let mut broken = 0;
    for seed in 0..200 {
        broken += usize::from(!run(seed, false).await.0.is_empty());
    }
    assert!(broken > 10, "of 200 runs in which nobody is told, {broken} broke it");
}
