//! A live policy that fails too often is taken out of service by itself, and does not come back by itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder::limits;
use larder::ports::registry::{PolicyState, PolicyStep, Registry, RegistryError};

use crate::support::host::{guest, sample, variant, wait_until};
use crate::support::policies::{Folder, plan, settings};

/// A domain `d` with the hostile guest, well behaved, of version 1, and a domain `e` with another policy.
fn serving() -> Folder {
    let mut folder = Folder::new();
    folder.put("d.toml", settings(&[("version", "1")]).as_bytes());
    folder.copy("d", &guest("hostile"));
    folder.copy("e", &sample("session"));
    folder.start();
    folder
}

fn version(folder: &Folder) -> String {
    folder.live("d").map(|live| live.description.version.clone()).unwrap_or_default()
}

/// Settings with which each plan fails.
fn failing(version: &str) -> String {
    settings(&[("version", version), ("mode", "trap-plan")])
}

/// Makes version 2 live, which fails, and calls until it is gone.
fn fail_and_fall_back(folder: &Folder) {
    folder.put("d.toml", failing("2").as_bytes());
    wait_until("the failing policy is live", || version(folder) == "2");
    let took = wait_until("it is rolled back by itself", || {
        let _ = plan(&*folder.policy("d"), "k");
        version(folder) == "1"
    });
    println!("rolled back after {took:?}");
    folder.wait_for("d", PolicyState::Quarantined);
}

#[test]
fn a_policy_that_fails_is_replaced_by_the_one_before_and_stays_away() {
    let mut folder = serving();
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                plan(&*folder.policy("e"), "s1").expect("other domains are not disturbed");
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        fail_and_fall_back(&folder);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(calls.load(Ordering::Relaxed) > 0);
    let status = folder.status("d");
    assert_eq!((status.state, status.generation), (PolicyState::Quarantined, 3));
    assert_eq!(status.history.iter().map(|it| it.event.as_str()).collect::<Vec<_>>(), ["quarantined", "live", "live"]);
    assert!(status.history[0].detail.ends_with("back from version 2 to 1"), "{}", status.history[0].detail);
    assert_eq!(
        (status.quarantined.len(), &status.quarantined[0].digest),
        (1, &status.digest),
        "same code, other settings"
    );
    let error = status.last_error.unwrap();
    assert!(
        error.starts_with("d.wasm is in quarantine: ") && error.contains("larder policy unquarantine d"),
        "{error}"
    );
    assert_eq!(folder.metrics("d").quarantines.get(), 1);
    plan(&*folder.policy("d"), "k").expect("the one before serves");

    // The same file again, and a restart: it stays away.
    folder.put("d.toml", failing("2").as_bytes());
    folder.copy("f", &sample("session"));
    folder.wait_for_generation("f", 1);
    assert_eq!((version(&folder).as_str(), folder.state("d").0), ("1", Some(PolicyState::Quarantined)));
    folder.start();
    assert_eq!((version(&folder).as_str(), folder.state("d").0), ("1", Some(PolicyState::Quarantined)));
    assert!(folder.state("d").1.starts_with("d.wasm is in quarantine: "));
    assert_eq!(folder.status("d").quarantined.len(), 1);

    // Another one is taken; the quarantined one is remembered.
    folder.put("d.toml", settings(&[("version", "3")]).as_bytes());
    folder.wait_for("d", PolicyState::Live);
    assert_eq!(version(&folder), "3");
    folder.put("d.toml", failing("2").as_bytes());
    folder.wait_for("d", PolicyState::Quarantined);
    assert_eq!(version(&folder), "3");
}

#[tokio::test]
async fn an_operator_clears_the_quarantine() {
    let folder = serving();
    let registry = folder.registry().clone();
    let refused = registry.unquarantine("d").await.unwrap_err();
    assert_eq!(refused, RegistryError::NotQuarantined("d".into()));
    assert_eq!(registry.unquarantine("x").await.unwrap_err(), RegistryError::UnknownDomain("x".into()));
    fail_and_fall_back(&folder);
    assert!(registry.unquarantine("d").await.unwrap().quarantined.is_empty());
    // It serves as soon as it is in the table; its history says so a moment later.
    wait_until("the file is tried again, and that is told", || {
        version(&folder) == "2" && folder.status("d").history[0].event == PolicyStep::Live
    });
    let words: Vec<_> = folder.status("d").history.iter().map(|it| it.event.as_str()).collect();
    assert_eq!(words[..3], ["live", "unquarantined", "quarantined"]);
    assert_eq!(folder.state("d").0, Some(PolicyState::Live));
}

