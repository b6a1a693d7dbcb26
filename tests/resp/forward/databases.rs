//! Databases besides that of the policies: as they are on a Redis, and without a way into what policies keep.

use std::sync::Arc;

use larder::adapters::redis::{RedisAddress, RedisSettings};
use larder::engine::forward::ForwardRules;
use larder::ports::clock::VirtualClock;
use larder::ports::policy::Lifetime;

use super::{check, direct, host};
use crate::support::engine::World;
use crate::support::redis::{RedisServer, store};
use crate::support::resp::{Client, Host};

const LINES: &str = "
    SELECT 1
    SET k v EX 100
    GET k
    SELECT 0
    GET k
    SET home v EX 100
    COPY home away DB 2
    COPY home away DB 2
    COPY home away DB 2 REPLACE
    COPY home away DB 99
    COPY home away DB -1
    COPY home away DB x
    COPY home home DB 0
    COPY nothing away DB 2
    MULTI
    COPY home queued DB 2
    EXEC
    SELECT 2
    MGET away queued home
    TTL away
    SELECT 1
    EXISTS k
    TTL k
    APPEND k w
    MSET a 1 b 2
    MGET a b nothing
    HSET h f 1
    HGETALL h
    HRANDFIELD h 1 WITHVALUES
    LPUSH l a b c
    LPOP l 2
    LPOP none 2
    SADD s m
    SMEMBERS s
    SORT l
    ZADD z 1 a 2.5 b
    ZRANGE z 0 -1 WITHSCORES
    GET z
    GET
    NONSENSE a b
    OBJECT ENCODING a
    OBJECT NONSENSE a
    INCR a
    TYPE h
    DBSIZE
    SCAN 0 MATCH k COUNT 100
    KEYS k
    RANDOMKEY x
    COPY a a2
    COPY a a3 DB 2
    COPY a a4 DB 99
    MOVE b 2
    MOVE b 2
    MOVE a 99
    MOVE a 1
    SELECT 2
    MGET a3 b
    SELECT 16
    SELECT -1
    SELECT x
    SELECT
    GET b
    MULTI
    SET t 1
    ZADD t 1 a
    LRANGE none 0 -1
    BLPOP none 0
    PING
    SELECT 2
    EXEC
    GET t
    WATCH t
    MULTI
    INCR t
    EXEC
    MULTI
    SET t
    EXEC
    MULTI
    DISCARD
    EVAL return(redis.call('get',KEYS[1])) 1 t
    BLPOP none 0.01
    XADD x 1-1 f v
    XREAD BLOCK 10 STREAMS x 1-1
    XREAD STREAMS x 0
    PUBLISH nobody hello
    FLUSHDB ASYNC
    DBSIZE
    SELECT 1
    EXISTS k
    FLUSHDB NONSENSE
    RESET
    GET k
";

#[tokio::test]
async fn answers_are_those_of_redis() {
    check(LINES).await;
}

#[tokio::test]
async fn each_connection_has_its_own_and_says_which() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut one, mut two) = (host.connect().await, host.connect().await);
    assert_eq!(one.line("GET k").await, "nil");
    assert_eq!(
        one.pipeline(&["SET k 0", "SELECT 3", "SET k 3", "GET k", "SELECT 0", "GET k"]).await,
        ["+OK", "+OK", "+OK", "\"3\"", "+OK", "\"0\""]
    );
    assert_eq!(two.line("GET k").await, "\"0\"", "it has selected nothing");
    assert_eq!(two.line("SELECT 3").await, "+OK");
    assert_eq!(two.line("GET k").await, "\"3\"");
    let info = two.line("CLIENT INFO").await;
    assert!(info.contains(" db=3 "), "{info}");
    let info = one.line("CLIENT INFO").await;
    assert!(info.contains(" db=0 "), "{info}");
    let keyspace = one.line("INFO keyspace").await;
    assert!(keyspace.contains("db0:keys=1,") && keyspace.contains("db3:keys=1,"), "{keyspace}");
    assert_eq!(direct(&server).await.pipeline(&["SELECT 3", "GET k"]).await, ["+OK", "\"3\""]);
    assert!(host.stop().await);
}

/// What another client writes in another database changes nothing of what is watched, and what is read in it does.
#[tokio::test]
async fn what_is_watched_is_of_the_database_that_is_selected() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut client, mut other) = (host.connect().await, direct(&server).await);
    assert_eq!(client.line("SELECT 1").await, "+OK");
    for (database, told) in [("SELECT 0", "[:1]"), ("SELECT 1", "nil")] {
        assert_eq!(client.line("WATCH k").await, "+OK");
        assert_eq!(other.pipeline(&[database, "SET k x"]).await, ["+OK", "+OK"]);
        assert!(client.line("SELECT 0").await.contains("keys are watched"));
        assert_eq!(client.pipeline(&["MULTI", "HSET h f v", "EXEC", "DEL h"]).await[2], told);
    }
    assert_eq!(client.line("MULTI").await, "+OK");
    assert!(client.line("SELECT 0").await.contains("cannot be part of a transaction"));
    assert!(client.line("EXEC").await.starts_with("-EXECABORT"));
    assert!(host.stop().await);
}

