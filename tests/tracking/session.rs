//! Connections by name to one server: a script of who says what, and who hears what.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use larder::ports::clock::Clock as _;

use crate::support::engine::World;
use crate::support::host::{Host as Program, HostBuilder, wait_until};
use crate::support::redis::RedisServer;
use crate::support::resp::{Client, Host, frame};

/// Connections to one server. The last letter of a name is the protocol: `a3`.
pub(super) struct Server {
    addr: SocketAddr,
    clients: BTreeMap<String, Client>,
    /// Of those that have left, too.
    ids: BTreeMap<String, String>,
    /// The Redis behind it, whose word may come later than an answer.
    behind: Option<SocketAddr>,
    settled: usize,
}

impl Server {
    pub(super) fn new(addr: SocketAddr) -> Self {
        Self { addr, clients: BTreeMap::new(), ids: BTreeMap::new(), behind: None, settled: 0 }
    }

    /// One that is told by this Redis what is changed.
    pub(super) fn told_by(addr: SocketAddr, redis: SocketAddr) -> Self {
        Self { behind: Some(redis), ..Self::new(addr) }
    }

    /// Until everything that was changed has been told.
    async fn settle(&mut self) {
        let Some(redis) = self.behind else { return };
        self.settled += 1;
        let mark = format!("settled:{}", self.settled);
        let mut straight = Client::of(redis).await;
        let listener = self.client("settled3").await;
        for line in ["CLIENT TRACKING ON", &format!("GET {mark}"), "ECHO so-far"] {
            listener.send(frame(&line.split(' ').collect::<Vec<_>>())).await;
        }
        // What it was told before stands in front of the answers.
        while listener.answer().await != "\"so-far\"" {}
        straight.line(&format!("SET {mark} x")).await;
        while !listener.answer().await.contains(&mark) {}
    }

    async fn client(&mut self, name: &str) -> &mut Client {
        if !self.clients.contains_key(name) {
            let mut client = Client::of(self.addr).await;
            if name.ends_with('3') {
                client.line("HELLO 3").await;
            }
            let id = client.line("CLIENT ID").await.trim_start_matches(':').to_owned();
            self.clients.insert(name.to_owned(), client);
            self.ids.insert(name.to_owned(), id);
        }
        self.clients.get_mut(name).unwrap()
    }

    /// `a3: GET k`, `a3 hears`, `a3 leaves`. `{b2}` is the number of that connection, in what is said and in what is answered.
    pub(super) async fn step(&mut self, step: &str) -> String {
        if let Some(name) = step.strip_suffix(" hears") {
            let heard = self.client(name).await.answer().await;
            return if heard.contains("redir") { self.without_ids(heard) } else { heard };
        }
        if let Some(name) = step.strip_suffix(" leaves") {
            drop(self.clients.remove(name));
            let id = self.ids[name].clone();
            // It has left when the server says so.
            loop {
                let list = self.client("z3").await.line(&format!("CLIENT LIST ID {id}")).await;
                if !list.contains("id=") {
                    break;
                }
            }
            return String::new();
        }
        let (name, words) = step.split_once(": ").unwrap();
        self.settle().await;
        let named: Vec<String> = words.split(['{', '}']).skip(1).step_by(2).map(str::to_owned).collect();
        let mut words = words.to_owned();
        for other in named {
            self.client(&other).await;
            words = words.replace(&format!("{{{other}}}"), &self.ids[&other]);
        }
        let answer = self.client(name).await.line(&words).await;
        if words.starts_with("CLIENT") { self.without_ids(answer) } else { answer }
    }

    fn without_ids(&self, mut answer: String) -> String {
        for (name, id) in &self.ids {
            for (before, after) in [(":", "]"), (":", ","), (":", "}"), ("redir=", " ")] {
                answer = answer.replace(&format!("{before}{id}{after}"), &format!("{before}{{{name}}}{after}"));
            }
            if answer == format!(":{id}") {
                answer = format!(":{{{name}}}");
            }
        }
        answer
    }
}

/// Larder over the memory store, within this process.
pub(super) async fn within() -> Host {
    let world = World::new();
    world.default_domain();
    Host::start(world).await
}

/// Larder as a program before a Redis, whose changes it is told.
pub(super) fn before(redis: &RedisServer) -> Program {
    let host = HostBuilder::new()
        .sample("default")
        .sample("profile")
        .sample("presence")
        .arg("--store")
        .arg(redis.url())
        .set("store.timeout", "10s")
        .set("commands.flush", "on")
        .start();
    follows(&host);
    host
}

pub(super) fn follows(host: &Program) {
    wait_until("changes are told", || host.metric("larder_coherence_state") == 1.0);
}

/// The same answers and messages from Redis, from Larder in memory, and from Larder before a Redis.
pub(super) async fn check(steps: &[&str]) {
    let (straight, behind) = (RedisServer::start(), RedisServer::start());
    let host = within().await;
    let program = before(&behind);
    let mut redis = Server::new(SocketAddr::from(([127, 0, 0, 1], straight.port())));
    let mut servers = [
        ("memory", Server::new(host.addr)),
        ("before a Redis", Server::told_by(program.resp, ([127, 0, 0, 1], behind.port()).into())),
    ];
    for step in steps {
        // Shown if the test fails: who hears nothing does not say so.
        println!("{step}");
        let expected = redis.step(step).await;
        for (kind, server) in &mut servers {
            let found = server.step(step).await;
            assert_eq!(found, expected, "{kind}: {step}");
        }
    }
    drop(servers);
    assert!(host.clock.wall_ms() > 0 && host.stop().await);
}
