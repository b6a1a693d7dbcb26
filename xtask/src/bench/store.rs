//! GET from the store with L1 off: what the hop through Larder costs, or saves, against the same clients straight on Redis. If twemproxy is
//! installed it takes its turn, too: a proxy without rules, for what is within reach of any on the machine.

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
    let twemproxy = Server::twemproxy(bench, &redis)?;
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
        "| work | what | ratio | goal | twemproxy's | Larder | Redis |\n|---|---|---|---|---|---|---|".to_owned(),
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
            let proxy = twemproxy.as_ref().map(run).transpose()?;
            rounds.push(Round { ours, proxy, theirs: theirs_first.map_or_else(|| run(&redis), Ok)? });
        }
        lines.extend(columns.iter().map(|column| row(work, column, &rounds)));
    }
    Ok(lines.join("\n"))
}

/// What each did in a round.
struct Round {
    ours: Answered,
    proxy: Option<Answered>,
    theirs: Answered,
}

fn row(work: &str, (what, read, goal): &Column, rounds: &[Round]) -> String {
    let of = |read: &dyn Fn(&Round) -> f64| median(rounds.iter().map(read).collect());
    let ratio = of(&|round| read(&round.ours) / read(&round.theirs));
    let proxied: Option<Vec<f64>> =
        rounds.iter().map(|round| Some(read(round.proxy.as_ref()?) / read(&round.theirs))).collect();
    let proxy = proxied.map_or_else(|| "–".to_owned(), |ratios| format!("{:.2}×", median(ratios)));
    let (ours, theirs) = (of(&|round| read(&round.ours)), of(&|round| read(&round.theirs)));
    let unit = if *what == "throughput" { "/s" } else { " ms" };
    format!("| {work} | {what} | **{ratio:.2}×** | {goal} | {proxy} | {ours:.2}{unit} | {theirs:.2}{unit} |")
}
