//! A primary with a replica, and three sentinels that watch them.

use std::process::{Child, Command, Stdio};

use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore};

use super::{RedisServer, STORE_MS, answers_ping, free_port, redis_cli, redis_cli_if_served, store};
use crate::support::wait::until;

/// A running set.
pub(crate) struct Sentinels {
    /// The primary and the replica when it was new.
    pub(crate) servers: [RedisServer; 2],
    sentinels: Vec<(Child, u16)>,
    _folder: tempfile::TempDir,
}

impl Sentinels {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let primary = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
        let port = primary.port().to_string();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
        until("the replica follows", async || {
            replica.cli(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder for the sentinels");
        let sentinels = (0..3).map(|number| start_sentinel(folder.path(), number, &port)).collect();
        let set = Self { servers: [primary, replica], sentinels, _folder: folder };
        for (_, port) in &set.sentinels {
            until("the sentinels know each other and the replica", async || {
                let told = redis_cli(*port, &["SENTINEL", "MASTER", "main"]);
                let lines: Vec<&str> = told.lines().collect();
                let of = |name| lines.iter().position(|line| *line == name).map(|at| lines[at + 1]);
                (of("num-other-sentinels") == Some("2") && of("num-slaves") == Some("1")).then_some(())
            })
            .await;
        }
        set
    }

    /// Where it is; the first sentinel there is none.
    pub(crate) fn url(&self) -> String {
        let places: Vec<String> = self.sentinels.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        format!("redis-sentinel://127.0.0.1:{},{}/main", free_port(), places.join(","))
    }

    /// A store on it.
    pub(crate) fn store(&self) -> RedisStore {
        let address = RedisAddress::parse(&self.url()).expect("an address");
        store(RedisSettings { store_ms: STORE_MS, ..RedisSettings::new(address) })
    }

    /// Has the sentinels make the replica the primary while both are well; ends when the old one follows it.
    pub(crate) async fn fail_over(&self) {
        let port = self.sentinels[0].1;
        until("the sentinel begins", async || {
            (redis_cli(port, &["SENTINEL", "FAILOVER", "main"]) == "OK").then_some(())
        })
        .await;
        // The old primary becomes a replica, and says so or ends the connection.
        let says = |server: usize, words: &[&str], expected: &str| {
            let said = redis_cli_if_served(self.servers[server].port, words);
            said.is_ok_and(|said| said.contains(expected)).then_some(())
        };
        until("the other one is the primary", async || says(1, &["ROLE"], "master")).await;
        let follows = "master_link_status:up";
        until("the old one follows it", async || says(0, &["INFO", "replication"], follows)).await;
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for (child, _) in &mut self.sentinels {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start_sentinel(folder: &std::path::Path, number: usize, primary: &str) -> (Child, u16) {
    let port = free_port();
    let path = folder.join(format!("{number}.conf"));
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 6000\n",
        folder.display()
    );
    std::fs::write(&path, text).expect("the folder can be written");
    let child = Command::new("redis-server")
        .arg(&path)
        .arg("--sentinel")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is there");
    let started = std::time::Instant::now();
    while !answers_ping(port).unwrap_or(false) {
        assert!(started.elapsed() < super::START_WITHIN, "a sentinel answers PING");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    (child, port)
}
