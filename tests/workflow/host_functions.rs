//! Each host function, through a command of the guest `clerk` that hands it through.

use super::Bench;
use crate::support::redis::RedisServer;

fn on_both(settings: &str, script: &[(&str, &str)]) {
    Bench::memory(settings).check(script);
    Bench::redis(settings).check(script);
}

#[test]
fn strings_and_counters() {
    on_both(
        "",
        &[
            ("get a", "nil"),
            ("set a 1", "OK"),
            ("get a", "1"),
            ("get-many a b", "[1, (none)]"),
            ("get-many", "[]"),
            ("ttl-ms a", "nil"),
            ("set a 2 60000", "OK"),
            ("ttl-ms a", "~60000"),
            ("set a 2 0", "…HostError::Invalid"),
            ("set-if-absent a 3", "0"),
            ("set-if-absent b 3 60000", "1"),
            ("exists b", "1"),
            ("exists c", "0"),
            ("expire b", "1"),
            ("ttl-ms b", "nil"),
            ("expire c 5", "0"),
            ("expire c", "0"),
            ("delete a b c", "2"),
            ("delete", "0"),
            ("increment n 5", "5"),
            ("increment n -7 60000", "-2"),
            ("ttl-ms n", "nil"),
            ("increment m 1 60000", "1"),
            ("ttl-ms m", "~60000"),
            ("set word x", "OK"),
            ("increment word 1", "…not an integer"),
        ],
    );
}

#[test]
fn collections() {
    on_both(
        "",
        &[
            ("hash-set h a 1 b 2", "2"),
            ("hash-get h a", "1"),
            ("hash-get h c", "nil"),
            ("hash-increment h a 41", "42"),
            ("hash-delete h b c", "1"),
            ("hash-get-all h", "{a: 42}"),
            ("hash-get-all none", "{}"),
            ("hash-set h", "…HostError::Invalid"),
            ("list-push-back l 1 2 3", "3"),
            ("list-push-front l 0", "4"),
            ("list-range l 0 -1", "[0, 1, 2, 3]"),
            ("list-pop-front l 1", "[0]"),
            ("list-pop-back l 2", "[3, 2]"),
            ("list-pop-back none 2", "[]"),
            ("list-length l", "1"),
            ("list-push-back l 1 1", "3"),
            ("list-remove l 2 1", "2"),
            ("list-trim l 5 6", "OK"),
            ("list-length l", "0"),
            ("set-add s a b", "2"),
            ("set-contains s a", "1"),
            ("set-remove s a z", "1"),
            ("set-members s", "[b]"),
            ("get s", "HostError::WrongType"),
            ("list-length h", "HostError::WrongType"),
        ],
    );
}

#[test]
fn a_scan_tells_the_domains_own_names() {
    let script = [
        ("set user:1 x", "OK"),
        ("set user:2 x", "OK"),
        ("set group:1 x", "OK"),
        ("SET profile:user:9 x", "OK"),
        ("SET clerkx x", "OK"),
    ];
    for bench in [Bench::memory(""), Bench::redis("")] {
        bench.check(&script);
        let mut names = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let portion = bench.line(&format!("scan user: {cursor} 1"));
            assert!(portion.starts_with('['), "{portion}");
            let mut words: Vec<String> = portion.trim_matches(['[', ']']).split(", ").map(str::to_owned).collect();
            cursor = words.remove(0);
            names.extend(words);
            if cursor == "0" {
                break;
            }
        }
        names.sort();
        names.dedup();
        assert_eq!(names, ["user:1", "user:2"]);
    }
}

#[test]
fn a_workflow_stays_in_its_domain() {
    on_both(
        "",
        &[
            ("set ../profile:x 1", "…HostError::NotAllowed"),
            ("set x/../../y 1", "…HostError::NotAllowed"),
            ("get-many a  b", "…HostError::NotAllowed"),
            ("set chat:v1:profile:user:1 1", "OK"),
            ("GET profile:user:1", "nil"),
            ("GET clerk:chat:v1:profile:user:1", "1"),
            ("scan ../ 0 10", "…HostError::NotAllowed"),
        ],
    );
    let bench = Bench::redis("");
    let long = "x".repeat(10_000);
    bench.check(&[(&format!("set {long} 1"), "…HostError::NotAllowed"), ("set a\nb 1", "…HostError::NotAllowed")]);
}

#[test]
fn what_a_workflow_writes_is_read_at_once() {
    on_both(
        "",
        &[
            ("SET clerk:a old", "OK"),
            ("GET clerk:a", "old"),
            ("GET clerk:a", "old"),
            ("set a new", "OK"),
            ("GET clerk:a", "new"),
            ("delete a", "1"),
            ("GET clerk:a", "nil"),
            ("INCR clerk:n", "1"),
            ("increment n 5", "6"),
            ("GET clerk:n", "6"),
        ],
    );
    on_both(
        "rename = 'hidden:'",
        &[("SET clerk:a old", "OK"), ("GET clerk:a", "old"), ("set hidden:a new", "OK"), ("GET clerk:a", "new")],
    );
}

#[test]
fn answers_of_each_kind() {
    on_both(
        "",
        &[
            ("nothing", "nil"),
            ("echo a b", "[a, b]"),
            ("fields a 1 b 2", "{a: 1, b: 2}"),
            ("remember", "1"),
            ("remember", "1"),
            ("no-such", "…has no command 'no-such' [unsupported; blame: caller; retry: no]"),
            ("increment x", "…too few arguments [invalid-argument"),
            ("unavailable", "…not now, as asked [policy-unavailable; blame: policy; retry: yes]"),
            ("other", "…no, as asked [refused"),
            ("LARDER.CALL profile x", "…has no commands"),
            ("LARDER.CALL none x", "…no policy serves the domain 'none'"),
            ("LARDER.CALL clerk", "…wrong number of arguments"),
        ],
    );
}

