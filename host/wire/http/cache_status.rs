//! The `Cache-Status` field (RFC 9211): how an answer came about, in words of closed sets.
//!
//! `hit` and `fwd` exclude each other (§2.1); `ttl` is what is left and negative when stale (§2.4); `key` is the application's
//! key, its foreign bytes as `%XX` because a string of RFC 8941 is ASCII. `detail` (§2.8) says which hit it was.

use bytes::{BufMut, BytesMut};

use crate::engine::api::{Answer, Forward, LoadSeen};
use crate::error::ErrorKind;
use crate::ports::lease::Waited;
use crate::ports::load::LoadOutcome;
use crate::ports::metrics::State;

/// Keys above it are left out of the field, so that one header never crowds out the others.
const KEY_BYTES_SHOWN_MAX: usize = 512;

/// Writes the field for a read that was answered so. What the origin was asked for is `fwd`, whoever asked it; everything else that
/// has an answer is a `hit`.
pub(super) fn write_read(out: &mut BytesMut, answer: &Answer, key: &[u8]) {
    let detail = match (answer.state, answer.stale, &answer.load) {
        (_, Some(reason), _) => reason.as_str(),
        (_, _, Some(load)) => load.outcome.as_str(),
        (State::L1Hit, ..) => "l1",
        (State::StoreHit, ..) => "store",
        (other, ..) => other.as_str(),
    };
    match answer.load {
        Some(load) => write_load(out, load, answer.waited.is_none()),
        None if answer.state.is_hit() => out.put_slice(b"larder; hit"),
        None => out.put_slice(b"larder; fwd=miss"),
    }
    if let Some(left_ms) = answer.fresh_left_ms {
        out.put_slice(b"; ttl=");
        // Rounded down, so that 1 ms past is stale in whole seconds too.
        out.put_slice(itoa::Buffer::new().format(left_ms.div_euclid(1000)).as_bytes());
    }
    write_key(out, key);
    match answer.waited {
        Some(waited) => write_waited(out, detail, waited),
        None if answer.load.is_some() || answer.state.is_hit() || answer.state == State::MissOutage => {
            write_detail(out, detail);
        }
        None => {}
    }
}

/// Writes the field for a read that failed because of the origin.
pub(super) fn write_failed(out: &mut BytesMut, kind: ErrorKind, forward: Forward, key: &[u8]) {
    write_forward(out, forward);
    write_key(out, key);
    write_detail(out, kind.as_str());
}

/// Writes the field for a read that found nothing it may be given and was not to go further (RFC 9111 §5.2.1.7): neither a hit nor forwarded.
pub(super) fn write_not_cached(out: &mut BytesMut, key: &[u8]) {
    out.put_slice(b"larder");
    write_key(out, key);
    write_detail(out, "only-if-cached");
}

fn write_forward(out: &mut BytesMut, forward: Forward) {
    out.put_slice(b"larder; fwd=");
    out.put_slice(forward.as_str().as_bytes());
}

fn write_load(out: &mut BytesMut, load: LoadSeen, alone: bool) {
    write_forward(out, load.forward);
    if let Some(status) = load.status {
        out.put_slice(b"; fwd-status=");
        out.put_slice(itoa::Buffer::new().format(status).as_bytes());
    }
    if load.collapsed && alone {
        out.put_slice(b"; collapsed");
    }
    let stored = matches!(load.outcome, LoadOutcome::Stored | LoadOutcome::Unchanged | LoadOutcome::Absent);
    out.put_slice(if stored { b"; stored" } else { b"; stored=?0" });
}

fn write_detail(out: &mut BytesMut, detail: &str) {
    out.put_slice(b"; detail=");
    out.put_slice(detail.as_bytes());
}

/// `collapsed` (§2.7), and a `detail` that says for whom the reader waited, how long, and what came of it.
fn write_waited(out: &mut BytesMut, detail: &str, waited: Waited) {
    out.put_slice(b"; collapsed; detail=\"");
    out.put_slice(detail.as_bytes());
    out.put_slice(b", waited ");
    out.put_slice(itoa::Buffer::new().format(waited.ms).as_bytes());
    out.put_slice(b" ms for ");
    out.put_slice(waited.leader.as_str().as_bytes());
    out.put_slice(b": ");
    out.put_slice(waited.outcome.as_str().as_bytes());
    out.put_u8(b'"');
}

/// Writes the field for a write: whether the value was stored, and if not, what stood against it.
pub(super) fn write_stored(out: &mut BytesMut, state: State, key: &[u8]) {
    if state == State::Done {
        out.put_slice(b"larder; stored");
        write_key(out, key);
    } else {
        write_unstored(out, state.as_str(), key);
    }
}

/// Writes the field for a value that was not stored.
pub(super) fn write_unstored(out: &mut BytesMut, why: &str, key: &[u8]) {
    out.put_slice(b"larder; stored=?0");
    write_key(out, key);
    out.put_slice(b"; detail=");
    out.put_slice(why.as_bytes());
}

