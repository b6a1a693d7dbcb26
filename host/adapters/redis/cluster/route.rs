//! Where a command goes in a cluster: by its first key, whose hash tells the slot; to any node; or to all of them.
//!
//! Commands on many keys that Redis itself would refuse are sent one for each key where that is the same but for the moment at
//! which it happens: a cluster has no common moment. All others go by their first key, and the node says if not all keys are its own.

use redis::{Arg, Cmd, Value};

use super::join::Join;

/// How many slots there are.
pub(super) const SLOTS: u16 = 16_384;

/// Where a command goes.
#[derive(Debug)]
pub(super) enum Route {
    /// To the node of this slot.
    Slot(u16),
    /// To any node.
    Any,
    /// To all primaries.
    All(Join),
    /// In pieces, each to the node of its slot.
    Split(Vec<(Cmd, u16)>, Join),
    /// To one primary after the other, by its cursor.
    Scan,
    /// Nowhere, for it concerns one node, and nobody can say which.
    Nowhere,
}

/// The words of a command.
pub(super) fn words(command: &Cmd) -> Vec<&[u8]> {
    let word = |arg| match arg {
        Arg::Simple(word) => word,
        _ => &b""[..],
    };
    command.args_iter().map(word).collect()
}

/// Where a command goes.
pub(super) fn of(command: &Cmd) -> Route {
    let words = words(command);
    let Some(name) = words.first() else { return Route::Any };
    let name = name.to_ascii_lowercase();
    let second = words.get(1).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let by = |place: usize| words.get(place).map_or(Route::Any, |key| Route::Slot(slot(key)));
    match name.as_slice() {
        b"ping" | b"echo" | b"time" | b"lolwut" | b"lastsave" | b"publish" | b"subscribe" | b"psubscribe"
        | b"command" | b"info" | b"acl" | b"slowlog" | b"latency" | b"config" | b"module" | b"client" | b"debug" => {
            Route::Any
        }
        b"dbsize" => Route::All(Join::Sum),
        b"keys" => Route::All(Join::Lists),
        b"flushall" | b"flushdb" => Route::All(Join::Agreed),
        b"randomkey" => Route::All(Join::AnyOne),
        b"scan" => Route::Scan,
        b"wait" | b"waitaof" => Route::Nowhere,
        b"script" | b"function" | b"pubsub" => of_container(&name, &second),
        b"eval" | b"eval_ro" | b"evalsha" | b"evalsha_ro" | b"fcall" | b"fcall_ro" => match words.get(2) {
            Some(count) if *count != b"0" => by(3),
            _ => Route::Any,
        },
        b"blmpop" | b"bzmpop" => by(3),
        b"zunion" | b"zinter" | b"zdiff" | b"zintercard" | b"sintercard" | b"lmpop" | b"zmpop" | b"bitop"
        | b"object" | b"xgroup" | b"xinfo" | b"memory" => by(2),
        b"xread" | b"xreadgroup" => {
            let streams = words.iter().position(|word| word.eq_ignore_ascii_case(b"streams"));
            streams.map_or(Route::Any, |place| by(place + 1))
        }
        b"mget" => split(&words, 1, Join::Lists),
        b"del" | b"unlink" | b"exists" | b"touch" => split(&words, 1, Join::Sum),
        b"mset" => split(&words, 2, Join::Agreed),
        _ => by(1),
    }
}

fn of_container(name: &[u8], second: &[u8]) -> Route {
    match (name, second) {
        (b"script", b"exists") => Route::All(Join::Least),
        (b"script", b"load" | b"flush" | b"kill") | (b"function", b"load" | b"delete" | b"flush" | b"restore") => {
            Route::All(Join::Agreed)
        }
        (b"pubsub", b"channels" | b"shardchannels") => Route::All(Join::Lists),
        (b"pubsub", b"numsub" | b"shardnumsub") => Route::All(Join::Counts),
        (b"pubsub", b"numpat") => Route::All(Join::Sum),
        _ => Route::Any,
    }
}

