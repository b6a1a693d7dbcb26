//! Rate limits: so many calls in a window, never more, however many ask at once.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::Duration;

use super::{World, on_each_store};
use crate::support::host::{command, text, wait_until};

fn check(world: &World, words: &[&str]) -> BTreeMap<String, String> {
    world.fields(&[&["LARDER.CALL", "rate-limit", "check"], words].concat())
}

/// `allowed`, `limit` and `remaining` of a check.
#[track_caller]
fn assert_check(world: &World, words: &[&str], allowed: bool, limit: u32, remaining: u32) {
    let answer = check(world, words);
    let got = (answer["allowed"].as_str(), answer["limit"].as_str(), answer["remaining"].as_str());
    assert_eq!(got, (&*allowed.to_string(), &*limit.to_string(), &*remaining.to_string()), "{words:?}");
}

#[test]
fn a_window_of_a_minute_begins_with_the_first_call() {
    on_each_store("rate-limit", "", |world| {
        assert_check(world, &["42"], true, 100, 99);
        let reset_ms: u64 = check(world, &["42"])["reset_ms"].parse().unwrap();
        assert!((50_000..=60_000).contains(&reset_ms), "{reset_ms}");
        world.check_left("rate-limit:42", Duration::from_secs(60));
        world.check_keys(&["chat:v1:rate-limit:42"]);
        world.check_redis(&["GET", "chat:v1:rate-limit:42"], "2");
        assert_eq!(world.ask(&["GET", "rate-limit:42"]), "2");
        assert_eq!(world.ask(&["INCR", "rate-limit:42"]), "3");
        assert_check(world, &["42"], true, 100, 96);
    });
}

#[test]
fn later_calls_do_not_prolong_it() {
    on_each_store("rate-limit", "ttl = \"10s\"\nlimit = 2", |world| {
        check(world, &["42"]);
        wait_until("some of the window is over", || world.left_ms("rate-limit:42") < 9_700);
        assert_check(world, &["42"], true, 2, 0);
        assert_check(world, &["42"], false, 2, 0);
        world.ask(&["INCR", "rate-limit:42"]);
        assert!(world.left_ms("rate-limit:42") < 9_700);
        world.ask(&["INCR", "rate-limit:7"]);
        wait_until("some of the window is over", || world.left_ms("rate-limit:7") < 9_700);
        world.ask(&["INCR", "rate-limit:7"]);
        assert!(world.left_ms("rate-limit:7") < 9_700);
    });
}

#[test]
fn what_is_denied_costs_nothing() {
    on_each_store("rate-limit", "limit = 10", |world| {
        assert_check(world, &["42", "10", "8"], true, 10, 2);
        assert_check(world, &["42", "10", "5"], false, 10, 2);
        assert_check(world, &["42", "10", "11"], false, 10, 2);
        assert_check(world, &["42", "10", "2"], true, 10, 0);
        assert_check(world, &["42"], false, 10, 0);
        assert_eq!(world.ask(&["GET", "rate-limit:42"]), "10");
        // What is denied from the first call on leaves nothing behind.
        assert_check(world, &["7", "0"], false, 0, 0);
        assert_eq!((check(world, &["7", "0"])["reset_ms"].as_str(), world.left_ms("rate-limit:7")), ("0", -2));
    });
}

#[test]
fn with_the_window_the_count_is_gone() {
    on_each_store("rate-limit", "ttl = \"300ms\"\nlimit = 1", |world| {
        let before = std::time::Instant::now();
        assert_check(world, &["42"], true, 1, 0);
        wait_until("the next window begins", || {
            let allowed = check(world, &["42"])["allowed"] == "true";
            assert!(!allowed || before.elapsed() >= Duration::from_millis(300), "too soon");
            allowed
        });
        wait_until("the last window ends", || world.left_ms("rate-limit:42") == -2);
        world.check_keys(&[]);
    });
}

#[test]
fn fifty_clients_at_once_get_exactly_the_limit() {
    const CLIENTS: usize = 50;
    const CALLS: usize = 4;
    on_each_store("rate-limit", "limit = 70\nttl = \"1h\"", |world| {
        let barrier = Barrier::new(CLIENTS);
        let allowed: usize = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = world.host.client();
                        barrier.wait();
                        (0..CALLS).filter(|_| is_allowed(&mut client)).count()
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        assert_eq!(allowed, 70);
        assert_check(world, &["42"], false, 70, 0);
    });
}

fn is_allowed(client: &mut redis::Connection) -> bool {
    let answer = command(&["LARDER.CALL", "rate-limit", "check", "42"]).query(client).unwrap();
    let redis::Value::Map(fields) = answer else { panic!("{answer:?}") };
    fields.iter().any(|(name, value)| text(name) == "allowed" && text(value) == "true")
}

#[test]
fn a_subject_has_the_limit_of_its_kind_and_may_hold_anything() {
    on_each_store("rate-limit", "limit = 10\nlimits = [\"login=2\", \"search=30\"]", |world| {
        assert_check(world, &["login:2001:db8::1"], true, 2, 1);
        assert_check(world, &["search:42"], true, 30, 29);
        assert_check(world, &["42"], true, 10, 9);
        assert_check(world, &["login:42", "5"], true, 5, 4);
        assert_eq!(world.ask(&["GET", "rate-limit:login:2001:db8::1"]), "1");
    });
}

#[test]
fn over_http_the_answer_is_json() {
    on_each_store("rate-limit", "", |world| {
        let call = |arguments: &str| {
            let body = format!("{{\"arguments\": {arguments}}}");
            world.host.http("POST", "/v1/domains/rate-limit/commands/check", "", body.as_bytes())
        };
        let (status, _, body) = call(r#"["42", 5, 2]"#);
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (status, &answer["reply"]["allowed"], &answer["reply"]["remaining"]),
            (200, &"true".into(), &"3".into())
        );
        assert_eq!(call("[]").0, 400);
    });
}

#[test]
fn a_count_that_would_never_end_gets_an_end() {
    on_each_store("rate-limit", "limit = 3", |world| {
        let Some(redis) = &world.redis else { return };
        redis.cli(&["SET", "chat:v1:rate-limit:42", "3"]);
        assert_check(world, &["42"], false, 3, 0);
        world.check_left("rate-limit:42", Duration::from_secs(60));
    });
}

#[test]
fn what_is_no_count_is_refused() {
    on_each_store("rate-limit", "", |world| {
        assert!(world.refused(&["SET", "rate-limit:42", "many"]).contains("a count is a whole number"));
        for words in
            [&["check"][..], &["check", "42", "-1"], &["check", "42", "1", "0"], &["check", "42", "1", "1", "1"]]
        {
            let refused = world.refused(&[&["LARDER.CALL", "rate-limit"], words].concat());
            assert!(refused.contains("whole number") || refused.contains("check subject [limit] [cost]"), "{refused}");
        }
        world.check_keys(&[]);
    });
}
