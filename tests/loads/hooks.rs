//! The hook `revalidation`.

use larder::ports::hooks::{EntryStatus, Revalidation};
use larder::ports::invalidation::Mode;
use larder::ports::load::StaleReason;
use larder::ports::metrics::Hook;
use larder::ports::policy::{Fault, Lifetime, PolicyError};

use super::{KEY, check, get, lifetime, settle};
use crate::support::engine::{Rules, World, loaded};
use crate::support::host::{HostBuilder, guest, wait_until};
use crate::support::script::{answer, unreachable};

/// A world whose entry of this age is judged so.
async fn judged(verdict: Revalidation, life: Lifetime, age_ms: u64) -> (World, std::sync::Arc<super::Script>) {
    let world = World::new();
    let rules = Rules { revalidate: Some(Box::new(move |_| Ok(verdict))), ..loaded(life) };
    let origin = world.loading("user", rules);
    get(&world).await.unwrap();
    origin.answers([answer(200, "two")]);
    world.clock.advance_ms(age_ms);
    (world, origin)
}

#[tokio::test(start_paused = true)]
async fn it_decides_about_what_is_stale() {
    let cases = [
        (Revalidation::AsStamped, 100_000, "one (stale)"),
        (Revalidation::AsStamped, 155_000, "two (loaded)"),
        (Revalidation::ServeAndRefresh, 155_000, "one (stale)"),
        (Revalidation::LoadFirst, 100_000, "two (loaded)"),
        (Revalidation::Drop, 100_000, "two (loaded)"),
        (Revalidation::Extend(10_000), 100_000, "one (store-hit)"),
    ];
    for (verdict, age_ms, expect) in cases {
        let (world, _) = judged(verdict, lifetime(), age_ms).await;
        let answer = get(&world).await;
        check(&answer, expect);
        if verdict == Revalidation::ServeAndRefresh {
            assert_eq!(answer.unwrap().stale, Some(StaleReason::Policy));
            settle().await;
            check(&get(&world).await, "two (l1-hit)");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_loads_first_is_served_if_that_fails() {
    let (world, origin) = judged(Revalidation::LoadFirst, lifetime(), 100_000).await;
    origin.answers([unreachable()]);
    check(&get(&world).await, "one (stale)");
    let (world, origin) = judged(Revalidation::Drop, lifetime(), 100_000).await;
    origin.answers([unreachable()]);
    check(&get(&world).await, "origin-failed");
}

#[tokio::test(start_paused = true)]
async fn an_extension_holds_until_it_is_over_and_not_past_max_stale() {
    let (world, origin) = judged(Revalidation::Extend(10_000), lifetime(), 100_000).await;
    check(&get(&world).await, "one (store-hit)");
    assert_eq!(get(&world).await.unwrap().fresh_left_ms, Some(10_000));
    world.clock.advance_ms(9_999);
    check(&get(&world).await, "one (l1-hit)");
    assert_eq!(origin.calls(), 1);
    let life = Lifetime { max_stale_ms: Some(15_000), ..lifetime() };
    let (world, origin) = judged(Revalidation::Extend(10_000), life, 100_000).await;
    check(&get(&world).await, "one (store-hit)");
    world.clock.advance_ms(10_000);
    check(&get(&world).await, "one (store-hit)");
    assert_eq!(get(&world).await.unwrap().fresh_left_ms, Some(5_000), "the cap");
    world.clock.advance_ms(5_000);
    check(&get(&world).await, "two (loaded)");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_invalidated_is_not_made_fresh_again() {
    let world = World::new();
    let seen = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let revalidate = move |entry: &larder::ports::hooks::EntryState<'_>| {
        noted.lock().push(entry.status);
        Ok(Revalidation::Extend(10_000))
    };
    let origin = world.loading("user", Rules { revalidate: Some(Box::new(revalidate)), ..loaded(lifetime()) });
    get(&world).await.unwrap();
    origin.answers([answer(200, "two")]);
    world.engine.invalidate_name(KEY, Mode::Soft).await.unwrap();
    check(&get(&world).await, "one (stale)");
    settle().await;
    check(&get(&world).await, "two (l1-hit)");
    assert!(seen.lock().iter().all(|status| *status == EntryStatus::Invalidated) && !seen.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_leaves_the_stamped_deadlines() {
    let world = World::new();
    let failing = |_: &larder::ports::hooks::EntryState<'_>| {
        Err(PolicyError::Failed { fault: Fault::Trap, message: "a trap".into() })
    };
    let origin = world.loading("user", Rules { revalidate: Some(Box::new(failing)), ..loaded(lifetime()) });
    get(&world).await.unwrap();
    world.clock.advance_ms(100_000);
    origin.answers([answer(200, "two")]);
    check(&get(&world).await, "one (stale)");
}

#[test]
fn a_component_decides_and_its_traps_are_counted() {
    let host = HostBuilder::new()
        .policy("d", &guest("reviser"))
        .toml("d", "[limits]\nhook_ms = 1000")
        .env("CACHE_MAX_LATENCY_MS", "10000")
        .start();
    let ask = |words: &[&str]| crate::support::host::text(&host.ask(words).unwrap());
    for (key, value) in
        [("serve", "v"), ("extend", "v"), ("first", "nil"), ("drop", "nil"), ("trap", "v"), ("other", "v")]
    {
        let key = format!("d:{key}");
        ask(&["SET", &key, "v"]);
        wait_until("it is not fresh", || host.explain(&key)["life"] != "fresh");
        assert_eq!(ask(&["GET", &key]), value, "{key}");
    }
    let extended = host.explain("d:extend");
    assert_eq!(extended["life"], "fresh", "{extended:?}");
    let page = String::from_utf8(host.http("GET", "/metrics", "", b"").2).unwrap();
    let count = |series: &str| page.lines().find(|line| line.starts_with(series)).map(str::to_owned);
    let calls = format!("larder_policy_calls_total{{domain=\"d\",hook=\"{}\"}}", Hook::Revalidate.as_str());
    assert!(count(&calls).is_some(), "{page}");
    let trap = "larder_policy_faults_total{domain=\"d\",fault=\"trap\"} 1";
    assert!(count(trap).is_some(), "{page}");
}
