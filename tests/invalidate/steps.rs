//! Invalidation in steps: how far it has come, on any store; that it goes on where it was left, on any node; and that whoever breaks it off has
//! ended it.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::host::{Host, HostBuilder, wait_until};
use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;

const KEYS: usize = 3_000;

fn builder(store: &str) -> HostBuilder {
    // Nothing here is about deadlines, and the machine may be busy.
    HostBuilder::samples().arg(format!("--store={store}")).env("CACHE_MAX_LATENCY_MS", "20000")
}

/// As many sessions, a third of them `old:…`, and profiles.
fn fill(host: &Host) {
    let mut client = host.client();
    for chunk in (0..KEYS).collect::<Vec<_>>().chunks(500) {
        let mut pipeline = redis::pipe();
        for n in chunk {
            let kind = if n % 3 == 0 { "old" } else { "new" };
            pipeline.cmd("SET").arg(format!("session:{kind}-{n}")).arg(n).ignore();
            pipeline.cmd("SET").arg(format!("profile:user:{n}")).arg(n).ignore();
        }
        pipeline.exec(&mut client).unwrap();
    }
}

fn asked(host: &Host, body: &Value) -> (u16, Value) {
    let (status, _, body) = host.http("POST", "/v1/invalidate", "", body.to_string().as_bytes());
    (status, serde_json::from_slice(&body).unwrap())
}

fn step(host: &Host, selector: &Value, cursor: &Value) -> Value {
    let mut body = json!({ "selectors": [selector], "count": 500 });
    if cursor.is_string() {
        body["cursor"] = cursor.clone();
    }
    let (status, answer) = asked(host, &body);
    assert_eq!(status, 200, "{answer}");
    answer
}

/// All steps, each on the next of these hosts: how many there were, and the last answer.
fn through(hosts: &[&Host], selector: &Value) -> (usize, Value) {
    let (mut steps, mut cursor, mut seen, mut keys) = (0, Value::Null, 0, 0);
    loop {
        let answer = step(hosts[steps % hosts.len()], selector, &cursor);
        let number = |name: &str| answer[name].as_u64().unwrap();
        let now = answer["invalidated"][0]["keys"].as_u64().unwrap();
        assert!(number("seen") >= seen && number("seen") <= number("total") && now >= keys, "{answer}");
        (seen, keys, steps) = (number("seen"), now, steps + 1);
        cursor = answer["cursor"].clone();
        if cursor.is_null() {
            assert_eq!(seen, number("total"), "at the end everything was looked at");
            return (steps, answer);
        }
        assert!(steps < 1_000, "it comes to an end");
    }
}

/// What becomes of the sessions and profiles on two hosts (or one twice) that share a store.
fn check(hosts: [&Host; 2]) {
    let [host, _] = hosts;
    fill(host);
    let (steps, answer) = through(&hosts, &json!({ "domain": "session", "pattern": "old-*" }));
    assert_eq!(
        answer["invalidated"],
        json!([{ "domain": "session", "kind": "pattern", "mode": "hard", "keys": 1_000 }])
    );
    assert!(steps >= KEYS * 2 / 500, "{steps} steps");
    let there = |key: &str| hosts.map(|host| host.ask(&["EXISTS", key]).unwrap());
    assert_eq!(
        (there("session:old-3"), there("session:new-1")),
        ([redis::Value::Int(0), redis::Value::Int(0)], [redis::Value::Int(1), redis::Value::Int(1)])
    );
    // Leases are looked for first, where a domain has some.
    let (longer, answer) = through(&hosts, &json!({ "domain": "profile", "pattern": "user:*" }));
    assert_eq!(answer["invalidated"][0]["keys"], KEYS);
    assert!(longer > steps * 4 / 3, "{longer} and {steps} steps");
    // A prefix and a domain of raw values are looked for, too; in one step, if it may be so long.
    for (selector, keys) in
        [(json!({ "domain": "session", "prefix": "new-1" }), None), (json!({ "domain": "session" }), Some(0))]
    {
        let (_, answer) = through(&hosts, &selector);
        let left = keys.unwrap_or(1);
        assert!(answer["invalidated"][0]["keys"].as_u64().unwrap() >= left, "{answer}");
    }
    assert_eq!(there("session:new-1"), [redis::Value::Int(0), redis::Value::Int(0)]);
    let page = String::from_utf8(host.http("GET", "/metrics", "", b"").2).unwrap();
    let counted = |name: &str, domain: &str| {
        let series = format!("{name}{{domain=\"{domain}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok()).unwrap_or(0)
    };
    assert!(counted("larder_invalidation_scanned_keys_total", "session") > 0);
    assert!((1..=3_000).contains(&counted("larder_invalidation_removed_keys_total", "profile")));
    host.waits_to_log("an invalidation looks through the store");
}

#[test]
fn in_memory() {
    let host = HostBuilder::samples().start();
    check([&host, &host]);
    host.waits_to_log("an invalidation by scan has ended");
}

#[test]
fn on_two_hosts_that_share_a_redis() {
    let redis = RedisServer::start();
    let hosts = [builder(&redis.url()).start(), builder(&redis.url()).start()];
    check([&hosts[0], &hosts[1]]);
}

#[test]
fn on_a_cluster() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(RedisCluster::start(false, 20_000));
    let host = builder(&cluster.url()).start();
    check([&host, &host]);
}

