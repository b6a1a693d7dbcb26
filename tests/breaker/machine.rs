//! Closed, open, half-open: tables of what happens and where the breaker then stands.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use larder::adapters::breaker::{Permit, Rejection};
use larder::limits::{BREAKER_HALF_OPEN_MS_MAX, BREAKER_HISTORY_MAX, BREAKER_OPEN_MS_MAX};
use larder::ports::breaker::{BreakerSettings, Mode, Outcome, State};

use super::{Bench, SETTINGS};

/// Plays a story and compares where the breaker stands after each line. The words of a line:
/// `ok`, `fail`, `slow`, `ignore`, `cancel`: a whole call; `late`: one that succeeds after 100 ms; `take`: a call begins; `give ok`
/// (or another outcome): the oldest one ends; `refused`: a call is not let through; `wait N`: N ms pass; `force MODE`; `hint`: what it stands
/// for seems to be well.
#[track_caller]
fn check(settings: BreakerSettings, story: &[(&str, &str)]) -> Bench {
    let bench = Bench::new(settings);
    let mut held: Vec<Permit> = Vec::new();
    for (at, (line, state)) in story.iter().enumerate() {
        let mut words = line.split(' ');
        while let Some(word) = words.next() {
            match word {
                "take" => held.push(bench.breaker.acquire().unwrap_or_else(|no| panic!("line {at} {line}: {no}"))),
                "give" => end(held.remove(0), words.next().unwrap()),
                "refused" => assert!(bench.breaker.acquire().is_err(), "line {at}: {line}"),
                "wait" => bench.clock.advance_ms(words.next().unwrap().parse().unwrap()),
                "hint" => bench.breaker.hint(),
                "force" => bench.breaker.force(Mode::from_word(words.next().unwrap()).unwrap()),
                "late" => {
                    let permit = bench.breaker.acquire().unwrap_or_else(|no| panic!("line {at} {line}: {no}"));
                    bench.clock.advance_ms(100);
                    end(permit, "ok");
                }
                call => end(bench.breaker.acquire().unwrap_or_else(|no| panic!("line {at} {line}: {no}")), call),
            }
        }
        assert_eq!(bench.breaker.status().state, *state, "line {at}: {line}");
    }
    bench
}

fn end(permit: Permit, how: &str) {
    match how {
        "ok" => permit.report(Outcome::Success),
        "fail" => permit.report(Outcome::Failure),
        "slow" => permit.report(Outcome::Slow),
        "ignore" => permit.report(Outcome::Ignored),
        "cancel" => drop(permit),
        other => panic!("no word: {other}"),
    }
}

#[test]
fn it_opens_when_too_many_fail_and_closes_when_trials_succeed() {
    check(
        SETTINGS,
        &[
            ("ok ok fail fail", "closed"),
            ("fail", "open"),
            ("refused refused wait 899 refused", "open"),
            ("wait 101 take", "half-open"),
            ("give ok", "half-open"),
            ("ok", "closed"),
            ("fail fail", "closed"),
            ("fail", "open"),
        ],
    );
}

#[test]
fn slow_calls_count_as_failures_do() {
    check(SETTINGS, &[("late slow", "closed"), ("late", "open")]);
    check(SETTINGS, &[("late fail", "closed"), ("slow", "open"), ("wait 1000 late", "open")]);
    let unwatched = BreakerSettings { slow_ms: None, ..SETTINGS };
    check(unwatched, &[("late late late late", "closed"), ("slow slow slow", "open")]);
}

#[test]
fn what_says_nothing_changes_nothing() {
    check(
        SETTINGS,
        &[("ignore cancel ignore cancel ignore", "closed"), ("fail cancel fail ignore", "closed"), ("fail", "open")],
    );
}

#[test]
fn failures_count_for_the_monitoring_period() {
    check(SETTINGS, &[("fail fail", "closed"), ("wait 10000 fail", "closed"), ("fail", "closed"), ("fail", "open")]);
    check(SETTINGS, &[("fail wait 4000 fail", "closed"), ("wait 4000 fail", "open")]);
}

