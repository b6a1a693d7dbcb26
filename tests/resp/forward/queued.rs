//! Forwarded commands within transactions: Redis' answers and Redis' errors, at one moment with Larder's own commands.

use larder::engine::forward::ForwardRules;

use super::{check, direct, host};
use crate::support::redis::RedisServer;
use crate::support::resp::Host;

const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.";

const LINES: &str = "
    MULTI
    ZADD z 1 a 2.5 b
    SET k v
    INCR n
    ZRANGE z 0 -1 WITHSCORES
    ZPOPMIN none
    HSET h f v
    HGETALL h
    HRANDFIELD h 1 WITHVALUES
    SADD s m
    SMEMBERS s
    BLPOP none 0
    BRPOPLPUSH none other 0
    XREAD BLOCK 0 STREAMS none 0
    EVAL return({redis.call('get',KEYS[1]),'x',false}) 1 k
    ZUNION 2 z none WITHSCORES
    GET k
    ZADD k 1 a
    OBJECT ENCODING n
    PUBLISH nobody hello
    EXEC
    WATCH z
    MULTI
    ZCARD z
    ZRANGE z 0 -1 WITHSCORES
    HGETALL h
    EXEC
    MULTI
    ZADD z
    SET k w
    EXEC
    GET k
    MULTI
    XGROUP CREATE s
    DISCARD
    MULTI
    NONSENSE
    ZADD z 9 never
    EXEC
    MULTI
    ZADD z x y
    ZADD z 3 c
    EXEC
    ZCARD z
";

#[tokio::test]
async fn answers_in_a_transaction_are_those_of_redis() {
    check(LINES).await;
}

#[tokio::test]
async fn in_one_go_it_is_the_same() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    let lines = [
        "SET k 1",
        "GET k",
        "MULTI",
        "EVAL return(redis.call('incr',KEYS[1])) 1 k",
        "ZADD z 1 a",
        "GET k",
        "EXEC",
        "GET k",
    ];
    let answers = client.pipeline(&lines).await;
    let queued = "+QUEUED";
    assert_eq!(answers, ["+OK", "\"1\"", "+OK", queued, queued, queued, "[:2, :1, \"2\"]", "\"2\""]);
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_watch_that_is_broken_leaves_nothing_done() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let (mut client, mut other) = (host.connect().await, direct(&server).await);
    for (hello, nothing) in [("HELLO 2", "nil"), ("HELLO 3", "null")] {
        client.line(hello).await;
        other.line("DEL z").await;
        assert_eq!(client.line("ZADD z 1 a").await, ":1");
        assert_eq!(client.line("WATCH z").await, "+OK");
        assert_eq!(other.line("ZADD z 2 b").await, ":1");
        assert_eq!(client.pipeline(&["MULTI", "ZADD z 3 c", "SET k v", "EXEC"]).await[3], nothing);
        assert_eq!(client.pipeline(&["ZCARD z", "EXISTS k"]).await, [":2", ":0"]);
        // The connection that watched serves the next one, whatever types it had last.
        assert_eq!(client.line("WATCH z").await, "+OK");
        assert_eq!(client.pipeline(&["MULTI", "ZCARD z", "EXEC"]).await[2], "[:2]");
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn what_cannot_be_forwarded_aborts_the_whole() {
    let server = RedisServer::start();
    let rules = ForwardRules { deny: vec!["xadd".into()], ..ForwardRules::default() };
    let host = host(&server, rules).await;
    let mut client = host.connect().await;
    for (line, words) in [
        ("ZADD profile:z 1 a", "the key 'profile:z' is of the domain 'profile'"),
        ("ZUNIONSTORE z 1 profile:z", "the key 'profile:z' is of the domain 'profile'"),
        ("XADD s * f v", "(forward.deny) say so"),
        ("SHUTDOWN", "an operator may add it to forward.allow"),
        ("SUBSCRIBE c", "SUBSCRIBE cannot be part of a transaction"),
        ("MONITOR", "MONITOR cannot be part of a transaction"),
        ("READONLY", "concerns a connection"),
    ] {
        let answers = client.pipeline(&["MULTI", "SET k 1", line, "EXEC", "EXISTS k"]).await;
        assert!(answers[2].starts_with("-ERR ") && answers[2].contains(words), "{line}: {}", answers[2]);
        assert_eq!(answers[3..], [ABORTED, ":0"], "{line}");
    }
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_store_in_memory_refuses_it_when_it_is_queued() {
    let host = Host::start(crate::resp::world()).await;
    let mut client = host.connect().await;
    let answers = client.pipeline(&["MULTI", "ZADD z 1 a", "SET k 1", "EXEC", "EXISTS k"]).await;
    assert!(answers[1].contains("needs a Redis store"), "{}", answers[1]);
    assert_eq!(answers[3..], [ABORTED, ":0"]);
    assert!(host.stop().await);
}
