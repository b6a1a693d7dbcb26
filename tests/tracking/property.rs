//! Random changes through two hosts, straight on the Redis behind them, and by invalidations, while model clients keep what they read: once everything that was
//! changed has been told, no client keeps what is out of date.
//!
//! There is no wait for a time. Each round ends with a change of a key that every client keeps: the store tells in order, so whoever has heard of that has heard
//! of all before it.

use std::collections::HashMap;

use super::session::before;
use crate::support::redis::RedisServer;
use crate::support::resp::{Client, frame};

const KEYS: [&str; 6] = ["plain:a", "plain:b", "presence:a", "presence:b", "profile:user:a", "profile:user:b"];
const ROUNDS: usize = 12;
const STEPS: usize = 40;
const SEEDS: [u64; 2] = [3, 11];

/// A client that keeps what it reads until it is told not to.
struct Model {
    client: Client,
    kept: HashMap<String, String>,
    hits: usize,
}

impl Model {
    async fn new(addr: std::net::SocketAddr) -> Self {
        let mut client = Client::of(addr).await;
        client.line("HELLO 3").await;
        assert_eq!(client.line("CLIENT TRACKING ON").await, "+OK");
        Self { client, kept: HashMap::new(), hits: 0 }
    }

    /// Takes note of what was told, if this was; else gives it back.
    fn hear(&mut self, answer: String) -> Option<String> {
        let Some(told) = answer.strip_prefix(">[\"invalidate\", ") else { return Some(answer) };
        match told.strip_prefix("[\"").and_then(|told| told.strip_suffix("\"]]")) {
            Some(key) => drop(self.kept.remove(key)),
            None => self.kept.clear(),
        }
        None
    }

    async fn answer(&mut self) -> String {
        loop {
            let answer = self.client.answer().await;
            if let Some(answer) = self.hear(answer) {
                return answer;
            }
        }
    }

    /// Reads these, those that it does not keep in one go.
    async fn read(&mut self, keys: &[&str]) {
        let missing: Vec<&str> = keys.iter().copied().filter(|key| !self.kept.contains_key(*key)).collect();
        self.hits += keys.len() - missing.len();
        self.client.send(missing.iter().flat_map(|key| frame(&["GET", key])).collect::<Vec<_>>()).await;
        for key in missing {
            let value = self.answer().await;
            self.kept.insert(key.to_owned(), value);
        }
    }

    /// Waits until it is told of this key.
    async fn until_told(&mut self, key: &str) {
        while self.kept.contains_key(key) {
            let answer = self.client.answer().await;
            assert_eq!(self.hear(answer), None);
        }
    }
}

struct Writers {
    hosts: [Client; 2],
    straight: Client,
    random: fastrand::Rng,
    count: u64,
}

impl Writers {
    async fn change(&mut self) {
        self.count += 1;
        let (key, value) = (KEYS[self.random.usize(..KEYS.len())], format!("v{}", self.count));
        let host = &mut self.hosts[self.random.usize(..2)];
        let storage = if key.starts_with("plain") { key.to_owned() } else { format!("chat:v1:{key}") };
        match self.random.u32(..12) {
            0..5 => drop(host.line(&format!("SET {key} {value}")).await),
            5 => drop(host.line(&format!("DEL {key}")).await),
            6 => drop(host.line(&format!("LARDER.INVALIDATE KEY {key}")).await),
            7 => drop(host.line("LARDER.INVALIDATE DOMAIN profile").await),
            8 => drop(host.line(&format!("MSET {key} {value} {} {value}", KEYS[0])).await),
            // Two hosts at once: nobody knows who was last.
            9 => {
                let [one, other] = &mut self.hosts;
                let (one_line, other_line) = (format!("SET {key} {value}x"), format!("SET {key} {value}y"));
                tokio::join!(one.line(&one_line), other.line(&other_line));
            }
            // What is enveloped nobody else could write.
            _ if key.starts_with("profile") => drop(self.straight.line(&format!("DEL {storage}")).await),
            10 => drop(self.straight.line(&format!("DEL {storage}")).await),
            _ => drop(self.straight.line(&format!("SET {storage} {value}")).await),
        }
    }
}

async fn run(seed: u64) {
    let redis = RedisServer::start();
    let hosts = [before(&redis), before(&redis)];
    let connected = async |addr| Client::of(addr).await;
    let mut writers = Writers {
        hosts: [connected(hosts[0].resp).await, connected(hosts[1].resp).await],
        straight: Client::of(("127.0.0.1", redis.port())).await,
        random: fastrand::Rng::with_seed(seed),
        count: 0,
    };
    let mut models = Vec::new();
    for host in [&hosts[0], &hosts[1], &hosts[0]] {
        models.push(Model::new(host.resp).await);
    }
    for round in 0..ROUNDS {
        let mark = format!("mark:{round}");
        for model in &mut models {
            model.read(&[&mark]).await;
        }
        let reading = futures_util::future::join_all(models.iter_mut().enumerate().map(async |(number, model)| {
            let mut random = fastrand::Rng::with_seed(seed * 100 + round as u64 * 10 + number as u64);
            for _ in 0..STEPS {
                let count = random.usize(1..=KEYS.len());
                let keys: Vec<&str> = (0..count).map(|_| KEYS[random.usize(..KEYS.len())]).collect();
                let mut keys = keys;
                keys.sort_unstable();
                keys.dedup();
                model.read(&keys).await;
            }
        }));
        let writing = async {
            for _ in 0..STEPS {
                writers.change().await;
            }
        };
        tokio::join!(reading, writing);
        assert_eq!(writers.straight.line(&format!("SET {mark} {round}")).await, "+OK");
        for (number, model) in models.iter_mut().enumerate() {
            model.until_told(&mark).await;
            for key in KEYS {
                if let Some(kept) = model.kept.get(key) {
                    // What is enveloped only a host can read; who tracks is shown no copy of its that may be older.
                    let truth = if key.starts_with("profile") {
                        let mut anew = Model::new(hosts[0].resp).await;
                        anew.read(&[key]).await;
                        anew.kept.remove(key).unwrap_or_else(|| kept.clone())
                    } else {
                        straight(&mut writers.straight, key).await
                    };
                    assert_eq!(*kept, truth, "seed {seed}, round {round}, client {number} keeps {key}");
                }
            }
        }
    }
    let hits: usize = models.iter().map(|model| model.hits).sum();
    assert!(hits > ROUNDS, "copies were of use: {hits}");
}

async fn straight(client: &mut Client, key: &str) -> String {
    let storage = if key.starts_with("plain") { key.to_owned() } else { format!("chat:v1:{key}") };
    client.line(&format!("GET {storage}")).await.replace("nil", "null")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_keeps_what_was_changed() {
    for seed in SEEDS {
        run(seed).await;
    }
}
