//! A policy's own cases: it answers them before it goes live, and does not go live if one fails.

use larder::ports::registry::PolicyState;

use crate::support::host::{HostBuilder, guest, wait_until};
use crate::support::policies::{Folder, settings};

/// What the hostile guest keeps to when it is well behaved.
const RIGHT: &str =
    "[[case]]\nname = 'a value is fresh for a minute'\nkey = 'k'\nvalue = 'v'\nfresh = '60s'\nsuffix = 'k'\n";
const WRONG: &str = "# no\n[[case]]\nname = 'a value is fresh for an hour'\nkey = 'k'\nfresh = '1h'\n";

/// A domain `d` with the hostile guest and these cases.
fn serving(toml: &str, cases: &str) -> Folder {
    let mut folder = Folder::new();
    folder.put("d.toml", toml.as_bytes());
    folder.put("d.cases.toml", cases.as_bytes());
    folder.copy("d", &guest("hostile"));
    folder.start();
    folder
}

fn version(folder: &Folder) -> Option<String> {
    folder.live("d").map(|live| live.description.version.clone())
}

#[test]
fn a_failing_case_refuses_the_policy_and_says_which() {
    let folder = serving(&settings(&[("version", "1")]), RIGHT);
    assert_eq!(folder.state("d"), (Some(PolicyState::Live), String::new()));
    // The change of the cases alone is a change.
    folder.put("d.cases.toml", WRONG.as_bytes());
    folder.wait_for("d", PolicyState::Refused);
    let expected = "d.cases.toml, line 2: the case \"a value is fresh for an hour\" failed: fresh: expected 1h, got 1m";
    assert_eq!(folder.state("d").1, expected);
    assert_eq!((version(&folder).as_deref(), folder.metrics("d").rejections.get()), (Some("1"), 1));

    // New rules that would pass the old cases are held to the new ones.
    folder.put("d.toml", settings(&[("version", "2")]).as_bytes());
    wait_until("they are refused too", || folder.metrics("d").rejections.get() == 2);
    folder.put("d.toml", settings(&[("version", "3"), ("fresh", "1h")]).as_bytes());
    wait_until("what passes is live", || version(&folder).as_deref() == Some("3"));
    folder.put("d.cases.toml", RIGHT.as_bytes());
    folder.wait_for("d", PolicyState::Refused);
    folder.delete("d.cases.toml");
    folder.wait_for("d", PolicyState::Live);
    assert_eq!((version(&folder).as_deref(), folder.metrics("d").swaps.get()), (Some("3"), 2));
}

#[test]
fn the_cases_are_kept_with_what_passed_them() {
    let mut folder = serving(&settings(&[("version", "1")]), RIGHT);
    folder.put("d.cases.toml", WRONG.as_bytes());
    folder.wait_for("d", PolicyState::Refused);
    folder.start();
    assert_eq!((version(&folder).as_deref(), folder.state("d").0), (Some("1"), Some(PolicyState::Refused)));
    let kept = std::fs::read_dir(folder.state_path().join("last-good/d")).unwrap().flatten();
    let kept: Vec<_> = kept.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(kept.iter().filter(|name| name.ends_with(".cases.toml")).count(), 1, "{kept:?}");
}

#[test]
fn nothing_serves_if_the_first_policy_fails_its_cases() {
    let folder = serving("", WRONG);
    assert!(folder.live("d").is_none());
    assert_eq!(folder.state("d").0, Some(PolicyState::Failed));
}

/// With these settings and cases the policy is refused, in these words.
#[track_caller]
fn check(toml: &str, cases: &str, words: &[&str]) {
    let folder = serving(toml, cases);
    let message = folder.state("d").1;
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn what_fails_is_told_apart() {
    let trap = settings(&[("mode", "trap-admit"), ("only_key", "bad")]);
    let cases = format!("{RIGHT}[[case]]\nname = 'bad'\nkey = 'bad'\nfresh = '1m'\n");
    check(&trap, &cases, &["line 7: the case \"bad\" failed", "the policy failed (trap)", "a trap in admit, as asked"]);
    let slow = settings(&[("mode", "loop-plan"), ("only_key", "bad")]);
    check(&slow, &cases, &["the case \"bad\" failed", "the policy failed (deadline)"]);
    check(
        "",
        "[[case]]\nname = 'a'\nkey = 'k'\nrefused = 'other'",
        &["refused: expected other, got none: it takes the key"],
    );
    check(
        "",
        "[[case]]\nname = 'a'\nkey = 'k'\nabsent = '1s'",
        &["absent: expected 1s, got none: it stores the value"],
    );
    let two = format!("{WRONG}[[case]]\nname = 'b'\nkey = 'k'\nfresh = '2h'\n{RIGHT}");
    check("", &two, &["got 1m (1 more of its 3 cases failed)"]);
    check("", "[[cases]]", &["d.cases.toml, line 1: there is no `cases` here; is `case` meant?"]);
    check("", "[[case]]\nname = 'a'\nevent = { kind = 'x' }\ninvalidates = []", &["the interface is not exported"]);
}

#[test]
fn a_case_may_count_on_settings_of_its_own() {
    let pinned = "[settings]\nfresh = '7m'\n[[case]]\nname = 'all'\nkey = 'k'\nfresh = '7m'\n\
                  [[case]]\nname = 'one'\nkey = 'k'\nfresh = '9m'\nsettings = { fresh = '9m' }\n";
    let folder = serving(&settings(&[("fresh", "1h"), ("version", "1")]), pinned);
    assert_eq!(folder.state("d"), (Some(PolicyState::Live), String::new()));
    check(
        "",
        &pinned.replace("'9m' }", "'soon' }"),
        &["the case \"one\" failed", "will not serve with these settings"],
    );
    // What is not pinned is what serves.
    let folder = serving(&settings(&[("fresh", "1h")]), WRONG);
    assert_eq!(folder.state("d").0, Some(PolicyState::Live));
}

#[test]
fn events_are_cases_too() {
    let with = |cases: &str| {
        let mut folder = Folder::new();
        folder.put("d.toml", b"[grants]\ninterfaces = [\"redis\"]\n");
        folder.put("d.cases.toml", cases.as_bytes());
        folder.copy("d", &guest("importer"));
        folder.start();
        folder.state("d")
    };
    let right = "[[case]]\nname = 'forget'\nevent = { kind = 'forget', payload = '\"k:1\"' }\ninvalidates = ['key:k:1']\n\
                 [[case]]\nname = 'unknown'\nevent = { kind = 'x' }\nrefused = 'event'\nsays = 'no event `x`'\n";
    assert_eq!(with(right), (Some(PolicyState::Live), String::new()));
    let wrong = right.replace("'key:k:1'", "'domain'");
    let (state, error) = with(&wrong);
    assert_eq!(state, Some(PolicyState::Failed));
    assert!(error.contains("invalidates: expected [\"domain\"], got [\"key:k:1\"]"), "{error}");
}

#[test]
fn cases_are_written_with_the_usual_separator_whatever_the_hosts_is() {
    let host = HostBuilder::new().sample("profile").arg("--set").arg("key.separator=/").start();
    host.ask(&["SET", "profile/user/42", "Ada"]).unwrap();
    assert_eq!(host.explain("profile/user/42")["storage_key"], "chat/v1/profile/user/42");
}
