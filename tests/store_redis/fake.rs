//! The Redis store before servers that are none, or that misbehave.

use std::net::Ipv4Addr;

use larder::adapters::redis::RedisSettings;
use larder::ports::store::{Command, Expect, Expire, Store, StoreError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{K, V, call, fails_at_once, is_unavailable};
use crate::support::redis::{address, store};
use crate::support::wait::until;

/// A server of our own that answers each connection with `serve`.
async fn fake<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16 {
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

    let silent = fake(|mut stream| async move { while stream.read_u8().await.is_ok() {} }).await;
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
