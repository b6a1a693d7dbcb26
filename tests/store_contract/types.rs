//! What a type has to do with others, and what all types share: wrong types, replacement, expiry, renaming, copies.

use larder::ports::store::{Expect, Expire, Reply, StoreError, StoreKey};

use super::script::check;
use super::{Bench, key, text};

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// A key of each type, named after it.
async fn one_of_each(bench: &Bench) {
    check(bench, "SET string 5 => OK\n HSET hash f 1 => 1\n RPUSH list 1 => 1\n SADD set 1 => 1").await;
}

pub(super) async fn a_wrong_type_is_refused(bench: &Bench) {
    let strings = "GET %; GETEX %; GETDEL %; GETSET % v; SET % v GET; SET % v NX GET; STRLEN %; APPEND % v; SETRANGE % 0 v; \
        SETRANGE % 1 \"\"; GETRANGE % 0 1; SUBSTR % 0 1; INCR %; DECR %; INCRBY % 1; DECRBY % 1; INCRBYFLOAT % 1";
    let hashes = "HSET % f v; HMSET % f v; HSETNX % f v; HGET % f; HMGET % f; HGETALL %; HDEL % f; HEXISTS % f; \
        HINCRBY % f 1; HINCRBYFLOAT % f 1; HKEYS %; HVALS %; HLEN %; HSTRLEN % f; HSCAN % 0; HSCAN % 0 word; \
        HRANDFIELD %; HRANDFIELD % 0; HRANDFIELD % -5; HRANDFIELD % 5 WITHVALUES";
    let lists = "LPUSH % v; RPUSH % v; LPUSHX % v; RPUSHX % v; LPOP %; RPOP %; LPOP % 0; RPOP % 2; LRANGE % 0 1; LLEN %; \
        LTRIM % 0 1; LREM % 0 v; LINDEX % 0; LINDEX % word; LSET % 0 v; LSET % word v; LINSERT % BEFORE a b; LPOS % v; \
        LMOVE % none LEFT LEFT; LMOVE list % LEFT LEFT; LMOVE % % LEFT LEFT; RPOPLPUSH % none; RPOPLPUSH list %";
    let sets = "SADD % v; SREM % v; SMEMBERS %; SISMEMBER % v; SMISMEMBER % v; SCARD %; SPOP %; SPOP % 0; SPOP % 5; \
        SRANDMEMBER %; SRANDMEMBER % 0; SRANDMEMBER % -5; SSCAN % 0; SINTER %; SINTER set %; SINTER none %; SUNION % set; \
        SDIFF set %; SINTERSTORE none %; SUNIONSTORE none set %; SDIFFSTORE none % set; SMOVE % none 1; SMOVE set % 1; \
        SMOVE % % 1; SINTERCARD 2 set %";
    for (own, commands) in [("string", strings), ("hash", hashes), ("list", lists), ("set", sets)] {
        for other in ["string", "hash", "list", "set"].into_iter().filter(|other| *other != own) {
            one_of_each(bench).await;
            for command in commands.split(';').map(str::trim) {
                let command = command.replace('%', other);
                check(bench, &format!("{command} => !{WRONG_TYPE}")).await;
            }
            check(bench, "EXISTS none => 0\n MGET string hash list set => [\"5\" nil nil nil]").await;
            check(bench, "HGETALL hash => {\"f\": \"1\"}\n LRANGE list 0 -1 => [\"1\"]\n SMEMBERS set => ~[\"1\"]")
                .await;
            check(bench, "FLUSHALL => OK").await;
        }
    }
}

pub(super) async fn the_ports_own_methods_know_the_types(bench: &Bench) {
    one_of_each(bench).await;
    for name in ["hash", "list", "set"] {
        let k = key(name);
        let wrong = Err(StoreError::Reply(WRONG_TYPE.to_owned()));
        assert_eq!(bench.store.get(&k, false).await, wrong);
        assert_eq!(bench.store.get(&k, true).await, wrong);
        let increment = bench.store.increment(&k, 1, None).await;
        assert_eq!(increment, Err(StoreError::Reply(WRONG_TYPE.to_owned())));
        let none = bytes::Bytes::new;
        assert_eq!(bench.store.replace(&k, Expect::Absent, none(), Expire::Never).await, Ok(false));
        assert_eq!(bench.store.replace(&k, Expect::Prefix(none()), none(), Expire::Never).await, Ok(false));
        assert_eq!(bench.store.remove(&k, none()).await, Ok(false));
        assert_eq!(bench.store.expire(&k, Expire::InMs(100_000)).await, Ok(true));
        check(bench, &format!("TYPE {name} => {name}\n TTL {name} => ~100")).await;
    }
    let all: Vec<StoreKey> = ["hash", "string", "list", "set", "none"].map(key).to_vec();
    let held = bench.store.get_many(&all, false).await.expect("they are read");
    assert_eq!(held.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false, false, false]);
    assert_eq!(bench.store.delete(&all).await, Ok(vec![true, true, true, true, false]));
    one_of_each(bench).await;
    for name in ["hash", "list", "set"] {
        bench.store.set(&key(name), bytes::Bytes::from_static(b"v"), Expire::Never).await.expect("it is replaced");
        check(bench, &format!("TYPE {name} => string\n GET {name} => \"v\"")).await;
    }
}

