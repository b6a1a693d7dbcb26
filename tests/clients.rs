//! A real client's own tests: what passes on a Redis passes through a host in front of one.
//!
//! The tests are those of redis-py's source package (`cargo xtask test` fetches it), once on a Redis and once through Larder with the
//! policy `default` alone and a Redis behind it. They are about commands, transactions, locks and scripts. What a host
//! refuses by design (Redis' own users and passwords) is the difference that is allowed for.
//!
//! Node's packages come without tests: what applications do with them is in `clients/node/uses.mjs`, which finds the same on both.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value};

use crate::support::host::{Host, HostBuilder, guest};
use crate::support::redis::RedisServer;

/// How many of a hundred that pass on Redis must pass through Larder. The aim is 98, over all of that client's files; in these are most
/// of those that ask for what a host refuses, and one or two hang on a millisecond.
const SHARE: usize = 97;
/// Uses of the clients of Node; fewer say nothing.
const USES_MIN: usize = 18;
/// Fewer than these say nothing.
const PASSED_MIN: usize = 400;
const FILES: [&str; 4] =
    ["tests/test_commands.py", "tests/test_pipeline.py", "tests/test_lock.py", "tests/test_scripting.py"];
/// Neither tests of other servers nor values that take seconds, nor what locks this host out of its Redis with a new password.
const MARKS: &str = "not onlycluster and not redismod and not ssl and not replica";
const LEFT_OUT: &str = "not large_responses and not test_auth";
/// What an operator may let through, and these tests ask for.
const ALLOWED: &str = "acl,bgsave,config,debug,function,latency,memory,migrate,restore,save,script|flush,slowlog";

/// Where `cargo xtask test` puts the clients of a language.
fn tools(name: &str) -> PathBuf {
    let target = guest("hostile").parent().unwrap().parent().unwrap().to_owned();
    target.join("languages").join(name)
}

/// The tests that pass on the server at this port.
fn passed(port: u16) -> BTreeSet<String> {
    let output = Command::new(tools("clients").join("bin/python"))
        .args(["-m", "pytest", "-q", "-rA", "--tb=native", "-p", "no:cacheprovider", "--timeout=60"])
        .args([&format!("--redis-url=redis://127.0.0.1:{port}/0"), "-m", MARKS, "-k", LEFT_OUT, "--protocol=2"])
        .args(FILES)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(tools("clients").join("source"))
        .output()
        .expect("the client is there; `cargo xtask test` installs it");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("PASSED ")).map(str::to_owned).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(passed.len() >= PASSED_MIN, "{} passed\n{text}\n{errors}", passed.len());
    passed
}

/// A host with the policy `default` before a Redis.
fn before(redis: &RedisServer) -> Host {
    HostBuilder::new()
        .sample("default")
        .arg("--store")
        .arg(redis.url())
        .set("store.timeout", "10s")
        .set("commands.flush", "on")
        .set("forward.allow", ALLOWED)
        .start()
}

/// What each use of the clients of Node found on the server at this port.
fn uses(port: u16) -> Map<String, Value> {
    let output = Command::new("node")
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/node/uses.mjs"), &port.to_string()])
        .env("TOOLS", tools("node"))
        .output()
        .expect("node starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout);
    found.unwrap_or_else(|error| panic!("{error}: {}\n{errors}", String::from_utf8_lossy(&output.stdout)))
}

#[test]
fn what_node_does_with_redis_it_does_with_larder() {
    let (straight, behind) = (RedisServer::start(), RedisServer::start());
    let host = before(&behind);
    let (on_redis, through) = (uses(straight.port()), uses(host.resp.port()));
    assert!(on_redis.len() >= USES_MIN, "{on_redis:#?}");
    for (name, found) in &on_redis {
        assert!(found.get("failed").is_none(), "{name} on Redis: {found}");
        assert_eq!(through.get(name), Some(found), "{name}\n{}", host.log());
    }
}

#[test]
fn what_redis_py_tests_on_redis_holds_through_larder() {
    let (straight, behind) = (RedisServer::start(), RedisServer::start());
    let host = before(&behind);
    let through_port = host.resp.port();
    let (straight, through) = std::thread::scope(|scope| {
        let through = scope.spawn(move || passed(through_port));
        (passed(straight.port()), through.join().expect("it ran"))
    });
    let both = straight.intersection(&through).count();
    let lost: Vec<_> = straight.difference(&through).collect();
    let count = straight.len();
    assert!(both * 100 >= count * SHARE, "{both} of {count} pass through Larder, without {lost:#?}\n{}", host.log());
}
