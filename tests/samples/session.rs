//! Sessions: an hour after their last use, whatever was asked.

use std::time::Duration;

use super::on_each_store;
use crate::support::host::wait_until;

#[test]
fn a_session_is_kept_for_an_hour_as_it_is_whatever_is_asked() {
    on_each_store("session", "", |world| {
        world.ask(&["SET", "session:f3a9", "token"]);
        world.check_left("session:f3a9", Duration::from_secs(3600));
        world.ask(&["SET", "session:f3a9", "token", "EX", "60"]);
        world.check_left("session:f3a9", Duration::from_secs(3600));
        world.check_keys(&["chat:v1:session:f3a9"]);
        world.check_redis(&["GET", "chat:v1:session:f3a9"], "token");
    });
}

#[test]
fn each_use_begins_its_time_anew() {
    on_each_store("session", "ttl = \"10s\"", |world| {
        world.ask(&["SET", "session:f3a9", "token"]);
        // A read renews at most once in a second.
        wait_until("more than a second is over", || world.left_ms("session:f3a9") < 8_800);
        assert_eq!(world.ask(&["GET", "session:f3a9"]), "token");
        wait_until("the read has renewed it", || world.left_ms("session:f3a9") > 9_000);
    });
}

#[test]
fn a_session_that_nobody_uses_is_gone() {
    on_each_store("session", "ttl = \"300ms\"", |world| {
        world.check_expires(&["SET", "session:f3a9", "token"], "session:f3a9", Duration::from_millis(300));
    });
}
