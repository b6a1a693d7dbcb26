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

/// What the files have a host started with is what it understands: `larder config check` takes the same arguments.
#[test]
fn a_host_understands_what_the_files_have_it_do() {
    let folder = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let users = "[[users]]\nname = 'a'\nsecret = 'env:SECRET'\nrole = 'admin'\n";
    fs::write(folder.path().join("larder.toml"), users).unwrap();
    let text = |name: &str| fs::read_to_string(example(name)).unwrap();
    // The words behind `serve`, as each file writes them.
    let quoted = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let line = |name: &str, mark: &str| {
        let text = text(name);
        let found = text.lines().find(|line| line.trim_start().starts_with(mark));
        found.unwrap_or_else(|| panic!("{name} has no line with {mark}")).to_owned()
    };
    let entry: Vec<String> = quoted(&line("Dockerfile", "ENTRYPOINT")).split_off(2);
    let unit = line("systemd/larder.service", "ExecStart=");
    let unit = unit.split_once(" serve ").unwrap().1.split(' ').map(str::to_owned).collect();
    for (file, words) in [
        (
            "Dockerfile",
            [entry.clone(), quoted(&line("Dockerfile", "CMD")), vec!["--config".into(), "larder.toml".into()]].concat(),
        ),
        ("compose.yaml", [entry.clone(), quoted(&line("compose.yaml", "command: &serve"))].concat()),
        ("kubernetes/larder.yaml", [entry, quoted(&line("kubernetes/larder.yaml", "args:"))].concat()),
        ("systemd/larder.service", unit),
    ] {
        let here = |word: &String| if word.ends_with("larder.toml") { "larder.toml".to_owned() } else { word.clone() };
        let checked = Command::new(env!("CARGO_BIN_EXE_larder"))
            .args(["config", "check"])
            .args(words.iter().map(here))
            .env("SECRET", "0123456789abcdef-of-a-test")
            // Nobody has to say who they are there, so there are no users.
            .current_dir(if file == "compose.yaml" { empty.path() } else { folder.path() })
            .output()
            .unwrap();
        assert!(checked.status.success(), "{file}: {words:?}: {checked:?}");
    }
}

/// What the README has a newcomer write for Prometheus is a configuration, with its second part and without.
#[test]
fn the_readmes_scrape_configuration_is_one() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [plain, more] = blocks[..] else { panic!("{blocks:?}") };
    let folder = tempfile::tempdir().unwrap();
    for name in ["ca.pem", "orders.token"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    for config in [plain.to_owned(), [plain, more].concat()] {
        fs::write(folder.path().join("prometheus.yml"), &config).unwrap();
        let mut checked = Command::new("promtool");
        let checked = checked.args(["check", "config", "prometheus.yml"]).current_dir(folder.path()).output().unwrap();
        assert!(checked.status.success(), "{config}{checked:?}");
    }
}
