//! Pipelines of commands that Larder serves itself, over a Redis: they go together, and are answered as by Redis.

use std::net::SocketAddr;
use std::sync::Arc;

use larder::engine::forward::ForwardRules;
use larder::ports::clock::VirtualClock;
use larder::ports::policy::Lifetime;

use super::{direct, host};
use crate::support::engine::World;
use crate::support::host::{HostBuilder, wait_until};
use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;
use crate::support::resp::{Client, Host, frame};
use crate::support::wait::until;

const MANY: usize = 2_000;

/// What Larder serves itself, and some that it does not; `k` and `j` stand for keys, `n` for a number.
const LINES: &[&str] = &[
    "SET k n",
    "SET k vn EX 1000",
    "SET k n NX",
    "SET k n XX GET",
    "SET k n KEEPTTL",
    "SET k n EX 0",
    "SET k n nonsense",
    "SETNX k n",
    "SETEX k 1000 n",
    "GETSET k n",
    "GET k",
    "GET k",
    "GETDEL k",
    "GETEX k PERSIST",
    "APPEND k n",
    "SETRANGE k n x",
    "GETRANGE k 0 n",
    "STRLEN k",
    "INCR k",
    "DECR k",
    "INCRBY k n",
    "INCRBY k x",
    "INCRBYFLOAT k 0.5",
    "MSET k n j n",
    "MGET k j",
    "MSETNX k n j n",
    "DEL k",
    "UNLINK k",
    "DEL k j",
    "EXISTS k",
    "TYPE k",
    "EXPIRE k 1000",
    "EXPIRE k -1",
    "EXPIRE k 1000 NX",
    "PERSIST k",
    "RENAME k j",
    "COPY k j",
    "COPY k j REPLACE",
    "LPUSH k n x",
    "RPUSH k n",
    "LPUSHX k n",
    "LPOP k",
    "RPOP k 2",
    "LSET k 0 n",
    "LTRIM k 0 5",
    "LRANGE k 0 -1",
    "LLEN k",
    "LMOVE k j LEFT RIGHT",
    "HSET k f n",
    "HINCRBY k f n",
    "HGET k f",
    "HDEL k f",
    "SADD k n",
    "SREM k n",
    "SCARD k",
    "SMOVE k j n",
    "ZADD k n m",
    "ZCARD k",
    "PING",
    "GET",
    "NONSENSE k",
];

