//! What the engine does not do, and what it says then: bad keys, bad answers of policies, refusals.

use larder::engine::api::Update;
use larder::ports::metrics::State;
use larder::ports::policy::{Encoding, Fault, Miss, Operation, Plan, PolicyError, Refusal, Shape, Shapes};

use super::{check, get, profile_life};
use crate::support::engine::{Rules, World, description, lives};

#[tokio::test]
async fn bad_keys_say_what_is_wrong() {
    let world = World::new();
    world.enveloped("profile", profile_life());
    check(
        get(&world, "nobody:1").await,
        "unknown-domain: no policy serves the domain 'nobody', and there is no policy 'default' for other keys; add nobody.wasm to the policy folder",
    );
    world.default_domain();
    let long = "k".repeat(251);
    for (key, expect) in [
        ("profile:", "invalid-key: the key is empty after its domain"),
        ("profile:a\u{1}b", "invalid-key: the key holds the control character U+0001"),
        (
            long.as_str(),
            "invalid-key: the key has 251 bytes, 250 are allowed; shorten it or raise CACHE_MAX_KEY_LENGTH",
        ),
        (
            "chat:v1:profile:user:42",
            "invalid-key: the key is a storage key of the domain 'profile'; use 'profile:…' instead",
        ),
        ("chat:v9:profile:", "invalid-key: the key is a storage key of the domain 'profile'; use 'profile:…' instead"),
        (
            "{chat:v1:profile:user:42}:lease",
            "invalid-key: the key is a storage key of the domain 'profile'; use 'profile:…' instead",
        ),
        ("chat:v1:unserved:x", "- (miss)"),
        ("nobody:1", "- (miss)"),
    ] {
        check(get(&world, key).await, expect);
    }
    let error = world.engine.get(b"profile:\xff").await.unwrap_err();
    assert_eq!(error.message, "the key is not UTF-8, which a policy's domain requires");
    check(world.engine.get(b"any \xff\x00 byte").await, "- (miss)");
}

#[tokio::test]
async fn a_policys_bad_answer_is_the_policys_fault() {
    let world = World::new();
    for (suffix, expect) in [
        ("", "the suffix is empty"),
        ("../other", "the suffix holds '..'"),
        ("a\nb", "the suffix holds a control character"),
    ] {
        let rules = Rules {
            plan: Box::new(move |_| Ok(Plan { suffix: Some(suffix.into()), miss: Miss::Answer, collapse_wait_ms: 0 })),
            ..lives(profile_life())
        };
        world.go_live("profile", description(Encoding::Enveloped), rules);
        check(
            get(&world, "profile:x").await,
            &format!("policy-failed: domain 'profile': the policy failed (bad-answer): {expect}"),
        );
    }
    let metrics = world.metrics.domain("profile");
    assert_eq!(metrics.policy_faults[Fault::BadAnswer as usize].get(), 3);
    assert_eq!(metrics.answers(Operation::Read, State::PolicyFailed), 3);
}

#[tokio::test]
async fn refusals_reach_the_caller_in_the_policys_words() {
    let world = World::new();
    let rules = Rules {
        plan: Box::new(|_| Err(PolicyError::Refused(Refusal::InvalidKey("say user:{id}".into())))),
        ..lives(profile_life())
    };
    world.go_live("profile", description(Encoding::Enveloped), rules);
    check(get(&world, "profile:x").await, "invalid-key: domain 'profile': say user:{id}");
    let mut values_only = description(Encoding::Enveloped);
    values_only.shapes = Shapes::default().with(Shape::Value);
    world.go_live("profile", values_only, lives(profile_life()));
    let error = world.engine.update(b"profile:x", Update::IncrementBy(1)).await.unwrap_err();
    assert_eq!(error.message, "the domain 'profile' serves value only, by its policy");
}
