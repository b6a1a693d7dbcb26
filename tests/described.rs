//! The HTTP interface is as its OpenAPI document says: schemathesis asks it all that the document allows, and much that it does not.
//!
//! Each answer must have a status, a type and a form that the document names, what is wrong must be refused, and nothing may be an
//! error of the server. The questions are the same each time.

use std::path::PathBuf;
use std::process::Command;

use crate::support::host::{Host, HostBuilder, guest, wait_until};
use crate::support::redis::RedisServer;

/// Where `cargo xtask test` puts schemathesis.
fn schemathesis() -> PathBuf {
    let target = guest("hostile").parent().unwrap().parent().unwrap().to_owned();
    let program = target.join("languages/openapi/bin/schemathesis");
    assert!(program.exists(), "{} is not installed; run `cargo xtask test`", program.display());
    program
}

/// Asks a host everything; `more` are arguments that narrow it.
fn check(host: &Host, more: &[&str]) {
    // Something to find, of every kind.
    for words in [
        &["SET", "profile:user:1", "Ada"][..],
        &["SET", "session:1", "s"],
        &["RPUSH", "queue:1", "a"],
        &["SET", "k", "v"],
        &["LARDER.LOCK", "ACQUIRE", "held", "TTL", "600000"],
    ] {
        host.ask(words).unwrap();
    }
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/schemathesis.toml");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(schemathesis())
        .args(["--no-color", "--config-file", config, "run"])
        .arg(format!("http://{}/openapi.json", host.http))
        .args(more)
        // It keeps what it found in the folder that it runs in.
        .current_dir(folder.path())
        .env("HYPOTHESIS_STORAGE_DIRECTORY", folder.path())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}\n{}", String::from_utf8_lossy(&output.stderr), host.log());
    let selected = said.lines().find(|line| line.trim_start().starts_with("Tested:")).unwrap_or_default();
    let tested: usize = selected.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default();
    assert!(tested >= if more.is_empty() { 30 } else { 4 }, "it asked nothing: {said}");
    // Whatever was forced and set on the way, the host is there.
    wait_until("the host answers", || host.http("GET", "/healthz", "", b"").0 == 200);
}

#[test]
fn on_the_memory_store() {
    check(&HostBuilder::samples().start(), &[]);
}

/// Everything that asks the store, on a real Redis.
#[test]
fn on_redis() {
    let redis = RedisServer::start();
    let host = HostBuilder::samples().arg("--store").arg(redis.url()).env("CACHE_MAX_LATENCY_MS", "10000").start();
    check(&host, &["--include-path-regex", "^/v1/(cache|explain|invalidate|events|domains)"]);
}
