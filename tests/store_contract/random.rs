//! Random commands on few keys: the memory store and a real Redis must answer each of them alike.
//!
//! Times are chosen so that nothing expires on its own and nothing depends on the milliseconds that Redis takes; what is left
//! of a life is compared roughly.

use std::sync::Arc;

use larder::adapters::clock::SystemClock;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::ports::clock::{Clock as _, VirtualClock};
use larder::ports::store::{Reply, Store};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::text;
use crate::support::redis::RedisServer;

const CASES: u32 = 400;
const COMMANDS_MAX: usize = 60;

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

/// How long, as `SET` and `GETEX` take it.
fn lifetime() -> impl Strategy<Value = String> {
    one_of(&[
        "",
        "",
        "EX 1000",
        "PX 1000000",
        "EXAT 4000000000",
        "PXAT 4000000000123",
        "EXAT 1",
        "PXAT 1",
        "EX 0",
        "PX -1",
        "EX word",
        "EX",
        "KEEPTTL",
        "PERSIST",
        "EX 1000 PX 5",
        "EX 5000 EX 1000",
        "EXAT 9223372036854775807",
    ])
}

/// When, as `EXPIRE` takes it. Conditions on order only where both clocks agree to the millisecond.
fn expiry() -> impl Strategy<Value = String> {
    let from_now = one_of(&["EXPIRE", "PEXPIRE"]);
    let for_long = one_of(&["10000000", "20000000", "0", "-1", "word", "9223372036854775807", "-9223372036854775808"]);
    let presence = one_of(&["", "", "NX", "XX", "nonsense", "NX XX", "GT LT"]);
    let absolute = one_of(&["EXPIREAT", "PEXPIREAT"]);
    let at = one_of(&[
        "1",
        "4000000000",
        "4000000001",
        "4000000000000",
        "4000000000001",
        "0",
        "-5",
        "9223372036854775807",
        "word",
    ]);
    let order = one_of(&["", "NX", "XX", "GT", "LT", "XX GT", "LT XX", "NX LT", "GT GT"]);
    prop_oneof![
        (from_now, key(), for_long, presence).prop_map(|(c, k, n, o)| format!("{c} {k} {n} {o}")),
        (absolute, key(), at, order).prop_map(|(c, k, n, o)| format!("{c} {k} {n} {o}")),
    ]
}

fn on_one_key() -> impl Strategy<Value = String> {
    let names = &[
        "GET",
        "GETDEL",
        "STRLEN",
        "INCR",
        "DECR",
        "TTL",
        "PTTL",
        "EXPIRETIME",
        "PEXPIRETIME",
        "PERSIST",
        "TYPE",
        "EXISTS",
        "TOUCH",
        "DEL",
        "UNLINK",
        "MGET",
    ];
    (one_of(names), key()).prop_map(|(c, k)| format!("{c} {k}"))
}

fn on_two_keys() -> impl Strategy<Value = String> {
    let names = &["MGET", "DEL", "EXISTS", "RENAME", "RENAMENX", "COPY", "UNLINK", "TOUCH"];
    let option = one_of(&["", "", "", "REPLACE", "DB 0", "word"]);
    (one_of(names), key(), key(), option).prop_map(|(c, k, l, o)| match c.as_str() {
        "COPY" => format!("{c} {k} {l} {o}"),
        _ => format!("{c} {k} {l}"),
    })
}

fn writes() -> impl Strategy<Value = String> {
    let condition = one_of(&["", "", "", "NX", "XX", "GET", "NX GET", "XX GET", "NX XX", "word"]);
    prop_oneof![
        3 => (key(), value(), condition, lifetime()).prop_map(|(k, v, c, l)| format!("SET {k} {v} {c} {l}")),
        1 => (one_of(&["SETNX", "GETSET", "APPEND"]), key(), value()).prop_map(|(c, k, v)| format!("{c} {k} {v}")),
        1 => (one_of(&["SETEX", "PSETEX"]), key(), one_of(&["10000000", "0", "-1", "word"]), value())
            .prop_map(|(c, k, n, v)| format!("{c} {k} {n} {v}")),
        1 => (one_of(&["MSET", "MSETNX"]), key(), value(), key(), value())
            .prop_map(|(c, k, v, l, w)| format!("{c} {k} {v} {l} {w}")),
        1 => (key(), lifetime()).prop_map(|(k, l)| format!("GETEX {k} {l}")),
    ]
}

fn edits() -> impl Strategy<Value = String> {
    prop_oneof![
        (one_of(&["INCRBY", "DECRBY"]), key(), number()).prop_map(|(c, k, n)| format!("{c} {k} {n}")),
        (key(), float()).prop_map(|(k, n)| format!("INCRBYFLOAT {k} {n}")),
        (key(), one_of(&["0", "1", "3", "10", "-1", "word", "600000000"]), value())
            .prop_map(|(k, n, v)| format!("SETRANGE {k} {n} {v}")),
        (one_of(&["GETRANGE", "SUBSTR"]), key(), number(), number())
            .prop_map(|(c, k, n, m)| format!("{c} {k} {n} {m}")),
    ]
}

fn command() -> impl Strategy<Value = String> {
    prop_oneof![3 => writes(), 2 => edits(), 2 => on_one_key(), 1 => on_two_keys(), 1 => expiry()]
}

/// Whether two replies are the same, or both what is left of lives that began at nearly the same time.
fn alike(command: &str, memory: &Reply, redis: &Reply) -> bool {
    const SECONDS: i64 = 60;
    let name = command.split(' ').next().unwrap_or_default();
    let tolerance = match name {
        "TTL" | "EXPIRETIME" => SECONDS,
        "PTTL" | "PEXPIRETIME" => SECONDS * 1000,
        _ => 0,
    };
    match (memory, redis) {
        (Reply::Integer(a), Reply::Integer(b)) if *a > 0 && *b > 0 => a.abs_diff(*b) <= tolerance.unsigned_abs(),
        _ => memory == redis,
    }
}

fn session(words: &[String], memory: &[Reply], redis: &[Reply]) -> String {
    let lines = words.iter().zip(memory.iter().zip(redis)).map(|(words, (memory, redis))| {
        let mark = if alike(words, memory, redis) { ' ' } else { '!' };
        format!("{mark} {words}\n      memory {}\n      redis  {}", text::reply(memory), text::reply(redis))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn random_commands_are_answered_alike() {
    let server = RedisServer::start();
    let redis = server.store();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let commands = proptest::collection::vec(command(), 1..COMMANDS_MAX);
    let ran = TestRunner::new(config).run(&commands, |words| {
        let clock = VirtualClock::new(SystemClock::default().wall_ms(), 1);
        let memory = MemoryStore::new(MemorySettings::default(), Arc::new(clock));
        let script = || words.iter().map(|words| text::command(words)).collect::<Vec<_>>();
        let (memory, redis) = runtime.block_on(async {
            redis.call(text::command("FLUSHALL")).await.expect("it is emptied");
            (memory.pipeline(script()).await.expect("answers"), redis.pipeline(script()).await.expect("answers"))
        });
        let same =
            words.iter().zip(memory.iter().zip(&redis)).all(|(words, (memory, redis))| alike(words, memory, redis));
        prop_assert!(same, "{}", session(&words, &memory, &redis));
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
}
