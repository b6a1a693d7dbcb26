//! GET hits and SETs over RESP, against Redis: `redis-benchmark` drives both in turns.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Bench;
use super::client::Reply;
use super::report::{HEAD, Load, alternate, measure, row};
use super::server::Server;

/// Connections of the load generator.
pub(super) const CONNECTIONS: usize = 50;
/// Commands that it sends before it waits for their answers, with the requests of one run and the goals for GET.
const PIPELINES: [(usize, usize, [&str; 2]); 3] =
    [(1, 200_000, ["≥ 1.1×", "≤ 0.95×"]), (16, 2_000_000, ["≥ 1.5×", "≤ 0.6×"]), (64, 3_000_000, ["≥ 1.6×", "≤ 0.6×"])];

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    let redis = Server::redis(bench)?;
    let policies = bench.policies("policies", "profile")?;
    let larder = Server::larder(bench, &policies, "memory", "profile", &[])?;
    let value = "x".repeat(64);
    for server in [&redis, &larder] {
        seed(server, &value)?;
    }
    let mut lines = vec![
        "### RESP, 50 connections, 64-byte values, policy `profile` in force, embedded store".to_owned(),
        String::new(),
        HEAD.to_owned(),
    ];
    let get: &[&str] = &["GET", "profile:user:42"];
    let set: &[&str] = &["SET", "profile:user:__rand_int__", &value];
    for (name, command) in [("GET hit", get), ("SET, 10,000 keys", set)] {
        for (pipeline, requests, goals) in PIPELINES {
            let is_get = name.starts_with("GET");
            // A SET takes several times as long.
            let requests = requests / bench.pick(1, 5) / if is_get { 1 } else { 5 };
            let goals = if is_get { goals } else { ["–", "–"] };
            let load = |server: &Server| {
                measure(server, || {
                    let answered = redis_benchmark(server.resp, CONNECTIONS, pipeline, requests, command)?;
                    Ok(Load { operations: requests as f64, rate: answered.rate })
                })
            };
            let rounds = alternate(bench.pick(7, 3), || load(&larder), || load(&redis))?;
            lines.push(row(&format!("{name}, pipeline {pipeline}"), "Redis", goals, &rounds)?);
            eprintln!("bench: {}", lines.last().map_or("", String::as_str));
        }
    }
    Ok(lines.join("\n"))
}

/// Stores the value that is read, and reads it: what is measured must be an answer, not an error.
pub(super) fn seed(server: &Server, value: &str) -> Result<()> {
    let mut client = server.connect()?;
    let stored = client.call(&["SET", "profile:user:42", value])?;
    ensure!(stored == Reply::Status("OK".to_owned()), "SET was answered with {stored:?}");
    let read = client.call(&["GET", "profile:user:42"])?;
    ensure!(read == Reply::Bulk(value.as_bytes().to_vec()), "GET was answered with {read:?}");
    Ok(())
}

/// What `redis-benchmark` says of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answered {
    /// Requests in a second.
    pub(super) rate: f64,
    /// Median latency, in milliseconds.
    pub(super) p50_ms: f64,
    /// 99th percentile of the latency, in milliseconds.
    pub(super) p99_ms: f64,
}

/// One run of Redis' own load generator.
pub(super) fn redis_benchmark(
    port: u16,
    connections: usize,
    pipeline: usize,
    requests: usize,
    command: &[&str],
) -> Result<Answered> {
    let output = Command::new("redis-benchmark")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", &connections.to_string(), "-r", "10000", "--csv"])
        .args(["-P", &pipeline.to_string(), "-n", &requests.to_string()])
        .args(command)
        .output()
        .context("start redis-benchmark")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "redis-benchmark failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    answered(&text).with_context(|| format!("redis-benchmark printed {text}"))
}

/// The last line of `--csv`: `"GET profile:user:42","51234.55",` and average, minimum, p50, p95, p99, maximum.
fn answered(csv: &str) -> Option<Answered> {
    let fields: Vec<&str> = csv.trim_end().lines().last()?.split("\",\"").collect();
    let field = |at: usize| fields.get(at)?.trim_matches('"').parse().ok();
    Some(Answered { rate: field(1)?, p50_ms: field(4)?, p99_ms: field(6)? })
}

#[test]
fn the_last_line_is_read() {
    let csv = "\"test\",\"rps\"\n\"GET profile:user:42\",\"512.5\",\"0.5\",\"0.1\",\"0.4\",\"0.8\",\"0.9\",\"1.5\"\n";
    assert_eq!(answered(csv), Some(Answered { rate: 512.5, p50_ms: 0.4, p99_ms: 0.9 }));
    assert_eq!(answered("nothing"), None);
}
