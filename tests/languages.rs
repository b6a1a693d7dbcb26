//! Policies in JavaScript and Python: the examples serve the same rules, and what their runtimes ask of WASI leads nowhere.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use larder::limits;
use larder::ports::metrics::Hook;
use larder::ports::policy::{
    Admission, Candidate, Cause, Encoding, Fault, Miss, Operation, PolicyError, Refusal, Request, Shape,
};
use larder::ports::registry::PolicyState;

use crate::support::host::{HostBuilder, guest, wait_until};
use crate::support::policies::{Folder, patched, plan, read};

/// Builds of the example: as its README says, and without WASI.
const ARTICLES: [&str; 4] = ["article-js", "article-js-stubbed", "article-python", "article-python-stubbed"];
/// What the mischievous guests import, and limits that are not what a test is about.
const PATIENT: &str = "[grants]\ninterfaces = [\"redis\"]\n[limits]\nmemory = \"32MiB\"\nhook_ms = 1000\n";

/// Where the tests of all processes keep machine code: compiling Python takes many seconds.
fn share_code(state: &Path) {
    let kept = guest("article-js").with_file_name("compiled");
    fs::create_dir_all(&kept).unwrap();
    fs::create_dir_all(state).unwrap();
    symlink(kept, state.join("cache")).unwrap();
}

/// The domain `article`, served by a component.
fn serving(component: &str, toml: &str) -> Folder {
    let mut folder = Folder::new();
    share_code(&folder.state_path());
    folder.put("article.toml", toml.as_bytes());
    folder.copy("article", &guest(component));
    // One at a time compiles it; the others find what that one kept.
    let lock = File::create(guest(component).with_extension("lock")).unwrap();
    lock.lock().unwrap();
    folder.start();
    folder
}

/// A file of the example beside the policy.
fn example(language: &str, file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/policy-{language}/{file}"));
    fs::read_to_string(path).unwrap()
}

fn fault_of<T: std::fmt::Debug>(answer: Result<T, PolicyError>) -> (Fault, String) {
    match answer {
        Err(PolicyError::Failed { fault, message }) => (fault, message),
        other => panic!("this should have failed: {other:?}"),
    }
}

/// The suffix that the mischievous guest answers to a key.
fn said(folder: &Folder, key: &str) -> String {
    plan(&*folder.policy("article"), key).unwrap().suffix.unwrap()
}

