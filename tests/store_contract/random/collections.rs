//! Random commands on hashes, lists and sets, and on keys of any type.

use std::ops::Range;

use proptest::prelude::*;

use super::{float, number, one_of, value};

/// A key of these, or now and then one of another type.
fn key(own: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![12 => one_of(own), 1 => one_of(&["a", "h", "l", "s"])]
}

fn hash() -> impl Strategy<Value = String> {
    key(&["h", "h", "i"])
}

fn list() -> impl Strategy<Value = String> {
    key(&["l", "l", "m"])
}

fn set() -> impl Strategy<Value = String> {
    key(&["s", "t", "u"])
}

/// An element. Few, so that they meet; some numbers, some too long for Redis to keep packed.
fn element() -> impl Strategy<Value = String> {
    let some = one_of(&["x", "y", "z", "\"\"", "1", "2", "-5", "07", "1.5", "\\x00\\xff", "word"]);
    let many = (0_u32..40).prop_map(|n| n.to_string());
    let long = one_of(&["x", "y"]).prop_map(|x| x.repeat(65));
    prop_oneof![6 => some, 6 => many, 1 => long, 1 => value()]
}

/// Several words.
fn words(word: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(word, 1..most).prop_map(|words| words.join(" "))
}

/// A run of names that is long enough to leave the short form behind.
fn run() -> impl Strategy<Value = Range<u32>> {
    (0_u32..60, 1_u32..60).prop_map(|(from, many)| from..from + many)
}

fn listed(run: Range<u32>) -> String {
    run.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
}

fn paired(run: Range<u32>) -> String {
    run.map(|n| format!("{n} v{n}")).collect::<Vec<_>>().join(" ")
}

/// A count; few are large, for answers have as many elements.
fn count() -> impl Strategy<Value = String> {
    one_of(&["0", "1", "2", "3", "-1", "-2", "-9", "5", "100", "word", "\"\"", "1.5", "-9223372036854775808"])
}

fn scan(command: &'static str, key: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    // A count that shows all in one step: what two steps show depends on how tables are made.
    let options =
        one_of(&["", "MATCH *", "MATCH 1*", "MATCH [x-z]", "MATCH ?", "MATCH nothing", "COUNT 9999", "word", "MATCH"]);
    let cursor = one_of(&["0", "0", "0", "0", "word"]);
    (key, cursor, options).prop_map(move |(k, c, o)| format!("{command} {k} {c} COUNT 1000 {o}"))
}

/// A command of these on a key.
fn bare(names: &'static [&'static str], key: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (one_of(names), key).prop_map(|(c, k)| format!("{c} {k}"))
}

/// A command of these on a key, with an element.
fn with(names: &'static [&'static str], key: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (one_of(names), key, element()).prop_map(|(c, k, e)| format!("{c} {k} {e}"))
}

pub(crate) fn hashes() -> impl Strategy<Value = String> {
    let pair = || (element(), element()).prop_map(|(f, v)| format!("{f} {v}"));
    let with_values = one_of(&["", "", "WITHVALUES", "withvalues", "word"]);
    prop_oneof![
        4 => (one_of(&["HSET", "HMSET"]), hash(), words(pair(), 4)).prop_map(|(c, k, w)| format!("{c} {k} {w}")),
        1 => (hash(), run()).prop_map(|(k, run)| format!("HSET {k} {}", paired(run))),
        1 => (hash(), run()).prop_map(|(k, run)| format!("HDEL {k} {}", listed(run))),
        1 => (hash(), pair()).prop_map(|(k, p)| format!("HSETNX {k} {p}")),
        1 => (hash(), words(element(), 5)).prop_map(|(k, w)| format!("HSET {k} {w}")),
        3 => with(&["HGET", "HEXISTS", "HSTRLEN", "HDEL"], hash()),
        2 => (one_of(&["HMGET", "HDEL"]), hash(), words(element(), 6)).prop_map(|(c, k, w)| format!("{c} {k} {w}")),
        2 => bare(&["HGETALL", "HKEYS", "HVALS", "HLEN", "HRANDFIELD"], hash()),
        1 => (hash(), element(), number()).prop_map(|(k, f, n)| format!("HINCRBY {k} {f} {n}")),
        1 => (hash(), element(), float()).prop_map(|(k, f, n)| format!("HINCRBYFLOAT {k} {f} {n}")),
        1 => (hash(), count(), with_values).prop_map(|(k, n, w)| format!("HRANDFIELD {k} {n} {w}")),
        1 => scan("HSCAN", hash()),
    ]
}

