//! Forwarded commands in one pipeline: they go together and are answered as one by one.

use larder::engine::forward::ForwardRules;

use super::{direct, host};
use crate::support::redis::RedisServer;
use crate::support::resp::frame;

const MANY: usize = 3_000;

/// How many commands of this name a server was sent.
async fn calls(server: &RedisServer, name: &str) -> String {
    let stats = direct(server).await.line("INFO commandstats").await;
    let line = stats.split("\r\n").find(|line| line.starts_with(&format!("cmdstat_{name}:"))).unwrap_or_default();
    line.split(',').next().unwrap_or_default().to_owned()
}

/// Thousands of commands on one key are answered in order, whatever stands between them.
#[tokio::test]
async fn answers_keep_their_places() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    for select in ["SELECT 0", "SELECT 1"] {
        assert_eq!(client.line(select).await, "+OK");
        let mut sent = Vec::new();
        let mut expect = Vec::new();
        for n in 0..MANY {
            sent.extend(frame(&["ZADD", "z", &n.to_string(), &format!("m{n}")]));
            expect.push(":1".to_owned());
            match n % 500 {
                7 => {
                    sent.extend(frame(&["ZCARD", "z"]));
                    expect.push(format!(":{}", n + 1));
                }
                77 => {
                    sent.extend(frame(&["EXPIRE", "z", "1000"]));
                    expect.push(":1".to_owned());
                }
                99 => {
                    sent.extend(frame(&["PING"]));
                    expect.push("+PONG".to_owned());
                }
                123 => {
                    sent.extend(frame(&["ZADD", "z", "x", "y"]));
                    expect.push("-ERR value is not a valid float".to_owned());
                }
                200 => {
                    sent.extend(frame(&["ZADD", "z"]));
                    expect.push("-ERR wrong number of arguments for 'zadd' command".to_owned());
                }
                301 => {
                    sent.extend(frame(&["SET", "k", &n.to_string()]));
                    sent.extend(frame(&["EVAL", "return redis.call('incr', KEYS[1])", "1", "k"]));
                    sent.extend(frame(&["GET", "k"]));
                    expect.extend(["+OK".to_owned(), format!(":{}", n + 1), format!("\"{}\"", n + 1)]);
                }
                _ => {}
            }
        }
        client.send(sent).await;
        for (n, expect) in expect.iter().enumerate() {
            assert_eq!(client.answer().await, *expect, "{select}: answer {n}");
        }
        assert_eq!(client.line("ZCARD z").await, format!(":{MANY}"));
    }
    assert_eq!(calls(&server, "zadd").await, format!("cmdstat_zadd:calls={}", 2 * (MANY + MANY.div_ceil(500))));
    assert!(host.stop().await);
}

/// What is refused costs its own answer; a command of a policy's key goes nowhere.
#[tokio::test]
async fn one_that_is_refused_takes_no_other_with_it() {
    let server = RedisServer::start();
    let rules = ForwardRules { allow: vec![], deny: vec!["zincrby".into()] };
    let host = host(&server, rules).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("ZCARD z").await, ":0", "it knows the commands now");
    let answers = client.pipeline(&["ZADD z 1 a", "ZADD profile:1 1 a", "ZINCRBY z 1 a", "ZADD z 2 b"]).await;
    let begin = [":1", "-ERR 'zadd' is forwarded", "-ERR 'zincrby' is not forwarded", ":1"];
    for (answer, begin) in answers.iter().zip(begin) {
        assert!(answer.starts_with(begin), "{answer}");
    }
    assert!(host.stop().await);
}

/// A store that goes away in the middle answers all that went to it, each with an error.
#[tokio::test]
async fn a_store_that_is_lost_answers_each() {
    let mut server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("ZADD z 0 a").await, ":1");
    server.kill();
    let lines: Vec<String> = (0..40).map(|n| format!("ZADD z {n} b")).collect();
    let answers = client.pipeline(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(answers.iter().all(|answer| answer.starts_with("-ERR ")), "{answers:?}");
    assert!(host.stop().await);
}