/// A build of the example, with the limits that it ships, plans and admits as its README says.
#[track_caller]
fn check_article(component: &str) {
    let language = component.split('-').nth(1).unwrap();
    let folder = serving(component, &example(language, "article.toml"));
    assert_eq!(folder.state("article"), (Some(PolicyState::Live), String::new()));
    let cases = example(language, "article.cases.toml").replace("absent = \"30s\"", "absent = \"31s\"");
    folder.put("article.cases.toml", cases.as_bytes());
    wait_until("its cases are judged", || folder.state("article").0 == Some(PolicyState::Refused));
    assert!(folder.state("article").1.contains("31s"), "{}", folder.state("article").1);
    folder.put("article.cases.toml", example(language, "article.cases.toml").as_bytes());
    folder.wait_for("article", PolicyState::Live);
    let live = folder.live("article").unwrap();
    assert_eq!((live.description.version.as_str(), live.description.encoding), ("1.0.0", Encoding::Enveloped));
    let policy = &*live.policy;

    let planned = plan(policy, "42").unwrap();
    assert_eq!((planned.suffix, planned.miss, planned.collapse_wait_ms), (None, Miss::Load, 1_000));
    let invalid = |text: &str| text.contains("is not the id of an article");
    assert!(matches!(plan(policy, "A b"), Err(PolicyError::Refused(Refusal::InvalidKey(text))) if invalid(&text)));
    let update = Request { key: "42", operation: Operation::Update, shape: Shape::Value };
    assert!(matches!(policy.plan(&update), Err(PolicyError::Refused(Refusal::Unsupported(_)))));

    let keys: Vec<String> =
        (0..limits::PLAN_BATCH_MAX + 1).map(|n| if n % 10 == 0 { format!("{n}!") } else { n.to_string() }).collect();
    let plans = policy.plan_batch(&keys.iter().map(|key| read(key)).collect::<Vec<_>>()).unwrap();
    assert_eq!(plans.len(), keys.len());
    for (key, planned) in keys.iter().zip(plans) {
        match planned {
            Ok(_) => assert!(!key.ends_with('!'), "{key}"),
            Err(PolicyError::Refused(Refusal::InvalidKey(text))) => assert!(text.contains(key.as_str()), "{text}"),
            Err(error) => panic!("{key}: {error}"),
        }
    }

    let lifetime = |key: &str, asked_ttl_ms| match policy
        .admit(&read(key), &Candidate { asked_ttl_ms, ..Candidate::written(b"value") })
    {
        Ok(Admission::Store(lifetime)) => lifetime,
        other => panic!("{key} is not stored: {other:?}"),
    };
    let article = lifetime("42", None);
    assert_eq!((article.fresh_ms, article.stale_while_revalidate_ms), (Some(600_000), 60_000));
    assert_eq!((article.max_stale_ms, article.tags), (None, vec!["articles".to_owned(), "published".to_owned()]));
    let draft = lifetime("draft-42", Some(90_000));
    assert_eq!((draft.fresh_ms, draft.stale_while_revalidate_ms, draft.max_stale_ms), (Some(10_000), 0, Some(0)));
    assert_eq!(draft.tags, ["articles", "draft"]);
    assert_eq!(lifetime("42", Some(5_000)).fresh_ms, Some(5_000));
    let gone = Candidate { origin_status: Some(404), cause: Cause::Load, ..Candidate::written(b"value") };
    assert!(matches!(policy.admit(&read("42"), &gone), Ok(Admission::Absent(it)) if it.fresh_ms == 30_000));
    let large = Candidate { size_bytes: 262_145, ..Candidate::written(b"value") };
    let words = |text: &str| text == "the article has 262145 bytes; 262144 are allowed";
    assert!(
        matches!(policy.admit(&read("42"), &large), Ok(Admission::Refuse(Refusal::InvalidValue(it))) if words(&it))
    );

    let metrics = folder.metrics("article");
    assert_eq!(metrics.policy_faults.iter().map(|it| it.get()).sum::<u64>(), 0);
    assert_eq!(metrics.policy_calls[Hook::PlanBatch as usize].get(), 2);
}

#[test]
fn the_example_in_javascript_serves() {
    check_article("article-js");
}

#[test]
fn the_example_in_javascript_serves_without_wasi() {
    check_article("article-js-stubbed");
}

#[test]
fn the_example_in_python_serves() {
    check_article("article-python");
}

#[test]
fn the_example_in_python_serves_without_wasi() {
    check_article("article-python-stubbed");
}

#[test]
fn bad_settings_are_refused_in_the_policys_own_words() {
    for component in ARTICLES {
        let folder = serving(component, &format!("{PATIENT}[settings]\nttl = \"5m\"\n"));
        for (settings, words) in [
            ("tll = \"5m\"", "there is no setting `tll`; there are ttl, stale, draft_ttl"),
            ("ttl = \"soon\"", "the setting `ttl` is `soon`; it must be a time such as"),
            ("size_max = \"1KB\"", "the setting `size_max` is `1KB`; it must be a whole number"),
        ] {
            folder.put("article.toml", format!("{PATIENT}[settings]\n{settings}\n").as_bytes());
            wait_until(words, || folder.state("article").1.contains(words));
            assert_eq!(folder.state("article").0, Some(PolicyState::Refused), "{component}");
            plan(&*folder.policy("article"), "42").expect("the good one goes on");
        }
    }
}

