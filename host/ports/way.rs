//! How a command treats the connection to Redis that it goes over: the one table of those that cannot share it with others.
//!
//! The engine chooses the connection by it, the adapter refuses by it what would hold up everybody, and the wire knows by it which
//! commands may wait. Names are in small letters. Deliberately absent: which commands an operator lets through.

/// What a connection has to be for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One that all callers share.
    Shared,
    /// One of its caller's own, as the command may wait, or must not wait for others.
    Own,
    /// One that listens.
    Listening,
    /// None: it changes what a connection is, or ends it.
    Closed,
}

/// They may wait.
const WAITING: [&str; 10] =
    ["blmove", "blmpop", "blpop", "brpop", "brpoplpush", "bzmpop", "bzpopmax", "bzpopmin", "wait", "waitaof"];
/// They wait if they are told to.
const READ_STREAMS: [&str; 2] = ["xread", "xreadgroup"];
/// They answer by what they hear.
const LISTENING: [&str; 6] = ["psubscribe", "punsubscribe", "ssubscribe", "subscribe", "sunsubscribe", "unsubscribe"];
/// They change what a connection is.
const STATEFUL: [&str; 16] = [
    "asking",
    "auth",
    "client",
    "discard",
    "exec",
    "hello",
    "monitor",
    "multi",
    "psync",
    "quit",
    "readonly",
    "readwrite",
    "reset",
    "select",
    "unwatch",
    "watch",
];

fn one_of(names: &[&'static str], name: &[u8]) -> Option<&'static str> {
    names.iter().copied().find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// On which connection a command goes.
#[must_use]
pub fn of(words: &[impl AsRef<[u8]>]) -> Way {
    let Some(name) = words.first().map(AsRef::as_ref) else { return Way::Shared };
    // All that are not shared begin with one of these: nearly every command is told by its first letter.
    if !matches!(
        name.first().map(u8::to_ascii_lowercase),
        Some(b'a'..=b'f' | b'h' | b'm' | b'p'..=b's' | b'u' | b'w' | b'x')
    ) {
        return Way::Shared;
    }
    // The name of a stream may be this word, too: then it has a connection of its own for nothing.
    let blocks = || words.iter().any(|word| word.as_ref().eq_ignore_ascii_case(b"block"));
    if frees(words) || one_of(&WAITING, name).is_some() || (one_of(&READ_STREAMS, name).is_some() && blocks()) {
        Way::Own
    } else if one_of(&LISTENING, name).is_some() {
        Way::Listening
    } else if one_of(&STATEFUL, name).is_some() {
        Way::Closed
    } else {
        Way::Shared
    }
}

/// Whether a command ends a script that holds the server up: then the server answers little else, and the shared connection may be the
/// very one that waits for the script.
#[must_use]
pub fn frees(words: &[impl AsRef<[u8]>]) -> bool {
    let [name, what] = words else { return false };
    what.as_ref().eq_ignore_ascii_case(b"kill") && one_of(&["function", "script"], name.as_ref()).is_some()
}

/// Whether a command may wait. Within a block it does not.
#[must_use]
pub fn may_wait(name: &[u8]) -> bool {
    one_of(&WAITING, name).or_else(|| one_of(&READ_STREAMS, name)).is_some()
}

/// The name of a command that waits or listens, as the table has it.
#[must_use]
pub fn waiting_or_listening(name: &[u8]) -> Option<&'static str> {
    one_of(&WAITING, name).or_else(|| one_of(&LISTENING, name))
}

#[cfg(test)]
mod tests {
    use super::{LISTENING, READ_STREAMS, STATEFUL, WAITING, Way, may_wait, of};

    #[track_caller]
    fn check(line: &str, expect: Way) {
        assert_eq!(of(&line.split(' ').collect::<Vec<_>>()), expect, "{line}");
    }

    #[test]
    fn what_may_wait_has_its_own_connection() {
        check("ZADD k 1 m", Way::Shared);
        check("BLPOP k 0", Way::Own);
        check("xread BLOCK 0 STREAMS s $", Way::Own);
        check("XREAD STREAMS s 0", Way::Shared);
        check("pSubscribe c", Way::Listening);
        check("Multi", Way::Closed);
        check("GET multi", Way::Shared);
        check("script KILL", Way::Own);
        check("FUNCTION kill", Way::Own);
        check("SCRIPT LOAD kill", Way::Shared);
        assert!(may_wait(b"XREAD") && may_wait(b"bzmpop") && !may_wait(b"lpop"));
    }

    #[test]
    fn all_of_the_table_are_found() {
        for (names, expect) in [(&WAITING[..], Way::Own), (&LISTENING, Way::Listening), (&STATEFUL, Way::Closed)] {
            names.iter().for_each(|name| check(name, expect));
        }
        READ_STREAMS.iter().for_each(|name| check(&format!("{name} block"), Way::Own));
    }
}
