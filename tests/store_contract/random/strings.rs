//! Random commands on strings, and on keys whatever they hold.

use proptest::prelude::*;

use super::{float, key, number, one_of, value};

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
    // Through the host a moment may come out a millisecond off: none is that near to another one.
    let at = one_of(&[
        "1",
        "4000000000",
        "4000000001",
        "4000000000250",
        "4000000002250",
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

pub(crate) fn command() -> impl Strategy<Value = String> {
    prop_oneof![3 => writes(), 2 => edits(), 2 => on_one_key(), 1 => on_two_keys(), 1 => expiry()]
}
