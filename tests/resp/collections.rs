//! Hashes, lists and sets in domains with rules of their own, the key space as applications see it, and what L1 must forget.

use larder::ports::policy::{Description, Encoding, Lifetime, Shape, Shapes};

use super::world;
use crate::support::engine::{World, description, lives};
use crate::support::resp::{Client, Host};

/// `queue` (lists of three), `minute` (raw, a minute), `slide` (raw, a minute, sliding), `profile` (enveloped, every shape).
fn domains() -> World {
    let world = world();
    let lists = Description { shapes: Shapes::default().with(Shape::List), ..description(Encoding::Raw) };
    let newest = |max| Lifetime { list_max: Some(max), ..Lifetime::fresh(None) };
    world.go_live("queue", lists, lives(newest(3)));
    world.raw("minute", Lifetime::fresh(Some(60_000)));
    let asked = Description { wants_raw_reads: true, ..description(Encoding::Raw) };
    world.go_live("slide", asked, lives(Lifetime { sliding: true, ..Lifetime::fresh(Some(60_000)) }));
    world
}

struct Bench {
    host: Host,
    client: Client,
}

impl Bench {
    async fn start() -> Self {
        let host = Host::start(domains()).await;
        let client = host.connect().await;
        Self { host, client }
    }

    /// Sends each line and compares the answer.
    async fn check(&mut self, lines: &[(&str, &str)]) {
        for (line, answer) in lines {
            assert_eq!(&self.client.line(line).await, answer, "{line}");
        }
    }

