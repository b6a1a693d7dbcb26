//! What bounds the calls of an origin: places, breaker, retry budget, the operator's list; and what a load gives back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use larder::limits::ORIGIN_RETRIES_SAVED_MAX;
use larder::ports::clock::VirtualClock;
use larder::ports::origin::{Origin, Origins};

use super::{Bench, LONG, Wanted, path};
use crate::support::origin::{Reply, TestOrigin, answer};
use crate::support::wait::until;

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nv";

async fn is_true(what: &str, ask: impl Fn() -> bool) {
    until(what, || async { ask().then_some(()) }).await;
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = TestOrigin::always(answer(200, "v")).await;
    let bench = Bench::at(server.url());
    for _ in 0..10 {
        bench.load().await.unwrap();
    }
    assert_eq!((server.requests(), server.connections()), (10, 1));
}

#[tokio::test]
async fn more_calls_than_may_be_are_refused_at_once() {
    let server = TestOrigin::always(Reply::Gated(GOOD.into())).await;
    let mut wanted = Wanted::at(server.url());
    wanted.settings.loads_max = 2;
    let bench = wanted.open();
    let request = path("/x");
    let two = join_all([bench.origin.load(&request, LONG), bench.origin.load(&request, LONG)]);
    let third = async {
        is_true("two requests are there", || server.requests() == 2).await;
        assert_eq!(bench.in_flight(), 2);
        let (word, text) = Bench::fails(bench.load().await);
        assert_eq!(word, "busy");
        assert!(text.contains("has 2 loads under way"), "{text}");
        server.let_out(2);
    };
    let (answers, ()) = tokio::join!(two, third);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(bench.breakers.origin("d").status().failures, 0, "a busy host says nothing of the origin");
    server.let_out(1);
    bench.load().await.expect("the places were given back");
}

#[tokio::test]
async fn a_load_that_is_given_up_leaves_nothing_behind() {
    let server = TestOrigin::always(Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into())).await;
    let mut wanted = Wanted::at(server.url());
    wanted.settings.loads_max = 1;
    let bench = wanted.open();
    for n in 1..=3 {
        let origin = bench.origin.clone();
        let load = tokio::spawn(async move { origin.load(&path("/x"), LONG).await });
        is_true("the request is there", || server.requests() == n).await;
        assert_eq!(bench.in_flight(), 1);
        load.abort();
        assert!(load.await.unwrap_err().is_cancelled());
        assert_eq!(bench.in_flight(), 0);
        is_true("its connection is closed", || server.open() == 0).await;
    }
    let status = bench.breakers.origin("d").status();
    assert_eq!((status.failures, status.state), (0, "closed"));
}

#[tokio::test]
async fn a_breaker_leaves_a_sick_origin_alone_and_finds_it_well_again() {
    let clock = Arc::new(VirtualClock::new(0, 1));
    let server = TestOrigin::start(|n, _| if n < 6 { answer(503, "") } else { answer(200, "v") }).await;
    let mut wanted = Wanted::at(server.url());
    wanted.clock = clock.clone();
    let bench = wanted.open();
    for _ in 0..5 {
        assert_eq!(bench.load().await.unwrap().status, 503, "an answer all the same");
    }
    assert!(!bench.origin.is_healthy());
    let (word, text) = Bench::fails(bench.load().await);
    assert_eq!(word, "refused");
    assert!(text.contains("'origin:d' is open"), "{text}");
    assert_eq!(server.requests(), 5, "nothing was sent");

    clock.advance_ms(60_000);
    assert!(bench.origin.is_healthy(), "it may be tried");
    assert_eq!(bench.load().await.unwrap().status, 503);
    assert!(!bench.origin.is_healthy(), "the trial failed");
    clock.advance_ms(120_000);
    for _ in 0..3 {
        assert_eq!(bench.load().await.unwrap().status, 200);
    }
    assert_eq!(bench.breakers.origin("d").status().state, "closed");
    assert_eq!(bench.metrics.origin.answers.each_ref().map(|count| count.get()), [3, 0, 0, 6]);
}

