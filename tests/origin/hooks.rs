//! The hook `loading` of a policy, and what `NAME.toml` says of its origin.

use larder::ports::hooks::Ability;
use larder::ports::metrics::Hook;
use larder::ports::origin::{Acceptance, OriginResponse};
use larder::ports::policy::{Fault, PolicyError, Refusal};
use larder::ports::registry::PolicyState;

use crate::support::host::{guest, wait_until};
use crate::support::policies::{Folder, read};

/// These tests are not about deadlines.
const LIMITS: &str = "[limits]\nhook_ms = 1000\n";

fn serving() -> Folder {
    Folder::serving("d", &guest("loader"), LIMITS)
}

fn answered(status: u16, headers: &[(&str, &str)]) -> OriginResponse {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    OriginResponse { status, headers, body: "body".into() }
}

#[test]
fn a_policy_shapes_its_loads() {
    let folder = serving();
    let policy = folder.policy("d");
    assert!(policy.abilities().contains(Ability::Loading));
    let request = policy.origin_request(&read("42")).unwrap();
    assert_eq!(request.path, "/items/42?full=1");
    assert_eq!(request.headers, [("authorization".into(), "Bearer secret".into())]);
    let refused = policy.origin_request(&read("refused"));
    assert_eq!(refused, Err(PolicyError::Refused(Refusal::InvalidKey("this one is not loaded".into()))));
    assert_eq!(policy.batch_request(&[read("1")]), Ok(None));
    let batch = policy.batch_request(&[read("1"), read("2")]).unwrap().unwrap();
    assert_eq!(batch.path, "/items?ids=1,2");
    assert_eq!(folder.metrics("d").policy_calls[Hook::OriginRequestFor as usize].get(), 2);
}

#[test]
fn what_leads_out_of_the_origin_is_the_policys_fault() {
    let folder = serving();
    let policy = folder.policy("d");
    for (key, fault) in [
        ("absolute", Fault::BadAnswer),
        ("outside", Fault::BadAnswer),
        ("split", Fault::BadAnswer),
        ("host", Fault::BadAnswer),
        ("trap", Fault::Trap),
    ] {
        match policy.origin_request(&read(key)) {
            Err(PolicyError::Failed { fault: found, .. }) => assert_eq!(found, fault, "{key}"),
            other => panic!("{key}: {other:?}"),
        }
    }
    assert_eq!(folder.metrics("d").policy_faults[Fault::BadAnswer as usize].get(), 4);
    let batch = policy.batch_request(&[read("outside"), read("2")]);
    assert!(matches!(batch, Err(PolicyError::Failed { fault: Fault::BadAnswer, .. })), "{batch:?}");
    policy.origin_request(&read("42")).expect("one decision is lost, nothing else");
}

#[test]
fn a_policy_judges_answers_and_takes_them_apart() {
    let folder = serving();
    let policy = folder.policy("d");
    let accept = |response: &OriginResponse| policy.accept(&read("42"), response).unwrap();
    assert_eq!(accept(&answered(200, &[])), Acceptance::Value);
    assert_eq!(accept(&answered(200, &[("x-empty", "yes")])), Acceptance::Absent);
    assert_eq!(accept(&answered(500, &[])), Acceptance::Failed("500 with 4 bytes".into()));
    let two = [read("1"), read("2")];
    assert_eq!(policy.split(&two, b"one\n\n"), Ok(Ok(vec![Some(b"one".to_vec()), None])));
    assert_eq!(policy.split(&two, b"\xff"), Ok(Err("the answer is no text".into())));
    let short = policy.split(&two, b"one");
    assert!(matches!(short, Err(PolicyError::Failed { fault: Fault::BadAnswer, .. })), "{short:?}");
}

#[test]
fn a_new_toml_swaps_the_origin() {
    let folder = serving();
    assert!(folder.live("d").unwrap().origin.is_none());
    folder.put("d.toml", format!("origin = 'http://10.0.0.1'\n{LIMITS}load_ms = 700\n").as_bytes());
    folder.wait_for_generation("d", 2);
    let origin = folder.live("d").unwrap().origin.clone().expect("it has one");
    assert_eq!((origin.name(), origin.patience().hard.as_millis()), ("d", 700));
    folder.put("d.toml", format!("origin = 'http://10.0.0.1'\n{LIMITS}load_ms = 800\n").as_bytes());
    folder.wait_for_generation("d", 3);
    assert_eq!(folder.live("d").unwrap().origin.as_ref().unwrap().patience().hard.as_millis(), 800);
    folder.put("d.toml", LIMITS.as_bytes());
    folder.wait_for_generation("d", 4);
    assert!(folder.live("d").unwrap().origin.is_none());
}

#[test]
fn an_origin_that_may_not_be_keeps_what_serves() {
    let folder = serving();
    for (origin, words) in [
        ("http://169.254.169.254/latest", "is at a link-local address, which no origin may be"),
        ("http://user:pass@10.0.0.1", "a user or password"),
        ("http://10.0.0.1/a/../b", "'..'"),
        ("http://10.0.0.1/?q", "a query"),
    ] {
        folder.put("d.toml", format!("origin = '{origin}'\n{LIMITS}").as_bytes());
        wait_until(words, || folder.state("d").1.contains(words));
        assert_eq!(folder.state("d").0, Some(PolicyState::Refused));
        assert_eq!(folder.live("d").unwrap().generation, 1);
    }
}
