//! The examples of monitoring, with a real Prometheus: it scrapes a host, takes the alert rules, and answers what the Grafana
//! dashboard asks.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::host::{HostBuilder, wait_until};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy").join(name)
}

/// The questions of the dashboard's panels, with its variables filled in.
fn questions() -> Vec<String> {
    let text = fs::read_to_string(example("grafana/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let questions = targets.map(|target| target["expr"].as_str().unwrap());
    questions.map(|expr| expr.replace("$instance", ".*").replace("$domain", ".*")).collect()
}

/// Names of metrics in a text.
fn names(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("larder_") || word.starts_with("cache_"));
    words.map(|word| word.strip_suffix("_bucket").unwrap_or(word)).collect()
}

#[test]
fn the_metrics_that_they_name_are_there() {
    // A test of the README holds its table against the code.
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let alerts = fs::read_to_string(example("prometheus/alerts.yml")).unwrap();
    let questions = questions();
    let named: Vec<&str> = questions.iter().map(String::as_str).chain([alerts.as_str()]).flat_map(names).collect();
    assert!(named.len() > 30, "{named:?}");
    for name in named {
        assert!(readme.contains(&format!("| `{name}` |")), "no host has {name}");
    }
}

/// Ends with its test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Gone already: nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_a_host_and_knows_the_answers() {
    let host = HostBuilder::samples().start();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("prometheus/alerts.yml"), folder.path().join("alerts.yml")).unwrap();
    let config = fs::read_to_string(example("prometheus/prometheus.yml")).unwrap();
    let targets = r#"["larder-1:8380", "larder-2:8380"]"#;
    assert!(config.contains(targets) && config.contains("scrape_interval: 5s"), "{config}");
    let config =
        config.replace(targets, &format!("[\"{}\"]", host.http)).replace("scrape_interval: 5s", "scrape_interval: 1s");
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let checked =
        Command::new("promtool").args(["check", "config", "prometheus.yml"]).current_dir(folder.path()).output();
    let checked = checked.expect("promtool starts; `cargo xtask test` installs it");
    assert!(checked.status.success(), "{checked:?}");

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new("prometheus")
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.path().join("log")).unwrap())
        .spawn();
    let _prometheus = Prometheus(child.expect("prometheus starts; `cargo xtask test` installs it"));
    let query = |expr: &str| {
        let url = format!("http://127.0.0.1:{port}");
        Command::new("promtool").args(["query", "instant", &url, expr]).output().unwrap()
    };
    wait_until("it scrapes the host twice", || {
        host.ask(&["SET", "session:1", "v"]).unwrap();
        host.ask(&["GET", "session:1"]).unwrap();
        let scraped = query(r#"count_over_time(larder_requests_total{domain="session",state="l1-hit"}[1m]) > 2"#);
        String::from_utf8_lossy(&scraped.stdout).contains("=>")
    });
    for question in questions() {
        let answer = query(&question);
        assert!(answer.status.success(), "{question}: {answer:?}");
    }
    let rate = query("sum by (state) (rate(larder_requests_total{domain=\"session\"}[1m]))");
    let rate = String::from_utf8(rate.stdout).unwrap();
    assert!(rate.contains("l1-hit") && rate.contains("done"), "{rate}");
}