/// One command for each key with what belongs to it, unless one node has all of them anyway.
fn split(words: &[&[u8]], step: usize, join: Join) -> Route {
    let rest = words.get(1..).unwrap_or_default();
    let Some(first) = rest.first().map(|key| slot(key)) else { return Route::Any };
    if !rest.len().is_multiple_of(step) || rest.iter().step_by(step).all(|key| slot(key) == first) {
        return Route::Slot(first);
    }
    let pieces = rest.chunks(step).map(|piece| {
        let mut command = Cmd::new();
        command.arg(words[0]);
        for word in piece {
            command.arg(*word);
        }
        (command, slot(piece[0]))
    });
    Route::Split(pieces.collect(), join)
}

/// The slot of a key: CRC-16 (XMODEM) of its hash tag, or of all of it.
pub(in super::super) fn slot(key: &[u8]) -> u16 {
    let tag = memchr::memchr(b'{', key).and_then(|open| {
        let behind = &key[open + 1..];
        memchr::memchr(b'}', behind).filter(|&len| len > 0).map(|len| &behind[..len])
    });
    let crc =
        tag.unwrap_or(key).iter().fold(0_u16, |crc, &byte| (crc << 8) ^ CRC[usize::from((crc >> 8) as u8 ^ byte)]);
    crc % SLOTS
}

const CRC: [u16; 256] = {
    let mut table = [0_u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = ((byte as u16) << 8, 0);
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// What a node says of where a command should go instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// There, from now on.
    Moved(String),
    /// There, this once.
    Ask(String),
    /// Here, in a moment.
    Later,
}

/// Whether an answer is such a word.
pub(super) fn redirect(answer: &Value) -> Option<Redirect> {
    let Value::ServerError(error) = answer else { return None };
    let place = || error.details()?.split(' ').nth(1).map(str::to_owned);
    match error.code() {
        "MOVED" => place().map(Redirect::Moved),
        "ASK" => place().map(Redirect::Ask),
        "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => Some(Redirect::Later),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        for (key, expect) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("{foo}bar", 12_182),
            ("a{foo}{bar}", 12_182),
            ("{}foo", 9_500),
            ("foo{", 7_673),
            ("", 0),
        ] {
            assert_eq!(slot(key.as_bytes()), expect, "{key}");
        }
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    }

    #[track_caller]
    fn check(line: &str, expect: &str) {
        let mut command = Cmd::new();
        for word in line.split(' ') {
            command.arg(word);
        }
        let said = match of(&command) {
            Route::Slot(number) if number == slot(b"foo") => "foo".to_owned(),
            Route::Split(pieces, join) => format!("{} {join:?}", pieces.len()),
            route => format!("{route:?}"),
        };
        assert_eq!(said, expect, "{line}");
    }

    #[test]
    fn commands_go_by_their_first_key() {
        for line in [
            "GET foo",
            "evalsha x 1 foo y",
            "BLMPOP 0 1 foo LEFT",
            "ZUNION 1 foo",
            "XREAD COUNT 1 STREAMS foo 0",
            "OBJECT ENCODING foo",
            "MGET foo {foo}1",
            "MSET foo 1 {foo}2 2",
            "DEL foo",
            "MSETNX foo 1 bar 2",
            "SSUBSCRIBE foo",
        ] {
            check(line, "foo");
        }
        check("PING", "Any");
        check("EVAL x 0", "Any");
        check("SCRIPT LOAD x", "All(Agreed)");
        check("DBSIZE", "All(Sum)");
        check("SCAN 0", "Scan");
        check("WAIT 1 1", "Nowhere");
        check("MGET foo bar foo", "3 Lists");
        check("DEL foo bar", "2 Sum");
        check("MSET foo 1 bar 2", "2 Agreed");
    }
}
