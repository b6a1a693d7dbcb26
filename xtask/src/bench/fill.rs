//! A fill under its lease against a plain SET, through the store's adapter on a real Redis: measured inside a process, as no client
//! could see it.

use std::process::Command;

use anyhow::{Result, ensure};

use super::Bench;
use super::server::Server;

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    let redis = Server::redis(bench)?;
    let url = format!("redis://127.0.0.1:{}", redis.resp);
    let output = Command::new(&bench.larder).args(["policy", "measure-fill", "--store", &url]).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`larder policy measure-fill` failed: {error}");
    let table = String::from_utf8_lossy(&output.stdout);
    Ok(format!("### A fenced fill against a plain SET, 200 bytes, through the store's adapter\n\n{}", table.trim_end()))
}
