//! Sessions by hand: what random ones would hardly find.

use bytes::Bytes;
use larder::ports::store::Reply;

use super::peer::{Behind, Pair};
use crate::store_contract::text;

/// Both answer each line with the same bytes, in both protocols, with both stores.
#[track_caller]
fn check(lines: &[&str]) {
    for behind in [Behind::Memory, Behind::Redis] {
        let pair = Pair::start(behind);
        for protocol in [2, 3] {
            let (mut larder, mut redis) = pair.connect(protocol);
            for line in lines {
                let (larder, redis) = (larder.ask(line), redis.ask(line));
                assert_eq!(text::reply(&larder), text::reply(&redis), "{behind:?} RESP{protocol}: {line}");
                assert_eq!(larder, redis, "{behind:?} RESP{protocol}: {line}");
            }
            assert_eq!(larder.say("FLUSHALL"), redis.say("FLUSHALL"));
        }
    }
}

#[test]
fn numbers_of_arguments() {
    check(&[
        "HSET h",
        "HSET h f",
        "HSET h f v g",
        "HMSET h f v g",
        "HGET h",
        "HSETNX h f",
        "HINCRBY h f",
        "HRANDFIELD h 1 WITHVALUES x",
        "LPUSH l",
        "LPOP",
        "LPOP l 1 2",
        "LRANGE l 0",
        "LINSERT l BEFORE p",
        "LPOS l",
        "LMOVE a b LEFT",
        "RPOPLPUSH a",
        "SADD s",
        "SMOVE a b",
        "SINTER",
        "SINTERSTORE d",
        "SINTERCARD 1",
        "SINTERCARD 0 a",
        "SINTERCARD 2 a",
        "SINTERCARD word a",
        "SPOP s 1 2",
        "SRANDMEMBER s 1 2",
        "COPY a",
        "RENAME a",
        "OBJECT",
        "OBJECT ENCODING",
        "OBJECT word k",
        "TOUCH",
        "SCAN",
        "SCAN word",
        "SCAN 0 MATCH",
        "SCAN 0 COUNT 0",
        "SCAN 0 COUNT x",
        "SCAN 0 word 1",
        "KEYS",
        "DBSIZE x",
        "FLUSHALL word",
        "FLUSHDB ASYNC SYNC",
        "MSETNX a",
        "MSETNX a 1 b",
        "SETRANGE k",
        "SETRANGE k x v",
        "SETRANGE k -1 v",
        "GETRANGE k 0",
        "GETRANGE k 0 x",
        "SUBSTR k 0",
        "INCRBYFLOAT k",
        "INCRBYFLOAT k x",
        "EXEC",
        "DISCARD",
        "UNWATCH",
        "WATCH",
        "MULTI x",
    ]);
}

#[test]
fn nothing_in_all_its_forms() {
    check(&[
        "LPOP l",
        "LPOP l 1",
        "LPOP l 0",
        "RPOP l 2",
        "HGET h f",
        "HGETALL h",
        "HMGET h f g",
        "HRANDFIELD h",
        "HRANDFIELD h 2",
        "HRANDFIELD h -2 WITHVALUES",
        "HKEYS h",
        "HVALS h",
        "LRANGE l 0 -1",
        "LINDEX l 0",
        "LPOS l x",
        "LPOS l x COUNT 0",
        "LMOVE l m LEFT RIGHT",
        "RPOPLPUSH l m",
        "SMEMBERS s",
        "SPOP s",
        "SPOP s 2",
        "SRANDMEMBER s",
        "SRANDMEMBER s 2",
        "SINTER s t",
        "SMISMEMBER s a b",
        "RANDOMKEY",
        "GETRANGE k 0 -1",
        "OBJECT ENCODING k",
        "RENAME k l",
        "COPY k l",
        "TOUCH k",
        "DBSIZE",
        "KEYS *",
        "SCAN 0",
        "LSET l 0 x",
        "LPUSHX l x",
        "LINSERT l BEFORE a b",
        "HSET h a 1",
        "HRANDFIELD h 3 WITHVALUES",
        "HRANDFIELD h -3 WITHVALUES",
        "HRANDFIELD h 0 WITHVALUES",
        "RPUSH l a",
        "LPOP l 0",
        "SADD s a",
        "SPOP s 0",
        "SPOP s 5",
    ]);
}