/// No key gets from another database among those that a policy keeps, whatever way there is.
#[tokio::test]
async fn nothing_gets_among_the_keys_of_policies() {
    let server = RedisServer::start();
    let rules = ForwardRules { allow: vec!["swapdb".into()], deny: vec![] };
    let host = host(&server, rules).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("SET profile:1 good").await, "+OK");
    let mut straight = direct(&server).await;
    let keys = straight.line("KEYS chat:*profile:1").await;
    let stored = keys.trim_matches(['[', ']', '"']).to_owned();
    assert!(stored.starts_with("chat:"), "{keys}");
    let before = straight.line(&format!("GET {stored}")).await;
    assert_eq!(client.line("SELECT 1").await, "+OK");
    assert_eq!(client.line(&format!("SET {stored} bad")).await, "+OK", "here it is any key");
    assert_eq!(client.line("SET profile:1 bad").await, "+OK");
    assert_eq!(client.line("SET plain good").await, "+OK");
    for line in [
        format!("MOVE {stored} 0"),
        format!("move {stored} -0"),
        "MOVE profile:1 0".to_owned(),
        format!("COPY plain {stored} DB 0 REPLACE"),
        format!("COPY plain {stored} REPLACE DB 1 db 0"),
        "SWAPDB 0 1".to_owned(),
        "SWAPDB 1 2".to_owned(),
    ] {
        let told = client.line(&line).await;
        assert!(told.starts_with("-ERR "), "{line}: {told}");
    }
    assert_eq!(client.line("MULTI").await, "+OK");
    assert!(client.line(&format!("MOVE {stored} 0")).await.starts_with("-ERR "));
    assert!(client.line("EXEC").await.starts_with("-EXECABORT"));
    assert_eq!(straight.line(&format!("GET {stored}")).await, before);
    // What may be there may come, and what was read of it before is not told any more.
    let mut reader = host.connect().await;
    assert_eq!(reader.line("SET plain2 old").await, "+OK");
    assert_eq!(reader.line("GET plain").await, "nil");
    assert_eq!(client.line("COPY plain plain2 DB 0 REPLACE").await, ":1");
    assert_eq!(client.line("MOVE plain 0").await, ":1");
    assert_eq!(reader.line("GET plain2").await, "\"good\"");
    assert_eq!(reader.line("GET plain").await, "\"good\"");
    assert_eq!(reader.line("GET profile:1").await, "\"good\"");
    assert!(host.stop().await);
}

#[tokio::test]
async fn flushall_empties_them_all_and_flushdb_the_one() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    for number in 0..3 {
        assert_eq!(client.pipeline(&[&format!("SELECT {number}"), "SET k v"]).await, ["+OK", "+OK"]);
    }
    assert_eq!(client.line("FLUSHDB").await, "+OK");
    assert_eq!(
        direct(&server).await.pipeline(&["SELECT 1", "DBSIZE", "SELECT 2", "DBSIZE"]).await[1..],
        [":1", "+OK", ":0"]
    );
    assert_eq!(client.line("FLUSHALL").await, "+OK");
    for number in 0..3 {
        assert_eq!(client.pipeline(&[&format!("SELECT {number}"), "DBSIZE"]).await[1], ":0");
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_is_of_policies_says_so() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    assert_eq!(client.pipeline(&["SELECT 1", "SET profile:1 x PX 90000"]).await, ["+OK", "+OK"]);
    let told = client.line("LARDER.EXPLAIN profile:1").await;
    assert!(told.contains("\"database\", :1") && told.contains("\"type\", \"string\""), "{told}");
    assert!(told.contains("policies and L1 are for database 0"), "{told}");
    let told = client.line("LARDER.GET profile:1").await;
    assert!(told.contains("is for database 0"), "{told}");
    assert!(client.line("LARDER.LOCK ACQUIRE jobs TTL 1000").await.starts_with('['));
    assert_eq!(client.pipeline(&["RESET", "GET profile:1"]).await, ["+RESET", "nil"]);
    assert!(host.stop().await);
}

async fn served(settings: RedisSettings, rules: ForwardRules) -> Host {
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let world = World::forwarding(Arc::new(store(settings)), clock, rules);
    world.default_domain();
    world.enveloped("profile", Lifetime::fresh(Some(60_000)));
    Host::start(world).await
}

async fn refuses(client: &mut Client, line: &str, why: &str) {
    let told = client.line(line).await;
    assert!(told.starts_with("-ERR ") && told.contains(why), "{line}: {told}");
}

/// Who is given one database keeps to it.
#[tokio::test]
async fn an_address_with_a_database_is_that_one_alone() {
    let server = RedisServer::start();
    let settings = |url: &str| RedisSettings::new(RedisAddress::parse(url).unwrap());
    let host = served(settings(&format!("redis://127.0.0.1:{}/3", server.port())), ForwardRules::default()).await;
    let mut client = host.connect().await;
    assert_eq!(client.pipeline(&["SET k v", "SELECT 0", "GET k"]).await, ["+OK", "+OK", "\"v\""]);
    refuses(&mut client, "SELECT 3", "store.url names a database").await;
    refuses(&mut client, "MOVE k 0", "serves one database").await;
    let keyspace = client.line("INFO keyspace").await;
    assert!(keyspace.contains("db0:keys=1,") && !keyspace.contains("db3"), "{keyspace}");
    assert_eq!(direct(&server).await.pipeline(&["SELECT 3", "GET k"]).await[1], "\"v\"");
    assert!(host.stop().await);

    let denied = ForwardRules { allow: vec![], deny: vec!["select".into()] };
    let host = served(settings(&server.url()), denied).await;
    let mut client = host.connect().await;
    refuses(&mut client, "SELECT 1", "forward.deny").await;
    refuses(&mut client, "MOVE k 1", "serves one database").await;
    assert_eq!(client.line("SELECT 0").await, "+OK");
    assert!(host.stop().await);
}
