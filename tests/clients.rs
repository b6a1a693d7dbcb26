//! A real client's own tests: what passes on a Redis passes through a host in front of one.
//!
//! The tests are those of redis-py's source package (`cargo xtask test` fetches it), once on a Redis and once through Larder with the
//! policy `default` alone and a Redis behind it. They are about commands, transactions, locks and scripts. What a host
//! refuses by design (`SELECT` of another database, `CLIENT PAUSE`, `CLIENT TRACKING`) is the difference that is allowed for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::support::host::{HostBuilder, guest};
use crate::support::redis::RedisServer;

/// How many of a hundred that pass on Redis must pass through Larder. The aim is 98, over all of that client's files; in these are most
/// of those that ask for what a host refuses, and one or two hang on a millisecond.
const SHARE: usize = 97;
/// Fewer than these say nothing.
const PASSED_MIN: usize = 400;
const FILES: [&str; 4] =
    ["tests/test_commands.py", "tests/test_pipeline.py", "tests/test_lock.py", "tests/test_scripting.py"];
/// Neither tests of other servers nor values that take seconds, nor what locks this host out of its Redis with a new password.
const MARKS: &str = "not onlycluster and not redismod and not ssl and not replica";
const LEFT_OUT: &str = "not large_responses and not test_auth";
/// What an operator may let through, and these tests ask for.
const ALLOWED: &str = "acl,bgsave,config,debug,function,latency,memory,migrate,restore,save,script|flush,slowlog";

/// Where `cargo xtask test` puts the client.
fn tools() -> PathBuf {
    let target = guest("hostile").parent().unwrap().parent().unwrap().to_owned();
    target.join("languages/clients")
}

/// The tests that pass on the server at this port.
fn passed(port: u16) -> BTreeSet<String> {
    let output = Command::new(tools().join("bin/python"))
        .args(["-m", "pytest", "-q", "-rA", "--tb=native", "-p", "no:cacheprovider", "--timeout=60"])
        .args([&format!("--redis-url=redis://127.0.0.1:{port}/0"), "-m", MARKS, "-k", LEFT_OUT, "--protocol=2"])
        .args(FILES)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(tools().join("source"))
        .output()
        .expect("the client is there; `cargo xtask test` installs it");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("PASSED ")).map(str::to_owned).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(passed.len() >= PASSED_MIN, "{} passed\n{text}\n{errors}", passed.len());
    passed
}

#[test]
fn what_redis_py_tests_on_redis_holds_through_larder() {
    let (straight, behind) = (RedisServer::start(), RedisServer::start());
    let host = HostBuilder::new()
        .sample("default")
        .arg("--store")
        .arg(behind.url())
        .set("store.timeout", "10s")
        .set("commands.flush", "on")
        .set("forward.allow", ALLOWED)
        .start();
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
