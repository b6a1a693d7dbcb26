//! Readers that have gone: `larder … | head` ends as it would have ended, with nothing said of it, and a host goes on without its log.

use std::io::{BufRead as _, BufReader, Read as _, pipe};
use std::process::Command;

use super::larder;
use crate::support::host::{HostBuilder, http, sample, signal, wait_until};

/// The exit code with nobody at the other end of the standard output, and what is on the standard error output then.
fn unread(command: &mut Command) -> (i32, String) {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().expect("larder runs");
    (output.status.code().expect("it ends by itself"), String::from_utf8(output.stderr).unwrap())
}

/// Who reads nothing changes neither the exit code nor what is said on the standard error output; who reads not even that changes nothing.
#[track_caller]
fn check(make: impl Fn() -> Command, words: &[&str]) {
    let command = || {
        let mut command = make();
        command.args(words);
        command
    };
    let read = command().output().expect("larder runs");
    let (code, said) = unread(&mut command());
    assert_eq!(Some(code), read.status.code(), "{words:?}: {said}");
    assert_eq!(said.is_empty(), read.stderr.is_empty(), "{words:?}: {said}");
    assert!(!said.contains("panicked") && !said.contains("roken pipe"), "{words:?}: {said}");
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let (code, _) = unread(command().stderr(writer));
    assert_eq!(Some(code), read.status.code(), "{words:?}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong.toml"), "nonsense = 1\n").unwrap();
    let wasm = sample("presence");
    let wasm = wasm.to_str().unwrap();
    let here = || {
        let mut command = larder(&[]);
        command.current_dir(folder.path());
        command
    };
    for words in [
        &["--help"][..],
        &["policy", "check", "--help"],
        &["--version"],
        &["nonsense"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["man"],
        &["config", "show"],
        &["config", "show", "--json"],
        &["config", "check"],
        &["config", "check", "--json"],
        &["config", "check", "--config", "wrong.toml"],
        &["config", "check", "--config", "wrong.toml", "--json"],
        &["policy", "check", wasm, wasm],
        &["policy", "check", wasm, "--json"],
        &["policy", "check", "/nowhere.wasm"],
        &["policy", "test", wasm],
        &["policy", "test", wasm, "--json"],
        &["policy", "inspect", wasm],
        &["policy", "inspect", wasm, "--json"],
    ] {
        check(here, words);
    }
    for (n, json) in [false, true].into_iter().enumerate() {
        let name = format!("fresh{n}");
        let mut command = here();
        command.args(["policy", "new", &name]).args(json.then_some("--json"));
        assert_eq!(unread(&mut command), (0, String::new()));
    }
}

#[test]
fn nor_is_it_one_to_what_asks_a_host() {
    let host = HostBuilder::samples().start();
    host.ask(&["SET", "k", &"v".repeat(1 << 20)]).unwrap();
    let address = host.http.to_string();
    let asking = || {
        let mut command = larder(&[]);
        command.env("LARDER_HOST", &address);
        command
    };
    for words in [
        &["get", "k"][..],
        &["get", "nobody", "--json"],
        &["set", "k2", "v"],
        &["inspect", "k"],
        &["explain", "k"],
        &["policy", "list"],
        &["policy", "show", "profile"],
        &["policy", "show", "nobody"],
        &["locks", "list"],
        &["breakers"],
        &["invalidate", "pattern", "profile", "*"],
        &["warm", "profile"],
        &["top", "--once"],
        &["top"],
    ] {
        check(asking, words);
        if words != ["top", "--once"] {
            check(asking, &[words, &["--json"]].concat());
        }
    }
}

/// As people write it: the shell sees whether any part of the pipeline failed.
#[test]
fn a_pipeline_into_head_succeeds() {
    let script =
        "set -o pipefail; \"$0\" config show | head -1 && \"$0\" --help | head -1 && \"$0\" completions bash | head -1";
    let output = Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_larder")]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
}

#[test]
fn a_host_serves_without_anybody_who_reads_its_log() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(sample("session"), folder.path().join("session.wasm")).unwrap();
    let (mut log, writer) = pipe().unwrap();
    let mut child = larder(&["serve", "--resp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--policies", "."])
        .args(["--state", "state"])
        .current_dir(folder.path())
        .env("LOG_LEVEL", "debug")
        .stderr(writer)
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    // What is in the pipe may be read; then its reader goes, as that of the standard output has gone by now.
    log.read_exact(&mut [0; 16]).unwrap();
    drop(log);
    let address = ready.split_whitespace().find_map(|word| word.strip_prefix("http=")).unwrap().parse().unwrap();
    let generation = || {
        let (_, _, body) = http(address, "GET", "/v1/policies/session", "", b"");
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["generation"].as_u64().unwrap_or(0)
    };
    // Each swap is told in the log by the thread that does it.
    for round in 1..=3 {
        let before = generation();
        std::fs::write(folder.path().join("session.toml"), format!("[settings]\nttl = \"{round}h\"\n")).unwrap();
        wait_until("the settings rule", || generation() > before);
    }
    assert_eq!(http(address, "PUT", "/v1/cache/session/1", "", b"v").0, 204);
    signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
}
