//! Random sessions, in blocks of `MULTI` now and then: both answer each command alike.

use larder::ports::store::Reply;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::peer::{Behind, Pair, Peer};
use crate::store_contract::random::alike::{Chance, alike};
use crate::store_contract::random::{collections, strings};
use crate::store_contract::text;

const CASES: u32 = 80;
const STEPS_MAX: usize = 60;

/// What a client does at once.
#[derive(Clone, Debug)]
enum Step {
    One(String),
    Block(Vec<String>),
}

fn command() -> impl Strategy<Value = String> {
    let kinds = (collections::hashes(), collections::lists(), collections::sets());
    let any =
        prop_oneof![3 => strings::command(), 2 => kinds.0, 2 => kinds.1, 2 => kinds.2, 3 => collections::any_type()];
    any.prop_filter("Larder's lifetimes have a bound", |words| !lives_too_long(words))
}

/// A time further away than Larder allows, which is an error there.
fn lives_too_long(words: &str) -> bool {
    let mut words = words.split_whitespace();
    let most = match words.next() {
        Some("EXPIREAT") => 30_000_000_000,
        Some("PEXPIREAT") => 30_000_000_000_000,
        _ => return false,
    };
    words.nth(1).and_then(|number| number.parse::<i64>().ok()).is_some_and(|number| number > most)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => command().prop_map(Step::One),
        1 => proptest::collection::vec(command(), 0..6).prop_map(Step::Block),
    ]
}

/// RESP2 sends as one list what RESP3 sends as sets and maps; here they are what they are, so that their order does not matter.
fn typed(words: &str, reply: Reply, protocol: u8) -> Reply {
    let name = words.split(' ').next().unwrap_or_default();
    match (protocol, name, reply) {
        (2, "HGETALL", Reply::Array(flat)) => {
            Reply::Map(flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
        }
        (2, "HRANDFIELD", Reply::Array(flat)) if words.to_lowercase().ends_with("withvalues") => {
            Reply::Array(flat.chunks(2).map(|pair| Reply::Array(pair.to_vec())).collect())
        }
        (2, "SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "SPOP", Reply::Array(members)) => Reply::Set(members),
        (_, _, reply) => reply,
    }
}

struct Sides {
    larder: Peer,
    redis: Peer,
    protocol: u8,
    told: String,
}

impl Sides {
    fn tell(&mut self, words: &str, larder: &Reply, redis: &Reply, is_alike: bool) -> bool {
        let mark = if is_alike { ' ' } else { '!' };
        let (larder, redis) = (text::reply(larder), text::reply(redis));
        self.told += &format!("{mark} {words}\n      larder {larder}\n      redis  {redis}\n");
        is_alike
    }

    fn one(&mut self, words: &str) -> bool {
        let protocol = self.protocol;
        let chance = Chance::of(words);
        let there = chance.as_ref().map(|chance| {
            let question = chance.question();
            let there = self.redis.ask(&question);
            typed(&question, there, protocol)
        });
        let larder = typed(words, self.larder.ask(words), protocol);
        let redis = typed(words, self.redis.ask(words), protocol);
        let is_alike = match (&chance, &there) {
            (Some(chance), Some(there)) => chance.fits(there, &larder, &redis),
            _ => alike(words, &larder, &redis),
        };
        if let Some(key) = chance.as_ref().and_then(Chance::taken_from) {
            let removal = format!("DEL {key}");
            assert_eq!(self.larder.ask(&removal), self.redis.ask(&removal), "{words} leaves as much");
        }
        self.tell(words, &larder, &redis, is_alike)
    }

    fn block(&mut self, all: &[String]) -> bool {
        // What chance picks would let both sides drift apart, and these answer what the other client's past decides.
        // In Redis the words of a block hold what the block has written, too, until it is over.
        let counts = |words: &str| words.to_ascii_uppercase().starts_with("OBJECT REFCOUNT");
        let apart = |words: &&String| Chance::of(words).is_none() && !counts(words);
        let all: Vec<&String> = all.iter().filter(apart).collect();
        let (larder, redis) = (self.larder.ask("MULTI"), self.redis.ask("MULTI"));
        let mut is_alike = self.tell("MULTI", &larder, &redis, larder == redis);
        for words in &all {
            let (larder, redis) = (self.larder.ask(words), self.redis.ask(words));
            is_alike &= self.tell(words, &larder, &redis, larder == redis);
        }
        let (larder, redis) = (self.larder.ask("EXEC"), self.redis.ask("EXEC"));
        match (larder, redis) {
            (Reply::Array(larder), Reply::Array(redis)) if larder.len() == redis.len() => {
                for ((words, larder), redis) in all.iter().zip(larder).zip(redis) {
                    let larder = typed(words, larder, self.protocol);
                    let redis = typed(words, redis, self.protocol);
                    is_alike &= self.tell(&format!("EXEC {words}"), &larder, &redis, alike(words, &larder, &redis));
                }
                is_alike
            }
            (larder, redis) => is_alike && self.tell("EXEC", &larder, &redis, larder == redis),
        }
    }
}

fn compare(behind: Behind, protocol: u8) {
    let pair = Pair::start(behind);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let sessions = proptest::collection::vec(step(), 1..STEPS_MAX);
    let ran = TestRunner::new(config).run(&sessions, |steps| {
        let (larder, redis) = pair.connect(protocol);
        let mut sides = Sides { larder, redis, protocol, told: String::new() };
        let emptied = sides.one("FLUSHALL");
        let is_alike = emptied
            && steps.iter().all(|step| match step {
                Step::One(words) => sides.one(words),
                Step::Block(all) => sides.block(all),
            })
            && sides.one("KEYS *");
        prop_assert!(is_alike, "{}", sides.told);
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
}

#[test]
fn memory_in_resp2() {
    compare(Behind::Memory, 2);
}

#[test]
fn memory_in_resp3() {
    compare(Behind::Memory, 3);
}

#[test]
fn redis_in_resp2() {
    compare(Behind::Redis, 2);
}

#[test]
fn redis_in_resp3() {
    compare(Behind::Redis, 3);
}
