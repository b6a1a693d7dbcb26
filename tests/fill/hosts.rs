//! Two real hosts on one real Redis, and plain clients: one load for all of them, whatever dies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::host::{Host, HostBuilder, wait_until};
use crate::support::redis::RedisServer;

/// A client that knows `GET` and `SET` and nothing of leases.
struct Plain(TcpStream);

impl Plain {
    async fn connect(to: SocketAddr) -> Self {
        Self(TcpStream::connect(to).await.unwrap())
    }

    async fn send(&mut self, words: &[&str]) {
        self.0.write_all(&crate::support::resp::frame(words)).await.unwrap();
    }

    /// An answer of one or two short lines.
    async fn answer(&mut self) -> String {
        let mut read = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            let lines = text.matches("\r\n").count();
            if lines >= 2 || lines == 1 && !text.starts_with('$') || text == "$-1\r\n" {
                return text.trim_end().replace("\r\n", " ");
            }
            assert!(self.0.read_buf(&mut read).await.unwrap() > 0, "the host ended the connection: {text:?}");
        }
    }

    async fn ask(&mut self, words: &[&str]) -> String {
        self.send(words).await;
        self.answer().await
    }
}

/// How many loads of this host ended so.
fn ended(host: &Host, outcome: &str) -> f64 {
    let (_, _, page) = host.http("GET", "/metrics", "", b"");
    let page = String::from_utf8(page).unwrap();
    let series = format!(r#"larder_fill_outcomes_total{{domain="profile",outcome="{outcome}"}} "#);
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or_default()
}

fn host(redis: &RedisServer) -> Host {
    HostBuilder::new()
        .sample("profile")
        .settings("profile", "collapse_wait = \"30s\"")
        .arg("--store")
        .arg(redis.url())
        .env("CACHE_MAX_LATENCY_MS", "10000")
        .start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_on_each_of_two_hosts_load_a_cold_key_once() {
    const CALLERS: usize = 1_000;
    const KEY: &str = "profile:user:42";
    let redis = RedisServer::start();
    let hosts = [host(&redis), host(&redis)];
    let loads = Arc::new(AtomicUsize::new(0));
    let callers = (0..CALLERS * 2).map(|n| {
        let (to, loads) = (hosts[n % 2].resp, Arc::clone(&loads));
        tokio::spawn(async move {
            let mut client = Plain::connect(to).await;
            let answer = client.ask(&["GET", KEY]).await;
            if answer != "$-1" {
                return answer;
            }
            loads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(300)).await;
            client.ask(&["SET", KEY, "Ada"]).await
        })
    });
    let answers: Vec<String> = join_all(callers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    assert_eq!(answers.iter().filter(|answer| *answer == "+OK").count(), 1);
    assert_eq!(answers.iter().filter(|answer| *answer == "$3 Ada").count(), CALLERS * 2 - 1);
}

#[tokio::test]
async fn when_the_leaders_client_dies_the_next_one_loads_at_once() {
    let redis = RedisServer::start();
    let hosts = [host(&redis), host(&redis)];
    for (n, to) in hosts.iter().enumerate() {
        let key = format!("profile:user:{n}");
        let (mut leader, mut next) = (Plain::connect(hosts[0].resp).await, Plain::connect(to.resp).await);
        assert_eq!(leader.ask(&["GET", &key]).await, "$-1");
        next.send(&["GET", &key]).await;
        // On the other host it is itself the one who looks for all.
        let expected = if n == 0 { "1" } else { "0" };
        wait_until("the next one waits", || to.explain(&key)["lease_waiting"] == expected);
        drop(leader);
        assert_eq!(next.answer().await, "$-1");
        // Not when the lease's life was over: it was given back.
        assert_eq!(ended(&hosts[0], "dangling"), 1.0 + n as f64);
        assert_eq!(next.ask(&["SET", &key, "Ada"]).await, "+OK");
        assert_eq!(Plain::connect(hosts[0].resp).await.ask(&["GET", &key]).await, "$3 Ada");
    }
}

#[tokio::test]
async fn when_the_leaders_host_is_killed_the_next_one_loads_within_the_lease() {
    const KEY: &str = "profile:user:42";
    let redis = RedisServer::start();
    let (first, second) = (host(&redis), host(&redis));
    let (mut leader, mut next) = (Plain::connect(first.resp).await, Plain::connect(second.resp).await);
    assert_eq!(leader.ask(&["GET", KEY]).await, "$-1");
    next.send(&["GET", KEY]).await;
    wait_until("the other host waits", || second.explain(KEY)["lease"] == "other-node");
    // SIGKILL: nothing gives the lease back, which ends with its life.
    drop(first);
    assert_eq!(next.answer().await, "$-1");
    assert_eq!(ended(&second, "wait-timeout"), 0.0, "nor does it wait as long as it may");
    assert_eq!(second.explain(KEY)["lease"], "this-node", "it is the one who loads now");
    assert_eq!(next.ask(&["SET", KEY, "Ada"]).await, "+OK");
}
