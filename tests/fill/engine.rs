//! One node: who leads, who waits, what they get, and what is left when somebody goes away. In tokio's paused time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use larder::engine::api::AskedTtl;
use larder::engine::fill::{LeaseBook, Who};
use larder::ports::invalidation::Mode;
use larder::ports::lease::FillOutcome;
use larder::ports::policy::Selector;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

use super::{HOUR_MS, paused_world, read, shown, write};
use crate::support::engine::World;
use crate::support::giving_up::after_polls;

pub(super) const KEY: &str = "profile:a";
const STORED: &str = "chat:v1:profile:a";

pub(super) fn outcomes(world: &World, outcome: FillOutcome) -> u64 {
    world.metrics.domain("profile").fill_outcomes[outcome as usize].get()
}

pub(super) fn waiting(world: &World) -> u64 {
    world.metrics.domain("profile").fill_waiting.get()
}

pub(super) async fn until_waiting(world: &World, count: u64) {
    while waiting(world) < count {
        yield_now().await;
    }
}

/// What a task that was spawned may still do.
pub(super) async fn settle() {
    sleep(Duration::from_millis(20)).await;
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_all_get_its_value() {
    for shared in [false, true] {
        let (world, gated) = paused_world(shared);
        let books: Vec<LeaseBook> = (0..50).map(|_| LeaseBook::new()).collect();
        assert_eq!(shown(&read(&world.engine, KEY, &books[0]).await), "- (miss)");
        assert_eq!(books[0].len(), 1);
        gated.clear();
        let readers = join_all(books[1..].iter().map(|book| read(&world.engine, KEY, book)));
        let filled = async {
            until_waiting(&world, 49).await;
            write(&world.engine, KEY, "v", &books[0]).await
        };
        let (read, filled) = tokio::join!(readers, filled);
        assert_eq!(filled, "done");
        for answer in &read {
            assert_eq!(shown(answer), "v (store-hit, waited for this-node: done)");
        }
        assert!(books.iter().all(LeaseBook::is_empty));
        assert_eq!(world.metrics.domain("profile").leases_taken.get(), 1);
        assert_eq!(outcomes(&world, FillOutcome::Done), 1);
        assert_eq!(waiting(&world), 0);
        assert_eq!(shown(&super::read(&world.engine, KEY, &books[3]).await), "v (l1-hit)");
        assert_eq!(shown(&Ok(world.engine.get_or_lease(KEY.as_bytes(), Who::Bearer).await.unwrap())), "v (l1-hit)");
        assert!(
            !gated.log().iter().any(|line| line.starts_with("begin TAKE")),
            "no waiter asked the store for the lease"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn raw_domains_and_default_behave_as_redis() {
    let (world, gated) = paused_world(true);
    let book = LeaseBook::new();
    for key in ["plain:a", "a"] {
        for _ in 0..2 {
            assert_eq!(shown(&read(&world.engine, key, &book).await), "- (miss)");
        }
        assert_eq!(write(&world.engine, key, "v", &book).await, "done");
    }
    assert!(book.is_empty());
    let log = gated.log();
    assert!(log.iter().all(|line| line.contains(" GET ") || line.contains(" SET ")), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_no_longer_than_its_plan_says() {
    let (world, _) = paused_world(true);
    let (leader, other) = (LeaseBook::new(), LeaseBook::new());
    read(&world.engine, KEY, &leader).await.unwrap();
    let began = Instant::now();
    let late = read(&world.engine, KEY, &other).await;
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(shown(&late), "- (miss, waited for this-node: wait-timeout)");
    assert_eq!(late.unwrap().answer.waited.map(|waited| waited.ms), Some(1_000));
    assert!(other.is_empty());
    assert_eq!(outcomes(&world, FillOutcome::WaitTimeout), 1);
    // Whoever did not wait any longer writes, and then nobody can say whose value is newer.
    assert_eq!(write(&world.engine, KEY, "theirs", &other).await, "done");
    assert_eq!(write(&world.engine, KEY, "mine", &leader).await, "unmet");
    assert_eq!(shown(&read(&world.engine, KEY, &leader).await), "- (miss)");
}

#[tokio::test(start_paused = true)]
async fn a_delete_or_an_invalidation_fences_the_fill() {
    for (what, shared) in ["delete", "key", "key soft", "pattern", "pattern soft", "domain", "tag", "prefix"]
        .into_iter()
        .flat_map(|w| [(w, false), (w, true)])
    {
        let (world, _) = paused_world(shared);
        let (engine, book) = (&world.engine, LeaseBook::new());
        let key = "profile:a@red";
        // The records are there: the first load of all could not be overtaken.
        write(engine, key, "0", &book).await;
        engine.delete(&[key.into()]).await.unwrap();
        read(engine, key, &book).await.unwrap();
        assert_eq!(book.len(), 1, "{what}");
        let selector = match what {
            "delete" => None,
            "domain" => Some(Selector::Domain),
            "tag" => Some(Selector::Tag("red".into())),
            "prefix" => Some(Selector::Prefix("a".into())),
            "pattern" | "pattern soft" => Some(Selector::Pattern("?@r*".into())),
            _ => Some(Selector::Key("a@red".into())),
        };
        let mode = if what.ends_with("soft") { Mode::Soft } else { Mode::Hard };
        match &selector {
            None => drop(engine.delete(&[key.into()]).await.unwrap()),
            Some(selector) => drop(engine.invalidate("profile", selector, mode).await.unwrap()),
        }
        let by_key = matches!(what, "delete" | "key" | "key soft" | "pattern" | "pattern soft");
        let filled = write(engine, key, "old", &book).await;
        assert_eq!(filled, if by_key { "unmet" } else { "done" }, "{what} on a shared store: {shared}");
        let after = shown(&read(engine, key, &LeaseBook::new()).await);
        assert!(after.starts_with("- (miss") || after.contains("stale"), "{what}, shared {shared}: {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_was_not_invalidated_stays_current() {
    for shared in [false, true] {
        let (world, _) = paused_world(shared);
        let book = LeaseBook::new();
        for key in ["profile:a@red", "profile:b@red+blue"] {
            read(&world.engine, key, &book).await.unwrap();
            assert_eq!(write(&world.engine, key, "v", &book).await, "done");
            assert_eq!(shown(&read(&world.engine, key, &book).await), "v (l1-hit)");
        }
        world.engine.invalidate("profile", &Selector::Tag("red".into()), Mode::Hard).await.unwrap();
        read(&world.engine, "profile:a@red", &book).await.unwrap();
        assert_eq!(write(&world.engine, "profile:a@red", "w", &book).await, "done");
        assert_eq!(shown(&read(&world.engine, "profile:a@red", &book).await), "w (l1-hit)", "loaded after it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_goes_away_makes_room_for_the_next_one() {
    let (world, _) = paused_world(true);
    let (leader, next, last) = (LeaseBook::new(), LeaseBook::new(), LeaseBook::new());
    read(&world.engine, KEY, &leader).await.unwrap();
    let (one, two, ()) = tokio::join!(read(&world.engine, KEY, &next), read(&world.engine, KEY, &last), async {
        until_waiting(&world, 2).await;
        drop(leader);
        // Whoever of both leads fills, so that the other one is answered.
        loop {
            for book in [&next, &last] {
                if !book.is_empty() {
                    assert_eq!(write(&world.engine, KEY, "v", book).await, "done");
                    return;
                }
            }
            yield_now().await;
        }
    });
    let mut answers = [shown(&one), shown(&two)];
    answers.sort();
    assert_eq!(answers[0], "- (miss, waited for this-node: dangling)");
    // Aboard the second flight, or after it from L1.
    assert!(answers[1].starts_with("v (") && answers[1].ends_with("-hit, waited for this-node: done)"), "{answers:?}");
    assert_eq!(outcomes(&world, FillOutcome::Dangling), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_dropped_anywhere_leaves_nothing() {
    for shared in [false, true] {
        for polls in 0..60 {
            let (world, gated) = paused_world(shared);
            gated.dawdle_as(polls);
            let book = LeaseBook::new();
            drop(after_polls(polls, read(&world.engine, KEY, &book)).await);
            drop(book);
            settle().await;
            let next = LeaseBook::new();
            let answer = timeout(Duration::from_millis(100), read(&world.engine, KEY, &next)).await;
            assert!(answer.is_ok(), "after {polls} polls somebody still holds the key: {:?}", gated.log());
            assert_eq!(next.len(), 1, "after {polls} polls the next one does not lead");
            assert_eq!(write(&world.engine, KEY, "v", &next).await, "done");
            assert_eq!(waiting(&world), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_is_dropped_anywhere_leaves_nothing() {
    for polls in 0..80 {
        let (world, gated) = paused_world(true);
        let book = LeaseBook::new();
        read(&world.engine, KEY, &book).await.unwrap();
        gated.dawdle_as(polls);
        drop(after_polls(polls, write(&world.engine, KEY, "v", &book)).await);
        drop(book);
        settle().await;
        let next = LeaseBook::new();
        let answer = timeout(Duration::from_millis(100), read(&world.engine, KEY, &next)).await;
        let answer = shown(&answer.unwrap_or_else(|_| panic!("after {polls} polls the lease is still held")));
        assert!(answer == "- (miss)" || answer.starts_with("v ("), "after {polls} polls: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_what_is_not_stored_and_what_failed() {
    let (world, _) = paused_world(true);
    for (key, value, state, waited) in [
        ("passing:a", "v".to_owned(), "passed", "v (store-hit, waited for this-node: done)"),
        ("profile:big", "x".repeat(2 << 20), "! invalid-value", "! invalid-value"),
    ] {
        let (leader, other) = (LeaseBook::new(), LeaseBook::new());
        let metrics = world.metrics.domain(key.split(':').next().unwrap());
        read(&world.engine, key, &leader).await.unwrap();
        let (answer, filled) = tokio::join!(read(&world.engine, key, &other), async {
            while metrics.fill_waiting.get() == 0 {
                yield_now().await;
            }
            write(&world.engine, key, &value, &leader).await
        });
        assert_eq!((shown(&answer).as_str(), filled.as_str()), (waited, state));
        assert!(world.store.get(&larder::ports::store::StoreKey(STORED.into()), false).await.unwrap().is_none());
        settle().await;
        assert_eq!(shown(&read(&world.engine, key, &other).await), "- (miss)", "the lease is back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_never_held_up() {
    let (world, _) = paused_world(true);
    let book = LeaseBook::new();
    read(&world.engine, KEY, &book).await.unwrap();
    write(&world.engine, KEY, "v", &book).await;
    world.clock.advance_ms(HOUR_MS + 1);
    let first = world.engine.get_or_lease(KEY.as_bytes(), Who::Bearer).await.unwrap();
    assert_eq!(shown(&Ok(first.clone())), "v (stale)");
    let lease = first.lease.expect("whoever knows of leases may refresh it");
    let began = Instant::now();
    for _ in 0..3 {
        let next = world.engine.get_or_lease(KEY.as_bytes(), Who::Bearer).await.unwrap();
        assert_eq!((shown(&Ok(next.clone())).as_str(), next.lease), ("v (stale)", None));
        assert_eq!(shown(&read(&world.engine, KEY, &book).await), "v (stale)");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let filled = world.engine.fill_leased(KEY.as_bytes(), lease.as_bytes(), "w".into(), AskedTtl::None).await.unwrap();
    assert_eq!(filled.state.as_str(), "done");
    assert_eq!(shown(&read(&world.engine, KEY, &book).await), "w (l1-hit)");
}

#[tokio::test(start_paused = true)]
async fn an_explanation_names_the_lease() {
    let (world, _) = paused_world(true);
    let lease = async || {
        let explained = world.engine.explain(KEY.as_bytes()).await.unwrap();
        (explained.lease, explained.lease_ttl_ms.is_some(), explained.lease_waiting)
    };
    assert_eq!(lease().await, (Some("free"), false, None));
    let (leader, other) = (LeaseBook::new(), LeaseBook::new());
    read(&world.engine, KEY, &leader).await.unwrap();
    assert_eq!(lease().await, (Some("this-node"), true, Some(0)));
    let reader = read(&world.engine, KEY, &other);
    tokio::pin!(reader);
    let _ = futures_util::poll!(reader.as_mut());
    while waiting(&world) == 0 {
        let _ = futures_util::poll!(reader.as_mut());
        yield_now().await;
    }
    assert_eq!(lease().await, (Some("this-node"), true, Some(1)));
    world.engine.delete(&[KEY.into()]).await.unwrap();
    assert_eq!(lease().await.0, Some("deleted"));
    let plain = world.engine.explain(b"plain:a").await.unwrap();
    assert_eq!((plain.lease, plain.lease_waiting), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_lease_by_its_text_fills_once() {
    let (world, _) = paused_world(true);
    let first = world.engine.get_or_lease(KEY.as_bytes(), Who::Bearer).await.unwrap();
    let lease = first.lease.expect("it leads");
    let fill = async |key: &str, lease: &str| {
        let filled =
            world.engine.fill_leased(key.as_bytes(), lease.as_bytes(), "v".into(), AskedTtl::InMs(5_000)).await;
        filled.map_or_else(
            |error| error.kind.as_str(),
            |filled| filled.lost.map_or(filled.state.as_str(), |lost| lost.as_str()),
        )
    };
    assert_eq!(fill(KEY, "nonsense").await, "invalid-argument");
    assert_eq!(fill("plain:a", &lease).await, "unsupported");
    assert_eq!(fill("profile:b", &lease).await, "lease-gone", "it is of another key");
    assert_eq!(fill(KEY, &lease).await, "done");
    let engine = Arc::new(&world.engine);
    assert_eq!(shown(&engine.get_or_lease(KEY.as_bytes(), Who::Bearer).await), "v (l1-hit)");
    assert_eq!(fill(KEY, &lease).await, "lease-gone", "once");
}
