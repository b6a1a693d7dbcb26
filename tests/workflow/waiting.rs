//! Locks and breakers in the hands of a workflow.

use super::Bench;

#[test]
fn locks() {
    for bench in [Bench::memory(""), Bench::redis("")] {
        bench.check(&[
            ("lock a 60000 0 fence", "1"),
            // Dropped at the end of the command, so it is free again: in the background, a little later.
            ("lock a 60000 10000 fence", "2"),
            ("lock a 60000 10000 release", "1"),
            ("lock a 60000 10000 release-twice", "0"),
            ("lock a 60000 10000 extend 1000", "OK"),
            ("lock a 60000 10000 again", "taken"),
            ("lock a 0 0 fence", "…HostError::Invalid"),
            ("lock a\u{7} 1000 0 fence", "…HostError::Invalid"),
            ("lock a 60000 10000 trap", "…a trap under a lock, as asked"),
            ("lock a 60000 10000 release", "1"),
            ("lock a 60000 10000 forget", "forgotten"),
            ("lock a 60000 10000 release", "1"),
        ]);
        // An application's lock of the same name is another one.
        assert!(bench.host.ask(&["LARDER.LOCK", "ACQUIRE", "a", "TTL", "60000"]).is_ok());
        bench.check(&[("lock a 60000 10000 release", "1")]);
    }
}

#[test]
fn breakers() {
    let bench = Bench::memory("");
    bench.check(&[
        ("circuit store", "State::Closed"),
        ("circuit api", "State::Closed"),
        ("guarded api success", "called"),
        ("guarded api drop", "called"),
        ("guarded Api success", "…HostError::Invalid"),
        ("guarded store success", "…HostError::Invalid"),
    ]);
    let calls = (0..100).map(|_| bench.line("guarded api failure")).take_while(|answer| answer == "called").count();
    assert!((1..100).contains(&calls), "it opened after {calls} calls");
    bench.check(&[
        ("circuit api", "State::Open"),
        ("LARDER.BREAKER FORCE clerk/api CLOSED", "…forced-closed"),
        ("circuit api", "State::ForcedClosed"),
        ("guarded api success", "called"),
        ("LARDER.BREAKER FORCE clerk/api OPEN", "…forced-open"),
        ("guarded api success", "open"),
    ]);
}