    /// Sends each line; the answer holds these words.
    async fn check_refused(&mut self, lines: &[(&str, &str)]) {
        for (line, words) in lines {
            let answer = self.client.line(line).await;
            assert!(answer.starts_with("-ERR") && answer.contains(words), "{line}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_policy_bounds_its_lists() {
    let mut bench = Bench::start().await;
    bench
        .check(&[
            ("RPUSH queue:1 a b c", ":3"),
            ("RPUSH queue:1 d", ":3"),
            ("LRANGE queue:1 0 -1", "[\"b\", \"c\", \"d\"]"),
            ("LPUSH queue:2 a b c d e", ":3"),
            ("LRANGE queue:2 0 -1", "[\"e\", \"d\", \"c\"]"),
            ("LMOVE queue:1 queue:2 LEFT LEFT", "\"b\""),
            ("LRANGE queue:2 0 -1", "[\"b\", \"e\", \"d\"]"),
            ("RPOPLPUSH queue:1 queue:2", "\"d\""),
            ("LRANGE queue:2 0 -1", "[\"d\", \"b\", \"e\"]"),
            ("LINSERT queue:2 BEFORE b x", ":3"),
            ("LRANGE queue:2 0 -1", "[\"x\", \"b\", \"e\"]"),
            ("RPUSHX queue:none a", ":0"),
            ("TTL queue:2", ":-1"),
            ("MULTI", "+OK"),
            ("RPUSH queue:3 a b c d e", "+QUEUED"),
            ("LLEN queue:3", "+QUEUED"),
            ("EXEC", "[:3, :3]"),
            ("RPUSH free a b c d", ":4"),
        ])
        .await;
}

#[tokio::test]
async fn a_policy_serves_its_shapes_only() {
    let mut bench = Bench::start().await;
    bench
        .check_refused(&[
            ("HSET queue:1 f v", "the domain 'queue' serves list only"),
            ("SADD queue:1 a", "the domain 'queue' serves list only"),
            ("INCRBYFLOAT queue:1 1", "serves list only"),
            ("GETRANGE queue:1 0 1", "serves list only"),
        ])
        .await;
}

#[tokio::test]
async fn what_is_new_gets_the_policys_life() {
    let mut bench = Bench::start().await;
    bench
        .check(&[
            ("HSET minute:h f v", ":1"),
            ("PTTL minute:h", ":60000"),
            ("RPUSH minute:l a", ":1"),
            ("SADD minute:s a", ":1"),
            ("INCRBYFLOAT minute:n 1.5", "\"1.5\""),
            ("PTTL minute:l", ":60000"),
            ("PTTL minute:s", ":60000"),
            ("PTTL minute:n", ":60000"),
            ("SUNIONSTORE minute:t minute:s minute:s", ":1"),
            ("PTTL minute:t", ":60000"),
            ("MSETNX minute:a 1 minute:b 2", ":1"),
            ("PTTL minute:b", ":60000"),
            ("COPY minute:h minute:i", ":1"),
            ("PTTL minute:i", ":60000"),
        ])
        .await;
    bench.host.clock.advance_ms(10_000);
    bench
        .check(&[
            ("HSET minute:h g v", ":1"),
            ("PTTL minute:h", ":50000"),
            ("SMOVE minute:s minute:new a", ":1"),
            ("PTTL minute:new", ":60000"),
            ("HDEL minute:h g", ":1"),
            ("PTTL minute:h", ":50000"),
        ])
        .await;
    bench.host.clock.advance_ms(50_001);
    bench.check(&[("EXISTS minute:h minute:l minute:t minute:i", ":0"), ("EXISTS minute:new", ":1")]).await;
}

#[tokio::test]
async fn what_slides_is_renewed() {
    let mut bench = Bench::start().await;
    bench.check(&[("HSET slide:h f v", ":1"), ("PTTL slide:h", ":60000")]).await;
    for (line, answer) in [("HGET slide:h f", "\"v\""), ("HSET slide:h f w", ":0"), ("HLEN slide:h", ":1")] {
        bench.host.clock.advance_ms(40_000);
        bench.check(&[("PTTL slide:h", ":20000"), (line, answer), ("PTTL slide:h", ":60000")]).await;
    }
}

#[tokio::test]
async fn collections_lie_raw_in_an_enveloped_domain() {
    let mut bench = Bench::start().await;
    bench
        .check(&[
            ("HSET profile:h f v", ":1"),
            ("HGETALL profile:h", "[\"f\", \"v\"]"),
            ("TYPE profile:h", "+hash"),
            ("PTTL profile:h", ":60000"),
            ("EXPIRE profile:h 10", ":1"),
            ("PTTL profile:h", ":10000"),
            ("EXISTS profile:h", ":1"),
            ("GET profile:h", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("SET profile:v text", "+OK"),
            ("TYPE profile:v", "+string"),
            ("HGET profile:v f", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("GETRANGE profile:v 1 2", "\"ex\""),
            ("GETRANGE profile:v -3 -2", "\"ex\""),
            ("SETRANGE profile:v 6 x", ":7"),
            ("GETRANGE profile:v 0 -1", "\"text\0\0x\""),
            ("STRLEN profile:v", ":7"),
            ("RENAME profile:v profile:w", "+OK"),
            ("GET profile:w", "\"text\0\0x\""),
            ("GET profile:v", "nil"),
            ("DEL profile:h profile:w", ":2"),
        ])
        .await;
    bench
        .check_refused(&[
            ("INCRBYFLOAT profile:n 1", "whose values are kept with their stamps"),
            ("MSETNX profile:a 1 profile:b 2", "whose values are kept with their stamps"),
        ])
        .await;
}

#[tokio::test]
async fn a_command_has_the_keys_of_one_domain() {
    let mut bench = Bench::start().await;
    bench.check(&[("SADD a x", ":1"), ("SADD minute:a x", ":1")]).await;
    bench
        .check_refused(&[
            ("SINTER a minute:a", "the domains 'default' and 'minute'"),
            ("RENAME a minute:b", "the domains 'default' and 'minute'"),
            ("SMOVE minute:a slide:a x", "the domains 'minute' and 'slide'"),
            ("MSETNX a 1 minute:c 2", "the domains 'default' and 'minute'"),
            ("RENAME a chat:v1:minute:b", "is a storage key of the domain 'minute'"),
            ("SADD {chat:v1:LOCK:x} a", "is one of the host's locks"),
        ])
        .await;
    bench.check(&[("TOUCH a minute:a none", ":2"), ("EXISTS a minute:a", ":2"), ("DEL a minute:a", ":2")]).await;
}

#[tokio::test]
async fn a_transaction_has_values_with_their_stamps() {
    let mut bench = Bench::start().await;
    bench
        .check(&[
            ("MULTI", "+OK"),
            ("SET profile:1 one", "+QUEUED"),
            ("SET profile:2 two PX 5000", "+QUEUED"),
            ("MSET profile:3 three plain 4", "+QUEUED"),
            ("GET profile:1", "+QUEUED"),
            ("MGET profile:1 profile:2 plain profile:none", "+QUEUED"),
            ("STRLEN profile:3", "+QUEUED"),
            ("EXISTS profile:1 profile:none plain", "+QUEUED"),
            ("DEL profile:2 profile:none", "+QUEUED"),
            ("HSET profile:h f v", "+QUEUED"),
            ("EXEC", "[+OK, +OK, +OK, \"one\", [\"one\", \"two\", \"4\", nil], :5, :2, :1, :1]"),
            ("GET profile:1", "\"one\""),
            ("PTTL profile:1", ":60000"),
            ("GET profile:2", "nil"),
            ("GET profile:3", "\"three\""),
        ])
        .await;
    for line in ["INCR profile:n", "APPEND profile:1 x", "SET profile:1 x NX", "EXPIRE profile:1 5", "PTTL profile:1"] {
        bench.check(&[("MULTI", "+OK"), ("SET profile:1 other", "+QUEUED")]).await;
        bench.check_refused(&[(line, "whose values are kept with their stamps")]).await;
        bench.check(&[("EXEC", "-EXECABORT Transaction discarded because of previous errors.")]).await;
    }
    bench.check(&[("GET profile:1", "\"one\""), ("MULTI", "+OK")]).await;
    for line in ["LARDER.EXPLAIN k", "FLUSHALL", "RANDOMKEY", "LARDER.POLICY LIST"] {
        bench.check_refused(&[(line, "cannot be part of a transaction")]).await;
    }
}

/// What a client read of its own node's memory is not older than its watch.
#[tokio::test]
async fn who_watches_reads_the_store() {
    let mut bench = Bench::start().await;
    bench.check(&[("SET profile:1 one", "+OK"), ("GET profile:1", "\"one\""), ("WATCH profile:1", "+OK")]).await;
    let mut other = bench.host.connect().await;
    assert_eq!(other.line("SET profile:1 two").await, "+OK");
    bench
        .check(&[("GET profile:1", "\"two\""), ("MULTI", "+OK"), ("SET profile:1 three", "+QUEUED"), ("EXEC", "nil")])
        .await;
    bench.check(&[("GET profile:1", "\"two\"")]).await;
}

/// Raw values of the memory store are kept in L1: no command may leave an old copy there.
#[tokio::test]
async fn no_copy_outlives_a_command() {
    let mut bench = Bench::start().await;
    for (line, expected) in [
        ("RENAME k other", "nil"),
        ("RENAME source k", "\"s\""),
        ("COPY source k REPLACE", "\"s\""),
        ("SETRANGE k 0 V", "\"Value\""),
        ("INCRBYFLOAT number 1", "\"2\""),
        ("FLUSHALL", "nil"),
        ("MSETNX k 1 unheard 2", "\"value\""),
    ] {
        let key = if line.contains("number") { "number" } else { "k" };
        bench.check(&[("FLUSHDB", "+OK"), ("MSET k value number 1 source s", "+OK")]).await;
        bench.client.pipeline(&["GET k", "GET number", "GET k", "GET number"]).await;
        let answer = bench.client.line(line).await;
        assert!(!answer.starts_with('-'), "{line}: {answer}");
        bench.check(&[(&format!("GET {key}"), expected)]).await;
        // The same in a transaction.
        if line != "FLUSHALL" {
            bench.check(&[("FLUSHDB", "+OK"), ("MSET k value number 1 source s", "+OK")]).await;
            bench.client.pipeline(&["GET k", "GET number"]).await;
            bench.client.pipeline(&["MULTI", line, "EXEC"]).await;
            bench.check(&[(&format!("GET {key}"), expected)]).await;
        }
    }
}

#[tokio::test]
async fn applications_see_their_keys_only() {
    let mut bench = Bench::start().await;
    bench.check(&[("MSET plain 1 :1:django 2 profile:1 3 minute:a 4", "+OK"), ("RPUSH queue:7 a", ":1")]).await;
    // A record of the host comes to be.
    assert!(!bench.client.line("LARDER.INVALIDATE DOMAIN profile").await.starts_with('-'));
    for (line, expected) in [
        ("KEYS *", "minute:a plain profile:1 queue:7 :1:django"),
        ("KEYS p*", "plain profile:1"),
        ("KEYS profile:*", "profile:1"),
        ("KEYS queue:[0-9]", "queue:7"),
        ("KEYS chat:*", ""),
        ("KEYS {chat*", ""),
        ("KEYS :1:*", ":1:django"),
        ("KEYS *:[1a]", "minute:a profile:1"),
    ] {
        let answer = bench.client.line(line).await;
        check_names(&answer, expected, line);
    }
    for (line, expected) in [
        ("SCAN 0 COUNT 1000", "minute:a plain profile:1 queue:7 :1:django"),
        ("SCAN 0 MATCH minute:* COUNT 1000", "minute:a"),
        ("SCAN 0 TYPE list COUNT 1000", "queue:7"),
        ("SCAN 0 COUNT 1000 MATCH pl?in", "plain"),
    ] {
        let answer = bench.client.line(line).await;
        let names = answer.strip_prefix("[\"0\", ").and_then(|rest| rest.strip_suffix(']')).unwrap_or("no end");
        check_names(names, expected, line);
    }
    bench.check(&[("DBSIZE", ":5")]).await;
    for _ in 0..20 {
        let key = bench.client.line("RANDOMKEY").await;
        assert!(!key.contains("chat"), "{key}");
    }
    bench.check(&[("FLUSHALL", "+OK"), ("DBSIZE", ":0"), ("RANDOMKEY", "nil"), ("GET profile:1", "nil")]).await;
}

#[track_caller]
fn check_names(answer: &str, expected: &str, line: &str) {
    let mut names: Vec<_> = answer.trim_matches(['[', ']']).split(", ").map(|name| name.trim_matches('"')).collect();
    names.sort_unstable();
    let mut expected: Vec<_> = expected.split(' ').collect();
    expected.sort_unstable();
    assert_eq!(names, expected, "{line}");
}