/// A small generator of numbers (xorshift), so that a failure can be repeated by its seed.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    pub(super) fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// A command on one of a few keys.
    fn line(&mut self) -> String {
        let (k, j, n) = (self.one_of(&["a", "b", "c"]), self.one_of(&["a", "b", "d"]), self.below(12));
        let line = self.one_of(LINES);
        let word = |word: &str| match word {
            "k" => k.to_owned(),
            "j" => j.to_owned(),
            "n" => n.to_string(),
            "vn" => format!("v{n}"),
            other => other.to_owned(),
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

/// Random pipelines through a host and straight to a Redis have the same answers, and leave the same.
async fn check(through: SocketAddr, behind: &RedisServer, seed: u64) {
    let beside = RedisServer::start();
    let mut chance = Chance(seed);
    let (mut through, mut below, mut straight) =
        (Client::of(through).await, direct(behind).await, direct(&beside).await);
    for round in 0..60 {
        let lines: Vec<String> = (0..1 + chance.below(60)).map(|_| chance.line()).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (told, expect) = (through.pipeline(&lines).await, straight.pipeline(&lines).await);
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(told[n], expect[n], "seed {seed}, round {round}, {n}: {line} in {lines:#?}");
        }
        for key in ["a", "b", "c", "d"] {
            for question in ["TYPE", "DUMP", "PERSIST"] {
                let question = format!("{question} {key}");
                let (left, expect) = (below.line(&question).await, straight.line(&question).await);
                assert_eq!(left, expect, "seed {seed}, round {round}: {question} after {lines:#?}");
            }
        }
    }
}

#[tokio::test]
async fn pipelines_are_answered_as_by_redis() {
    for seed in [3, 1_234_567, 0xfeed_beef] {
        let server = RedisServer::start();
        let host = host(&server, ForwardRules::default()).await;
        check(host.addr, &server, seed).await;
        assert!(host.stop().await);
    }
}

/// The same where L1 keeps copies of raw values, as Redis tells of their changes.
#[tokio::test(flavor = "multi_thread")]
async fn pipelines_are_answered_as_by_redis_beside_copies() {
    for seed in [5, 99] {
        let server = RedisServer::start();
        let host = HostBuilder::new().sample("default").arg("--store").arg(server.url());
        let host =
            ["store.timeout=10s", "l1.trust=20s"].iter().fold(host, |host, set| host.arg("--set").arg(*set)).start();
        wait_until("changes are told", || (host.metric("larder_coherence_state") - 1.0).abs() < 0.1);
        let mut client = Client::of(host.resp).await;
        client.pipeline(&["SET a 1", "SET b 1", "SET b 2"]).await;
        assert_eq!(client.pipeline(&["GET a", "SET a 2", "GET a", "GET b"]).await, ["\"1\"", "+OK", "\"2\"", "\"2\""]);
        until("a read of what was written in a pipeline is a hit", async || {
            Client::of(host.resp).await.line("GET b").await;
            host.explain("b").get("from").is_some_and(|from| from == "l1").then_some(())
        })
        .await;
        server.flush();
        until("the copies are gone", async || {
            let answers = Client::of(host.resp).await.pipeline(&["GET a", "GET b"]).await;
            (answers == ["nil", "nil"]).then_some(())
        })
        .await;
        check(host.resp, &server, seed).await;
        assert!(host.stop());
    }
}

/// How often Redis was read from, and how many commands of this name it was sent.
pub(super) async fn counts(server: &RedisServer, name: &str) -> (u64, String) {
    let mut client = direct(server).await;
    let stats = client.line("INFO stats").await;
    let line = stats.split("\r\n").find_map(|line| line.strip_prefix("total_reads_processed:")).unwrap();
    let commands = client.line("INFO commandstats").await;
    let of = commands.split("\r\n").find(|line| line.starts_with(&format!("cmdstat_{name}:"))).unwrap_or_default();
    (line.parse().unwrap(), of.split(',').next().unwrap_or_default().to_owned())
}

/// Thousands of commands on one key are few round trips.
#[tokio::test]
async fn what_is_on_one_key_goes_together() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    for (line, name) in [("LPUSH l x", "lpush"), ("INCR n", "incr"), ("SET s v", "set")] {
        client.line("GET s").await;
        let (before, _) = counts(&server, name).await;
        let sent: Vec<u8> = (0..MANY).flat_map(|_| frame(&line.split(' ').collect::<Vec<_>>())).collect();
        client.send(sent).await;
        for n in 1..=MANY {
            let expect = if name == "set" { "+OK".to_owned() } else { format!(":{n}") };
            assert_eq!(client.answer().await, expect, "{line} {n}");
        }
        let (after, calls) = counts(&server, name).await;
        assert_eq!(calls, format!("cmdstat_{name}:calls={MANY}"));
        // 16 go together at first, and more and more of them.
        assert!(after - before < (MANY / 10) as u64, "{line}: {} reads", after - before);
    }
    assert!(host.stop().await);
}

/// What a policy has follow its commands goes along, at one moment with each.
#[tokio::test]
async fn what_a_policy_has_follow_goes_along() {
    let server = RedisServer::start();
    let world = World::forwarding(
        Arc::new(server.store()),
        Arc::new(VirtualClock::new(1_000_000_000_000, 7)),
        ForwardRules::default(),
    );
    world.default_domain();
    world.raw("queue", Lifetime { list_max: Some(3), sliding: true, ..Lifetime::fresh(Some(60_000)) });
    world.enveloped("profile", Lifetime::fresh(Some(60_000)));
    let host = Host::start(world).await;
    let mut client = host.connect().await;
    let answers = client
        .pipeline(&[
            "RPUSH queue:1 a",
            "RPUSH queue:1 b c",
            "LPUSH plain x",
            "RPUSH queue:1 d",
            "LRANGE queue:1 0 -1",
            "RPUSH queue:1 e",
            "HSET queue:1 f v",
            "LPOP queue:1",
            "SET queue:2 v",
            "SET profile:1 v",
            "GET queue:2",
            "INCR profile:1",
            "GET profile:1",
            "SET queue:2 w KEEPTTL",
            "GET queue:2",
        ])
        .await;
    assert_eq!(answers[..6], [":1", ":3", ":1", ":3", "[\"b\", \"c\", \"d\"]", ":3"]);
    assert!(answers[6].starts_with("-WRONGTYPE"), "{}", answers[6]);
    assert_eq!(answers[7..11], ["\"c\"", "+OK", "+OK", "\"v\""]);
    assert!(answers[11].starts_with("-ERR value is not an integer"), "{}", answers[11]);
    assert_eq!(answers[12..], ["\"v\"", "+OK", "\"w\""]);
    assert_eq!(server.cli(&["LRANGE", "chat:v1:queue:1", "0", "-1"]), "d\ne");
    for key in ["chat:v1:queue:1", "chat:v1:queue:2"] {
        let left: i64 = server.cli(&["PTTL", key]).parse().unwrap();
        assert!((1..=60_000).contains(&left), "{key}: {left}");
    }
    assert_eq!(server.cli(&["TTL", "plain"]), "-1");
    assert!(host.stop().await);
}

