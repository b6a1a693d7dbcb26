//! The README followed word for word in an empty folder: every command of a section in its order, every file that it says, and what it says
//! that one sees.
//!
//! What differs from a newcomer's machine: free ports in place of 6380 and 8380, and the standard library of WebAssembly is compiled once
//! for all tests.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::support::host::{PATIENCE, guest, sample, signal};
use crate::support::redis::free_port;

/// One thing that the README has the reader do.
enum Step {
    /// Type this, and see that; `…` stands for anything.
    Type { command: String, sees: Option<String> },
    /// Write this file.
    Write { path: String, text: String },
}

/// The steps of a section of the README.
fn steps(section: &str) -> Vec<Step> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let depth = section.split(' ').next().unwrap();
    let mut lines = readme.lines().skip_while(|line| *line != section).skip(1);
    let (mut steps, mut last_path) = (Vec::new(), String::new());
    while let Some(line) = lines.next() {
        if line
            .strip_prefix('#')
            .is_some_and(|rest| rest.trim_start_matches('#').starts_with(' ') && line.find(' ') <= Some(depth.len()))
        {
            break;
        }
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else {
            let words = line.split('`').skip(1).step_by(2);
            if let Some(path) = words.filter(|word| word.ends_with(".rs") || word.ends_with(".toml")).last() {
                path.clone_into(&mut last_path);
            }
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match kind {
            "console" => steps.extend(typed(&block)),
            "rust" | "toml" => steps.push(Step::Write { path: last_path.clone(), text: block.join("\n") + "\n" }),
            _ => {}
        }
    }
    assert!(!steps.is_empty(), "the README has no section {section} with something to do");
    steps
}

/// Commands behind `$`, or behind the prompt of a `redis-cli` that was started; and what is seen below them.
fn typed(block: &[&str]) -> Vec<Step> {
    const PROMPT: &str = "127.0.0.1:6380> ";
    let mut steps: Vec<(String, Vec<&str>)> = Vec::new();
    for line in block {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push((command.to_owned(), Vec::new()));
        } else if let Some(command) = line.strip_prefix(PROMPT) {
            steps.retain(|(command, _)| command != "redis-cli -p 6380");
            steps.push((format!("redis-cli -p 6380 {command}"), Vec::new()));
        } else {
            steps.last_mut().expect("a command before what it answers").1.push(line);
        }
    }
    let step = |(command, sees): (String, Vec<&str>)| {
        let sees = (!sees.is_empty()).then(|| sees.join("\n"));
        Step::Type { command, sees }
    };
    steps.into_iter().map(step).collect()
}

/// Whether a text is as said, where `…` stands for anything.
fn is_as_said(found: &str, said: &str) -> bool {
    let (found, parts) = (found.trim_end(), said.trim_end().split('…').collect::<Vec<_>>());
    let [first, middle @ .., last] = &parts[..] else { return found == said.trim_end() };
    let Some(mut rest) = found.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn a_gap_stands_for_anything() {
    for (found, said, expect) in [
        ("OK\n", "OK", true),
        ("OK\n", "O", false),
        ("a b c", "a…c", true),
        ("a b c", "a…d…c", false),
        ("x\nstate: live\ny", "…\nstate: live\n…", true),
        ("a", "…", true),
        ("aXb", "a…X…Xb", false),
    ] {
        assert_eq!(is_as_said(found, said), expect, "{found:?} {said:?}");
    }
}

/// An empty folder, and who follows the README in it.
struct Newcomer {
    folder: TempDir,
    resp: u16,
    http: u16,
    host: Option<Child>,
}

impl Newcomer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("target")).unwrap();
        let compiled = guest("hostile").ancestors().nth(2).unwrap().join("guests");
        symlink(compiled, folder.path().join("target/guests")).unwrap();
        Self { folder, resp: free_port(), http: free_port(), host: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn follow(&mut self, section: &str) {
        for step in steps(section) {
            match step {
                Step::Write { path, text } => std::fs::write(self.path(&path), text).unwrap(),
                Step::Type { command, sees } if command.starts_with("larder serve") => {
                    assert!(sees.is_none(), "{command}");
                    self.serve(&command);
                }
                Step::Type { command, sees } => self.types(&command, sees.as_deref()),
            }
        }
    }

    fn shell(&self, command: &str) -> Command {
        let command = self.with_ports(command);
        let mut shell = Command::new("bash");
        // As on a terminal.
        let formatted = "redis-cli() { command redis-cli --no-raw \"$@\"; }";
        shell.args(["-c", &format!("set -o pipefail\n{formatted}\n{command}")]).current_dir(self.folder.path());
        let own = Path::new(env!("CARGO_BIN_EXE_larder")).parent().unwrap();
        let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap());
        shell.env("PATH", path).env("CARGO_NET_OFFLINE", "true").env("LOG_LEVEL", "info");
        shell
            .env("LARDER_RESP", format!("127.0.0.1:{}", self.resp))
            .env("LARDER_HTTP", format!("127.0.0.1:{}", self.http));
        shell.env("LARDER_HOST", format!("http://127.0.0.1:{}", self.http));
        shell.stdin(Stdio::null());
        shell
    }

    fn with_ports(&self, text: &str) -> String {
        // In two goes: a free port may have the other's digits in it.
        let marked = text.replace("6380", "\u{1}").replace("8380", "\u{2}");
        marked.replace('\u{1}', &self.resp.to_string()).replace('\u{2}', &self.http.to_string())
    }

    /// A host in a terminal of its own, until the next one.
    fn serve(&mut self, command: &str) {
        self.end();
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut child = self.shell(&format!("exec {command}")).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        self.host = Some(child);
        assert!(ready.contains(" ready "), "{command}: {ready}{}", self.log());
    }

    /// What is seen may take a moment: a policy that was built is live as soon as it is compiled.
    fn types(&self, command: &str, sees: Option<&str>) {
        let began = Instant::now();
        loop {
            let output = self.shell(command).output().unwrap();
            let found = String::from_utf8_lossy(&output.stdout).into_owned();
            let is_good = match sees {
                Some(sees) => is_as_said(&found, &self.with_ports(sees)),
                None => output.status.success(),
            };
            if is_good {
                return;
            }
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                sees.is_some() && began.elapsed() < PATIENCE,
                "$ {command}\n{found}{errors}\nthe README says:\n{}\nthe host's log:\n{}",
                sees.unwrap_or("that it succeeds"),
                self.log()
            );
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn end(&mut self) {
        if let Some(mut host) = self.host.take() {
            signal(host.id(), "TERM");
            assert!(host.wait().unwrap().success(), "{}", self.log());
        }
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if let Some(mut host) = self.host.take() {
            let _ = host.kill();
            let _ = host.wait();
        }
    }
}

#[test]
fn write_a_policy() {
    let mut newcomer = Newcomer::new();
    newcomer.follow("### Write a policy");
    // And what it says last.
    let toml = newcomer.path("policies/orders.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    assert!(text.contains("ttl = \"1h\""), "{text}");
    std::fs::write(&toml, text.replace("ttl = \"1h\"", "ttl = \"10m\"")).unwrap();
    newcomer.types(
        "redis-cli -p 6380 SET orders:7:43 hello && redis-cli -p 6380 TTL orders:7:43",
        Some("OK\n(integer) 600"),
    );
    newcomer.end();
}

#[test]
fn secure_it() {
    let mut newcomer = Newcomer::new();
    std::fs::create_dir(newcomer.path("policies")).unwrap();
    std::fs::copy(sample("session"), newcomer.path("policies/orders.wasm")).unwrap();
    newcomer.follow("## Security");
    newcomer.end();
}
