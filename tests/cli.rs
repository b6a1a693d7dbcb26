//! The command line against running hosts: values of any bytes, JSON that scripts read, exit codes that they can rely on, TLS and users.

mod documents;
mod pipes;
mod safe;

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::host::{Host, HostBuilder};

/// `larder …`, with nothing of this machine's environment that it reads.
fn larder(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["HOST", "CA", "CERT", "KEY", "TOKEN", "TOKEN_FILE", "USER"] {
        command.env_remove(format!("LARDER_{name}"));
    }
    command
}

/// What became of a command.
struct Ran {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.out), self.err)
    }
}

fn run(mut command: Command) -> Ran {
    ran(command.output().expect("larder runs"))
}

fn ran(output: Output) -> Ran {
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { code: output.status.code().expect("it ends by itself"), out: output.stdout, err }
}

/// `larder …` of a host.
fn on(host: &Host, words: &[&str]) -> Ran {
    let mut command = larder(words);
    command.args(["--host", &host.http.to_string()]);
    run(command)
}

/// The same, with these bytes on the standard input.
fn fed(host: &Host, words: &[&str], bytes: &[u8]) -> Ran {
    let mut command = larder(words);
    let mut child = command.args(["--host", &host.http.to_string()]).stdin(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("it has one").write_all(bytes).expect("it reads");
    ran(child.wait_with_output().expect("it ends"))
}

#[test]
fn values_of_any_bytes_go_in_and_come_out_as_they_are() {
    let host = HostBuilder::samples().start();
    let bytes: Vec<u8> = (0..=255u8).cycle().take(300_000).collect();
    let stored = fed(&host, &["set", "some:thing ü/?%#"], &bytes);
    assert_eq!((stored.code, stored.text().as_str()), (0, "stored\n"));
    let got = on(&host, &["get", "-q", "some:thing ü/?%#"]);
    assert!(got.code == 0 && got.out == bytes && got.err.is_empty(), "{}", got.err);
    assert_eq!(host.ask(&["STRLEN", "some:thing ü/?%#"]).unwrap(), redis::Value::Int(300_000));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("value");
    std::fs::write(&file, b"\0\xff\n").unwrap();
    assert_eq!(on(&host, &["set", "f", "--file", file.to_str().unwrap()]).code, 0);
    assert_eq!(on(&host, &["get", "f"]).out, b"\0\xff\n");
    // Nothing is a value, too.
    assert_eq!(fed(&host, &["set", "empty"], b"").code, 0);
    let empty = on(&host, &["get", "empty"]);
    assert_eq!((empty.code, empty.out.as_slice()), (0, &b""[..]));
    // A key may be any bytes, too, where the policy has nothing against it; else it is refused, not mangled on the way.
    let odd = |word: &str| {
        let mut command = larder(&[word]);
        command.arg(OsStr::from_bytes(b"k\xff\t/")).args(["--host", &host.http.to_string()]);
        run(command)
    };
    redis::cmd("SET").arg(b"k\xff\t/").arg("odd").exec(&mut host.client()).unwrap();
    assert_eq!(odd("get").out, b"odd");
    assert_eq!(odd("del").code, 0);
    assert_eq!(odd("get").code, 1);
    let refused = on(&host, &["set", "session:a\tb", "x"]);
    assert!(refused.code == 3 && refused.err.contains("control character U+0009"), "{}", refused.err);
}

#[test]
fn a_value_says_how_it_is() {
    let host = HostBuilder::samples().start();
    assert_eq!(on(&host, &["set", "profile:user:1", "Ada", "--ttl", "1h"]).code, 0);
    let got = on(&host, &["get", "profile:user:1"]);
    assert_eq!(got.out, b"Ada");
    assert!(got.err.starts_with("l1, ") && got.err.contains("s old, fresh for 35"), "{}", got.err);
    let got = on(&host, &["get", "--json", "profile:user:1"]).json();
    assert_eq!((&got["state"], &got["value"], &got["value_form"]), (&"l1".into(), &"Ada".into(), &"text".into()));
    assert!((3500..=3600).contains(&got["ttl_s"].as_i64().unwrap()), "{got}");
    assert_eq!(on(&host, &["set", "leader", "me", "--if-absent"]).code, 0);
    let second = on(&host, &["set", "leader", "you", "--if-absent", "--json"]);
    assert_eq!((second.code, &second.json()["why_not"]), (1, &"unmet".into()));
    assert_eq!(on(&host, &["set", "nobody", "x", "--if-present"]).code, 1);
    assert_eq!(on(&host, &["get", "leader"]).out, b"me");

    let removed = on(&host, &["del", "leader", "profile:user:1"]);
    assert_eq!((removed.code, removed.text().as_str()), (0, "removed 2 of 2\n"));
    let removed = on(&host, &["del", "leader", "profile:user:1", "--json"]);
    assert_eq!((removed.code, &removed.json()["removed"]), (1, &0.into()));
}

/// Somebody who looks takes no lease: those who would load go on as if nobody had looked.
#[test]
fn looking_takes_no_lease() {
    let host = HostBuilder::samples().start();
    assert_eq!(on(&host, &["get", "profile:user:9"]).code, 1);
    assert_eq!(host.explain("profile:user:9")["lease"], "free");
}

#[test]
fn a_record_is_shown_in_its_groups() {
    let host = HostBuilder::samples().settings("profile", "tag_user = true").start();
    on(&host, &["set", "profile:user:1", "Ada"]);
    let shown = on(&host, &["inspect", "profile:user:1"]);
    for line in
        ["type: string", "size: 3 bytes", "encoding: enveloped", "fresh: 1d", "domain: profile", "state: l1-hit"]
    {
        assert!(shown.text().lines().any(|it| it.trim() == line), "{line}:\n{}", shown.text());
    }
    let record = on(&host, &["inspect", "--json", "profile:user:1"]).json();
    assert_eq!(record["value"]["type"], "string");
    let generations: Vec<&str> =
        record["invalidation"]["generations"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(generations.iter().any(|it| it.starts_with("domain ")), "{record}");
    assert!(generations.iter().any(|it| it.starts_with("tag user:1 ")), "{record}");
    host.ask(&["RPUSH", "queue:1", "a"]).unwrap();
    assert_eq!(on(&host, &["inspect", "--json", "queue:1"]).json()["value"]["type"], "list");
    let absent = on(&host, &["inspect", "--json", "profile:user:2"]);
    assert_eq!((absent.code, &absent.json()["found"]), (1, &false.into()));
}
