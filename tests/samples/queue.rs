//! Queues: they never expire, never hold more than their newest items, and are cleaned up by command and by themselves.

use std::time::Duration;

use super::{World, on_each_store};
use crate::support::host::{wait_until, with_settings};

/// The items of a user's queue, oldest first.
fn items(world: &World, user: &str) -> String {
    world.ask(&["LARDER.CALL", "queue", "range", user, "0", "-1"])
}

fn push(world: &World, user: &str, items: &[&str]) -> String {
    world.ask(&[&["LARDER.CALL", "queue", "push", user], items].concat())
}

/// Other settings for the policy that serves; waits until they rule.
fn resettle(world: &World, lines: &str) {
    let generation = || {
        let (_, _, body) = world.host.http("GET", "/v1/policies/queue", "", b"");
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["generation"].as_u64().unwrap()
    };
    let before = generation();
    let toml = std::fs::read_to_string(world.host.policies().join("queue.toml")).unwrap();
    world.host.put("queue.toml", with_settings(&toml, lines).as_bytes());
    wait_until("the other settings rule", || generation() > before);
}

#[test]
fn what_was_pushed_first_is_popped_first() {
    on_each_store("queue", "", |world| {
        assert_eq!(push(world, "42", &["a", "b"]), "2");
        assert_eq!(push(world, "42", &["c", "d", "e"]), "5");
        assert_eq!(world.left_ms("queue:42"), -1, "it never expires");
        world.check_keys(&["chat:v1:queue:42"]);
        world.check_redis(&["LRANGE", "chat:v1:queue:42", "0", "-1"], "a\nb\nc\nd\ne");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "range", "42", "1", "-2"]), "b c d");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "length", "42"]), "5");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "pop", "42"]), "a");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "pop", "42", "3"]), "b c d");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "pop", "42", "3"]), "e");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "pop", "42"]), "nil");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "pop", "42", "3"]), "");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "length", "42"]), "0");
        world.check_keys(&[]);
    });
}

#[test]
fn the_oldest_items_go_when_there_are_too_many() {
    on_each_store("queue", "list_max = 3", |world| {
        assert_eq!(push(world, "42", &["a", "b"]), "2");
        assert_eq!(push(world, "42", &["c", "d"]), "3");
        assert_eq!(items(world, "42"), "b c d");
        assert_eq!(push(world, "42", &["e", "f", "g", "h", "i"]), "3");
        assert_eq!(items(world, "42"), "g h i");
        assert_eq!(push(world, "7", &["x"]), "1");
        assert_eq!(items(world, "42"), "g h i", "another user's queue is another one");
    });
}

#[test]
fn many_who_push_at_once_never_leave_too_many_and_lose_nothing_newer() {
    on_each_store("queue", "list_max = 20", |world| {
        std::thread::scope(|scope| {
            for pusher in 0..8 {
                scope.spawn(move || {
                    for number in 0..25 {
                        push(world, "42", &[&format!("{pusher}:{number}")]);
                    }
                });
            }
        });
        let left: Vec<String> = items(world, "42").split(' ').map(str::to_owned).collect();
        assert_eq!(left.len(), 20);
        // Of each pusher the newest are there, in order and without a gap.
        for pusher in 0..8 {
            let own = format!("{pusher}:");
            let numbers: Vec<u32> =
                left.iter().filter_map(|item| item.strip_prefix(&own)).map(|number| number.parse().unwrap()).collect();
            assert!(numbers.iter().rev().zip((0..25).rev()).all(|(&found, expect)| found == expect), "{left:?}");
        }
    });
}

#[test]
fn a_queue_is_cut_by_command() {
    on_each_store("queue", "", |world| {
        push(world, "42", &["a", "b", "c", "d"]);
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "cleanup", "42"]), "0");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "cleanup", "42", "3"]), "1");
        assert_eq!(items(world, "42"), "b c d");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "cleanup", "42", "0"]), "3");
        assert_eq!(world.ask(&["LARDER.CALL", "queue", "cleanup", "42", "0"]), "0");
        world.check_keys(&[]);
    });
}

#[test]
fn the_clean_up_walks_over_all_queues_a_portion_at_a_time() {
    on_each_store("queue", "list_max = 5\ntick = 0", |world| {
        for user in 0..60 {
            push(world, &user.to_string(), &["a", "b", "c", "d", "e"]);
        }
        world.ask(&["LARDER.CALL", "queue", "push", "short", "a"]);
        resettle(world, "list_max = 2\ntick = 0\nscan_count = 7\ncleanup_time = 0");
        let (mut portions, mut trimmed, mut dropped) = (0, 0, 0);
        loop {
            let cleaned = world.fields(&["LARDER.CALL", "queue", "cleanup"]);
            portions += 1;
            trimmed += cleaned["trimmed"].parse::<u32>().unwrap();
            dropped += cleaned["dropped"].parse::<u32>().unwrap();
            if cleaned["done"] == "true" {
                break;
            }
            assert!(portions < 1_000, "it ends");
        }
        assert!(portions > 2, "{portions}");
        assert_eq!((trimmed, dropped), (60, 180));
        assert_eq!((items(world, "59"), items(world, "short")), ("d e".to_owned(), "a".to_owned()));
        if let Some(redis) = &world.redis {
            assert_eq!(redis.cli(&["EXISTS", "chat:v1:queue:cleanup:cursor"]), "0", "the walk has left nothing behind");
            // What others put under a queue's name is theirs.
            redis.cli(&["SET", "chat:v1:queue:no-list", "x"]);
            while world.fields(&["LARDER.CALL", "queue", "cleanup"])["done"] == "false" {}
            assert_eq!(redis.cli(&["GET", "chat:v1:queue:no-list"]), "x");
        }
    });
}

