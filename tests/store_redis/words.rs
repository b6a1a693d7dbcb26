//! What a real Redis says, as the port has it.

use bytes::Bytes;
use larder::ports::store::{Command, Expect, Expire, Reply, Sharing, Store, StoreError};

use super::{K, V, call, recovers};
use crate::support::redis::RedisServer;

#[tokio::test]
async fn an_error_of_the_server_comes_in_its_own_words() {
    let server = RedisServer::start();
    let store = server.store();
    assert_eq!(call(&store, &["LPUSH", "list", "a"]).await, Ok(Reply::Integer(1)));
    let wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(call(&store, &["GET", "list"]).await, Ok(Reply::Error(wrong_type.to_owned())));
    for (script, line) in [
        ("return redis.error_reply('MYCODE some text')", "MYCODE some text"),
        ("return redis.error_reply('ERR  two  blanks ')", "ERR  two  blanks "),
        ("return redis.error_reply('LONE')", "ERR LONE"),
        ("return {err='ONE'}", "ERR ONE"),
    ] {
        let reply = call(&store, &["EVAL", script, "0"]).await.expect("it answers");
        let Reply::Error(said) = &reply else { panic!("{reply:?}") };
        assert!(said == line || format!("ERR {said}") == line, "{said:?} for {line:?}");
    }
    let unknown = call(&store, &["NONSENSE", "a"]).await;
    assert!(
        matches!(&unknown, Ok(Reply::Error(text)) if text.starts_with("ERR unknown command 'NONSENSE'")),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_key_of_another_type_is_no_string() {
    let server = RedisServer::start();
    let store = server.store();
    call(&store, &["LPUSH", "k", "a"]).await.expect("it answers");
    let wrong_type =
        || StoreError::Reply("WRONGTYPE Operation against a key holding the wrong kind of value".to_owned());
    assert_eq!(store.get(&K, false).await, Err(wrong_type()));
    assert_eq!(store.get(&K, true).await, Err(wrong_type()));
    assert_eq!(store.get_many(&[K], true).await, Ok(vec![None]));
    assert_eq!(store.replace(&K, Expect::Absent, V, Expire::Never).await, Ok(false));
    assert_eq!(store.replace(&K, Expect::Prefix(Bytes::new()), V, Expire::Never).await, Ok(false));
    assert_eq!(store.remove(&K, Bytes::new()).await, Ok(false));
    assert_eq!(call(&store, &["LLEN", "k"]).await, Ok(Reply::Integer(1)));
    assert_eq!(store.expire(&K, Expire::InMs(100_000)).await, Ok(true));
    assert_eq!(store.delete(&[K]).await, Ok(vec![true]));
}

#[tokio::test]
async fn answers_keep_their_types() {
    let server = RedisServer::start();
    let store = server.store();
    call(&store, &["HSET", "h", "f", "v"]).await.expect("it answers");
    let bulk = |text: &'static str| Reply::Bulk(Bytes::from_static(text.as_bytes()));
    assert_eq!(call(&store, &["HGETALL", "h"]).await, Ok(Reply::Map(vec![(bulk("f"), bulk("v"))])));
    call(&store, &["SADD", "s", "m"]).await.expect("it answers");
    assert_eq!(call(&store, &["SMEMBERS", "s"]).await, Ok(Reply::Set(vec![bulk("m")])));
    call(&store, &["ZADD", "z", "1.5", "m"]).await.expect("it answers");
    assert_eq!(call(&store, &["ZSCORE", "z", "m"]).await, Ok(Reply::Double(1.5)));
    assert_eq!(call(&store, &["EVAL", "redis.setresp(3); return true", "0"]).await, Ok(Reply::Boolean(true)));
    assert_eq!(store.sharing(), Sharing::Shared);
}

#[tokio::test]
async fn scripts_survive_a_server_that_forgets_them() {
    let server = RedisServer::start();
    let store = server.store();
    for _ in 0..2 {
        recovers(&store).await;
        call(&store, &["SCRIPT", "FLUSH"]).await.expect("it answers");
        assert_eq!(store.replace(&K, Expect::Prefix(V), V, Expire::Never).await, Ok(true));
        assert_eq!(store.remove(&K, V).await, Ok(true));
    }
}

#[tokio::test]
async fn a_server_that_is_full_or_read_only_says_so() {
    let server = RedisServer::start();
    let store = server.store();
    recovers(&store).await;
    let refused =
        |answer: Result<(), StoreError>, line: &str| assert_eq!(answer, Err(StoreError::Reply(line.to_owned())));
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    call(&store, &["CONFIG", "SET", "maxmemory", "1"]).await.expect("it answers");
    refused(store.set(&K, V, Expire::Never).await, oom);
    refused(store.set_many(vec![(K, V, Expire::Never)]).await, oom);
    refused(store.replace(&K, Expect::Prefix(V), V, Expire::Never).await.map(drop), oom);
    assert_eq!(call(&store, &["SET", "k", "v"]).await, Ok(Reply::Error(oom.to_owned())));
    call(&store, &["CONFIG", "SET", "maxmemory", "0"]).await.expect("it answers");
    call(&store, &["REPLICAOF", "127.0.0.1", "1"]).await.expect("it answers");
    refused(store.set(&K, V, Expire::Never).await, "READONLY You can't write against a read only replica.");
}

#[tokio::test]
async fn what_a_shared_connection_cannot_carry_is_not_sent() {
    let server = RedisServer::start();
    let store = server.store();
    let commands = [&["BLPOP", "none", "0"][..], &["MULTI"], &["SELECT", "1"], &["quit"], &["SUBSCRIBE", "c"]];
    for words in commands {
        let reply = call(&store, words).await;
        assert!(matches!(&reply, Ok(Reply::Error(text)) if text.contains("share this connection")), "{reply:?}");
    }
    recovers(&store).await;
    let replies = store.pipeline(vec![Command::new("MULTI"), Command::new("GET").arg("k")]).await.expect("it answers");
    assert_eq!(replies[1], Reply::Bulk(V));
}

/// The client library would read error lines as UTF-8 only, and end the connection that all share at one that is not.
#[tokio::test]
async fn an_error_that_repeats_foreign_bytes_is_an_error_like_others() {
    let server = RedisServer::start();
    let store = server.store();
    let foreign = Command::new("NONSENSE").arg(Bytes::from_static(b"\xff"));
    let replies = store.pipeline(vec![foreign, Command::new("PING")]).await.expect("it answers");
    assert!(matches!(&replies[0], Reply::Error(text) if text.contains("'NONSENSE'")), "{replies:?}");
    assert_eq!(replies[1], Reply::Status("PONG".into()));
}