fn write_key(out: &mut BytesMut, key: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if key.len() > KEY_BYTES_SHOWN_MAX {
        return;
    }
    out.put_slice(b"; key=\"");
    for &byte in key {
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', byte]),
            // The per-cent sign too, or `%41` and `A` would look alike.
            b'%' | 0..0x20 | 0x7F.. => {
                out.put_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.put_u8(byte),
        }
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::ports::lease::{FillOutcome, Leader};
    use crate::ports::load::StaleReason;

    #[track_caller]
    fn check(write: impl Fn(&mut BytesMut), expected: &Expect) {
        let mut out = BytesMut::new();
        write(&mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert!(text.bytes().all(|byte| (0x20..0x7F).contains(&byte)), "{text}");
        expected.assert_eq(&text);
    }

    #[test]
    fn reads() {
        let read = |state, fresh_left_ms, key: &'static [u8]| {
            move |out: &mut BytesMut| write_read(out, &Answer { fresh_left_ms, ..Answer::absent(state) }, key)
        };
        check(
            read(State::L1Hit, Some(29_999), b"profile:user:42"),
            &expect![[r#"larder; hit; ttl=29; key="profile:user:42"; detail=l1"#]],
        );
        check(read(State::StoreHit, None, b"k"), &expect![[r#"larder; hit; key="k"; detail=store"#]]);
        check(read(State::Stale, Some(-1), b"k"), &expect![[r#"larder; hit; ttl=-1; key="k"; detail=stale"#]]);
        check(read(State::Negative, Some(5_000), b"k"), &expect![[r#"larder; hit; ttl=5; key="k"; detail=negative"#]]);
        check(read(State::Miss, None, b"k"), &expect![[r#"larder; fwd=miss; key="k""#]]);
        check(
            read(State::StaleOutage, Some(9_000), b"k"),
            &expect![[r#"larder; hit; ttl=9; key="k"; detail=stale-store-unavailable"#]],
        );
        check(
            read(State::MissOutage, None, b"k"),
            &expect![[r#"larder; fwd=miss; key="k"; detail=miss-store-unavailable"#]],
        );
    }

    #[test]
    fn loads() {
        let load =
            LoadSeen { outcome: LoadOutcome::Stored, status: Some(200), collapsed: false, forward: Forward::Miss };
        let read = |load, stale| {
            let answer =
                Answer { load: Some(load), stale, fresh_left_ms: Some(60_000), ..Answer::absent(State::Loaded) };
            move |out: &mut BytesMut| write_read(out, &answer, b"k")
        };
        check(
            read(load, None),
            &expect![[r#"larder; fwd=miss; fwd-status=200; stored; ttl=60; key="k"; detail=stored"#]],
        );
        let shared = LoadSeen { outcome: LoadOutcome::Passed, collapsed: true, ..load };
        check(
            read(shared, None),
            &expect![[r#"larder; fwd=miss; fwd-status=200; collapsed; stored=?0; ttl=60; key="k"; detail=passed"#]],
        );
        let renewed = LoadSeen { outcome: LoadOutcome::Unchanged, status: Some(304), forward: Forward::Stale, ..load };
        check(
            read(renewed, None),
            &expect![[r#"larder; fwd=stale; fwd-status=304; stored; ttl=60; key="k"; detail=unchanged"#]],
        );
        let failed = LoadSeen { outcome: LoadOutcome::Failed, status: Some(503), forward: Forward::Stale, ..load };
        check(
            read(failed, Some(StaleReason::LoadFailed)),
            &expect![[r#"larder; fwd=stale; fwd-status=503; stored=?0; ttl=60; key="k"; detail=stale-load-failed"#]],
        );
        let unkept = LoadSeen { outcome: LoadOutcome::Unkept, forward: Forward::Request, ..load };
        check(
            read(unkept, None),
            &expect![[r#"larder; fwd=request; fwd-status=200; stored=?0; ttl=60; key="k"; detail=no-store"#]],
        );
        check(
            |out| write_failed(out, ErrorKind::OriginFailed, Forward::Request, b"k"),
            &expect![[r#"larder; fwd=request; key="k"; detail=origin-failed"#]],
        );
        check(|out| write_not_cached(out, b"k"), &expect![[r#"larder; key="k"; detail=only-if-cached"#]]);
        check(
            |out| write_failed(out, ErrorKind::OriginTimeout, Forward::Miss, b"k"),
            &expect![[r#"larder; fwd=miss; key="k"; detail=origin-timeout"#]],
        );
    }

    #[test]
    fn reads_that_waited() {
        let read = |state, leader, outcome| {
            let waited = Some(Waited { ms: 12, leader, outcome });
            move |out: &mut BytesMut| write_read(out, &Answer { waited, ..Answer::absent(state) }, b"k")
        };
        check(
            read(State::StoreHit, Leader::ThisNode, FillOutcome::Done),
            &expect![[r#"larder; hit; key="k"; collapsed; detail="store, waited 12 ms for this-node: done""#]],
        );
        check(
            read(State::Miss, Leader::OtherNode, FillOutcome::WaitTimeout),
            &expect![[
                r#"larder; fwd=miss; key="k"; collapsed; detail="miss, waited 12 ms for other-node: wait-timeout""#
            ]],
        );
    }

    #[test]
    fn foreign_bytes_in_a_key_are_shown_as_hex() {
        let read = |key: &'static [u8]| move |out: &mut BytesMut| write_read(out, &Answer::absent(State::Miss), key);
        check(read(b"a\"b\\c%d e"), &expect![[r#"larder; fwd=miss; key="a\"b\\c%25d e""#]]);
        check(read(b"\r\n\0\x7f\xff"), &expect![[r#"larder; fwd=miss; key="%0D%0A%00%7F%FF""#]]);
        check(read(&[b'x'; KEY_BYTES_SHOWN_MAX + 1]), &expect!["larder; fwd=miss"]);
    }

    #[test]
    fn writes() {
        let stored = |state| move |out: &mut BytesMut| write_stored(out, state, b"k");
        check(stored(State::Done), &expect![[r#"larder; stored; key="k""#]]);
        check(stored(State::Passed), &expect![[r#"larder; stored=?0; key="k"; detail=passed"#]]);
        let unfilled = |out: &mut BytesMut| write_unstored(out, "lost-to-delete", b"k");
        check(unfilled, &expect![[r#"larder; stored=?0; key="k"; detail=lost-to-delete"#]]);
        check(stored(State::Unmet), &expect![[r#"larder; stored=?0; key="k"; detail=unmet"#]]);
    }
}