/// Another domain that fails shows that failures were looked at since.
fn stays_while_another_is_rolled_back(folder: &Folder) {
    folder.put("g.toml", failing("2").as_bytes());
    folder.wait_for_generation("g", 2);
    wait_until("the other one is rolled back", || {
        let _ = plan(&*folder.policy("g"), "k");
        folder.state("g").0 == Some(PolicyState::Quarantined)
    });
    assert_eq!((version(folder).as_str(), folder.state("d").0), ("2", Some(PolicyState::Live)));
}

#[test]
fn a_failure_in_ten_thousand_calls_changes_nothing() {
    let mut folder = Folder::new();
    folder.put("d.toml", settings(&[("version", "1")]).as_bytes());
    folder.copy("d", &guest("hostile"));
    folder.copy("g", &guest("hostile"));
    folder.start();
    let toml = settings(&[("version", "2"), ("mode", "trap-plan"), ("only_key", "bad")]);
    folder.put("d.toml", toml.as_bytes());
    wait_until("version 2 is live", || version(&folder) == "2");
    let policy = folder.policy("d");
    for n in 0..10_000 * (limits::PROBATION_FAULTS_MIN + 1) {
        let key = if n % 10_000 == 0 { "bad" } else { "good" };
        assert_eq!(plan(&*policy, key).is_err(), key == "bad");
    }
    stays_while_another_is_rolled_back(&folder);
    assert_eq!(folder.metrics("d").quarantines.get(), 0);
}

#[tokio::test]
async fn what_fails_stays_if_nothing_was_before_it() {
    let folder = Folder::serving("d", &guest("hostile"), &settings(&[("mode", "trap-plan"), ("only_key", "bad")]));
    wait_until("it is told", || {
        let _ = plan(&*folder.policy("d"), "bad");
        folder.state("d").0 == Some(PolicyState::Failing)
    });
    assert!(folder.state("d").1.contains("there is no earlier policy"), "{}", folder.state("d").1);
    assert_eq!((folder.metrics("d").failing.get(), folder.metrics("d").quarantines.get()), (1, 0));
    plan(&*folder.policy("d"), "good").expect("what does not fail is served");
    folder.put("d.toml", settings(&[("version", "2")]).as_bytes());
    folder.wait_for("d", PolicyState::Live);
    assert_eq!(folder.metrics("d").failing.get(), 0);
    let refused = folder.registry().rollback("d").await.unwrap_err();
    assert_eq!(refused, RegistryError::NoPrevious("d".into()), "what failed is nothing to go back to");
}

#[test]
fn a_policy_may_be_allowed_to_fail() {
    let folder = serving();
    folder.copy("g", &guest("hostile"));
    folder.wait_for_generation("g", 1);
    folder.put("d.toml", format!("{}[limits]\nfault_percent = 100\n", failing("2")).as_bytes());
    wait_until("it is live", || version(&folder) == "2");
    for _ in 0..10 * limits::PROBATION_FAULTS_MIN {
        plan(&*folder.policy("d"), "k").expect_err("it fails");
    }
    stays_while_another_is_rolled_back(&folder);
}

#[test]
fn what_served_before_a_restart_is_there_to_go_back_to() {
    let mut folder = serving();
    // Replaced while no host runs.
    folder.put("d.wasm", &variant(&guest("hostile"), 1));
    folder.put("d.toml", failing("2").as_bytes());
    folder.start();
    assert_eq!(version(&folder), "2");
    wait_until("it is rolled back by itself", || {
        let _ = plan(&*folder.policy("d"), "k");
        version(&folder) == "1"
    });
    folder.wait_for("d", PolicyState::Quarantined);
    let status = folder.status("d");
    assert_ne!(status.quarantined[0].digest, status.digest);
}
