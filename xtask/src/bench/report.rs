//! Rounds in, a Markdown row out.

use anyhow::{Context, Result};

use super::machine::cpu_seconds;
use super::server::Server;

/// What a load generator says of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Operations that were answered.
    pub(super) operations: f64,
    /// Operations in a second.
    pub(super) rate: f64,
}

/// One run, with what it cost the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Operations in a second.
    pub(super) rate: f64,
    /// CPU time of the server for one operation, in microseconds.
    pub(super) cpu_us: f64,
}

/// Runs a load and reads what it cost.
pub(super) fn measure(server: &Server, load: impl FnOnce() -> Result<Load>) -> Result<Run> {
    let before = cpu_seconds(server.pid)?;
    let load = load()?;
    let cpu_us = (cpu_seconds(server.pid)? - before) * 1e6 / load.operations;
    Ok(Run { rate: load.rate, cpu_us })
}

/// Runs both sides `rounds` times, in turns: A B, B A, A B, … A first run of each is thrown away.
pub(super) fn alternate(
    rounds: usize,
    mut ours: impl FnMut() -> Result<Run>,
    mut theirs: impl FnMut() -> Result<Run>,
) -> Result<Vec<(Run, Run)>> {
    ours()?;
    theirs()?;
    let mut pairs = Vec::new();
    for round in 0..rounds {
        pairs.push(if round % 2 == 0 {
            let first = ours()?;
            (first, theirs()?)
        } else {
            let first = theirs()?;
            (ours()?, first)
        });
    }
    Ok(pairs)
}

/// The head of a table of [`row`]s.
pub(super) const HEAD: &str = "\
| work | against | throughput, median (range) | goal | server CPU per operation | goal | Larder | other |
|---|---|---|---|---|---|---|---|";

/// One row: ratios first, then the medians behind them.
pub(super) fn row(work: &str, against: &str, goals: [&str; 2], rounds: &[(Run, Run)]) -> Result<String> {
    let mut rates: Vec<f64> = rounds.iter().map(|(ours, theirs)| ours.rate / theirs.rate).collect();
    let cpus = rounds.iter().map(|(ours, theirs)| ours.cpu_us / theirs.cpu_us).collect();
    rates.sort_by(f64::total_cmp);
    let (low, high) = (rates.first().context("no rounds")?, rates.last().context("no rounds")?);
    let side = |pick: fn(&(Run, Run)) -> Run| {
        let rate = median(rounds.iter().map(|pair| pick(pair).rate).collect());
        let cpu = median(rounds.iter().map(|pair| pick(pair).cpu_us).collect());
        format!("{} k/s, {cpu:.2} µs", thousands(rate))
    };
    Ok(format!(
        "| {work} | {against} | **{:.2}×** ({low:.2}–{high:.2}) | {} | **{:.2}×** | {} | {} | {} |",
        median(rates.clone()),
        goals[0],
        median(cpus),
        goals[1],
        side(|pair| pair.0),
        side(|pair| pair.1),
    ))
}

/// The middle value; the mean of the two in the middle where there are two.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The value below which `part` of the sorted values lie.
pub(super) fn quantile(sorted: &[u32], part: f64) -> u32 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

fn thousands(rate: f64) -> String {
    if rate < 10_000.0 { format!("{:.2}", rate / 1e3) } else { format!("{:.0}", rate / 1e3) }
}