#[test]
fn a_lock_ends_with_the_call_that_holds_it() {
    for bench in [Bench::memory(""), Bench::redis("")] {
        let mut last = 0;
        let mut next_fence = || {
            let fence: u64 = bench.line("lock n 60000 20000 fence").parse().expect("a number");
            assert!(fence > last, "{fence} after {last}");
            last = fence;
        };
        next_fence();
        bench
            .check(&[("lock n 60000 20000 extend 1000", "OK"), ("lock n 60000 20000 extend 0", "…HostError::Invalid")]);
        bench.check(&[("lock n 60000 20000 release", "1"), ("lock n 60000 20000 release-twice", "0")]);
        bench.check(&[("lock n 60000 20000 again", "taken")]);
        next_fence();
        // However the call ends, nobody waits for the life of its lock.
        bench.check(&[("lock n 60000 20000 forget", "forgotten")]);
        next_fence();
        bench.check(&[("lock n 60000 20000 trap", "…policy-failed")]);
        next_fence();
        bench.check(&[
            ("lock n 0 0 fence", "…HostError::Invalid"),
            ("lock n 1000 60001 fence", "…HostError::Invalid"),
            ("lock n 60000 20000 release", "1"),
            // An application's lock of this name is another; a policy's is listed for operators, by its domain.
            ("LARDER.LOCK FORCE-RELEASE n", "0"),
            ("LARDER.LOCK LIST", "{complete: true, locks: []}"),
        ]);
    }
}

#[test]
fn breakers_are_the_domains_own() {
    let failed = ("guarded api failure", "called");
    Bench::memory("").check(&[
        ("circuit api", "State::Closed"),
        ("guarded api success", "called"),
        ("guarded api none", "called"),
        ("guarded api slow", "called"),
        failed,
        failed,
        failed,
        ("circuit api", "State::Closed"),
        failed,
        ("circuit api", "State::Open"),
        ("guarded api success", "open"),
        ("guarded other success", "called"),
        ("LARDER.BREAKER FORCE clerk/api CLOSED", "…forced-closed"),
        ("circuit api", "State::ForcedClosed"),
        ("guarded api failure", "called"),
        ("LARDER.BREAKER FORCE clerk/api OPEN", "…forced-open"),
        ("circuit api", "State::ForcedOpen"),
        ("guarded api failure", "open"),
        ("circuit store", "State::Closed"),
        ("guarded store failure", "…HostError::Invalid"),
        ("guarded A success", "…HostError::Invalid"),
    ]);
    Bench::redis("").check(&[
        ("circuit store", "State::Closed"),
        ("LARDER.BREAKER FORCE store OPEN", "…forced-open"),
        ("circuit store", "State::ForcedOpen"),
        ("get a", "…forced open by an operator"),
    ]);
}

#[test]
fn keys_of_other_domains_are_refused_without_a_grant() {
    on_both(
        "",
        &[
            ("INCR unread:7:c1", "1"),
            ("get @unread/7:c1", "…HostError::NotAllowed"),
            ("set @unread/7:c1 9", "…HostError::NotAllowed"),
            ("delete @unread/7:c1", "…HostError::NotAllowed"),
            ("increment @unread/7:c1 1", "…HostError::NotAllowed"),
            ("get-many a @unread/7:c1", "…HostError::NotAllowed"),
            ("scan @unread/ 0 100", "…HostError::NotAllowed"),
            ("get @default/x", "…HostError::NotAllowed"),
            ("get @nobody/x", "…add them to `keys` under [grants] in clerk.toml"),
            ("GET unread:7:c1", "1"),
            ("set @clerk/@unread/7:c1 own", "OK"),
            ("GET clerk:@unread/7:c1", "own"),
        ],
    );
}

#[test]
fn a_grant_reaches_the_keys_that_it_names_and_no_others() {
    let script = [
        ("INCR unread:7:c1", "1"),
        ("INCR unread:8:c1", "1"),
        ("get @unread/7:c1", "1"),
        ("increment @unread/7:c1 4", "5"),
        ("GET unread:7:c1", "5"),
        ("set @unread/7:c2 3", "OK"),
        ("GET unread:7:c2", "3"),
        ("scan @unread/7:c1 0 1000", "…@unread/7:c1"),
        ("get @unread/8:c1", "…HostError::NotAllowed"),
        ("get-many @unread/7:c1 @unread/8:c1", "…HostError::NotAllowed"),
        ("scan @unread/ 0 100", "…HostError::NotAllowed"),
        ("get @unread/7:/../../x", "…HostError::NotAllowed"),
        ("SET session:abc x", "OK"),
        ("get @session/abc", "x"),
        ("delete @session/abc", "1"),
        ("GET session:abc", "nil"),
        ("get @presence/abc", "…HostError::NotAllowed"),
        ("SET plain:x 1", "OK"),
        ("get @default/plain:x", "1"),
        ("get @default/chat:v1:session:abc", "…HostError::NotAllowed"),
        ("get @default/session:abc", "…HostError::NotAllowed"),
        ("scan @default/ 0 10", "…HostError::Invalid"),
        ("get @gone/x", "…HostError::Unavailable"),
    ];
    let keys = "keys = [\"unread/7:\", \"session\", \"default\", \"gone\"]";
    Bench::granted(None, "", keys).check(&script);
    Bench::granted(Some(RedisServer::start()), "", keys).check(&script);
}
