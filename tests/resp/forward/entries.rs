//! Pipelines of writes of entries in envelopes, over a Redis: they go together, and are answered as by Redis.

use larder::engine::forward::ForwardRules;

use super::sequence::{Chance, counts};
use super::{direct, host};
use crate::support::redis::RedisServer;
use crate::support::resp::frame;

const MANY: usize = 2_000;

/// What is known of entries in envelopes, whose answers are Redis' too; `r` stands for a key without one.
const ENTRY_LINES: &[&str] = &[
    "SET k n",
    "SET k vn EX 1000",
    "SET k n PX 1000000",
    "SET k n",
    "SETEX k 1000 n",
    "PSETEX k 1000000 vn",
    "SET k n NX",
    "SET k n XX GET",
    "SET k n KEEPTTL",
    "SET k n EX 0",
    "SET k n EX",
    "SET k n nonsense",
    "SET k n EXAT 1",
    "MSET k n j n",
    "GET k",
    "GET k",
    "MGET k j",
    "DEL k",
    "INCR k",
    "APPEND k n",
    "STRLEN k",
    "EXISTS k j",
    "SET r n",
    "INCR r",
    "GET r",
    "PING",
];

/// Entries in envelopes, and where they are stored.
const ENTRIES: [(&str, &str); 4] = [
    ("profile:a", "chat:v1:profile:a"),
    ("profile:b", "chat:v1:profile:b"),
    ("profile:c", "chat:v1:profile:c"),
    ("profile:d", "chat:v1:profile:d"),
];

/// Random pipelines on entries in envelopes have the answers of Redis, and leave the same keys.
#[tokio::test]
async fn pipelines_on_entries_are_answered_as_by_redis() {
    for seed in [7, 4_711, 0xbeef_cafe] {
        let (server, beside) = (RedisServer::start(), RedisServer::start());
        let host = host(&server, ForwardRules::default()).await;
        let mut chance = Chance(seed);
        let (mut through, mut below) = (host.connect().await, direct(&server).await);
        let mut straight = direct(&beside).await;
        for round in 0..60 {
            let line = |chance: &mut Chance| {
                let (k, j) = (chance.one_of(&["a", "b", "c"]), chance.one_of(&["a", "b", "d"]));
                let (r, n) = (chance.one_of(&["a", "b"]), chance.below(12));
                let words = chance.one_of(ENTRY_LINES).split(' ').map(|word| match word {
                    "k" => format!("profile:{k}"),
                    "j" => format!("profile:{j}"),
                    "n" => n.to_string(),
                    "vn" => format!("v{n}"),
                    "r" => r.to_owned(),
                    other => other.to_owned(),
                });
                words.collect::<Vec<_>>().join(" ")
            };
            let lines: Vec<String> = (0..1 + chance.below(60)).map(|_| line(&mut chance)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let (told, expect) = (through.pipeline(&lines).await, straight.pipeline(&lines).await);
            for (n, line) in lines.iter().enumerate() {
                assert_eq!(told[n], expect[n], "seed {seed}, round {round}, {n}: {line} in {lines:#?}");
            }
            for (key, stored) in [("a", "a"), ("b", "b")].into_iter().chain(ENTRIES) {
                let question = format!("GET {key}");
                let expect = straight.line(&question).await;
                assert_eq!(through.line(&question).await, expect, "seed {seed}, round {round}: {key} after {lines:#?}");
                let there = below.line(&format!("EXISTS {stored}")).await;
                assert_eq!(there == ":1", expect != "nil", "seed {seed}, round {round}: {key} after {lines:#?}");
            }
        }
        assert!(host.stop().await);
    }
}

/// Entries that are written one after the other are few round trips, and one question whether what they are marked with still holds.
#[tokio::test]
async fn writes_of_entries_go_together() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("SET profile:0 v").await, "+OK");
    let (before, _) = counts(&server, "set").await;
    let sent: Vec<u8> =
        (0..MANY).flat_map(|n| frame(&["SET", &format!("profile:{}", n % 500), &n.to_string()])).collect();
    client.send(sent).await;
    for n in 0..MANY {
        assert_eq!(client.answer().await, "+OK", "{n}");
    }
    let (after, _) = counts(&server, "set").await;
    let (_, questions) = counts(&server, "mget").await;
    assert!(after - before < (MANY / 10) as u64, "{} reads", after - before);
    let questions: usize = questions.strip_prefix("cmdstat_mget:calls=").unwrap().parse().unwrap();
    assert!((2..MANY / 10).contains(&questions), "{questions} questions");
    for n in MANY - 500..MANY {
        assert_eq!(client.line(&format!("GET profile:{}", n % 500)).await, format!("\"{n}\""));
    }
    assert!(host.stop().await);
}
