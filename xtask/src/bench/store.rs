//! GET from the store with L1 off: what the hop through Larder costs, or saves, against the same clients straight on Redis.

use anyhow::Result;

use super::Bench;
use super::report::median;
use super::resp::{Answered, CONNECTIONS, redis_benchmark, seed};
use super::server::Server;

/// A read from the answers, and the goal for its ratio.
type Column = (&'static str, fn(&Answered) -> f64, &'static str);

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    let redis = Server::redis(bench)?;
    let policies = bench.policies("policies", "profile")?;
    let url = format!("redis://127.0.0.1:{}", redis.resp);
    let larder = Server::larder(bench, &policies, &url, "profile", &["--set", "l1.size=0"])?;
    let value = "x".repeat(64);
    seed(&redis, &value)?;
    seed(&larder, &value)?;
    let many: &[Column] = &[("throughput", |a| a.rate, "≥ 1.0×"), ("p99", |a| a.p99_ms, "≤ 1.5×")];
    let alone: &[Column] = &[("p50", |a| a.p50_ms, "≤ 2.2×")];
    let mut lines = vec![
        "### GET from Redis through Larder with L1 off, against the same clients straight on Redis".to_owned(),
        String::new(),
        "| work | what | ratio | goal | Larder | Redis |\n|---|---|---|---|---|---|".to_owned(),
    ];
    for (work, connections, requests, columns) in
        [("50 connections", CONNECTIONS, 200_000, many), ("one client alone", 1, 30_000, alone)]
    {
        let requests = requests / bench.pick(1, 4);
        let run = |server: &Server| redis_benchmark(server.resp, connections, 1, requests, &["GET", "profile:user:42"]);
        // The first run of each is thrown away; then they take turns.
        run(&larder)?;
        run(&redis)?;
        let mut rounds = Vec::new();
        for round in 0..bench.pick(7, 3) {
            let theirs_first = (round % 2 == 1).then(|| run(&redis)).transpose()?;
            let ours = run(&larder)?;
            rounds.push((ours, theirs_first.map_or_else(|| run(&redis), Ok)?));
        }
        lines.extend(columns.iter().map(|column| row(work, column, &rounds)));
    }
    Ok(lines.join("\n"))
}

fn row(work: &str, (what, read, goal): &Column, rounds: &[(Answered, Answered)]) -> String {
    let ratio = median(rounds.iter().map(|(ours, theirs)| read(ours) / read(theirs)).collect());
    let ours = median(rounds.iter().map(|pair| read(&pair.0)).collect());
    let theirs = median(rounds.iter().map(|pair| read(&pair.1)).collect());
    let unit = if *what == "throughput" { "/s" } else { " ms" };
    format!("| {work} | {what} | **{ratio:.2}×** | {goal} | {ours:.2}{unit} | {theirs:.2}{unit} |")
}
