//! Random commands on few keys: the memory store and a real Redis must answer each of them alike.
//!
//! Times are chosen so that nothing expires on its own and nothing depends on the milliseconds that Redis takes; what is left
//! of a life is compared roughly. What Redis gives in no order is compared in none. What chance picks must be something that is
//! there; a key from which chance has taken is removed on both sides, so that they stay alike.

pub(crate) mod alike;
pub(crate) mod collections;
pub(crate) mod strings;

use std::sync::Arc;

use larder::adapters::clock::SystemClock;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::adapters::redis::RedisStore;
use larder::ports::clock::{Clock as _, VirtualClock};
use larder::ports::store::{Reply, Store};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::alike::{Chance, alike};
use super::text;
use crate::support::redis::RedisServer;

const CASES: u32 = 250;
const COMMANDS_MAX: usize = 120;

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = String> {
    one_of(&["a", "b", "c", "\\x00"])
}

fn value() -> impl Strategy<Value = String> {
    // Long enough that the memory store keeps it in another form.
    let long = Just("long-".repeat(150));
    let short = one_of(&[
        "v",
        "\"\"",
        "0",
        "1",
        "-1",
        "41",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "-0.25",
        "1e3",
        "0.1",
        "+1",
        "007",
        "\\xff\\x00\\x0d",
        "Hello",
        "inf",
        "3.0",
        "12345678901234567890",
        "0x1p4",
        "longer-than-an-embedded-string-of-44-bytes-is",
    ]);
    prop_oneof![20 => short, 1 => long]
}

fn number() -> impl Strategy<Value = String> {
    let few = one_of(&[
        "0",
        "1",
        "-1",
        "2",
        "-2",
        "5",
        "100",
        "-100",
        "9223372036854775807",
        "-9223372036854775808",
        "word",
        "1.0",
        "\"\"",
        "01",
    ]);
    prop_oneof![few, (-10_i64..10).prop_map(|n| n.to_string())]
}

/// A float as people and programs write it.
fn float() -> impl Strategy<Value = String> {
    prop_oneof![
        value(),
        (-1000_i64..1000, 0_u32..100_000).prop_map(|(whole, fraction)| format!("{whole}.{fraction:05}")),
        (-999_i64..1000, -30_i32..30).prop_map(|(digits, exponent)| format!("{digits}e{exponent}")),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
    ]
}

/// A command that both carried out, and what they said.
struct Step {
    words: String,
    memory: Reply,
    redis: Reply,
    is_alike: bool,
}

async fn call(store: &impl Store, words: &str) -> Reply {
    store.call(text::command(words)).await.expect("it is answered")
}

/// Carries out a command on both.
async fn step(memory: &MemoryStore, redis: &RedisStore, words: &str) -> Step {
    // What chance may pick is asked first, of Redis.
    let chance = Chance::of(words);
    let there = match &chance {
        Some(chance) => call(redis, &chance.question()).await,
        None => Reply::Nil,
    };
    let (from_memory, from_redis) = (call(memory, words).await, call(redis, words).await);
    let is_alike = match &chance {
        Some(chance) => chance.fits(&there, &from_memory, &from_redis),
        None => alike(words, &from_memory, &from_redis),
    };
    if let Some(key) = chance.as_ref().and_then(Chance::taken_from) {
        let removed = [call(memory, &format!("DEL {key}")).await, call(redis, &format!("DEL {key}")).await];
        assert_eq!(removed[0], removed[1], "{words} leaves as much");
    }
    Step { words: words.to_owned(), memory: from_memory, redis: from_redis, is_alike }
}

fn session(steps: &[Step]) -> String {
    let lines = steps.iter().map(|Step { words, memory, redis, is_alike }| {
        let mark = if *is_alike { ' ' } else { '!' };
        format!("{mark} {words}\n      memory {}\n      redis  {}", text::reply(memory), text::reply(redis))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Lets both carry out sessions of such commands. At the end of each, memory is given back to the last byte.
fn compare(command: impl Strategy<Value = String>) {
    let server = RedisServer::start();
    let redis = server.store();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let commands = proptest::collection::vec(command, 1..COMMANDS_MAX);
    let ran = TestRunner::new(config).run(&commands, |words| {
        let clock = VirtualClock::new(SystemClock::default().wall_ms(), 1);
        let memory = MemoryStore::new(MemorySettings::default(), Arc::new(clock));
        let steps = runtime.block_on(async {
            call(&redis, "FLUSHALL").await;
            let mut steps = Vec::new();
            for words in &words {
                steps.push(step(&memory, &redis, words).await);
                if !steps.last().is_some_and(|step| step.is_alike) {
                    break;
                }
            }
            steps.push(step(&memory, &redis, "KEYS *").await);
            steps
        });
        prop_assert!(steps.iter().all(|step| step.is_alike), "{}", session(&steps));
        runtime.block_on(async {
            let Reply::Array(keys) = call(&memory, "KEYS *").await else { panic!("KEYS answers a list") };
            for key in keys {
                let Reply::Bulk(key) = key else { panic!("a key is a string") };
                memory.delete(&[larder::ports::store::StoreKey(key)]).await.expect("it is removed");
            }
        });
        memory.sweep(usize::MAX);
        prop_assert_eq!(memory.used_bytes(), 0, "after {}", session(&steps));
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
}

#[test]
fn random_commands_are_answered_alike() {
    compare(strings::command());
}

#[test]
fn random_commands_on_hashes_are_answered_alike() {
    compare(prop_oneof![8 => collections::hashes(), 1 => collections::any_type()]);
}

#[test]
fn random_commands_on_lists_are_answered_alike() {
    compare(prop_oneof![8 => collections::lists(), 1 => collections::any_type()]);
}

#[test]
fn random_commands_on_sets_are_answered_alike() {
    compare(prop_oneof![8 => collections::sets(), 1 => collections::any_type()]);
}

#[test]
fn random_commands_on_all_types_are_answered_alike() {
    let all = (collections::hashes(), collections::lists(), collections::sets());
    compare(prop_oneof![2 => strings::command(), 2 => all.0, 2 => all.1, 2 => all.2, 3 => collections::any_type()]);
}
