//! Warming: what it brings in, in steps that can be resumed, at the start and on demand; and policies that flood the host with keys.

use std::process::Command;

use crate::support::host::{Host, HostBuilder, guest, text, wait_until};
use crate::support::redis::RedisServer;

fn host(redis: &RedisServer, settings: &str) -> Host {
    HostBuilder::new()
        .policy("mover", &guest("mover"))
        .toml("mover", &format!("[settings]\n{settings}"))
        .arg(format!("--store={}", redis.url()))
        .arg("--set=store.timeout=10s")
        .arg("--set=key.old_versions=v1")
        .arg("--set=l1.trust=1h")
        .start()
}

/// What a step of a warming answers, without what is nothing: `held 1, cursor 2`.
#[track_caller]
fn warm(host: &Host, words: &[&str]) -> String {
    let words: Vec<&str> = ["LARDER.WARM", "mover"].iter().chain(words).copied().collect();
    match host.ask(&words) {
        Ok(redis::Value::Map(fields)) => {
            let said = fields.iter().map(|(name, value)| format!("{} {}", text(name), text(value)));
            said.filter(|it| !it.ends_with(" 0") && !it.ends_with(" nil")).collect::<Vec<_>>().join(", ")
        }
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

/// How many keys were warmed with this outcome.
fn counted(host: &Host, outcome: &str) -> u64 {
    let (_, _, page) = host.http("GET", "/metrics", "", b"");
    let line = format!("larder_warmed_keys_total{{domain=\"mover\",outcome=\"{outcome}\"}} ");
    String::from_utf8_lossy(&page).lines().find_map(|it| it.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
}

#[track_caller]
fn state(host: &Host, key: &str) -> String {
    format!("{} {}", host.explain(key)["from"], host.explain(key)["state"])
}

#[test]
fn a_host_warms_what_its_policies_name_when_it_starts() {
    let redis = RedisServer::start();
    {
        let writer = host(&redis, "");
        for key in ["a", "b", "c"] {
            writer.ask(&["SET", &format!("mover:{key}"), "1"]).unwrap();
        }
        assert_eq!(counted(&writer, "stored"), 0);
        // One that is killed with the lock in its hands lets the next one wait.
        wait_until("it has warmed nothing", || writer.log().contains("warmed"));
        wait_until("its lock is free", || redis.cli(&["KEYS", "*LOCK*warm}"]).trim().is_empty());
    }
    let reader = host(&redis, "keys = 'a,b,nothing,bad'");
    wait_until("the keys are warmed", || counted(&reader, "stored") == 2 && counted(&reader, "failed") == 1);
    assert_eq!(counted(&reader, "absent"), 1);
    assert_eq!([state(&reader, "mover:a"), state(&reader, "mover:c")], ["l1 l1-hit", "store store-hit"]);
    wait_until("it says so", || reader.log().contains("warmed"));
    // Its list again, in steps.
    assert_eq!(warm(&reader, &["COUNT", "3"]), "held 2, absent 1, total 4, cursor 3");
    assert_eq!(warm(&reader, &["COUNT", "3", "CURSOR", "3"]), "failed 1, total 4");
    assert_eq!(warm(&reader, &["KEYS", "c", "a"]), "held 1, stored 1, total 2");
    assert_eq!(state(&reader, "mover:c"), "l1 l1-hit");
}

#[test]
fn another_key_version_is_brought_over() {
    let redis = RedisServer::start();
    let old = host(&redis, "");
    for n in 0..30 {
        old.ask(&["SET", &format!("mover:user:{n}"), "1"]).unwrap();
    }
    old.ask(&["SET", "mover:other", "1"]).unwrap();
    drop(old);
    let new = host(&redis, "key_version = 'v2'");
    let program = |args: &[&str]| {
        let address = format!("http://{}", new.http);
        let output =
            Command::new(env!("CARGO_BIN_EXE_larder")).arg("warm").args(args).args(["--host", &address]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = program(&["mover", "--version", "v1", "--pattern", "user:*"]);
    assert_eq!(said, "held: 0\nstored: 30\nloaded: 0\nabsent: 0\nfailed: 0\n");
    assert_eq!(text(&new.ask(&["GET", "mover:user:7"]).unwrap()), "1 from v1");
    assert_eq!(redis.cli(&["EXISTS", "chat:v1:mover:user:7", "chat:v2:mover:user:7"]).trim(), "1");
    assert_eq!(redis.cli(&["EXISTS", "chat:v1:mover:other"]).trim(), "1");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "user:1\nother\n\nnothing\n").unwrap();
    let said = program(&["mover", "--file", &file.path().display().to_string()]);
    assert_eq!(said, "held: 1\nstored: 1\nloaded: 0\nabsent: 1\nfailed: 0\n");
    let (status, _, body) = new.http("POST", "/v1/warm", "", br#"{"domain":"mover","keys":["user:1","other"]}"#);
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["held"], &body["cursor"]), (&serde_json::json!(2), &serde_json::Value::Null), "{body}");
}

#[test]
fn wrong_steps_are_refused() {
    let redis = RedisServer::start();
    let host = host(&redis, "");
    for (words, expect) in [
        (&["CURSOR", "x"][..], "the cursor is none"),
        (&["COUNT", "0"], "1 to 1000 keys"),
        (&["COUNT", "1001"], "1 to 1000 keys"),
        (&["COUNT", "many"], "not an integer"),
        (&["KEYS"], "syntax error"),
        (&["VERSION", "v1"], "syntax error"),
        (&["VERSION", "V 1", "*"], "a key version is made of"),
        (&["VERSION", "v1", "*", "CURSOR", "x"], "the cursor is none"),
    ] {
        let said = warm(&host, words);
        assert!(said.contains(expect), "{words:?}: {said}");
    }
    let error = host.ask(&["LARDER.WARM", "nobody"]).unwrap_err().to_string();
    assert!(error.contains("no policy serves"), "{error}");
}

#[test]
fn a_flood_of_keys_is_the_policys_fault_and_harms_nobody() {
    let redis = RedisServer::start();
    for (settings, expect) in [
        ("flood = 100001", "100001 keys to warm; 100000 are allowed"),
        // What is copied out of an instance is bounded before anything is counted.
        ("long = 33554432", "the policy failed"),
    ] {
        let host = host(&redis, &format!("{settings}\n[limits]\nhook_ms = 1000\nmemory = \"256MiB\""));
        let said = warm(&host, &[]);
        assert!(said.contains(expect), "{settings}: {said}");
        host.ask(&["SET", "mover:a", "1"]).unwrap();
        assert_eq!(text(&host.ask(&["GET", "mover:a"]).unwrap()), "1");
        assert_eq!(counted(&host, "stored") + counted(&host, "absent"), 0);
    }
    // A key that is too long is refused as any caller's is.
    let host = host(&redis, "long = 10000");
    assert_eq!(warm(&host, &[]), "failed 1, total 1");
}
