//! A live policy that misbehaves: each fault has its kind, costs one decision, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder::limits;
use larder::ports::metrics::Hook;
use larder::ports::policy::{Admission, Candidate, Cause, Fault, Miss, PolicyError, Refusal, Request};

use crate::support::host::{guest, sample, variant, wait_until};
use crate::support::policies::{Folder, plan, read, settings};

/// The hostile guest in a mode that takes hold of the key `bad` alone.
fn hostile(mode: &str, toml: &str) -> Folder {
    let settings = settings(&[("mode", mode), ("only_key", "bad")]);
    Folder::serving("hostile", &guest("hostile"), &format!("{settings}{toml}"))
}

fn fault_of<T: std::fmt::Debug>(answer: Result<T, PolicyError>) -> (Fault, String) {
    match answer {
        Err(PolicyError::Failed { fault, message }) => (fault, message),
        other => panic!("this should have failed: {other:?}"),
    }
}

/// The hook fails for the key `bad`, in this way; before and after it serves other keys.
#[track_caller]
fn check<T: std::fmt::Debug>(
    mode: &str,
    toml: &str,
    hook: impl Fn(&Folder, &str) -> Result<T, PolicyError>,
    expected: Fault,
    words: &str,
) {
    let folder = hostile(mode, toml);
    for _ in 0..3 {
        hook(&folder, "good").expect("other keys are served");
        let (fault, message) = fault_of(hook(&folder, "bad"));
        assert_eq!(fault, expected, "{mode}: {message}");
        assert!(message.contains(words), "{mode}: {message}");
    }
    hook(&folder, "good").expect("other keys are served");
    assert_eq!(folder.metrics("hostile").policy_faults[expected as usize].get(), 3);
}

fn plans(folder: &Folder, key: &str) -> Result<larder::ports::policy::Plan, PolicyError> {
    plan(&*folder.policy("hostile"), key)
}

fn admits(folder: &Folder, key: &str) -> Result<Admission, PolicyError> {
    folder.policy("hostile").admit(&read(key), &Candidate::written(b"value"))
}

#[test]
fn a_panic_is_a_trap_that_says_what_it_said() {
    check("trap-plan", "", plans, Fault::Trap, "a trap in plan, as asked");
    check("trap-admit", "", admits, Fault::Trap, "a trap in admit, as asked");
}

#[test]
fn a_loop_ends_at_its_deadline() {
    check("loop-plan", "[limits]\nhook_ms = 20", plans, Fault::Deadline, "longer than 20 ms");
    check("loop-admit", "[limits]\nhook_ms = 20", admits, Fault::Deadline, "longer than 20 ms");
}

#[test]
fn endless_recursion_is_a_trap() {
    check("recurse-plan", "[limits]\nhook_ms = 1000", plans, Fault::Trap, "");
}

#[test]
fn memory_is_bounded_and_its_want_is_told_from_other_traps() {
    let limits = "[limits]\nhook_ms = 1000\nmemory = \"2MiB\"";
    check("memory-plan", limits, plans, Fault::Memory, "2048 KiB");
    check("huge-plan", limits, plans, Fault::Memory, "2048 KiB");
}

#[test]
fn an_answer_is_bounded_in_what_the_host_copies() {
    check("huge-plan", "[limits]\nhook_ms = 1000\nmemory = \"256MiB\"", plans, Fault::BadAnswer, "fuel");
    check("bad-suffix-long", "", plans, Fault::BadAnswer, "10000 bytes");
}

#[test]
fn a_batch_must_have_an_answer_for_each_request() {
    let folder = Folder::serving("hostile", &guest("hostile"), &settings(&[("mode", "short-batch")]));
    let (fault, message) = fault_of(folder.policy("hostile").plan_batch(&[read("a"), read("b")]));
    assert_eq!((fault, message.as_str()), (Fault::BadAnswer, "it answered 1 of 2 requests"));
}

#[test]
fn a_batch_is_answered_in_order_however_long_it_is() {
    let folder = Folder::serving("profile", &sample("profile"), "");
    let keys: Vec<String> = (0..3 * limits::PLAN_BATCH_MAX + 7)
        .map(|n| if n % 10 == 0 { format!("nobody:{n}") } else { format!("user:{n}") })
        .collect();
    let requests: Vec<Request<'_>> = keys.iter().map(|key| read(key)).collect();
    let plans = folder.policy("profile").plan_batch(&requests).unwrap();
    assert_eq!(plans.len(), keys.len());
    for (key, plan) in keys.iter().zip(plans) {
        match plan {
            Ok(plan) => assert!(key.starts_with("user:") && plan.miss == Miss::Load, "{key}: {plan:?}"),
            Err(PolicyError::Refused(Refusal::InvalidKey(text))) => assert!(text.contains(key.as_str()), "{text}"),
            Err(error) => panic!("{key}: {error}"),
        }
    }
    assert_eq!(folder.metrics("profile").policy_calls[Hook::PlanBatch as usize].get(), 4);
}

