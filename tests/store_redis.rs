//! The Redis store when things go wrong: killed, restarted, paused, absent, foreign, full, unwilling.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::adapters::clock::SystemClock;
use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore};
use larder::ports::metrics::Metrics;
use larder::ports::store::{Command, Expect, Expire, Reply, Sharing, Store, StoreError, StoreKey};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::redis::{RedisServer, address, free_port, store};
use crate::support::wait::until;

const K: StoreKey = StoreKey(Bytes::from_static(b"k"));
const V: Bytes = Bytes::from_static(b"v");
/// Far more than all calls of a test that fail at once, far less than all of them waiting for their deadline.
const AT_ONCE: Duration = Duration::from_secs(20);

async fn call(store: &RedisStore, words: &[&'static str]) -> Result<Reply, StoreError> {
    store.call(Command { args: words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect() }).await
}

async fn recovers(store: &RedisStore) {
    until("the store serves again", async || store.set(&K, V, Expire::Never).await.ok()).await;
    assert_eq!(store.get(&K, false).await.expect("it serves").map(|held| held.bytes), Some(V));
}

/// Many calls, all refused at once: none pays for another attempt.
async fn fails_at_once(store: &RedisStore) {
    until("the store is known to be down", async || {
        matches!(store.ping().await, Err(StoreError::Unavailable(_))).then_some(())
    })
    .await;
    let calls = async {
        for _ in 0..200 {
            let answer = store.get(&K, true).await;
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
    };
    tokio::time::timeout(AT_ONCE, calls).await.expect("200 calls do not wait for their deadlines");
}

/// The store is unavailable, with these words.
async fn is_unavailable(store: &RedisStore, words: &str) {
    let answer = store.ping().await;
    let Err(StoreError::Unavailable(text)) = &answer else { panic!("{answer:?}") };
    assert!(text.contains(words), "{text}");
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_when_it_is_back() {
    let mut server = RedisServer::start();
    let store = server.store();
    recovers(&store).await;
    for _ in 0..2 {
        server.kill();
        fails_at_once(&store).await;
        is_unavailable(&store, &format!("127.0.0.1:{}: Connection refused", server.port())).await;
        server.restart();
        recovers(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thread_finds_the_server_again() {
    let mut server = RedisServer::start();
    let store = Arc::new(server.store());
    let all = || async {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                tokio::spawn({
                    let store = Arc::clone(&store);
                    async move { store.ping().await }
                })
            })
            .collect();
        let mut fine = true;
        for task in tasks {
            fine &= task.await.expect("it ends").is_ok();
        }
        fine.then_some(())
    };
    until("all threads are connected", all).await;
    server.restart();
    until("all threads are connected again", all).await;
}

#[tokio::test]
async fn a_server_that_answers_nothing_costs_the_deadline_then_nothing() {
    let server = RedisServer::start();
    let store = server.store_within(150);
    recovers(&store).await;
    server.pause();
    assert_eq!(store.get(&K, false).await, Err(StoreError::Timeout(150)));
    fails_at_once(&store).await;
    server.resume();
    recovers(&store).await;
}

#[tokio::test]
async fn a_short_pause_keeps_the_connection() {
    let server = RedisServer::start();
    let store = server.store_within(150);
    recovers(&store).await;
    let id = call(&store, &["EVAL", "return redis.call('INFO', 'stats')", "0"]).await.expect("it answers");
    server.pause();
    assert_eq!(store.get(&K, false).await, Err(StoreError::Timeout(150)));
    server.resume();
    recovers(&store).await;
    let connections = |reply: &Reply| {
        let Reply::Bulk(text) = reply else { panic!("{reply:?}") };
        let text = String::from_utf8_lossy(text).into_owned();
        text.lines().find_map(|line| line.strip_prefix("total_connections_received:").map(str::to_owned))
    };
    let now = call(&store, &["EVAL", "return redis.call('INFO', 'stats')", "0"]).await.expect("it answers");
    assert_eq!(connections(&now), connections(&id), "one late answer is no reason to connect anew");
}

#[tokio::test]
async fn a_server_that_comes_late_is_found() {
    let port = free_port();
    let store = store(RedisSettings::new(address(port)));
    fails_at_once(&store).await;
    let Some(_server) = RedisServer::start_on(port, &[]) else { return };
    recovers(&store).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_repeated() {
    let server = RedisServer::start_with(&["--requirepass", "correct-horse"]);
    let with = |account: &str| {
        let url = format!("redis://{account}127.0.0.1:{}", server.port());
        store(RedisSettings::new(RedisAddress::parse(&url).expect("an address")))
    };
    is_unavailable(&with(""), "it refused the greeting: NOAUTH ").await;
    let wrong = with(":battery-staple@");
    is_unavailable(&wrong, "it refused the greeting: WRONGPASS ").await;
    let text = wrong.ping().await.expect_err("it is refused").to_string();
    assert!(!text.contains("battery") && !format!("{wrong:?}").contains("battery"), "{text}");
    recovers(&with(":correct-horse@")).await;
    recovers(&with("default:correct-horse@")).await;
    let parts = RedisAddress::from_parts("127.0.0.1", server.port(), Some("correct-horse"));
    recovers(&store(RedisSettings::new(parts))).await;
}

#[tokio::test]
async fn databases_are_apart() {
    let server = RedisServer::start();
    let third = RedisAddress::parse(&format!("redis://127.0.0.1:{}/3", server.port())).expect("an address");
    let third = store(RedisSettings::new(third));
    recovers(&third).await;
    assert_eq!(server.store().get(&K, false).await, Ok(None));
    let beyond = RedisAddress::parse(&format!("redis://127.0.0.1:{}/99", server.port())).expect("an address");
    is_unavailable(&store(RedisSettings::new(beyond)), "DB index is out of range").await;
}

/// A server of our own that answers each connection with `serve`.
async fn fake<F: Future<Output = ()> + Send>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Reads commands and answers each with what `answer` says of its name; ends the connection at `None`.
async fn answer_with(stream: TcpStream, answer: fn(&str) -> Option<&'static str>) {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(words) = read_command(&mut stream).await else { return };
        let Some(line) = answer(&words[0]) else { return };
        if stream.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    async fn number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        line.trim_end().get(1..)?.parse().ok()
    }
    let mut words = Vec::new();
    for _ in 0..number(stream).await? {
        let mut word = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
    }
    Some(words)
}

const HELLO: &str = "%1\r\n$5\r\nproto\r\n:3\r\n";

#[tokio::test]
async fn something_else_on_the_port_is_told_apart() {
    let http = fake(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
    })
    .await;
    is_unavailable(&store(RedisSettings::new(address(http))), "what answers there is no Redis").await;

    let closing = fake(|stream| async move { drop(stream) }).await;
    is_unavailable(&store(RedisSettings::new(address(closing))), "the greeting failed").await;

    let silent = fake(|mut stream| async move { while matches!(stream.read_u8().await, Ok(_)) {} }).await;
    let store = store(RedisSettings::new(address(silent)));
    is_unavailable(&store, &format!("127.0.0.1:{silent}: no connection in time")).await;
    fails_at_once(&store).await;
}

#[tokio::test]
async fn a_server_that_serves_nobody_is_unavailable() {
    for line in ["-LOADING Redis is loading the dataset in memory\r\n", "-NOAUTH Authentication required.\r\n"] {
        let answers: fn(&str) -> Option<&'static str> = match &line[..5] {
            "-LOAD" => |name| {
                Some(match name {
                    "HELLO" => HELLO,
                    "CLIENT" => "+OK\r\n",
                    _ => "-LOADING Redis is loading the dataset in memory\r\n",
                })
            },
            _ => |name| {
                Some(match name {
                    "HELLO" => HELLO,
                    "CLIENT" => "+OK\r\n",
                    _ => "-NOAUTH Authentication required.\r\n",
                })
            },
        };
        let port = fake(move |stream| answer_with(stream, answers)).await;
        let store = store(RedisSettings::new(address(port)));
        let words = line[1..].trim_end();
        is_unavailable(&store, words).await;
        for unavailable in [
            store.get(&K, false).await.map(drop),
            store.get(&K, true).await.map(drop),
            store.replace(&K, Expect::Prefix(V), V, Expire::Never).await.map(drop),
            call(&store, &["INCR", "k"]).await.map(drop),
            store.pipeline(vec![Command::new("PING")]).await.map(drop),
        ] {
            assert!(
                matches!(&unavailable, Err(StoreError::Unavailable(text)) if text.contains(words)),
                "{unavailable:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_open_what_was_done() {
    let port = fake(|stream| {
        answer_with(stream, |name| match name {
            "HELLO" => Some(HELLO),
            "CLIENT" => Some("+OK\r\n"),
            "GET" => Some("_\r\n"),
            "INCR" => Some("nonsense\r\n"),
            _ => None,
        })
    })
    .await;
    let store = store(RedisSettings::new(address(port)));
    for _ in 0..3 {
        assert_eq!(store.get(&K, false).await, Ok(None));
        let broken = store.set(&K, V, Expire::Never).await;
        assert!(matches!(broken, Err(StoreError::Broken(_))), "{broken:?}");
        until("there is another connection", async || store.get(&K, false).await.ok()).await;
        let garbled = call(&store, &["INCR", "k"]).await;
        assert!(matches!(garbled, Err(StoreError::Protocol(_))), "{garbled:?}");
        until("there is another connection", async || store.get(&K, false).await.ok()).await;
    }
}

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

#[tokio::test]
async fn calls_under_way_are_bounded_and_given_up_calls_give_back() {
    let server = RedisServer::start();
    let settings = RedisSettings { store_ms: 10_000, inflight_max: 2, ..RedisSettings::new(address(server.port())) };
    let store = Arc::new(store(settings));
    recovers(&store).await;
    server.pause();
    // Whoever finds no room tries again, so that in the end both wait for an answer.
    let wait = |store: Arc<RedisStore>| async move {
        while let Err(StoreError::Unavailable(_)) = store.get(&K, false).await {
            tokio::task::yield_now().await;
        }
    };
    let waiting = [(); 2].map(|()| tokio::spawn(wait(Arc::clone(&store))));
    until("no more are let in", async || {
        let answer = tokio::time::timeout(Duration::from_millis(5), store.ping()).await;
        matches!(answer, Ok(Err(StoreError::Unavailable(text))) if text.contains("too many calls")).then_some(())
    })
    .await;
    for call in waiting {
        call.abort();
        assert!(call.await.expect_err("it was given up").is_cancelled());
    }
    server.resume();
    recovers(&store).await;
}

#[test]
fn a_connection_does_not_outlive_its_runtime() {
    let server = RedisServer::start();
    let store = server.store();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime().block_on(recovers(&store));
    let second = runtime();
    second.block_on(recovers(&store));
    let third = runtime();
    third.block_on(recovers(&store));
    // The third one's connection cannot be driven from here, though its runtime lives.
    second.block_on(recovers(&store));
}

#[tokio::test]
async fn calls_are_timed_and_failures_counted() {
    let mut server = RedisServer::start();
    let metrics = Arc::new(Metrics::default());
    let settings = RedisSettings { store_ms: 10_000, ..RedisSettings::new(address(server.port())) };
    let store = RedisStore::new(settings, Arc::new(SystemClock::default()), Arc::clone(&metrics));
    store.ping().await.expect("it answers");
    call(&store, &["LPUSH", "k", "a"]).await.expect("it answers");
    store.get(&K, true).await.expect_err("it is a list");
    let timed = || metrics.store_latency.snapshot().0.iter().sum::<u64>();
    assert_eq!((timed(), metrics.store_errors.get()), (3, 0), "what the caller got wrong is no failure of the store");
    server.kill();
    fails_at_once(&store).await;
    assert!(metrics.store_errors.get() >= 200);
    assert!(timed() < 10, "what is not sent is not timed");
}
