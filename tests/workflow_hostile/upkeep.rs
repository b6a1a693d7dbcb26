//! Events and ticks that misbehave.

use super::World;
use crate::support::host::{text, wait_until};
use crate::support::redis::RedisServer;

/// Tells `worker` an event; the number of selectors that were carried out, or the error.
fn event(world: &World, kind: &str, payload: &str) -> Result<String, String> {
    let words = ["LARDER.EVENT", "worker", kind, payload];
    world.host.ask(&words).map(|answer| text(&answer)).map_err(|error| error.to_string())
}

#[track_caller]
fn check_event(world: &World, kind: &str, payload: &str, fault: &str, expect: &str) {
    world.check_all_is_well();
    let before = world.faults(fault);
    let error = event(world, kind, payload).expect_err("it misbehaves");
    assert!(error.contains("policy-failed; blame: policy") && error.contains(expect), "{kind}: {error}");
    assert_eq!(world.faults(fault), before + 1, "{kind} counts as {fault}: {error}");
    world.check_all_is_well();
}

#[test]
fn an_event_hook_that_fails_costs_its_event() {
    let world = World::new("[limits]\nhook_ms = 100");
    check_event(&world, "trap", "{}", "trap", "a trap in on-event, as asked");
    check_event(&world, "loop", "{}", "deadline", "100 ms");
    check_event(&world, "many", r#"{"count": 5000}"#, "bad-answer", "5000");
    check_event(&world, "long", "{}", "bad-answer", "");
    assert!(event(&world, "redis", "{}").unwrap_err().contains("NotAllowed"), "a pure hook reaches no store");
}

#[test]
fn what_an_event_selects_is_confined_to_its_domain() {
    for redis in [None, Some(RedisServer::start())] {
        let world = World::on(redis, "");
        for key in ["session:victim", "victim", "unread:1:2"] {
            world.host.ask(&["SET", key, "7"]).unwrap();
        }
        for kind in ["key", "prefix", "pattern", "tag"] {
            for name in
                ["../session:victim", "session:victim", "chat:v1:session:victim", "victim", "", "*", "..", "a\\nb"]
            {
                // Whether it is carried out or refused, it reaches nobody else's keys.
                let _ = event(&world, kind, &format!("{{\"name\": \"{name}\"}}"));
            }
        }
        for key in ["session:victim", "victim", "unread:1:2"] {
            assert_eq!(text(&world.host.ask(&["GET", key]).unwrap()), "7", "{key}");
        }
        world.check_all_is_well();
    }
}

/// A tick that fails is counted again and again, while all others are served.
#[track_caller]
fn check_tick(on_tick: &str, fault: &str) {
    let world = World::new(&format!("[settings]\ntick = \"100ms\"\non_tick = \"{on_tick}\"\n"));
    for count in [1, 3] {
        wait_until(&format!("{on_tick} has failed {count} times"), || world.faults(fault) >= count);
        world.check_all_is_well();
    }
}

#[test]
fn a_tick_that_fails_costs_itself_alone() {
    check_tick("loop", "deadline");
    check_tick("loop-host", "deadline");
    check_tick("trap", "trap");
    check_tick("huge", "memory");
}

#[test]
fn a_tick_that_keeps_its_lock_loses_it() {
    let world = World::new("[settings]\ntick = \"100ms\"\non_tick = \"lock\"\n");
    wait_until("two ticks had the lock", || world.host.log().matches("tick: ").count() >= 2);
    world.check_all_is_well();
}

#[test]
fn ticks_come_one_after_another_and_end_with_the_policy() {
    let world = World::new("[settings]\ntick = \"100ms\"\n");
    let ticks = || world.said(&["ticks"]);
    wait_until("two ticks were counted", || ticks().contains("[50]"));
    let fewer = "[grants]\ninterfaces = [\"redis\", \"lock\", \"breaker\"]\n";
    world.host.put("worker.toml", fewer.as_bytes());
    wait_until("the policy without ticks is live", || {
        let (_, _, body) = world.host.http("GET", "/v1/policies/worker", "", b"");
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["generation"] == 2
    });
    world.check_all_is_well();
}
