//! What operators command of the policies, by each of the three ways: the command line, RESP, HTTP.

use std::process::Command;

use crate::support::host::{Host, HostBuilder, guest, sample, text, variant, wait_until};
use crate::support::policies::settings;

/// `larder policy …` against a host: whether it succeeded, and what it printed.
fn larder(host: &Host, words: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_larder"))
        .arg("policy")
        .args(words)
        .args(["--host", &host.http.to_string()])
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).unwrap())
}

fn http(host: &Host, method: &str, path: &str) -> (u16, serde_json::Value) {
    let (status, _, body) = host.http(method, path, "", b"");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A variant of the sample `session` is live that was not before.
fn release(host: &Host, mark: u32) {
    let before = digest(host);
    host.put("session.wasm", &variant(&sample("session"), mark));
    wait_until("the variant is live", || digest(host) != before);
}

fn digest(host: &Host) -> String {
    http(host, "GET", "/v1/policies/session").1["digest"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_policy_is_rolled_back_by_all_three() {
    let host = HostBuilder::samples().start();
    let first = digest(&host);
    for mark in 1..=3 {
        release(&host, mark);
    }
    let (done, printed) = larder(&host, &["rollback", "session"]);
    assert!(done && printed.contains("state: rolled-back"), "{printed}");
    let reply = host.ask(&["LARDER.POLICY", "ROLLBACK", "session"]).unwrap();
    assert!(format!("{reply:?}").contains("rolled-back"), "{reply:?}");
    let (status, policy) = http(&host, "POST", "/v1/policies/session/rollback");
    assert_eq!((status, &policy["state"], &policy["digest"]), (200, &"rolled-back".into(), &first.clone().into()));
    assert_eq!(digest(&host), first);

    let (done, printed) = larder(&host, &["rollback", "session"]);
    assert!(!done && printed.contains("no earlier policy"), "{printed}");
    assert!(host.ask(&["LARDER.POLICY", "ROLLBACK", "session"]).is_err());
    assert_eq!(http(&host, "POST", "/v1/policies/session/rollback").0, 409);

    let (done, printed) = larder(&host, &["show", "session"]);
    assert!(done && printed.contains("event: rolled-back") && printed.contains("event: live"), "{printed}");
    let (_, policy) = http(&host, "GET", "/v1/policies/session");
    let events: Vec<_> = policy["history"].as_array().unwrap().iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["rolled-back", "rolled-back", "rolled-back", "live", "live", "live", "live"]);
    let (done, printed) = larder(&host, &["list"]);
    let line = printed.lines().find(|line| line.starts_with("session")).unwrap_or_default();
    let cells: Vec<_> = line.split_whitespace().collect();
    let digest = policy["digest"].as_str().unwrap();
    assert!(done && cells == ["session", "rolled-back", "7", "1.0.0", &digest[..12], "-"], "{printed}");
    let (done, printed) = larder(&host, &["show", "nobody"]);
    assert!(!done && printed.contains("no policy serves the domain 'nobody'"), "{printed}");
}

#[test]
fn an_orphan_is_removed_by_all_three() {
    let names = ["a", "b", "c"];
    let host = names.iter().fold(HostBuilder::new(), |it, name| it.policy(name, &sample("session"))).start();
    assert_eq!(http(&host, "DELETE", "/v1/policies/a").1["type"], "urn:larder:problem:file-exists");
    let (done, printed) = larder(&host, &["remove", "b"]);
    assert!(!done && printed.contains("is still in the policy folder"), "{printed}");
    for name in names {
        std::fs::remove_file(host.policies().join(format!("{name}.wasm"))).unwrap();
        wait_until("it is an orphan", || http(&host, "GET", &format!("/v1/policies/{name}")).1["state"] == "orphaned");
    }
    assert_eq!(http(&host, "DELETE", "/v1/policies/a").0, 204);
    let (done, printed) = larder(&host, &["remove", "b"]);
    assert!(done && printed.trim() == "removed b", "{printed}");
    assert_eq!(text(&host.ask(&["LARDER.POLICY", "REMOVE", "c"]).unwrap()), "OK");
    for name in names {
        assert_eq!(http(&host, "GET", &format!("/v1/policies/{name}")).1["state"], "failed", "{name}");
        assert_eq!(
            http(&host, "DELETE", &format!("/v1/policies/{name}")).1["type"],
            "urn:larder:problem:unknown-domain"
        );
    }
}

#[test]
fn a_failing_policy_is_rolled_back_under_real_traffic_and_unquarantined_by_all_three() {
    let well = settings(&[("version", "1")]);
    let failing = settings(&[("version", "2"), ("mode", "trap-plan")]);
    let host = HostBuilder::samples().policy("d", &guest("hostile")).toml("d", &well).start();
    let state = || http(&host, "GET", "/v1/policies/d").1["state"].as_str().unwrap_or_default().to_owned();
    let (done, printed) = larder(&host, &["unquarantine", "d"]);
    assert!(!done && printed.contains("has no policy in quarantine"), "{printed}");
    assert_eq!(
        http(&host, "DELETE", "/v1/policies/d/quarantine").1["type"],
        "urn:larder:problem:nothing-in-quarantine"
    );

    let clear: [&dyn Fn(); 3] = [
        &|| assert!(larder(&host, &["unquarantine", "d"]).0),
        &|| drop(host.ask(&["LARDER.POLICY", "UNQUARANTINE", "d"]).unwrap()),
        &|| assert_eq!(http(&host, "DELETE", "/v1/policies/d/quarantine").0, 200),
    ];
    host.put("d.toml", failing.as_bytes());
    for (n, clear) in clear.iter().enumerate() {
        let took = wait_until("it is rolled back by itself", || {
            let _ = host.ask(&["SET", "d:k", "v"]);
            host.ask(&["SET", "session:s", "v"]).expect("other domains are not disturbed");
            state() == "quarantined"
        });
        println!("quarantined after {took:?}");
        host.ask(&["SET", "d:k", "v"]).expect("the one before serves");
        let page = String::from_utf8(host.http("GET", "/metrics", "", b"").2).unwrap();
        let line = format!("larder_policy_quarantines_total{{domain=\"d\"}} {}", n + 1);
        assert!(page.lines().any(|it| it == line), "{line}");
        clear();
        wait_until("it is live again", || state() == "live");
    }
    host.waits_to_log("the policy is in quarantine");
}
