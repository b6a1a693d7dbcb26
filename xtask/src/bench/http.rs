//! Hits over HTTP, against nginx' proxy_cache: `wrk` drives both in turns.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Bench;
use super::machine::is_root;
use super::report::{HEAD, Load, alternate, measure, row};
use super::resp::seed;
use super::server::{Server, free_port};
use crate::process::starts;

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    if let Some(missing) = ["wrk", "nginx"].into_iter().find(|name| !starts(name)) {
        return Ok(format!("HTTP: skipped, {missing} is not installed"));
    }
    let value = "x".repeat(1024);
    let nginx = nginx(bench, &value)?;
    let policies = bench.policies("policies", "profile")?;
    let larder = Server::larder(bench, &policies, "memory", "profile", &[])?;
    seed(&larder, &value)?;
    let (ours, theirs) = (url(&larder, "/v1/cache/profile/user:42"), url(&nginx, "/user:42"));
    let seconds = bench.pick(6, 2);
    let rounds = alternate(
        bench.pick(7, 3),
        || measure(&larder, || wrk(&ours, seconds)),
        || measure(&nginx, || wrk(&theirs, seconds)),
    )?;
    Ok([
        "### HTTP, 50 connections, 1 KiB body, one URL",
        "",
        HEAD,
        &row("GET hit", "nginx proxy_cache", ["≥ 1.2×", "–"], &rounds)?,
    ]
    .join("\n"))
}

fn url(server: &Server, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", server.http)
}

/// nginx as a cache in front of itself.
fn nginx(bench: &Bench, value: &str) -> Result<Server> {
    let folder = bench.folder("nginx")?;
    let (cache, origin) = (free_port()?, free_port()?);
    let config = folder.join("nginx.conf");
    fs::write(&config, nginx_config(&folder, cache, origin, value))?;
    Server::nginx(bench, &folder, &config, cache)
}

fn nginx_config(folder: &Path, cache: u16, origin: u16, value: &str) -> String {
    let folder = folder.display();
    // Root's nginx would give its workers to a user who may not enter this folder.
    let user = if is_root() { "user root;" } else { "" };
    format!(
        "{user}
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/body;
  fastcgi_temp_path {folder}/fastcgi;
  proxy_temp_path {folder}/proxy;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=hits:10m inactive=1h use_temp_path=off;
  server {{
    listen 127.0.0.1:{cache};
    location / {{
      proxy_pass http://127.0.0.1:{origin};
      proxy_cache hits;
      proxy_cache_valid 200 1h;
    }}
  }}
  server {{
    listen 127.0.0.1:{origin};
    location / {{ return 200 \"{value}\"; }}
  }}
}}
"
    )
}

/// One run of `wrk`; an answer that is not 2xx is an error.
fn wrk(url: &str, seconds: usize) -> Result<Load> {
    let output = Command::new("wrk").args(["-t", "1", "-c", "50", "-d", &format!("{seconds}s"), url]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {text}");
    ensure!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "wrk saw errors: {text}");
    load_of(&text).with_context(|| format!("wrk printed {text}"))
}

/// `  123 requests in 2.00s, …` and `Requests/sec:   61.5`.
fn load_of(text: &str) -> Option<Load> {
    let operations = text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0.parse().ok()?;
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?.trim().parse().ok()?;
    Some(Load { operations, rate })
}

#[test]
fn wrk_is_read() {
    let load = load_of("Running\n  123 requests in 2.00s, 1.00MB read\nRequests/sec:     61.50\n");
    assert_eq!(load.map(|load| (load.operations, load.rate)), Some((123.0, 61.5)));
    assert!(load_of("").is_none());
}