#[test]
fn a_few_failures_among_very_many_calls_do_not_open_it() {
    let busy = "ok ok ok ok ok ok ok fail";
    check(SETTINGS, &[(busy, "closed"); 40]);
    check(SETTINGS, &[(busy, "closed"), (busy, "closed"), ("fail fail", "open")]);
}

#[test]
fn half_open_bounds_the_calls_on_trial() {
    check(
        SETTINGS,
        &[
            ("fail fail fail wait 1000", "open"),
            ("take take", "half-open"),
            ("refused", "half-open"),
            ("give ok refused", "half-open"),
            ("give ok", "closed"),
        ],
    );
}

#[test]
fn a_trial_that_is_given_up_gives_its_place_back() {
    check(
        SETTINGS,
        &[
            ("fail fail fail wait 1000", "open"),
            ("cancel ignore cancel cancel take take refused", "half-open"),
            ("give cancel take refused", "half-open"),
            ("give ok give ok", "closed"),
        ],
    );
}

#[test]
fn a_trial_that_fails_opens_it_again_and_what_comes_late_changes_nothing() {
    check(
        SETTINGS,
        &[
            // Calls that began before it opened end after that.
            ("take take take fail fail fail", "open"),
            ("give ok give fail", "open"),
            ("wait 1000 take", "half-open"),
            ("give fail", "half-open"),
            ("take give fail", "open"),
            ("give ok", "open"),
        ],
    );
}

#[test]
fn half_open_is_bounded_in_time() {
    let limit = format!("wait {BREAKER_HALF_OPEN_MS_MAX}");
    // A trial that hangs: it opens again, and the trial's late end changes nothing.
    check(
        SETTINGS,
        &[
            ("fail fail fail wait 1000 take take", "half-open"),
            (&limit, "half-open"),
            ("refused", "open"),
            ("give ok give ok", "open"),
            ("wait 2000 ok", "half-open"),
            ("ok", "closed"),
        ],
    );
    // Nothing hangs, there are just few callers: the trial goes on.
    check(SETTINGS, &[("fail fail fail wait 1000 ok", "half-open"), (&limit, "half-open"), ("ok", "closed")]);
}

#[test]
fn the_open_time_doubles_up_to_a_cap() {
    let bench = Bench::new(SETTINGS);
    let (mut expected_ms, mut seen) = (SETTINGS.recovery_ms, Vec::new());
    for _ in 0..SETTINGS.failure_threshold {
        end(bench.breaker.acquire().unwrap(), "fail");
    }
    for _ in 0..15 {
        let Err(Rejection::Open { retry_in_ms, .. }) = bench.breaker.acquire() else { panic!("it is open") };
        assert!(retry_in_ms <= expected_ms && retry_in_ms >= expected_ms - expected_ms / 10, "{retry_in_ms}");
        seen.push(retry_in_ms);
        bench.clock.advance_ms(retry_in_ms - 1);
        assert!(bench.breaker.acquire().is_err());
        bench.clock.advance_ms(1);
        end(bench.breaker.acquire().unwrap(), "fail");
        expected_ms = (expected_ms * 2).min(BREAKER_OPEN_MS_MAX);
    }
    assert!(seen.iter().any(|ms| ms % 1_000 != 0), "with jitter: {seen:?}");
    assert_eq!(bench.breaker.status().reopened, 16);
    bench.clock.advance_ms(BREAKER_OPEN_MS_MAX);
    for _ in 0..SETTINGS.half_open_calls_max {
        end(bench.breaker.acquire().unwrap(), "ok");
    }
    assert_eq!(bench.breaker.status().reopened, 0);
    let history = bench.breaker.history();
    assert_eq!((history[0].from, history[0].to), ("half-open", "closed"));
    assert!(history.iter().any(|step| step.from == "closed" && step.why.starts_with("3 calls failed and 0 were slow")));
    // A longer time that an operator wants is its own cap.
    let patient = Bench::new(BreakerSettings { recovery_ms: 2 * BREAKER_OPEN_MS_MAX, ..SETTINGS });
    for _ in 0..SETTINGS.failure_threshold {
        end(patient.breaker.acquire().unwrap(), "fail");
    }
    assert!(patient.breaker.status().retry_in_ms > Some(BREAKER_OPEN_MS_MAX));
}

