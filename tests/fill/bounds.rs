//! Bounds on those who lead and those who wait: of time, of number, and of patience. In tokio's paused time.

use std::time::Duration;

use futures_util::future::join_all;
use larder::engine::fill::LeaseBook;
use larder::limits::{CLIENT_LEASE_MS_MAX, FLIGHT_WAITERS_PER_KEY_MAX, LEASE_MS, LEASES_PER_CONNECTION_MAX};
use larder::ports::lease::FillOutcome;
use larder::ports::store::{Command, Store as _};
use tokio::time::{Instant, sleep};

use super::engine::{KEY, outcomes, settle, until_waiting, waiting};
use super::{paused_world, read, shown, write};

const LEASE: &str = "{chat:v1:profile:a}:lease";

#[tokio::test(start_paused = true)]
async fn a_leader_that_never_writes_holds_nobody_up_for_ever() {
    let (world, _) = paused_world(true);
    let (leader, next) = (LeaseBook::new(), LeaseBook::new());
    read(&world.engine, KEY, &leader).await.unwrap();
    sleep(Duration::from_millis(LEASE_MS * 2)).await;
    assert_eq!(
        shown(&read(&world.engine, KEY, &next).await),
        "- (miss, waited for this-node: wait-timeout)",
        "it was renewed"
    );
    sleep(Duration::from_millis(CLIENT_LEASE_MS_MAX - LEASE_MS * 2)).await;
    assert_eq!(outcomes(&world, FillOutcome::AgeTimeout), 1);
    assert_eq!(shown(&read(&world.engine, KEY, &next).await), "- (miss)");
    assert_eq!(next.len(), 1, "it leads");
    // The late one may be a newer write or an older load: nothing is stored, and what is there goes.
    assert_eq!(write(&world.engine, KEY, "new", &next).await, "done");
    assert_eq!(write(&world.engine, KEY, "late", &leader).await, "unmet");
    assert_eq!(shown(&read(&world.engine, KEY, &next).await), "- (miss)");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_evicted_fills_nothing_and_wakes_who_waits() {
    let (world, gated) = paused_world(true);
    let (leader, next) = (LeaseBook::new(), LeaseBook::new());
    read(&world.engine, KEY, &leader).await.unwrap();
    gated.call(Command::new("DEL").arg(LEASE)).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    let waiter = read(&world.engine, KEY, &next);
    assert_eq!(shown(&waiter.await), "- (miss, waited for this-node: dangling)", "the renewal found it gone");
    assert_eq!(next.len(), 1);
    // As nobody can say whether the late one is a newer write, it fences the load that runs, too.
    assert_eq!(write(&world.engine, KEY, "late", &leader).await, "unmet");
    assert_eq!(write(&world.engine, KEY, "v", &next).await, "unmet");
    assert_eq!(shown(&read(&world.engine, KEY, &next).await), "- (miss)");
    assert_eq!(write(&world.engine, KEY, "w", &next).await, "done");
}

#[tokio::test(start_paused = true)]
async fn waiters_are_bounded() {
    let (world, _) = paused_world(false);
    let leader = LeaseBook::new();
    read(&world.engine, KEY, &leader).await.unwrap();
    let books: Vec<LeaseBook> = (0..FLIGHT_WAITERS_PER_KEY_MAX + 5).map(|_| LeaseBook::new()).collect();
    let (answers, ()) = tokio::join!(join_all(books.iter().map(|book| read(&world.engine, KEY, book))), async {
        until_waiting(&world, FLIGHT_WAITERS_PER_KEY_MAX as u64).await;
        assert_eq!(write(&world.engine, KEY, "v", &leader).await, "done");
    });
    let served = answers.iter().filter(|answer| shown(answer).starts_with("v (")).count();
    let refused = answers.iter().filter(|answer| shown(answer) == "! overloaded").count();
    assert_eq!((served, refused), (FLIGHT_WAITERS_PER_KEY_MAX, 5));
    assert_eq!(waiting(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_holds_so_many_leases() {
    let (world, _) = paused_world(true);
    let book = LeaseBook::new();
    for n in 0..LEASES_PER_CONNECTION_MAX + 10 {
        assert_eq!(shown(&read(&world.engine, &format!("profile:{n}"), &book).await), "- (miss)");
    }
    assert_eq!(book.len(), LEASES_PER_CONNECTION_MAX);
    settle().await;
    let other = LeaseBook::new();
    read(&world.engine, &format!("profile:{}", LEASES_PER_CONNECTION_MAX + 3), &other).await.unwrap();
    assert_eq!(other.len(), 1, "what was too much went back at once");
    drop(book);
    settle().await;
    let began = Instant::now();
    read(&world.engine, "profile:0", &other).await.unwrap();
    assert_eq!((other.len(), began.elapsed()), (2, Duration::ZERO), "and the rest when it ended");
}

#[tokio::test(start_paused = true)]
async fn a_connection_does_not_wait_for_itself() {
    let (world, gated) = paused_world(true);
    let book = LeaseBook::new();
    gated.dawdle();
    let began = Instant::now();
    let answers = join_all((0..5).map(|_| read(&world.engine, KEY, &book))).await;
    assert!(answers.iter().all(|answer| shown(answer) == "- (miss)"), "{answers:?}");
    assert_eq!((book.len(), began.elapsed()), (1, Duration::ZERO));
}