#[tokio::test]
async fn each_way_to_fail_counts_against_the_origin() {
    for reply in [Reply::Reset, Reply::Last(b"garbage\r\n\r\n".into()), Reply::Hang(Vec::new())] {
        let server = TestOrigin::always(reply.clone()).await;
        let mut wanted = Wanted::at(server.url());
        wanted.settings.patience.hard = Duration::from_millis(100);
        let bench = wanted.open();
        for _ in 0..5 {
            bench.load().await.unwrap_err();
        }
        assert_eq!(Bench::fails(bench.load().await).0, "refused", "{reply:?}");
    }
}

#[tokio::test]
async fn a_caller_in_a_hurry_says_nothing_of_the_origin() {
    let server = TestOrigin::always(Reply::Hang(Vec::new())).await;
    let bench = Bench::at(server.url());
    for _ in 0..10 {
        assert_eq!(Bench::fails(bench.origin.load(&path("/x"), Duration::from_millis(20)).await).0, "timed-out");
    }
    assert!(bench.origin.is_healthy());
}

#[tokio::test]
async fn a_connection_that_broke_before_an_answer_is_tried_once_more() {
    let server = TestOrigin::in_turn(vec![Reply::Reset, Reply::Bytes(GOOD.into())]).await;
    let bench = Bench::at(server.url());
    assert_eq!(bench.load().await.unwrap().status, 200);
    assert_eq!((server.requests(), bench.metrics.origin.retries.get()), (2, 1));
    let half = Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into());
    let server = TestOrigin::in_turn(vec![half, Reply::Bytes(GOOD.into())]).await;
    assert_eq!(Bench::fails(Bench::at(server.url()).load().await).0, "broken");
    assert_eq!(server.requests(), 1, "an answer that had begun is not asked for again");
}

#[tokio::test]
async fn retries_have_a_budget() {
    let server = TestOrigin::always(Reply::Reset).await;
    let mut wanted = Wanted::at(server.url());
    wanted.breaker.failure_threshold = 1_000;
    let bench = wanted.open();
    for _ in 0..100 {
        assert_eq!(Bench::fails(bench.load().await).0, "broken");
    }
    let retries = bench.metrics.origin.retries.get();
    assert_eq!(retries, ORIGIN_RETRIES_SAVED_MAX + 19, "what was saved, and one for five requests");
    assert_eq!(bench.metrics.origin.retries_refused.get(), 100 - retries);
    assert_eq!(server.requests() as u64, 100 + retries);
}

#[tokio::test]
async fn only_what_the_operator_listed_is_asked() {
    let server = TestOrigin::always(answer(200, "v")).await;
    for (allowed, url, words) in [
        ("users.internal", server.url(), "add `127.0.0.1` to the setting origins.allowed"),
        ("loopback", "http://users.internal".into(), "add `users.internal` to the setting origins.allowed"),
        ("*", "http://169.254.169.254/latest".into(), "a link-local address"),
        ("*", "http://[::ffff:169.254.169.254]/".into(), "a link-local address"),
        ("*", "http://0.0.0.0:1/".into(), "the address of no single machine"),
    ] {
        let mut wanted = Wanted::at(url);
        wanted.allowed = allowed;
        let error = wanted.origins().0.check(&wanted.settings).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    // Another way to write 169.254.169.254: a name by its form, which the resolver of the system knows.
    let mut wanted = Wanted::at("http://2852039166/latest/meta-data");
    wanted.allowed = "*";
    let bench = wanted.open();
    let (word, text) = Bench::fails(bench.load().await);
    assert_eq!(word, "not-allowed", "{text}");
    assert!(text.contains("cloud") || text.contains("link-local"), "{text}");
    assert_eq!(bench.breakers.origin("d").status().failures, 0);
}

#[tokio::test]
async fn an_origin_stays_the_same_while_its_settings_do() {
    let server = TestOrigin::always(answer(200, "v")).await;
    let wanted = Wanted::at(server.url());
    let (origins, breakers, _) = wanted.origins();
    let open = |settings| origins.open("d", settings).unwrap();
    let same = |a: &Arc<dyn Origin>, b: &Arc<dyn Origin>| Arc::ptr_eq(a, b);
    let first = open(&wanted.settings);
    assert!(same(&first, &open(&wanted.settings)));
    let mut other = wanted.settings.clone();
    other.loads_max += 1;
    assert!(!same(&first, &open(&other)));
    first.load(&path("/x"), LONG).await.expect("what was open goes on");
    assert_eq!(breakers.origin("d").status().calls, 1, "one breaker for all of them");
}
