//! The life of an entry: an engine is driven through every cell of the table of life × event, in virtual time, and the table in
//! `ARCHITECTURE.md` is the one that it was driven through.
//!
//! `UPDATE_EXPECT=1 cargo nextest run lives::` writes the document's table anew.

mod rules;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use larder::engine::api::Answer;
use larder::engine::transition::{Begins, Event, Life, Reader, Step, Then, step};
use larder::error::{Blame, Result};
use larder::ports::invalidation::Mode;
use larder::ports::load::LoadReason;
use larder::ports::metrics::State;
use larder::ports::policy::{Encoding, Lifetime, Miss, Plan};

use crate::support::engine::{Rules, World, description, loaded};
use crate::support::script::{Script, answer, unreachable};

const KEY: &[u8] = b"user:42";

fn lifetime() -> Lifetime {
    Lifetime {
        stale_while_revalidate_ms: 50_000,
        stale_if_error_ms: 80_000,
        keep_ms: 60_000,
        ..Lifetime::fresh(Some(100_000))
    }
}

/// An entry in a certain life, and its origin.
struct Scene {
    world: World,
    origin: Arc<Script>,
    /// Calls of the origin that brought the entry there.
    calls: usize,
}

impl Scene {
    async fn of(life: Life) -> Self {
        let beta = if life == Life::Early { f32::MAX } else { 0.0 };
        let world = World::new();
        let origin = world.loading("user", loaded(Lifetime { early_refresh_beta: beta, ..lifetime() }));
        origin.takes_ms(100);
        match life {
            Life::Negative => origin.answers([answer(404, "")]),
            Life::Uncacheable => origin.answers([answer(200, "private")]),
            _ => {}
        }
        if life != Life::Gone {
            world.engine.get(KEY).await.unwrap();
        }
        world.clock.advance_ms(match life {
            Life::Fresh | Life::Early | Life::Gone | Life::Negative | Life::Uncacheable => 10_000,
            Life::Stale => 100_000,
            Life::StaleIfError => 155_000,
            Life::Kept => 190_000,
        });
        origin.answers([answer(200, "two")]);
        let scene = Self { calls: origin.calls(), origin, world };
        assert_eq!(scene.life().await, if life == Life::Early { Life::Fresh } else { life }, "the scene is set");
        scene
    }

    async fn get(&self) -> Result<Answer> {
        self.world.engine.get(KEY).await
    }

    /// What an operator is told of it.
    async fn life(&self) -> Life {
        let word = self.world.engine.explain(KEY).await.unwrap().life;
        Life::ALL.into_iter().find(|life| life.as_str() == word).unwrap()
    }

    /// Lets what was begun come to its end, or to where it waits. The memory store never waits.
    async fn settle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    fn loads_begun(&self) -> usize {
        self.origin.calls() - self.calls
    }
}

/// What a reader got, in the words of the table.
fn reader(answer: &Result<Answer>) -> Reader {
    match answer {
        Err(error) => {
            assert_eq!(error.kind.blame(), Blame::Origin, "{error}");
            Reader::Error
        }
        Ok(answer) => match answer.state {
            State::L1Hit | State::StoreHit => Reader::Value,
            State::Stale => Reader::Stale,
            State::Negative => Reader::Absent,
            State::Miss | State::Passed => Reader::Miss,
            State::Loaded if answer.value.is_none() => Reader::Absent,
            State::Loaded => Reader::Loaded,
            other => panic!("no answer of a read: {}", other.as_str()),
        },
    }
}

#[track_caller]
fn check(life: Life, event: Event, expect: Step, seen: Step) {
    assert_eq!(seen.in_words(), expect.in_words(), "{} at '{}'", life.as_str(), event.as_str());
}

