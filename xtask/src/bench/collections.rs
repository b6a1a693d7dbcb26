//! Hashes, lists and sets in pipelines of 16 on a raw domain, against the same clients straight on Redis.
//!
//! Each has a Redis of its own, and they take turns. Deliberately absent: checks of answers, which the tests do.

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
    let mut lines = vec![
        format!(
            "### Hashes, lists and sets on Redis through Larder, policy `default`, {CONNECTIONS} connections, pipeline {PIPELINE}"
        ),
        String::new(),
        "| work | throughput ÷ Redis | goal | Larder | Redis |\n|---|---|---|---|---|".to_owned(),
    ];
    let requests = 200_000 / bench.pick(1, 4);
    for (work, command) in WORK {
        let run = |server: &Server| redis_benchmark(server.resp, CONNECTIONS, PIPELINE, requests, command);
        let mut rounds = Vec::new();
        for round in 0..bench.pick(5, 3) {
            let theirs_first = (round % 2 == 1).then(|| run(&redis)).transpose()?;
            let ours = run(&larder)?.rate;
            rounds.push((ours, theirs_first.map_or_else(|| run(&redis), Ok)?.rate));
        }
        let of = |read: &dyn Fn(&(f64, f64)) -> f64| median(rounds.iter().map(read).collect());
        lines.push(format!(
            "| {work} | **{:.2}×** | ≥ 0.6× | {:.0} k/s | {:.0} k/s |",
            of(&|it| it.0 / it.1),
            of(&|it| it.0 / 1e3),
            of(&|it| it.1 / 1e3)
        ));
    }
    Ok(lines.join("\n"))
}
