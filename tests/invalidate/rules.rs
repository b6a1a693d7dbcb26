//! What lifetimes and other rules make of an entry that was invalidated.

use std::sync::Arc;

use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::ports::policy::{Encoding, Lifetime};

use super::{HOUR_MS, clock, life, play, world_over};
use crate::support::engine::{description, tagged};
use crate::support::gated::GatedStore;

#[tokio::test]
async fn an_entry_that_never_expires_is_stale_for_its_window_too() {
    let lifetime = Lifetime { stale_while_revalidate_ms: 1_000, ..Lifetime::fresh(None) };
    let world = world_over(Arc::new(MemoryStore::new(MemorySettings::default(), clock())), clock());
    world.go_live("profile", description(Encoding::Enveloped), tagged(lifetime));
    play(
        &world,
        "set a@red 1
        wait 100000
        tag red soft = done
        get a@red = 1 (stale)
        wait 999
        get a@red = 1 (stale)
        wait 1
        get a@red = - (miss)",
    )
    .await;
}

#[tokio::test]
async fn max_stale_of_nothing_is_a_miss_and_stale_if_error_waits_for_an_origin() {
    let world = world_over(Arc::new(MemoryStore::new(MemorySettings::default(), clock())), clock());
    for lifetime in [
        Lifetime { max_stale_ms: Some(0), ..life() },
        Lifetime { stale_if_error_ms: 1_000, ..Lifetime::fresh(Some(HOUR_MS)) },
    ] {
        world.go_live("profile", description(Encoding::Enveloped), tagged(lifetime));
        play(
            &world,
            "set a@red 1
            tag red soft = done
            get a@red = - (miss)",
        )
        .await;
    }
}

#[tokio::test]
async fn new_rules_make_nothing_fresh_that_was_invalidated() {
    let world = world_over(Arc::new(MemoryStore::new(MemorySettings::default(), clock())), clock());
    play(
        &world,
        "set a@red 1
        set b@red 2
        tag red soft = done
        get a@red = 1 (stale)",
    )
    .await;
    world.go_live(
        "profile",
        description(Encoding::Enveloped),
        tagged(Lifetime { fresh_ms: Some(48 * HOUR_MS), ..life() }),
    );
    play(
        &world,
        "get a@red = 1 (stale)
        get b@red = 2 (stale)
        set c 3",
    )
    .await;
    play(&world, "key c soft = 1\nget c = 3 (stale)").await;
    world.go_live("profile", description(Encoding::Enveloped), tagged(life()));
    play(&world, "get c = 3 (stale)\nset c 3\nget c = 3 (l1-hit)").await;
    // Rules that give an entry a tag: whether that was invalidated since it was loaded, nobody knows.
    let lifetime = Lifetime { tags: vec!["green".to_owned()], ..life() };
    world.go_live("profile", description(Encoding::Enveloped), crate::support::engine::lives(lifetime));
    play(
        &world,
        "get c = 3 (stale)
        set c 4
        get c = 4 (l1-hit)
        tag green = done
        get c = - (miss)",
    )
    .await;
}

#[tokio::test]
async fn changes_of_an_invalidated_value_do_not_make_it_current() {
    let world = world_over(Arc::new(MemoryStore::new(MemorySettings::default(), clock())), clock());
    play(
        &world,
        "set a@red 1
        tag red soft = done",
    )
    .await;
    let key = b"profile:a@red";
    assert_eq!(world.engine.update(key, larder::engine::api::Update::IncrementBy(1)).await, Ok(2));
    let later_ms = world.engine.now_ms() + HOUR_MS;
    let always = larder::engine::api::ExpireCondition::Always;
    assert_eq!(world.engine.expire(key, later_ms, always).await, Ok(true));
    play(&world, "get a@red = 2 (stale)\ntag red = done\nget a@red = - (miss)").await;
    assert_eq!(world.engine.update(key, larder::engine::api::Update::IncrementBy(1)).await, Ok(1));
    play(&world, "get a@red = 1 (l1-hit)").await;
    assert_eq!(world.engine.exists(&["profile:a@red".into()]).await, Ok(1));
    play(&world, "tag red = done").await;
    assert_eq!(world.engine.exists(&["profile:a@red".into()]).await, Ok(0));
    assert_eq!(world.engine.delete(&["profile:a@red".into()]).await, Ok(0), "nothing that a reader would have seen");
}

#[tokio::test]
async fn many_at_once_are_compared_as_one() {
    let world = world_over(Arc::new(GatedStore::new(MemoryStore::new(MemorySettings::default(), clock()))), clock());
    let items: Vec<_> = ["a@red", "b@blue", "c"].map(|key| (format!("profile:{key}").into(), "1".into())).into();
    world.engine.set_many(&items).await.unwrap();
    play(&world, "tag red = done\nprefix b soft = done\nwait 1000").await;
    let keys: Vec<_> = items.iter().map(|(key, _)| key.clone()).collect();
    let answers = world.engine.get_many(&keys).await.unwrap();
    let states: Vec<_> = answers.iter().map(|answer| answer.state.as_str()).collect();
    assert_eq!(states, ["miss", "stale", "store-hit"]);
}
