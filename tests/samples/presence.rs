//! Presence: a heartbeat counts for thirty seconds, each renews.

use std::time::Duration;

use super::on_each_store;
use crate::support::host::wait_until;

#[test]
fn a_heartbeat_counts_for_thirty_seconds_and_is_kept_as_it_is() {
    on_each_store("presence", "", |world| {
        world.ask(&["SET", "presence:42", "online"]);
        world.check_left("presence:42", Duration::from_secs(30));
        world.check_keys(&["chat:v1:presence:42"]);
        world.check_redis(&["GET", "chat:v1:presence:42"], "online");
        // What others wrote is read, and lives as long as they said.
        if let Some(redis) = &world.redis {
            redis.cli(&["SET", "chat:v1:presence:7", "away", "PX", "20000"]);
            assert_eq!(world.ask(&["GET", "presence:7"]), "away");
            world.check_left("presence:7", Duration::from_secs(20));
        }
    });
}

#[test]
fn each_heartbeat_renews() {
    on_each_store("presence", "ttl = \"10s\"", |world| {
        world.ask(&["SET", "presence:42", "online"]);
        wait_until("some of its life is over", || world.left_ms("presence:42") < 9_700);
        assert_eq!(world.ask(&["GET", "presence:42"]), "online");
        assert!(world.left_ms("presence:42") < 9_700, "to look is no heartbeat");
        world.ask(&["SET", "presence:42", "away"]);
        assert!(world.left_ms("presence:42") > 9_700);
        assert_eq!(world.ask(&["GET", "presence:42"]), "away");
    });
}

#[test]
fn without_a_heartbeat_it_is_gone() {
    on_each_store("presence", "ttl = \"300ms\"", |world| {
        world.check_expires(&["SET", "presence:42", "online"], "presence:42", Duration::from_millis(300));
    });
}

#[test]
fn the_shorter_of_the_asked_and_the_set_lifetime_wins() {
    on_each_store("presence", "", |world| {
        world.ask(&["SET", "presence:42", "online", "EX", "20"]);
        world.check_left("presence:42", Duration::from_secs(20));
        world.ask(&["SET", "presence:42", "online", "EX", "3600"]);
        world.check_left("presence:42", Duration::from_secs(30));
    });
}

#[test]
fn other_keys_and_numbers_are_refused() {
    on_each_store("presence", "", |world| {
        for words in [["SET", "presence:42:phone", "online"], ["SET", "presence:", "online"]] {
            assert!(world.refused(&words).contains("invalid-key"));
        }
        assert!(world.refused(&["INCR", "presence:42"]).contains("serves value only"));
        world.check_keys(&[]);
    });
}