#[test]
fn what_a_policy_logs_and_counts_is_bounded() {
    let folder = hostile("log-flood", "[limits]\nhook_ms = 1000");
    plans(&folder, "bad").expect("a flood is no fault");
    assert!(folder.metrics("hostile").log_lines_dropped.get() >= 9_000);
    let folder = hostile("metric-flood", "[limits]\nhook_ms = 1000");
    plans(&folder, "bad").expect("a flood is no fault");
    let own = &folder.metrics("hostile").own;
    assert_eq!(own.snapshot().len(), limits::POLICY_SERIES_MAX);
    assert_eq!(own.dropped.get(), 10_000 - limits::POLICY_SERIES_MAX as u64);
    assert_eq!(folder.registry().metrics_source().series().len(), limits::POLICY_SERIES_MAX + 1);
}

#[test]
fn instances_are_reused_one_for_each_thread() {
    let folder = Folder::serving("profile", &sample("profile"), "");
    let created = || folder.metrics("profile").instances_created.get();
    assert_eq!(created(), 1, "the one on trial");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let policy = folder.policy("profile");
                // Both threads live until both have called, or one could inherit the other's place.
                for n in 0..1_000 {
                    plan(&*policy, &format!("user:{n}")).unwrap();
                }
            });
        }
    });
    assert!((2..=3).contains(&created()), "{}", created());
    assert_eq!(folder.metrics("profile").policy_calls[Hook::Plan as usize].get(), 2_000);
    let (timed, _) = folder.metrics("profile").policy_time[Hook::Plan as usize].snapshot();
    assert!((100..=2_000 / 16).contains(&timed.iter().sum::<u64>()));
}

/// The rules are pure, so what was asked before need not be asked again.
#[test]
fn what_is_asked_again_and_again_is_remembered() {
    let folder = Folder::serving("profile", &sample("profile"), "");
    let policy = folder.policy("profile");
    let (first, admitted) = (plan(&*policy, "user:1"), policy.admit(&read("user:1"), &Candidate::written(b"v")));
    for _ in 0..500 {
        assert_eq!(plan(&*policy, "user:1"), first);
        assert_eq!(policy.admit(&read("user:1"), &Candidate::written(b"v")), admitted);
        assert!(plan(&*policy, "nobody:1").is_err(), "a refusal is asked for each time");
    }
    let metrics = folder.metrics("profile");
    let calls = |hook: Hook| metrics.policy_calls[hook as usize].get();
    assert_eq!(calls(Hook::Plan) + calls(Hook::Admit) + metrics.policy_remembered.get(), 1_502);
    assert!(calls(Hook::Plan) < 500 + 250 && calls(Hook::Admit) < 250, "{} {}", calls(Hook::Plan), calls(Hook::Admit));
}

/// A policy that looks at the clock, at chance, or leaves something behind but its answer, is asked each time.
#[test]
fn what_goes_by_more_than_the_request_is_asked_each_time() {
    for guest in ["log-flood", "metric-flood", "random-plan"] {
        let folder = hostile(guest, "[limits]\nhook_ms = 1000");
        // One answer in sixteen is remembered, so that none of a hundred were is no accident.
        for _ in 0..100 {
            plans(&folder, "bad").expect("a flood is no fault");
        }
        let metrics = folder.metrics("hostile");
        assert_eq!(
            (metrics.policy_calls[Hook::Plan as usize].get(), metrics.policy_remembered.get()),
            (100, 0),
            "{guest}"
        );
    }
}

#[test]
fn what_a_policy_says_of_values_arrives_whole() {
    let folder = Folder::serving("profile", &sample("profile"), "[settings]\nttl = \"1h\"\ntag_user = true\n");
    let live = folder.live("profile").unwrap();
    assert_eq!(live.description.key_version, "v1");
    let Ok(Admission::Store(lifetime)) = live.policy.admit(&read("user:42"), &Candidate::written(b"value")) else {
        panic!("not stored")
    };
    assert_eq!((lifetime.fresh_ms, lifetime.stale_while_revalidate_ms), (Some(3_600_000), 300_000));
    assert_eq!(lifetime.tags, ["user:42"]);
    let asked = Candidate { asked_ttl_ms: Some(1_000), ..Candidate::written(b"value") };
    let Ok(Admission::Store(lifetime)) = live.policy.admit(&read("user:42"), &asked) else { panic!("not stored") };
    assert_eq!(lifetime.fresh_ms, Some(1_000));
    let gone = Candidate { origin_status: Some(404), cause: Cause::Load, ..Candidate::written(b"value") };
    assert!(matches!(live.policy.admit(&read("user:42"), &gone), Ok(Admission::Absent(_))));
    assert!(matches!(
        live.policy.admit(&read("x"), &Candidate::written(b"value")),
        Ok(Admission::Refuse(Refusal::InvalidKey(_)))
    ));
}

#[test]
fn a_policy_that_is_replaced_frees_its_instances_and_its_code() {
    let folder = Folder::serving("profile", &sample("profile"), "");
    let mut old = BTreeMap::new();
    for swap in 2..=40_u32 {
        let live = folder.live("profile").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| plan(&*live.policy, "user:1").unwrap());
        });
        plan(&*live.policy, "user:2").unwrap();
        old.insert(live.generation, Arc::downgrade(&live));
        drop(live);
        folder.put("profile.wasm", &variant(&sample("profile"), swap % 2));
        folder.wait_for_generation("profile", u64::from(swap));
    }
    wait_until("all generations but the last are gone", || old.values().all(|live| live.strong_count() == 0));
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let state = folder.state_path().display().to_string();
    let code = maps.lines().filter(|line| line.contains(&state)).count();
    assert!(code <= 4 * (limits::ROLLBACK_MAX + 1), "{code} pieces of code are mapped");
}