/// A read while nobody lets the origin answer: what the reader gets, and what has begun by then.
async fn check_read(life: Life, event: Event) {
    let scene = Scene::of(life).await;
    match event {
        Event::ReadUnhealthy => scene.origin.healthy(false),
        Event::ReadThrottled if !throttle(&scene, life).await => return,
        _ => {}
    }
    let before = scene.world.metrics.domain("user");
    let own = before.loads.begun[LoadReason::Uncacheable as usize].get();
    scene.origin.hold(true);
    let calls = scene.origin.calls();
    let engine = Arc::clone(&scene.world.engine);
    let reading = tokio::spawn(async move { engine.get(KEY).await });
    scene.settle().await;
    let waits = !reading.is_finished();
    let begun = scene.origin.calls() - calls;
    assert!(begun <= 1, "one load at most");
    let begins = match (begun, waits) {
        (0, _) => Begins::Nothing,
        (_, false) => Begins::Refresh,
        (_, true) if before.loads.begun[LoadReason::Uncacheable as usize].get() > own => Begins::OwnLoad,
        (_, true) => Begins::Load,
    };
    scene.origin.hold(false);
    let answer = reading.await.unwrap();
    let seen = Step { reader: if waits { Reader::Waits } else { reader(&answer) }, begins, then: Then::Same };
    check(life, event, step(life, event), seen);
}

/// Brings an entry to where its load has just failed. Whether there is such a thing: where nothing is loaded nothing can fail.
async fn throttle(scene: &Scene, life: Life) -> bool {
    if step(life, Event::LoadFailed).begins != Begins::Throttle || step(life, Event::Read).begins == Begins::Nothing {
        return false;
    }
    scene.origin.answers([unreachable()]);
    let _ = scene.get().await;
    scene.settle().await;
    scene.origin.answers([answer(200, "two")]);
    true
}

/// A read where no origin is: the clients load, or nobody does.
async fn check_read_without_origin(life: Life, event: Event) {
    let scene = Scene::of(life).await;
    let miss = if event == Event::ReadAside { Miss::Lease } else { Miss::Answer };
    // The same rules to the entry: what it was judged by stands.
    let before = scene.world.policies.table().get("user").unwrap().rules_id;
    let rules =
        Rules { plan: Box::new(move |_| Ok(Plan { suffix: None, miss, collapse_wait_ms: 0 })), ..loaded(lifetime()) };
    scene.world.go_live_as("user", description(Encoding::Enveloped), rules, None, before);
    let answer = scene.get().await;
    scene.settle().await;
    assert_eq!(scene.loads_begun(), 0);
    let expect = step(life, event);
    // Who gets the lease is the front ends' to say: see the tests of fills.
    let begins = if expect.begins == Begins::Lease { Begins::Lease } else { Begins::Nothing };
    check(life, event, expect, Step { reader: reader(&answer), begins, then: Then::Same });
}

/// The end of a load that a read has begun.
async fn check_load(life: Life, event: Event) {
    if step(life, Event::Read).begins == Begins::Nothing {
        return;
    }
    let scene = Scene::of(life).await;
    scene.origin.answers([match event {
        Event::LoadStored => answer(200, "two"),
        Event::LoadUnchanged => answer(304, ""),
        Event::LoadAbsent => answer(404, ""),
        Event::LoadPassed => answer(200, "private two"),
        _ => unreachable(),
    }]);
    let waits = step(life, Event::Read).reader == Reader::Waits;
    let answer = scene.get().await;
    scene.settle().await;
    let expect = step(life, event);
    let mut seen = if waits { reader(&answer) } else { Reader::Nothing };
    if let (Event::LoadUnchanged, Reader::Loaded) = (event, seen) {
        assert_eq!(answer.as_ref().unwrap().value.as_deref(), Some(&b"one"[..]), "the value that was held");
        seen = Reader::Value;
    }
    let explained = scene.world.engine.explain(KEY).await.unwrap();
    let throttled = explained.load.and_then(|load| load.throttled_ms).is_some();
    let begins = if throttled { Begins::Throttle } else { Begins::Nothing };
    let now = scene.life().await;
    let then = match now {
        _ if expect.then == Then::Same && (now == life || (now, life) == (Life::Fresh, Life::Early)) => Then::Same,
        Life::Fresh => Then::Fresh,
        Life::Negative => Then::Negative,
        Life::Uncacheable => Then::Uncacheable,
        Life::Gone => Then::Gone,
        other => panic!("{} after '{}' of {}", other.as_str(), event.as_str(), life.as_str()),
    };
    check(life, event, expect, Step { reader: seen, begins, then });
}

