//! Bad input to the running binary: each gets an error that says what, who and what to do; what runs goes on, and nothing is lost.

use std::net::TcpListener;
use std::path::Path;

use crate::support::host::{Host, HostBuilder, guest, sample, text, wait_until};
use crate::support::redis::RedisServer;

/// Starts a host that cannot start; what it says.
#[track_caller]
fn check_start(builder: HostBuilder, expect: &[&str]) {
    match builder.try_start() {
        Ok(_) => panic!("it started"),
        Err(output) => {
            for words in expect {
                assert!(output.contains(words), "{words:?} is not in:\n{output}");
            }
        }
    }
}

/// What the host says of the newest file of a domain.
fn last_error(host: &Host, domain: &str) -> String {
    let (_, _, body) = host.http("GET", &format!("/v1/policies/{domain}"), "", b"");
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    status["last_error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_host_that_cannot_start_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let builder = HostBuilder::samples().arg("--set").arg(format!("resp.address={address}"));
    check_start(builder, &["cannot listen for Redis clients", &address, "choose another address with --resp"]);
    let builder = HostBuilder::samples().arg("--set").arg(format!("http.address={address}"));
    check_start(builder, &["cannot listen for HTTP clients", &address, "choose another address with --http"]);
    let builder = HostBuilder::samples().arg("--set").arg("l1.siz=1GiB");
    check_start(builder, &["the command line", "there is no setting 'l1.siz'", "did you mean 'l1.size'"]);
    let builder = HostBuilder::samples().env("CACHE_MAX_KEY_LENGTH", "many");
    check_start(builder, &["CACHE_MAX_KEY_LENGTH", "'many' is not a whole number"]);
    let builder = HostBuilder::samples().arg("--set").arg("policies.folder=/nowhere/at/all");
    check_start(builder, &["/nowhere/at/all"]);
    let builder = HostBuilder::samples().arg("--store").arg("mysql://x");
    check_start(builder, &["store.url is 'memory' or 'redis://host:port'"]);
}

#[test]
fn a_bad_component_never_replaces_a_good_one() {
    let host = HostBuilder::samples().start();
    host.ask(&["SET", "profile:user:1", "Ada"]).unwrap();
    let before = host.explain("profile:user:1")["policy_digest"].clone();
    let good = std::fs::read(sample("profile")).unwrap();
    let core_module = b"\0asm\x01\0\0\0".to_vec();
    let bad: [(&str, Vec<u8>); 5] = [
        ("an empty file", Vec::new()),
        ("random bytes", (0..=255).cycle().take(5_000).collect()),
        ("a truncated component", good[..good.len() / 2].to_vec()),
        ("a core module", core_module),
        ("more imports than are granted", std::fs::read(guest("importer")).unwrap()),
    ];
    let mut last = String::new();
    for (what, bytes) in bad {
        host.put("profile.wasm", &bytes);
        wait_until(&format!("{what} is refused"), || {
            let error = last_error(&host, "profile");
            !error.is_empty() && error != last
        });
        last = last_error(&host, "profile");
        println!("{what}: {last}");
        assert_eq!(host.explain("profile:user:1")["policy_digest"], before, "{what}");
        assert_eq!(text(&host.ask(&["GET", "profile:user:1"]).unwrap()), "Ada", "{what}");
    }
    host.put("profile.wasm", &good);
    wait_until("the good one counts again", || last_error(&host, "profile").is_empty());
    host.waits_to_log("refused");
}

#[test]
fn a_bad_policy_at_the_start_costs_its_own_domain_only() {
    let host = HostBuilder::samples()
        .policy("broken", Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path())
        .policy("trapping", &guest("hostile"))
        .toml("trapping", "[settings]\nmode = \"trap-describe\"\n")
        .policy("mistaken", &guest("hostile"))
        .toml("mistaken", "[settings]\nfersh = \"1m\"\n")
        .start();
    host.ask(&["SET", "profile:user:1", "Ada"]).unwrap();
    assert_eq!(text(&host.ask(&["GET", "profile:user:1"]).unwrap()), "Ada");
    assert!(
        last_error(&host, "trapping").contains("a trap in describe, as asked"),
        "{}",
        last_error(&host, "trapping")
    );
    let mistaken = last_error(&host, "mistaken");
    assert!(mistaken.contains("fersh") && mistaken.contains("fresh"), "{mistaken}");
    assert!(!last_error(&host, "broken").is_empty());
}

#[test]
fn bad_requests_leave_the_connection_and_the_host_alone() {
    let host = HostBuilder::samples().arg("--set").arg("value.size_max=1MiB").start();
    let mut client = host.client();
    let mut say = |words: &[&str]| {
        let reply: redis::RedisResult<redis::Value> = crate::support::host::command(words).query(&mut client);
        match reply {
            Ok(value) => text(&value),
            Err(error) => format!("{} {}", error.code().unwrap_or_default(), error.detail().unwrap_or_default()),
        }
    };
    let long = format!("profile:user:{}", "x".repeat(300));
    let large = "x".repeat(2 << 20);
    for (words, expect) in [
        (&["GET", long.as_str()][..], "250 are allowed"),
        (&["GET", "profile:user:a\u{7}b"], "control character U+0007"),
        (&["GET", "profile:nobody"], "it must be `user:{userId}`"),
        (&["SET", "profile:user:1", "x", "WHATEVER"], "syntax error"),
        (&["SET", "profile:user:1", large.as_str()], "are allowed"),
        (&["INCR", "profile:user:1"], "serves value only"),
        (&["NOSUCH", "x"], "unknown command 'NOSUCH'"),
        (&["GET"], "wrong number of arguments for 'get' command"),
    ] {
        let answer = say(words);
        assert!(answer.contains(expect), "{:?} answered {answer:?}, without {expect:?}", words.first());
    }
    assert_eq!(say(&["PING"]), "PONG");
}

#[test]
fn without_a_default_policy_unknown_domains_are_refused() {
    let host = HostBuilder::new().policy("profile", &sample("profile")).start();
    let error = host.ask(&["GET", "nobody:1"]).unwrap_err().to_string();
    assert!(error.contains("no policy serves the domain 'nobody'") && error.contains("nobody.wasm"), "{error}");
}

#[test]
fn a_restart_with_a_broken_file_serves_the_last_good_one() {
    let builder = HostBuilder::samples();
    let state = tempfile::TempDir::new().unwrap();
    let with_state =
        |builder: HostBuilder| builder.arg("--set").arg(format!("state.folder={}", state.path().display()));
    let host = with_state(builder).start();
    let before = host.ask(&["SET", "profile:user:1", "Ada"]).map(|_| host.explain("profile:user:1"));
    let digest = before.unwrap()["policy_digest"].clone();
    assert!(host.stop());
    let host = with_state(HostBuilder::samples().policy("profile", &guest("importer"))).start();
    host.ask(&["SET", "profile:user:1", "Ada"]).unwrap();
    assert_eq!(host.explain("profile:user:1")["policy_digest"], digest);
    assert!(!last_error(&host, "profile").is_empty());
}

/// A Redis may be shared: nobody empties it through Larder unless that was said, and then only of what Larder serves.
#[test]
fn a_shared_redis_is_not_emptied_by_chance() {
    let redis = RedisServer::start();
    let start = |flush: &str| {
        let host =
            HostBuilder::new().sample("queue").arg("--store").arg(redis.url()).env("CACHE_MAX_LATENCY_MS", "10000");
        host.arg("--set").arg(format!("commands.flush={flush}")).start()
    };
    redis.cli(&["SET", "somebody-elses", "1"]);
    let host = start("auto");
    assert!(host.ask(&["RPUSH", "queue:1", "a"]).is_ok());
    for command in ["FLUSHALL", "FLUSHDB"] {
        let error = host.ask(&[command]).expect_err("it is off").to_string();
        assert!(error.contains("commands.flush"), "{error}");
    }
    // Beside them the host may have a probe of its own.
    let keys = redis.cli(&["KEYS", "*"]);
    assert_eq!(keys.lines().filter(|key| !key.starts_with('{')).count(), 2, "{keys}");
    drop(host);
    let host = start("on");
    assert!(host.ask(&["FLUSHALL"]).is_ok());
    let keys = redis.cli(&["KEYS", "*"]);
    let left: Vec<_> = keys.lines().filter(|key| !key.starts_with('{')).collect();
    assert_eq!(left, ["somebody-elses"], "without a policy 'default' it is not Larder's");
}
