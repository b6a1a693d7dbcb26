//! Profiles: a day fresh, five minutes stale, then gone.

use std::time::Duration;

use super::on_each_store;
use crate::support::host::wait_until;

const KEY: &str = "profile:user:42";

#[test]
fn a_profile_is_fresh_for_a_day_and_kept_for_five_minutes_more() {
    on_each_store("profile", "", |world| {
        world.ask(&["SET", KEY, "Ada"]);
        world.check_left(KEY, Duration::from_secs(86_400));
        world.check_keys(&["chat:v1:profile:user:42"]);
        if let Some(redis) = &world.redis {
            let left_ms: i64 = redis.cli(&["PTTL", "chat:v1:profile:user:42"]).parse().unwrap();
            assert!((86_690_000..=86_700_000).contains(&left_ms), "{left_ms}");
        }
    });
}

#[test]
fn it_is_served_stale_after_that() {
    on_each_store("profile", "ttl = \"100ms\"\nstale = \"1h\"", |world| {
        world.ask(&["SET", KEY, "Ada"]);
        wait_until("it is stale", || world.host.explain(KEY)["state"] == "stale");
        assert_eq!(world.ask(&["GET", KEY]), "Ada");
    });
}

#[test]
fn and_then_it_is_gone() {
    on_each_store("profile", "ttl = \"100ms\"\nstale = \"100ms\"\nstale_if_error = \"0s\"", |world| {
        world.check_expires(&["SET", KEY, "Ada"], KEY, Duration::from_millis(200));
    });
}