pub(super) async fn a_set_replaces_every_type(bench: &Bench) {
    for other in ["hash", "list", "set"] {
        one_of_each(bench).await;
        let script = format!(
            "EXPIRE {other} 100 => 1
             SETNX {other} v => 0
             SET {other} v NX => nil
             SET {other} v XX KEEPTTL => OK
             TTL {other} => ~100
             GET {other} => \"v\"
             DEL {other} => 1
             COPY string {other} => 1
             GET {other} => \"5\""
        );
        check(bench, &script).await;
        one_of_the_others(bench, other).await;
    }
}

async fn one_of_the_others(bench: &Bench, other: &str) {
    check(bench, "FLUSHDB => OK").await;
    one_of_each(bench).await;
    let script = format!(
        "MSETNX new 1 {other} 2 => 0
         MSET new 1 {other} 2 => OK
         TYPE {other} => string
         FLUSHDB => OK"
    );
    check(bench, &script).await;
}

pub(super) async fn keys_of_every_type_are_handled_alike(bench: &Bench) {
    for name in ["string", "hash", "list", "set"] {
        one_of_each(bench).await;
        let script = format!(
            "TYPE {name} => {name}
             EXISTS {name} => 1
             TTL {name} => -1
             EXPIRE {name} 100 NX => 1
             EXPIRE {name} 200 NX => 0
             EXPIRE {name} 50 GT => 0
             EXPIRE {name} 500 LT => 0
             EXPIRE {name} 200 GT => 1
             TTL {name} => ~200
             EXPIRE {name} 100 LT => 1
             EXPIRE {name} 100 XX => 1
             TTL {name} => ~100
             RENAME {name} new => OK
             TTL new => ~100
             TYPE new => {name}
             TYPE {name} => none
             COPY new {name} => 1
             COPY new {name} => 0
             COPY new {name} REPLACE => 1
             TTL {name} => ~100
             TYPE {name} => {name}
             PERSIST {name} => 1
             TTL {name} => -1
             RENAMENX new {name} => 0
             TOUCH new {name} none => 2
             UNLINK new {name} => 2
             EXISTS new {name} => 0
             FLUSHALL => OK"
        );
        check(bench, &script).await;
    }
}

pub(super) async fn a_copy_stands_alone(bench: &Bench) {
    one_of_each(bench).await;
    let script = r#"
        COPY hash hash2 => 1
        COPY list list2 => 1
        COPY set set2 => 1
        HSET hash2 f 2 g 3 => 1
        RPUSH list2 2 => 2
        SADD set2 2 => 1
        HGETALL hash => {"f": "1"}
        LRANGE list 0 -1 => ["1"]
        SMEMBERS set => ~["1"]
        RENAME hash2 list => OK
        HGETALL list => {"f": "2", "g": "3"}
    "#;
    check(bench, script).await;
}

pub(super) async fn what_expires_is_gone_whatever_it_was(bench: &Bench) {
    one_of_each(bench).await;
    for name in ["hash", "list", "set"] {
        let reply = bench.store.call(text::command(&format!("PEXPIRE {name} 30"))).await;
        assert_eq!(reply, Ok(Reply::Integer(1)));
        bench.outlive(&key(name), 30).await;
    }
    let script = r#"
        HGETALL hash => {}
        HINCRBY hash f 1 => 1
        TTL hash => -1
        LLEN list => 0
        LPUSHX list v => 0
        SISMEMBER set 1 => 0
        SMOVE set string 1 => 0
        SUNION set => ~[]
        SINTER set set => ~[]
        KEYS * => *["hash" "string"]
        EXISTS hash list set => 1
    "#;
    check(bench, script).await;
}
