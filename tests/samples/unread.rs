//! Counts of unread messages: they never expire; `INCR` and the commands see one another's; an event resets them.

use super::on_each_store;
use crate::support::host::text;

const KEY: &str = "unread:42:general";

#[test]
fn redis_own_commands_and_the_policys_see_the_same_count() {
    on_each_store("unread", "", |world| {
        assert_eq!(world.ask(&["LARDER.CALL", "unread", "get", "42", "general"]), "0");
        assert_eq!(world.ask(&["INCR", KEY]), "1");
        assert_eq!(world.ask(&["GET", KEY]), "1");
        assert_eq!(world.ask(&["LARDER.CALL", "unread", "increment", "42", "general"]), "2");
        assert_eq!(world.ask(&["GET", KEY]), "2", "no copy is left of the count before");
        assert_eq!(world.ask(&["LARDER.CALL", "unread", "increment", "42", "general", "5"]), "7");
        assert_eq!(world.ask(&["INCRBY", KEY, "-1"]), "6");
        assert_eq!(world.ask(&["LARDER.CALL", "unread", "get", "42", "general"]), "6");
        assert_eq!(world.left_ms(KEY), -1, "it never expires");
        world.check_keys(&["chat:v1:unread:42:general"]);
        world.check_redis(&["GET", "chat:v1:unread:42:general"], "6");
        assert_eq!(world.ask(&["LARDER.CALL", "unread", "reset", "42", "general"]), "1");
        assert_eq!(world.ask(&["GET", KEY]), "nil");
        assert_eq!(world.ask(&["LARDER.CALL", "unread", "reset", "42", "general"]), "0");
        world.check_keys(&[]);
    });
}

#[test]
fn a_transaction_counts_at_one_moment() {
    on_each_store("unread", "", |world| {
        let mut client = world.host.client();
        let counts: Vec<i64> =
            redis::pipe().atomic().incr(KEY, 1).incr("unread:42:other", 2).incr(KEY, 3).query(&mut client).unwrap();
        assert_eq!(counts, [1, 2, 4]);
        assert_eq!(world.ask(&["GET", KEY]), "4", "no copy is left of the count before");
        assert_eq!(world.left_ms(KEY), -1, "it never expires");
        assert_eq!(world.ask(&["MSETNX", KEY, "1", "unread:42:new", "1"]), "0");
        assert!(world.refused(&["MSETNX", "unread:42:text", "text"]).contains("a count is a whole number"));
        assert_eq!(world.ask(&["RENAME", "unread:42:other", "unread:42:new"]), "OK");
        assert_eq!(world.ask(&["GET", "unread:42:new"]), "2");
        assert!(world.refused(&["SADD", "unread:42:s", "x"]).contains("serves counter only"));
        world.check_keys(&["chat:v1:unread:42:general", "chat:v1:unread:42:new"]);
    });
}

#[test]
fn counts_of_named_conversations_are_added_up() {
    on_each_store("unread", "", |world| {
        for (conversation, count) in [("a", "3"), ("b", "4"), ("c", "5")] {
            world.ask(&["SET", &format!("unread:42:{conversation}"), count]);
        }
        assert_eq!(world.ask(&["LARDER.CALL", "unread", "total", "42", "a", "c", "none"]), "8");
        assert_eq!(world.ask(&["LARDER.CALL", "unread", "total", "7", "a", "b", "c"]), "0");
    });
}

#[test]
fn an_event_resets_the_count_of_the_conversation_that_was_read() {
    on_each_store("unread", "", |world| {
        for key in [KEY, "unread:42:random", "unread:7:general"] {
            world.ask(&["SET", key, "3"]);
            assert_eq!(world.ask(&["GET", key]), "3");
        }
        let payload = r#"{"conversationId": "general", "userId": 42}"#;
        let refused = world.refused(&["LARDER.EVENT", "unread", "user.updated", payload]);
        assert!(refused.contains("there is no event `user.updated`; there is `conversation.read`"), "{refused}");
        assert_eq!(world.ask(&["LARDER.EVENT", "*", "user.updated", payload]), "0", "told to all, it passes by");
        assert_eq!(world.ask(&["LARDER.EVENT", "unread", "conversation.read", payload]), "1");
        assert_eq!(world.ask(&["GET", KEY]), "nil");
        assert_eq!(world.ask(&["INCR", KEY]), "1", "it counts from the beginning");
        let body = r#"{"type": "conversation.read", "data": {"conversationId": "general", "userId": "42"}}"#;
        assert_eq!(world.host.http("POST", "/v1/events", "", body.as_bytes()).0, 200);
        assert_eq!(world.ask(&["GET", KEY]), "nil", "told to all domains, over HTTP");
        assert_eq!(
            (world.ask(&["GET", "unread:42:random"]), world.ask(&["GET", "unread:7:general"])),
            ("3".into(), "3".into())
        );
        world.check_redis(&["GET", "chat:v1:unread:42:random"], "3");
    });
}

#[test]
fn an_event_that_says_no_conversation_is_told_to_its_sender() {
    on_each_store("unread", "", |world| {
        world.ask(&["SET", KEY, "3"]);
        for (payload, expect) in [
            ("[]", "no JSON object"),
            (r#"{"userId": "42"}"#, "the field `conversationId` must be a text or a whole number"),
            (r#"{"userId": "4:2", "conversationId": "x"}"#, "the separator of keys"),
        ] {
            let refused = world.refused(&["LARDER.EVENT", "unread", "conversation.read", payload]);
            assert!(refused.contains(expect), "{refused}");
        }
        assert_eq!(world.ask(&["GET", KEY]), "3");
    });
}

#[test]
fn the_events_words_are_settings() {
    on_each_store("unread", "read_event = \"seen\"\nuser_field = \"u\"\nconversation_field = \"c\"", |world| {
        world.ask(&["SET", KEY, "3"]);
        world.ask(&["LARDER.EVENT", "unread", "seen", r#"{"u": "42", "c": "general"}"#]);
        assert_eq!(world.ask(&["GET", KEY]), "nil");
    });
}

#[test]
fn many_who_count_at_once_lose_nothing() {
    on_each_store("unread", "", |world| {
        std::thread::scope(|scope| {
            for counter in 0..8 {
                scope.spawn(move || {
                    let mut client = world.host.client();
                    let words: &[&str] = if counter % 2 == 0 {
                        &["INCR", KEY]
                    } else {
                        &["LARDER.CALL", "unread", "increment", "42", "general"]
                    };
                    for _ in 0..50 {
                        crate::support::host::command(words).query::<i64>(&mut client).unwrap();
                    }
                });
            }
        });
        assert_eq!(text(&world.host.ask(&["GET", KEY]).unwrap()), "400");
    });
}

#[test]
fn what_is_no_count_is_refused() {
    on_each_store("unread", "", |world| {
        assert!(world.refused(&["SET", KEY, "many"]).contains("a count is a whole number"));
        assert!(world.refused(&["INCR", "unread:42"]).contains("invalid-key"));
        let refused = world.refused(&["LARDER.CALL", "unread", "increment", "42", "general", "many"]);
        assert!(refused.contains("`many` is not a whole number"), "{refused}");
        world.check_keys(&[]);
        // What others wrote is told, not taken for a count.
        if let Some(redis) = &world.redis {
            redis.cli(&["SET", "chat:v1:unread:42:general", "many"]);
            assert!(world.refused(&["LARDER.CALL", "unread", "get", "42", "general"]).contains("not a whole number"));
        }
    });
}
