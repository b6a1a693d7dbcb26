//! Hashes, lists and sets in pipelines of 16 on a raw domain, against the same clients straight on Redis.
//!
//! Each has a Redis of its own, and they take turns. If twemproxy is installed it takes its turn, too: a proxy without rules, for what is
//! within reach of any on the machine. Deliberately absent: checks of answers, which the tests do.

use anyhow::Result;

use super::Bench;
use super::report::median;
use super::resp::{CONNECTIONS, redis_benchmark};
use super::server::Server;

const PIPELINE: usize = 16;
/// What is run, in this order: those that read come after what they read.
const WORK: [(&str, &[&str]); 9] = [
    ("HSET, one hash, 10,000 fields", &["HSET", "hash", "__rand_int__", "x"]),
    ("HGET, one hash", &["HGET", "hash", "__rand_int__"]),
    ("HSET, 10,000 hashes", &["HSET", "hash:__rand_int__", "field", "x"]),
    ("LPUSH, one list", &["LPUSH", "list", "x"]),
    ("LRANGE, 10 items of it", &["LRANGE", "list", "0", "9"]),
    ("LPOP", &["LPOP", "list"]),
    ("SADD, one set, 10,000 members", &["SADD", "set", "__rand_int__"]),
    ("SADD, 10,000 sets", &["SADD", "set:__rand_int__", "member"]),
    ("SISMEMBER, one set", &["SISMEMBER", "set", "__rand_int__"]),
];

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    let (redis, store) = (Server::redis(bench)?, Server::redis(bench)?);
    let policies = bench.policies("policies", "default")?;
    let url = format!("redis://127.0.0.1:{}", store.resp);
    let larder = Server::larder(bench, &policies, &url, "default", &[])?;
    let proxied = Server::redis(bench)?;
    let twemproxy = Server::twemproxy(bench, &proxied)?;
    let mut lines = vec![
        format!(
            "### Hashes, lists and sets on Redis through Larder, policy `default`, {CONNECTIONS} connections, pipeline {PIPELINE}"
        ),
        String::new(),
        "| work | throughput ÷ Redis | goal | twemproxy ÷ Redis | Larder | twemproxy | Redis |\n|---|---|---|---|---|---|---|".to_owned(),
    ];
    let requests = 200_000 / bench.pick(1, 4);
    for (work, command) in WORK {
        let run = |server: &Server| redis_benchmark(server.resp, CONNECTIONS, PIPELINE, requests, command);
        let mut rounds = Vec::new();
        for round in 0..bench.pick(5, 3) {
            let theirs_first = (round % 2 == 1).then(|| run(&redis)).transpose()?;
            let ours = run(&larder)?.rate;
            let proxy = twemproxy.as_ref().map(run).transpose()?.map(|answered| answered.rate);
            rounds.push(Round { ours, proxy, theirs: theirs_first.map_or_else(|| run(&redis), Ok)?.rate });
        }
        lines.push(row(work, &rounds));
    }
    Ok(lines.join("\n"))
}

/// Commands in a second.
struct Round {
    ours: f64,
    proxy: Option<f64>,
    theirs: f64,
}

fn row(work: &str, rounds: &[Round]) -> String {
    let of = |read: &dyn Fn(&Round) -> f64| median(rounds.iter().map(read).collect());
    let with_proxy = rounds.iter().all(|round| round.proxy.is_some());
    let proxy = |text: String| if with_proxy { text } else { "–".to_owned() };
    let proxy_rate = |round: &Round| round.proxy.unwrap_or_default();
    format!(
        "| {work} | **{:.2}×** | ≥ 0.6× | {} | {:.0} k/s | {} | {:.0} k/s |",
        of(&|round| round.ours / round.theirs),
        proxy(format!("{:.2}×", of(&|round| proxy_rate(round) / round.theirs))),
        of(&|round| round.ours / 1e3),
        proxy(format!("{:.0} k/s", of(&|round| proxy_rate(round) / 1e3))),
        of(&|round| round.theirs / 1e3)
    )
}