/// The load takes longer than somebody waits who can be given something stale.
async fn check_soft_timeout(life: Life) {
    if step(life, Event::Read).reader != Reader::Waits {
        return;
    }
    let scene = Scene::of(life).await;
    scene.origin.hold(true);
    let expect = step(life, Event::SoftTimeout);
    let answer = scene.get().await;
    match expect.reader {
        Reader::Stale => {
            assert_eq!(reader(&answer), Reader::Stale);
            assert_eq!(scene.origin.running(), 1, "the load goes on");
        }
        _ => assert_eq!(answer.unwrap_err().kind.as_str(), "origin-timeout", "it waited to the end"),
    }
}

/// An invalidation, and what is left of the entry.
async fn check_invalidation(life: Life, event: Event) {
    let scene = Scene::of(life).await;
    let mode = if event == Event::InvalidatedSoft { Mode::Soft } else { Mode::Hard };
    scene.world.engine.invalidate_name(KEY, mode).await.unwrap();
    let before = if life == Life::Early { Life::Fresh } else { life };
    let then = match scene.life().await {
        now if now == before && now != Life::Gone => Then::Same,
        Life::Gone if step(life, event).then == Then::Same => Then::Same,
        Life::Gone => Then::Gone,
        Life::Stale => Then::Ended,
        other => panic!("{} after '{}' of {}", other.as_str(), event.as_str(), life.as_str()),
    };
    check(life, event, step(life, event), Step { reader: Reader::Nothing, begins: Begins::Nothing, then });
}

#[tokio::test(start_paused = true)]
async fn every_cell_is_as_the_table_says() {
    for life in Life::ALL {
        for event in Event::ALL {
            match event {
                Event::Read | Event::ReadThrottled | Event::ReadUnhealthy => check_read(life, event).await,
                Event::ReadAside | Event::ReadPlain => check_read_without_origin(life, event).await,
                Event::SoftTimeout => check_soft_timeout(life).await,
                Event::InvalidatedSoft | Event::InvalidatedHard => check_invalidation(life, event).await,
                _ => check_load(life, event).await,
            }
        }
    }
}

#[test]
fn the_document_has_the_table() {
    let lives = Life::ALL.map(Life::as_str).join(" | ");
    let mut table = format!("| | {lives} |\n|---|{}\n", "---|".repeat(Life::ALL.len()));
    for event in Event::ALL {
        let cells = Life::ALL.map(|life| step(life, event).in_words()).join(" | ");
        writeln!(table, "| **{}** | {cells} |", event.as_str()).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path).expect("there is a document");
    let (open, close) = ("<!-- lives: checked by tests/lives.rs -->\n", "<!-- end of lives -->\n");
    let (before, rest) = text.split_once(open).expect("the document has a place for the table");
    let (found, after) = rest.split_once(close).expect("the table has an end");
    if found != table && std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, format!("{before}{open}{table}{close}{after}")).expect("the document can be written");
    } else {
        assert_eq!(found, table, "run with UPDATE_EXPECT=1");
    }
}

#[tokio::test]
async fn a_value_that_is_loaded_is_what_the_origin_said() {
    let scene = Scene::of(Life::Gone).await;
    let answer = scene.get().await.unwrap();
    assert_eq!(answer.value, Some(Bytes::from_static(b"two")));
    assert_eq!(scene.origin.asked()[0].path, "/42");
}