/// A key on which the policy fails, in this way; before and after it other keys are served.
#[track_caller]
fn check_fault(component: &str, key: &str, expected: Fault, words: &str) {
    let folder = serving(component, &PATIENT.replace("1000", "200"));
    for _ in 0..2 {
        plan(&*folder.policy("article"), "42").expect("other keys are served");
        let (fault, message) = fault_of(plan(&*folder.policy("article"), key));
        assert_eq!(fault, expected, "{component}, {key}: {message}");
        assert!(message.contains(words), "{component}, {key}: {message}");
    }
    plan(&*folder.policy("article"), "42").expect("other keys are served");
    assert_eq!(folder.metrics("article").policy_faults[expected as usize].get(), 2);
}

#[test]
fn an_exception_is_a_trap_that_quotes_it() {
    check_fault("mischief-js", "throw", Fault::Trap, "an exception, as asked");
    check_fault("mischief-python", "throw", Fault::Trap, "ValueError: an exception, as asked");
}

#[test]
fn an_answer_of_a_wrong_type_is_a_trap() {
    check_fault("mischief-js", "nonsense", Fault::Trap, "");
    check_fault("mischief-python", "nonsense", Fault::Trap, "");
}

#[test]
fn a_loop_ends_at_its_deadline() {
    check_fault("mischief-js", "loop", Fault::Deadline, "longer than 200 ms");
    check_fault("mischief-python", "loop", Fault::Deadline, "longer than 200 ms");
}

#[test]
fn memory_is_bounded() {
    check_fault("mischief-js", "memory", Fault::Memory, "32768 KiB");
    check_fault("mischief-python", "memory", Fault::Memory, "32768 KiB");
}

#[test]
fn a_policy_that_exits_ends_its_call_alone() {
    check_fault("mischief-python", "exit", Fault::Trap, "it ended itself with `exit(");
}

#[test]
fn time_and_chance_are_the_hosts() {
    for component in ["mischief-js", "mischief-python"] {
        let folder = serving(component, PATIENT);
        let now_ms = || std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let before = now_ms();
        let time: u128 = said(&folder, "time").parse().unwrap();
        assert!((before..=now_ms()).contains(&time), "{component}: {before} {time}");
        // Were they remembered, as one answer in sixteen is, some would be the same.
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| said(&folder, "chance")).collect();
        assert_eq!(drawn.len(), 100, "{component}");
    }
}

#[test]
fn nothing_of_the_world_is_in_reach() {
    let folder = serving("mischief-python", PATIENT);
    assert_eq!(said(&folder, "environment"), "({}, [], '')");
    for (key, error) in [
        ("read", "FileNotFoundError"),
        ("write", "FileNotFoundError"),
        ("list", "FileNotFoundError"),
        ("socket", "PermissionError"),
        ("resolve", "PermissionError"),
    ] {
        assert_eq!(said(&folder, key), error, "{key}");
    }
    let waited: f64 = said(&folder, "sleep").parse().unwrap();
    assert!(waited < 1.0, "it slept for {waited} s");
}

#[test]
fn output_goes_to_the_log() {
    drop(serving("mischief-python", PATIENT));
    let builder = HostBuilder::new().policy("article", &guest("mischief-python")).toml("article", PATIENT);
    share_code(&builder.policies().with_file_name("state"));
    let host = builder.start();
    host.ask(&["GET", "article:output"]).expect("it is absent, and that is no error");
    host.ask(&["GET", "article:throw"]).expect_err("an exception fails the read");
    wait_until("the exception is in the log", || host.log().contains("the policy failed"));
    let log = host.log();
    let line = |words: &str| log.lines().find(|line| line.contains(words)).unwrap_or_default().to_owned();
    assert!(line("said on output").contains("INFO") && line("said on output").contains("article"), "{log}");
    assert!(line("said on error").contains("ERROR"), "{log}");
    assert!(line("in throw").contains("mischievous.py"), "the traceback is there, line by line: {log}");
    assert!(line("the policy failed").contains("ValueError: an exception, as asked"), "{log}");
}