#[test]
fn what_is_no_step_is_refused_or_done_at_once() {
    let host = HostBuilder::samples().start();
    fill(&host);
    let session = json!({ "domain": "session", "pattern": "*" });
    for (body, status, says) in [
        (json!({ "selectors": [session], "count": 0 }), 400, "a step has 1 to 100000 keys"),
        (json!({ "selectors": [session], "count": 100_001 }), 400, "a step has 1 to 100000 keys"),
        (json!({ "selectors": [session, session], "count": 500 }), 400, "of one selector"),
        (json!({ "selectors": [session], "cursor": "0" }), 400, "says with `count`"),
        (json!({ "selectors": [session], "count": 500, "cursor": "0" }), 400, "the cursor is none"),
        (json!({ "selectors": [{ "domain": "profile", "tag": "t" }], "count": 500 }), 200, "\"cursor\":null"),
        (json!({ "selectors": [{ "key": "session:new-1" }], "count": 500 }), 200, "\"keys\":1"),
    ] {
        let (found, answer) = asked(&host, &body);
        assert!(found == status && answer.to_string().contains(says), "{body}: {answer}");
    }
    // A cursor of another selector begins anew, so that nothing is left out.
    let cursor = step(&host, &json!({ "domain": "session", "pattern": "none*" }), &Value::Null)["cursor"].clone();
    assert!(cursor.is_string());
    let mut answer = step(&host, &session, &cursor);
    while answer["cursor"].is_string() {
        answer = step(&host, &session, &answer["cursor"]);
    }
    assert_eq!(answer["invalidated"][0]["keys"], KEYS - 1);
}

/// Whoever hangs up has ended it, also what the host does in one: nothing goes on for nobody.
#[test]
fn a_caller_who_hangs_up_has_ended_it() {
    const MANY: usize = 1_000_000;
    let redis = RedisServer::start();
    let host = builder(&redis.url()).start();
    redis.cli(&[
        "EVAL",
        "for n = 1, ARGV[1] do redis.call('SET', 'chat:v1:session:' .. n, 1) end",
        "0",
        &MANY.to_string(),
    ]);
    let left = || redis.cli(&["DBSIZE"]).trim().parse::<usize>().unwrap();
    let body = json!({ "selectors": [{ "domain": "session" }] }).to_string();
    let head = format!("POST /v1/invalidate HTTP/1.1\r\nhost: larder\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(host.http).unwrap();
    stream.write_all([head, body].concat().as_bytes()).unwrap();
    // Two thousand steps: the first few have been taken when the caller goes.
    wait_until("it is under way", || left() < MANY);
    drop(stream);
    host.waits_to_log("an invalidation by scan was broken off; what it has done stays");
    let after = left();
    assert!(after > 0 && !host.log().contains("an invalidation by scan has ended"), "{after} are left");
    for _ in 0..20 {
        assert!(left().abs_diff(after) <= 1, "nothing goes on; the host's probe comes and goes");
    }
}

/// `larder invalidate …` on a terminal: what is shown.
fn on_a_terminal(host: &Host, words: &str) -> Output {
    let line = format!("{} invalidate {words} --host {}", env!("CARGO_BIN_EXE_larder"), host.http);
    Command::new("script").args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").output().expect("script runs")
}

#[test]
fn the_command_line_shows_how_far_it_has_come() {
    let host = HostBuilder::samples().start();
    let mut client = host.client();
    for chunk in (0..60_000).collect::<Vec<_>>().chunks(5_000) {
        let mut pipeline = redis::pipe();
        for n in chunk {
            pipeline.cmd("SET").arg(format!("session:{n}")).arg("v").ignore();
        }
        pipeline.exec(&mut client).unwrap();
    }
    let shown = on_a_terminal(&host, "pattern session '1*'");
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success() && text.contains("invalidated (hard): 11111 keys"), "{text}");
    assert!(text.contains(" of 60000 keys") && text.contains("invalidated; cursor "), "{text}");
    // Elsewhere than on a terminal there is no bar, and scripts read one document.
    let quiet = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(["invalidate", "pattern", "session", "2*", "--json", "--host", &host.http.to_string()])
        .output()
        .unwrap();
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
    let document: Value = serde_json::from_slice(&quiet.stdout).unwrap();
    assert_eq!((&document["invalidated"][0]["keys"], &document["cursor"]), (&json!(11_111), &Value::Null));
    // One that was broken off says where it goes on.
    let wrong = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(["invalidate", "domain", "session", "--cursor", "nonsense", "--host", &host.http.to_string()])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(3));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("go on with --cursor nonsense") && said.contains("none that a step answered"), "{said}");
}
