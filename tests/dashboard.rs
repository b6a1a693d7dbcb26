//! The dashboard in a real browser: it loads, follows the traffic, and its buttons do what they say.
//!
//! Pictures of it stay in `dashboard/` of the target folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::host::{Host, HostBuilder, guest, sample, variant, wait_until};
use crate::support::redis::RedisServer;

/// Where `cargo xtask test` puts what drives the browser.
fn tools() -> PathBuf {
    let target = guest("hostile").parent().unwrap().parent().unwrap().to_owned();
    target.join("languages/browser")
}

fn chromium() -> String {
    let starts = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(starts);
    let path = Command::new("sh")
        .args(["-c", &format!("command -v {}", found.expect("a Chromium; `cargo xtask test` installs one"))])
        .output()
        .unwrap();
    String::from_utf8(path.stdout).unwrap().trim().to_owned()
}

/// Reads and writes until it is told to stop.
fn traffic(host: &Host, stop: &AtomicBool) {
    let mut client = host.client();
    let mut n = 0u32;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let key = format!("session:{}", n % 20);
        let _: Result<(), _> = redis::cmd("SET").arg(&key).arg("value").query(&mut client);
        for _ in 0..5 {
            let _: Result<Option<String>, _> = redis::cmd("GET").arg(&key).query(&mut client);
        }
        // A pace, so that the browser has a processor too; nothing waits for it.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn visit(host: &Host) -> serde_json::Value {
    let pictures = tools().join("../../dashboard");
    fs::create_dir_all(&pictures).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dashboard/visit.mjs");
    let output = Command::new("node")
        .arg(script)
        .args([format!("http://{}/", host.http), chromium(), pictures.display().to_string()])
        .env("TOOLS", tools())
        .output()
        .expect("node starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}\n{}", host.log());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn an_operator_uses_it() {
    let redis = RedisServer::start();
    let host = HostBuilder::samples().arg("--store").arg(redis.url()).env("CACHE_MAX_LATENCY_MS", "10000").start();
    let first = host.http("GET", "/v1/policies/session", "", b"").2;
    host.put("session.wasm", &variant(&sample("session"), 1));
    wait_until("the variant is live", || host.http("GET", "/v1/policies/session", "", b"").2 != first);
    host.ask(&["LARDER.LOCK", "ACQUIRE", "nightly", "TTL", "600000"]).unwrap();
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| traffic(&host, &stop));
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| visit(&host)));
        stop.store(true, Ordering::Relaxed);
        seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let word = |name: &str| seen[name].as_str().unwrap_or_else(|| panic!("{name}: {seen}")).to_owned();
    assert_eq!((&seen["errors"], &seen["foreign"]), (&serde_json::json!([]), &serde_json::json!([])), "{seen}");
    assert_eq!(word("title"), "Larder");
    assert!(word("hit_rate").contains('%'), "{seen}");
    assert_eq!(seen["layers"], 7);
    assert!(word("explained").contains("<img src=x onerror=alert(1)>"), "{seen}");
    assert_eq!((&seen["images"], &seen["overflow"]), (&0.into(), &0.into()), "{seen}");
    assert!(["l1-hit", "store-hit"].contains(&word("state").as_str()), "{seen}");
    assert!(word("question").contains("'session'"), "{seen}");
    assert_ne!(word("before"), word("after"));
    assert_eq!(word("forced"), "metrics-only");
    assert!(word("locks").contains("nightly"), "{seen}");
    assert_eq!(word("theme"), "dark");
}

#[test]
fn a_browser_gets_the_page_and_a_program_the_list() {
    let host = HostBuilder::samples().start();
    let get = |path: &str, headers: &str| {
        let (status, head, body) = host.http("GET", path, headers, b"");
        (status, head.to_lowercase(), String::from_utf8(body).unwrap())
    };
    let (status, head, page) = get("/", "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
    assert_eq!(status, 200);
    for header in ["content-type: text/html", "default-src 'none'", "frame-ancestors 'none'", "nosniff", "vary: accept"]
    {
        assert!(head.contains(header), "{header}: {head}");
    }
    // Everything that the page names is there, and nothing is elsewhere.
    for link in page.split(['"', '\'']).filter(|link| link.starts_with("/dashboard/")) {
        let (status, head, text) = get(link, "");
        assert!(status == 200 && head.contains("content-security-policy: default-src 'none'"), "{link}: {head}");
        assert!(!text.contains("https://") && !text.replace("http://www.w3.org/", "").contains("http://"), "{link}");
    }
    let (_, head, list) = get("/", "accept: */*\r\n");
    assert!(head.contains("content-type: text/plain") && list.contains("/v1/status"), "{list}");
    assert_eq!(get("/dashboard/none.js", "").0, 404);
    assert_eq!(get("/dashboard/..%2f..%2fCargo.toml", "").0, 404);

    host.ask(&["SET", "session:1", "v"]).unwrap();
    host.ask(&["GET", "session:1"]).unwrap();
    host.ask(&["GET", "session:2"]).unwrap();
    let status: serde_json::Value = serde_json::from_str(&get("/v1/status", "").2).unwrap();
    let session = status["domains"].as_array().unwrap().iter().find(|it| it["domain"] == "session").unwrap();
    assert_eq!(session["reads"], serde_json::json!({ "l1-hit": 1, "miss": 1 }));
    assert_eq!((&session["changes"]["done"], &session["generation"]), (&1.into(), &1.into()));
    assert_eq!(status["latency_bounds_ns"].as_array().unwrap().len() + 1, session["latency"].as_array().unwrap().len());
}