#[test]
fn the_tick_cleans_up_by_itself_and_says_so() {
    on_each_store("queue", "list_max = 5\ntick = 0", |world| {
        push(world, "42", &["a", "b", "c", "d", "e"]);
        resettle(world, "list_max = 2\ntick = \"100ms\"");
        wait_until("the tick has cut the queue", || items(world, "42") == "d e");
        wait_until("the log says so", || world.host.log().contains("trimmed 1, dropped 3 items"));
        if let Some(redis) = &world.redis {
            redis.cli(&["RPUSH", "chat:v1:queue:7", "1", "2", "3", "4"]);
            wait_until("what others pushed is cut", || redis.cli(&["LLEN", "chat:v1:queue:7"]) == "2");
        }
    });
}

#[test]
fn a_queue_that_lies_idle_goes_if_the_settings_say_so() {
    on_each_store("queue", "tick = 0", |world| {
        push(world, "old", &["a"]);
        assert_eq!(world.left_ms("queue:old"), -1);
        resettle(world, "tick = 0\nidle_ttl = \"60s\"");
        push(world, "new", &["a"]);
        world.check_left("queue:new", Duration::from_secs(60));
        assert_eq!(world.left_ms("queue:old"), -1);
        world.ask(&["LARDER.CALL", "queue", "cleanup"]);
        world.check_left("queue:old", Duration::from_secs(60));
        resettle(world, "tick = 0");
        world.ask(&["LARDER.CALL", "queue", "cleanup"]);
        assert_eq!((world.left_ms("queue:old"), world.left_ms("queue:new")), (-1, -1), "and stays if they do not");
        resettle(world, "tick = 0\nidle_ttl = \"200ms\"");
        push(world, "new", &["b"]);
        wait_until("the idle queue is gone", || items(world, "new").is_empty());
        assert_eq!(items(world, "old"), "a", "nobody has touched it since");
    });
}

#[test]
fn wrong_commands_say_how_they_should_be() {
    on_each_store("queue", "", |world| {
        for (words, expect) in [
            (&["push", "42"][..], "push user item…"),
            (&["pop", "42", "0"], "`0` is not a whole number from 1 to 1000"),
            (&["range", "42", "0"], "range user start stop"),
            (&["length", "4:2"], "`4:2` is no user; it must be one part of a key"),
            (&["shove", "42"], "has no command 'shove'"),
        ] {
            let refused = world.refused(&[&["LARDER.CALL", "queue"], words].concat());
            assert!(refused.contains(expect), "{words:?}: {refused}");
        }
        if let Some(redis) = &world.redis {
            redis.cli(&["SET", "chat:v1:queue:42", "no list"]);
            let refused = world.refused(&["LARDER.CALL", "queue", "push", "42", "a"]);
            assert!(refused.contains("the key holds another type of value"), "{refused}");
        }
        assert!(world.refused(&["SET", "queue:7", "x"]).contains("serves list only"));
    });
}

/// Redis' own commands keep to the same rules, and see the same queue.
#[test]
fn redis_own_commands_and_the_policys_see_the_same_queue() {
    on_each_store("queue", "list_max = 3\nidle_ttl = \"1h\"", |world| {
        assert_eq!(world.ask(&["RPUSH", "queue:42", "a", "b"]), "2");
        world.check_left("queue:42", Duration::from_secs(3600));
        assert_eq!(push(world, "42", &["c"]), "3");
        assert_eq!(world.ask(&["RPUSH", "queue:42", "d", "e"]), "3");
        assert_eq!(items(world, "42"), "c d e");
        assert_eq!(world.ask(&["LPOP", "queue:42"]), "c");
        assert_eq!(world.ask(&["LRANGE", "queue:42", "0", "-1"]), "d e");
        assert_eq!(world.ask(&["LLEN", "queue:42"]), "2");
        assert_eq!(world.ask(&["KEYS", "*"]), "queue:42");
        world.check_keys(&["chat:v1:queue:42"]);
        assert!(world.refused(&["HSET", "queue:42", "f", "v"]).contains("serves list only"));
        assert!(world.refused(&["RPUSH", "queue:42:x", "v"]).contains("one part"));
    });
}
