//! Typing: five seconds, then it is gone by itself.

use std::time::Duration;

use super::on_each_store;

#[test]
fn it_is_kept_for_five_seconds_as_it_is() {
    on_each_store("typing", "", |world| {
        world.ask(&["SET", "typing:general:42", "1"]);
        let left_ms = world.left_ms("typing:general:42");
        assert!((1..=5_000).contains(&left_ms), "{left_ms}");
        world.check_keys(&["chat:v1:typing:general:42"]);
        world.check_redis(&["GET", "chat:v1:typing:general:42"], "1");
    });
}

#[test]
fn it_is_gone_by_itself_and_never_stale() {
    on_each_store("typing", "ttl = \"200ms\"", |world| {
        let key = "typing:general:42";
        world.check_expires(&["SET", key, "1"], key, Duration::from_millis(200));
        // A client that asks for its own time gets it if it is shorter.
        world.check_expires(&["SET", key, "1", "PX", "50"], key, Duration::from_millis(50));
    });
}

#[test]
fn a_key_names_a_conversation_and_a_user() {
    on_each_store("typing", "", |world| {
        for key in ["typing:general", "typing:general:42:x", "typing:general:", "typing::42"] {
            assert!(world.refused(&["SET", key, "1"]).contains("invalid-key"), "{key}");
        }
        world.check_keys(&[]);
    });
}