/// Over a cluster each node is sent its own, and each key's come in order.
#[tokio::test]
async fn over_a_cluster_the_order_of_each_key_is_kept() {
    let cluster = RedisCluster::start(false, 5_000).await;
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let world = World::forwarding(Arc::new(cluster.store()), clock, ForwardRules::default());
    world.default_domain();
    world.raw("queue", Lifetime { list_max: Some(1_000), ..Lifetime::fresh(Some(60_000)) });
    let host = Host::start(world).await;
    until("the cluster is known", async || (host.connect().await.line("SET x 1").await == "+OK").then_some(())).await;
    let keys: Vec<String> = (0..9).map(|n| format!("{}{n}", if n % 3 == 0 { "queue:" } else { "k" })).collect();
    let (mut sent, mut expect) = (Vec::new(), Vec::new());
    for n in 1..=60 {
        for key in &keys {
            sent.extend(frame(&["RPUSH", key, &n.to_string()]));
            sent.extend(frame(&["LINDEX", key, "-1"]));
            expect.extend([format!(":{n}"), format!("\"{n}\"")]);
        }
    }
    let mut client = host.connect().await;
    client.send(sent).await;
    for (n, expect) in expect.iter().enumerate() {
        assert_eq!(client.answer().await, *expect, "{n}");
    }
    assert!(host.stop().await);
}

/// A store that goes away in the middle: each command is answered, in order, and none is done after one that was not.
#[tokio::test]
async fn a_store_that_is_lost_answers_each() {
    let mut server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    let mut client = host.connect().await;
    assert_eq!(client.line("INCR n").await, ":1");
    let sent: Vec<u8> = (0..MANY).flat_map(|_| frame(&["INCR", "n"])).collect();
    client.send(sent).await;
    for n in 0..200 {
        assert_eq!(client.answer().await, format!(":{}", n + 2));
    }
    server.kill();
    let mut lost = 0;
    for n in 200..MANY {
        let answer = client.answer().await;
        if lost == 0 && answer == format!(":{}", n + 2) {
            continue;
        }
        assert!(answer.starts_with("-ERR "), "{n}: {answer}");
        lost += 1;
    }
    assert_eq!(client.line("PING").await, "+PONG");
    assert!(host.stop().await);
}

/// A client that goes away in the middle leaves a beginning of what it sent, in its order.
#[tokio::test]
async fn a_client_that_leaves_has_done_the_first_of_them() {
    let server = RedisServer::start();
    let host = host(&server, ForwardRules::default()).await;
    for answers in [0, 1, 300] {
        let mut client = host.connect().await;
        let key = format!("l{answers}");
        let sent: Vec<u8> = (0..MANY).flat_map(|n| frame(&["RPUSH", &key, &n.to_string()])).collect();
        client.send(sent).await;
        for n in 1..=answers {
            assert_eq!(client.answer().await, format!(":{n}"));
        }
        drop(client);
        until("its connection has ended", async || {
            let clients = host.connect().await.line("CLIENT LIST").await;
            (clients.matches(" addr=").count() == 1).then_some(())
        })
        .await;
        // What was sent is carried out before anything that is sent later, even if nobody waits for it.
        assert_eq!(host.connect().await.line("SET later v").await, "+OK");
        let left = server.cli(&["LRANGE", &key, "0", "-1"]);
        let left: Vec<usize> = left.lines().filter(|line| !line.is_empty()).map(|line| line.parse().unwrap()).collect();
        assert!(left.len() >= answers && left.iter().enumerate().all(|(n, &m)| n == m), "{answers}: {left:?}");
    }
    assert!(host.stop().await);
}