#[test]
fn a_workflow_may_be_in_any_language_too() {
    for (component, words) in
        [("mischief-js", "an exception, as asked"), ("mischief-python", "ValueError: an exception, as asked")]
    {
        drop(serving(component, PATIENT));
        let builder = HostBuilder::new().policy("article", &guest(component)).toml("article", PATIENT);
        share_code(&builder.policies().with_file_name("state"));
        let host = builder.start();
        let call = |words: &[&str]| host.ask(&[&["LARDER.CALL", "article"], words].concat());
        assert_eq!(call(&["count", "readers"]), Ok(redis::Value::Int(1)), "{component}");
        assert_eq!(call(&["count", "readers"]), Ok(redis::Value::Int(2)), "{component}");
        let error = call(&["throw"]).expect_err("an exception fails the call").to_string();
        assert!(error.contains(words), "{component}: {error}");
        // What the host logs is written to the file by another thread.
        wait_until("the log has it", || host.log().contains(words));
        call(&["nonsense"]).expect_err("there is no such command");
        assert_eq!(call(&["count", "readers"]), Ok(redis::Value::Int(3)), "{component}: it goes on");
    }
}

#[test]
fn what_is_beyond_is_refused_by_name_when_it_is_loaded() {
    let folder = serving("article-js", PATIENT);
    for (from, to, words) in [
        ("wasi:cli/exit@0.2.12", "wasi:http/exi@0.2.12", "imports wasi:http/exi@0.2.12, which policies do not have"),
        (
            "wasi:cli/exit@0.2.12",
            "wasi:cli/exit@0.3.12",
            "imports wasi:cli/exit@0.3.12, but this host serves WASI 0.2.x",
        ),
    ] {
        folder.put("article.wasm", &patched(&guest("article-js"), from, to));
        wait_until(words, || folder.state("article").1.contains(words));
        assert_eq!(folder.state("article").0, Some(PolicyState::Refused));
        plan(&*folder.policy("article"), "42").expect("the good one goes on");
    }
}

#[test]
fn a_policy_that_wants_to_be_called_asynchronously_is_told_how_to_be_built() {
    let folder = serving("article-js-asynchronous", PATIENT);
    let (state, error) = folder.state("article");
    assert_eq!(state, Some(PolicyState::Failed));
    assert!(error.contains("build it so (`componentize-qjs --sync`)"), "{error}");
}

#[test]
fn a_domain_moves_from_language_to_language_and_loses_no_call() {
    let others = ["article-js", "article-python"];
    // Compiled beforehand: how long that takes is not what this is about.
    others.iter().for_each(|component| drop(serving(component, "")));
    let folder = serving("hostile", PATIENT);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let calls = scope.spawn(|| {
            let mut calls = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                // A key that is asked for again and again would be remembered.
                plan(&*folder.policy("article"), &calls.to_string()).expect("no call is lost");
                calls += 1;
            }
            calls
        });
        let mut generation = 1;
        for component in ["article-js", "article-python", "hostile", "article-python", "article-js", "hostile"] {
            generation += 1;
            folder.copy("article", &guest(component));
            folder.wait_for_generation("article", generation);
            let before = folder.metrics("article").policy_calls[Hook::Plan as usize].get();
            let served = || folder.metrics("article").policy_calls[Hook::Plan as usize].get() - before;
            wait_until("the new one serves", || calls.is_finished() || served() > 100);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(calls.join().unwrap() > 600);
    });
}

#[test]
fn an_instance_does_not_grow_with_its_calls() {
    for component in ["article-js", "article-python"] {
        let folder = serving(component, PATIENT);
        let policy = folder.policy("article");
        for n in 0..20_000 {
            plan(&*policy, &n.to_string()).unwrap();
            policy.admit(&read(&format!("draft-{n}")), &Candidate::written(b"value")).unwrap();
        }
        assert_eq!(folder.metrics("article").instances_created.get(), 2, "{component}: one on trial, one that serves");
    }
}
