//! What changes all of them at once: the first user's variables, the separator of keys.

use std::path::Path;
use std::time::Duration;

use larder::ports::policy::{Candidate, Operation, Request};

use super::on_each_store_with;
use crate::support::host::{HostBuilder, SAMPLES, sample, wait_until, with_settings};
use crate::support::policies::{Folder, read};

#[test]
fn the_first_users_variables_set_the_lifetimes() {
    let prepare = |builder: HostBuilder| {
        let variables = [
            ("CACHE_PRESENCE_TTL", "31"),
            ("CACHE_TYPING_TTL", "32"),
            ("CACHE_SESSION_TTL", "33"),
            ("CACHE_RATE_LIMIT_TTL", "34"),
            ("CACHE_PROFILE_TTL", "35"),
            ("CACHE_STALE_MARKER_TTL", "36"),
            ("CACHE_KEY_VERSION", "v7"),
        ];
        variables.into_iter().fold(builder.all_samples(), |builder, (name, value)| builder.env(name, value))
    };
    on_each_store_with(prepare, |world| {
        for (key, ttl_s) in
            [("presence:1", 31), ("typing:1:2", 32), ("session:1", 33), ("rate-limit:1", 34), ("profile:user:1", 35)]
        {
            world.ask(&["SET", key, "1"]);
            world.check_left(key, Duration::from_secs(ttl_s));
        }
        assert_eq!(world.host.explain("profile:user:1")["stale_while_revalidate_ms"], "36000");
        world.ask(&["SET", "unread:1:2", "1"]);
        world.check_keys(&[
            "chat:v7:presence:1",
            "chat:v7:profile:user:1",
            "chat:v7:rate-limit:1",
            "chat:v7:session:1",
            "chat:v7:typing:1:2",
            "chat:v7:unread:1:2",
        ]);
    });
}

#[test]
fn keys_are_taken_apart_at_the_hosts_separator() {
    on_each_store_with(
        |builder| builder.all_samples().env("CACHE_KEY_SEPARATOR", "/"),
        |world| {
            world.ask(&["SET", "typing/a:b/42", "1"]);
            assert!(world.refused(&["SET", "typing/a:b", "1"]).contains("invalid-key"));
            world.ask(&["SET", "presence/a:b", "1"]);
            assert!(world.refused(&["SET", "profile/user:42", "1"]).contains("invalid-key"));
            world.ask(&["SET", "unread/a:b/c:d", "5"]);
            world.check_keys(&["chat/v1/presence/a:b", "chat/v1/typing/a:b/42", "chat/v1/unread/a:b/c:d"]);
            let payload = r#"{"userId": "a:b", "conversationId": "c:d"}"#;
            world.ask(&["LARDER.EVENT", "unread", "conversation.read", payload]);
            assert_eq!(world.ask(&["GET", "unread/a:b/c:d"]), "nil");
        },
    );
}

#[test]
fn the_separator_is_no_setting_of_a_policy() {
    let folder = Folder::serving("typing", &sample("typing"), "[settings]\n\"key.separator\" = \"/\"\n");
    wait_until("it is refused", || folder.state("typing").1.contains("`key.separator`, which is the host's"));
    assert!(folder.live("typing").is_none());
}

/// What a policy decides about some key, in words.
fn decisions(domain: &str, toml: &str) -> String {
    let folder = Folder::serving(domain, &sample(domain), toml);
    let live = folder.live(domain).unwrap_or_else(|| panic!("{domain}: {:?}", folder.state(domain)));
    let key = match domain {
        "profile" => "user:42",
        "typing" | "unread" => "42:general",
        _ => "42",
    };
    let request = Request { operation: Operation::Update, ..read(key) };
    let admission = live.policy.admit(&request, &Candidate::written(b"1"));
    format!("{:?} {:?} {admission:?}", live.description, live.policy.plan(&request))
}

#[test]
fn the_files_say_every_setting_at_its_default() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for domain in SAMPLES {
        let toml = std::fs::read_to_string(folder.join(format!("{domain}.toml"))).unwrap();
        assert_eq!(decisions(domain, &toml), decisions(domain, &with_settings(&toml, "")), "{domain}");
        let source = std::fs::read_to_string(folder.join(domain).join("lib.rs")).unwrap();
        let (rules, _) = source.split_once("#[cfg(test)]").unwrap();
        let said: toml::Table = toml.parse().unwrap();
        let said = said["settings"].as_table().unwrap();
        let unread: Vec<_> = said.keys().filter(|name| !rules.contains(&format!("\"{name}\""))).collect();
        assert_eq!(unread, [""; 0], "{domain}.toml says what nobody reads");
        let read = rules.split("settings.").skip(1).filter(|rest| rest.starts_with(char::is_alphabetic)).count();
        assert_eq!(said.len(), read, "{domain}.toml says as many settings as are read");
    }
}