pub(crate) fn lists() -> impl Strategy<Value = String> {
    let pushes = || one_of(&["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"]);
    let end = || one_of(&["LEFT", "RIGHT", "left", "Right", "LEFT", "RIGHT", "up"]);
    let options = one_of(&[
        "",
        "COUNT 0",
        "COUNT 1",
        "COUNT 2",
        "RANK 1",
        "RANK -1",
        "RANK 2",
        "RANK -2",
        "RANK 0",
        "COUNT 0 RANK -2",
        "MAXLEN 3",
        "MAXLEN 0",
        "COUNT 2 MAXLEN 5",
        "RANK -1 MAXLEN 2",
        "COUNT -1",
        "MAXLEN -1",
        "RANK word",
        "COUNT",
        "word 1",
    ]);
    prop_oneof![
        4 => (pushes(), list(), words(element(), 5)).prop_map(|(c, k, w)| format!("{c} {k} {w}")),
        1 => (pushes(), list(), run()).prop_map(|(c, k, run)| format!("{c} {k} {}", listed(run))),
        2 => bare(&["LPOP", "RPOP", "LLEN"], list()),
        2 => (one_of(&["LPOP", "RPOP", "LINDEX"]), list(), number()).prop_map(|(c, k, n)| format!("{c} {k} {n}")),
        2 => (one_of(&["LRANGE", "LRANGE", "LTRIM"]), list(), number(), number())
            .prop_map(|(c, k, n, m)| format!("{c} {k} {n} {m}")),
        1 => list().prop_map(|k| format!("LRANGE {k} 0 -1")),
        2 => (one_of(&["LREM", "LSET"]), list(), number(), element()).prop_map(|(c, k, n, e)| format!("{c} {k} {n} {e}")),
        2 => (list(), one_of(&["BEFORE", "AFTER", "before", "beside"]), element(), element())
            .prop_map(|(k, w, p, e)| format!("LINSERT {k} {w} {p} {e}")),
        2 => (list(), element(), options).prop_map(|(k, e, o)| format!("LPOS {k} {e} {o}")),
        2 => (list(), list(), end(), end()).prop_map(|(k, l, from, to)| format!("LMOVE {k} {l} {from} {to}")),
        1 => (list(), list()).prop_map(|(k, l)| format!("RPOPLPUSH {k} {l}")),
    ]
}

pub(crate) fn sets() -> impl Strategy<Value = String> {
    let combined = one_of(&["SINTER", "SUNION", "SDIFF", "SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
    let limit = one_of(&["", "LIMIT 0", "LIMIT 1", "LIMIT 3", "LIMIT -1", "LIMIT word", "LIMIT", "word 1"]);
    prop_oneof![
        4 => (one_of(&["SADD", "SADD", "SREM"]), set(), words(element(), 6)).prop_map(|(c, k, w)| format!("{c} {k} {w}")),
        2 => (one_of(&["SADD", "SREM"]), set(), run()).prop_map(|(c, k, run)| format!("{c} {k} {}", listed(run))),
        2 => with(&["SISMEMBER", "SMISMEMBER", "SREM"], set()),
        1 => (set(), words(element(), 5)).prop_map(|(k, w)| format!("SMISMEMBER {k} {w}")),
        2 => bare(&["SMEMBERS", "SCARD", "SRANDMEMBER", "SPOP"], set()),
        1 => (one_of(&["SRANDMEMBER", "SPOP"]), set(), count()).prop_map(|(c, k, n)| format!("{c} {k} {n}")),
        3 => (combined, words(set(), 5)).prop_map(|(c, k)| format!("{c} {k}")),
        2 => (one_of(&["1", "2", "2", "3", "0", "-1", "word"]), words(set(), 4), limit)
            .prop_map(|(n, k, o)| format!("SINTERCARD {n} {k} {o}")),
        2 => (set(), set(), element()).prop_map(|(k, l, e)| format!("SMOVE {k} {l} {e}")),
        1 => scan("SSCAN", set()),
    ]
}

/// No `DBSIZE`: Redis counts a key that is past its expiry until it happens to come across it.
pub(crate) fn any_type() -> impl Strategy<Value = String> {
    let any = || one_of(&["a", "b", "h", "i", "l", "m", "s", "t", "u"]);
    let names = &["TYPE", "TTL", "EXISTS", "PERSIST", "DEL", "UNLINK", "TOUCH", "EXPIRETIME", "GET", "STRLEN"];
    let objects =
        &["OBJECT ENCODING", "OBJECT ENCODING", "OBJECT REFCOUNT", "OBJECT IDLETIME", "OBJECT FREQ", "OBJECT word"];
    let expiry = one_of(&[
        "EXPIRE K 10000000",
        "EXPIRE K 20000000 NX",
        "PEXPIRE K 10000000000 XX",
        "EXPIRE K 0",
        "PEXPIRE K -1",
        "EXPIREAT K 4000000000 LT",
        "EXPIREAT K 4000000001 GT",
        "EXPIREAT K 4000000000",
    ]);
    let pattern = one_of(&["*", "[a-l]", "?", "[^a]", "h*", "none", "\\x5ca", "[", "**", "\"\""]);
    let options = one_of(&[
        "",
        "TYPE hash",
        "TYPE string",
        "TYPE LIST",
        "TYPE set",
        "MATCH [h-s]",
        "MATCH * TYPE set",
        "TYPE word",
    ]);
    prop_oneof![
        3 => bare(names, any()),
        2 => bare(objects, any()),
        2 => (one_of(&["RENAME", "RENAMENX", "COPY"]), any(), any()).prop_map(|(c, k, l)| format!("{c} {k} {l}")),
        1 => (any(), any()).prop_map(|(k, l)| format!("COPY {k} {l} REPLACE")),
        1 => (any(), value()).prop_map(|(k, v)| format!("SET {k} {v}")),
        1 => (any(), any(), value()).prop_map(|(k, l, v)| format!("MSETNX {k} {v} {l} {v}")),
        2 => (any(), expiry).prop_map(|(k, e)| e.replace('K', &k)),
        1 => pattern.prop_map(|pattern| format!("KEYS {pattern}")),
        2 => options.prop_map(|options| format!("SCAN 0 COUNT 1000 {options}")),
        1 => one_of(&["RANDOMKEY", "RANDOMKEY", "MGET a h l s b"]),
        1 => words(any(), 4).prop_map(|keys| format!("DEL {keys}")),
    ]
}