#[test]
fn operators_have_the_last_word() {
    check(
        SETTINGS,
        &[
            ("force open refused", "forced-open"),
            ("wait 100000 refused", "forced-open"),
            ("force closed fail fail fail fail", "forced-closed"),
            ("force auto fail fail", "closed"),
            ("fail refused", "open"),
            ("force closed ok", "forced-closed"),
            ("force metrics-only fail fail fail fail", "metrics-only"),
            ("force auto ok fail fail", "closed"),
            ("take force open give fail", "forced-open"),
        ],
    );
    let bench = check(SETTINGS, &[("force metrics-only fail ok slow", "metrics-only")]);
    let status = bench.breaker.status();
    assert_eq!((status.calls, status.failures, status.slow), (3, 1, 1), "it is counted");
}

#[test]
fn everything_is_counted_and_history_is_bounded() {
    let bench = check(
        SETTINGS,
        &[
            ("ok fail fail late", "open"),
            ("refused wait 1000 cancel ok ok", "closed"),
            ("force open refused", "forced-open"),
        ],
    );
    let calls = Outcome::ALL.map(|outcome| bench.metrics.calls[outcome as usize].get());
    assert_eq!((calls, bench.metrics.not_permitted.get()), ([3, 2, 1, 1], 2), "success, failure, slow, ignored");
    let transitions = State::ALL.map(|state| bench.metrics.transitions[state as usize].get());
    assert_eq!((transitions, bench.metrics.state.get()), ([1, 2, 1], 1));
    for _ in 0..BREAKER_HISTORY_MAX {
        bench.breaker.force(Mode::ForcedClosed);
        bench.breaker.force(Mode::Auto);
    }
    let history = bench.breaker.history();
    assert_eq!((history.len(), history[0].from, history[0].to), (BREAKER_HISTORY_MAX, "forced-closed", "closed"));
}

/// A call with three awaits behind a breaker.
async fn call(bench: &Bench) -> Result<(), Rejection> {
    let permit = bench.breaker.acquire()?;
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    permit.report(Outcome::Success);
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_await_leaks_nothing() {
    let bench = check(SETTINGS, &[("fail fail fail wait 1000", "open")]);
    // While half-open a leaked place would be seen at once: there are two.
    for polls in [0, 1, 2, 3, 1, 2, 3, 1, 2, 3] {
        let mut calling = pin!(call(&bench));
        for _ in 0..polls {
            let polled = calling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, Poll::Pending);
        }
    }
    assert_eq!(bench.breaker.status().state, "half-open");
    assert_eq!(bench.metrics.calls[Outcome::Ignored as usize].get(), 9);
    assert_eq!((call(&bench).await, call(&bench).await), (Ok(()), Ok(())));
    assert_eq!(bench.breaker.status().state, "closed");
}

#[test]
fn calls_that_fail_together_are_one_strike() {
    check(
        SETTINGS,
        &[
            ("take take take take take", "closed"),
            ("give fail give fail give fail give fail give fail", "closed"),
            ("fail", "closed"),
            ("fail", "open"),
        ],
    );
}

#[test]
fn it_tries_soon_where_all_seems_well() {
    let patient = BreakerSettings { recovery_ms: 60_000, ..SETTINGS };
    check(
        patient,
        &[
            ("fail fail fail", "open"),
            ("wait 999 hint refused", "open"),
            ("wait 1 hint", "half-open"),
            ("fail wait 1999 hint refused", "open"),
            ("wait 1 hint", "half-open"),
            ("force open hint refused", "forced-open"),
        ],
    );
}
