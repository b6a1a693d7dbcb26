//! JSON on every command that prints, and the exit codes.

use std::net::TcpListener;

use super::{larder, on, run};
use crate::support::host::HostBuilder;
use crate::support::policies::guarded;

#[test]
fn every_command_prints_one_document() {
    let host = HostBuilder::samples().start();
    host.ask(&["LARDER.LOCK", "ACQUIRE", "jobs/1", "TTL", "60000"]).unwrap();
    for (words, pointer) in [
        (&["set", "k", "v"][..], "/stored"),
        (&["get", "k"], "/value"),
        (&["inspect", "k"], "/life/state"),
        (&["explain", "k"], "/storage_key"),
        (&["del", "k"], "/keys/0/removed"),
        (&["invalidate", "key", "profile:user:1"], "/invalidated/0/keys"),
        (&["invalidate", "pattern", "profile", "user:*", "--soft"], "/invalidated/0/mode"),
        (&["locks", "list"], "/locks/0/fence"),
        (&["locks", "info", "jobs/1"], "/owner"),
        (&["locks", "release", "jobs/1"], "/released"),
        (&["breakers"], "/breakers"),
        (&["policy", "list"], "/policies/0/history"),
        (&["policy", "show", "profile"], "/generation"),
        (&["top"], "/domains/0/reads"),
    ] {
        let ran = on(&host, &[words, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.text());
        assert!(ran.json().pointer(pointer).is_some(), "{words:?}: {}", ran.text());
        assert!(ran.err.is_empty(), "{words:?}: {}", ran.err);
    }
    // What is done here, without a host.
    let folder = tempfile::tempdir().unwrap();
    let presence = guarded(&["presence"]);
    let (dir, wasm) = (folder.path().to_str().unwrap(), presence.path().join("presence.wasm"));
    let wasm = wasm.to_str().unwrap();
    for (words, pointer) in [
        (&["policy", "new", "fresh", "--dir", dir][..], "/folder"),
        (&["policy", "check", wasm], "/policies/0/digest"),
        (&["policy", "test", wasm], "/policies/0/cases/0/name"),
        (&["policy", "inspect", wasm], "/wit"),
        (&["config", "check", "--set", "key.prefix=p"], "/ok"),
        (&["config", "show"], "/0/name"),
    ] {
        let mut command = larder(&[words, &["--json"]].concat());
        command.current_dir(folder.path());
        let ran = run(command);
        assert!(ran.code == 0 && ran.json().pointer(pointer).is_some(), "{words:?}: {}", ran.text());
    }
}

#[test]
fn exit_codes_say_what_became_of_it() {
    let host = HostBuilder::samples().start();
    for (words, code, says) in [
        (&["get", "nobody"][..], 1, "the key is absent"),
        (&["policy", "show", "nobody"], 1, "no policy serves the domain 'nobody'"),
        (&["policy", "rollback", "profile"], 1, "no earlier policy"),
        (&["locks", "info", "nobody"], 1, "nobody holds the lock"),
        (&["locks", "release", "nobody"], 1, "nobody holds the lock"),
        (&["breakers", "history", "nobody"], 1, "there is no breaker 'nobody'"),
        (&["get"], 2, "required arguments"),
        (&["set", "k", "v", "--ttl", "soon"], 2, "'soon' is no duration"),
        (&["set", "k", "v", "--ttl", "1500ms"], 2, "whole seconds"),
        (&["get", "profile:nobody"], 3, "it must be `user:{userId}`"),
        (&["get", "queue:1"], 3, "serves list only"),
        (&["set", "k", "--file", "/nowhere/at/all"], 6, "/nowhere/at/all"),
        (&["policy", "check", "/nowhere/at/all.wasm"], 1, "would NOT serve"),
    ] {
        let ran = if words[0] == "policy" && words[1] == "check" { run(larder(words)) } else { on(&host, words) };
        assert_eq!(ran.code, code, "{words:?}: {}", ran.text());
        assert!(ran.text().contains(says), "{words:?}: {}", ran.text());
    }
    let absent = on(&host, &["get", "nobody", "--json"]);
    assert_eq!((absent.code, absent.json()), (1, serde_json::json!({ "key": "nobody", "found": false })));
    let refused = on(&host, &["get", "profile:nobody", "--json"]).json();
    assert_eq!((&refused["error"]["kind"], &refused["error"]["retry"]), (&"invalid-key".into(), &false.into()));

    // Nobody there, and somebody who is no Larder.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ran = run(larder(&["get", "k", "--json", "--host", &free]));
    assert_eq!((ran.code, &ran.json()["error"]["retry"]), (5, &true.into()), "{}", ran.err);
    assert!(ran.err.contains("is `larder serve` running there?"), "{}", ran.err);
    let ran = run(larder(&["get", "k", "--host", &host.resp.to_string()]));
    assert!(ran.code == 5 && ran.err.contains("no host answers"), "{}", ran.err);
    let ran = run(larder(&["get", "k", "--host", "redis://127.0.0.1:6380"]));
    assert!(ran.code == 2 && ran.err.contains("over HTTP"), "{}", ran.err);
}

#[test]
fn help_teaches() {
    let help = run(larder(&["--help"])).text();
    for word in ["Examples:", "Exit codes:", "  5  no host answers", "larder get profile:user:42"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for words in [&["get", "--help"][..], &["set", "--help"], &["inspect", "--help"]] {
        let help = run(larder(words)).text();
        assert!(help.contains("Examples:") && help.contains("LARDER_TOKEN"), "{words:?}: {help}");
    }
}