#[test]
fn wrong_types() {
    check(&[
        "SET k v",
        "HSET h f v",
        "RPUSH l a",
        "SADD s a",
        "HGET k f",
        "LPUSH k a",
        "SADD k a",
        "GET h",
        "INCR l",
        "APPEND s x",
        "SETRANGE h 0 x",
        "GETRANGE l 0 1",
        "MGET k h l s",
        "SINTER s k",
        "SUNIONSTORE d s l",
        "SMOVE s k a",
        "LMOVE l s LEFT LEFT",
        "RPOPLPUSH l k",
        "SINTERCARD 2 s k",
        "HINCRBY k f 1",
        "HSET h n abc",
        "HINCRBY h n 1",
        "HINCRBYFLOAT h n 1",
        "TYPE k",
        "TYPE h",
        "TYPE l",
        "TYPE s",
        "STRLEN h",
        "GETEX l",
        "GETDEL s",
        "SET h x",
        "TYPE h",
        "MSETNX h 1 new 2",
        "EXISTS new",
        "OBJECT ENCODING l",
    ]);
}

#[test]
fn keys_of_all_kinds() {
    check(&[
        "SET :1:key v",
        "GET :1:key",
        "SET \"\" empty",
        "GET \"\"",
        "HSET \\x00\\xff\\x0d\\x0a \\xff\\x00 \\x80",
        "HGETALL \\x00\\xff\\x0d\\x0a",
        "RENAME \\x00\\xff\\x0d\\x0a {tag}:x",
        "TYPE {tag}:x",
        "SET ::: 1",
        "INCR :::",
        "DBSIZE",
        "KEYS :1:*",
        "KEYS {tag}*",
        "SCAN 0 MATCH :1:* COUNT 1000",
        "COPY :1:key :2:key",
        "GET :2:key",
        "COPY :1:key :2:key",
        "COPY :1:key :2:key REPLACE",
        "COPY :1:key x DB 0",
        "COPY :1:key x DB word",
        "TOUCH :1:key \"\" none",
        "EXISTS :1:key :1:key",
        "OBJECT ENCODING :1:key",
        "RENAMENX :1:key :2:key",
        "RENAMENX :1:key other",
        "SCAN 0 TYPE hash COUNT 1000",
        "SCAN 0 TYPE word COUNT 1000",
    ]);
}

#[test]
fn large_values() {
    const LARGE: usize = 5 * 1024 * 1024;
    for behind in [Behind::Memory, Behind::Redis] {
        let pair = Pair::start(behind);
        let (mut larder, mut redis) = pair.connect(2);
        let value = Bytes::from(vec![b'x'; LARGE]);
        let words =
            |words: &[&'static str]| words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect::<Vec<_>>();
        for (before, after) in
            [(&["HSET", "h", "f"][..], "HGET h f"), (&["RPUSH", "l"], "LPOP l"), (&["SADD", "s"], "SPOP s")]
        {
            let mut set = words(before);
            set.push(value.clone());
            for peer in [&mut larder, &mut redis] {
                peer.send_args(&set);
                assert_eq!(peer.answer(), Reply::Integer(1), "{behind:?} {before:?}");
                assert_eq!(peer.ask(after), Reply::Bulk(value.clone()), "{behind:?} {after}");
            }
        }
    }
}

#[test]
fn commands_about_commands() {
    check(&[
        "COMMAND GETKEYS SINTERCARD 2 a b LIMIT 3",
        "COMMAND GETKEYS LMOVE a b LEFT RIGHT",
        "COMMAND GETKEYS MSETNX a 1 b 2",
        "COMMAND GETKEYS SUNIONSTORE d a b",
        "COMMAND GETKEYS OBJECT ENCODING k",
        "COMMAND GETKEYS SCAN 0",
        "COMMAND GETKEYS COPY a b",
        "COMMAND GETKEYS word x",
        "COMMAND GETKEYS GET",
        "COMMAND GETKEYS GET k l",
    ]);
}

/// Number of arguments, first key, last key and step of each command that this is about are Redis' own.
#[test]
fn facts_of_commands() {
    let pair = Pair::start(Behind::Memory);
    let (mut larder, mut redis) = pair.connect(2);
    let Reply::Array(all) = larder.ask("COMMAND") else { panic!("a list") };
    let mut compared = 0;
    for facts in all {
        let Reply::Array(facts) = facts else { panic!("facts") };
        let Reply::Bulk(name) = &facts[0] else { panic!("a name") };
        let Reply::Array(of_redis) = redis.ask(&format!("COMMAND INFO {}", String::from_utf8_lossy(name))) else {
            panic!("a list")
        };
        // Larder's own.
        let Some(Reply::Array(of_redis)) = of_redis.first() else { continue };
        let numbers = |facts: &[Reply]| [1, 3, 4, 5].map(|at| text::reply(&facts[at]));
        assert_eq!(numbers(&facts), numbers(of_redis), "{name:?}");
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
}
