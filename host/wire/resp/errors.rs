//! The one table from what went wrong to the error line that a client reads, and the words of Redis that clients depend on.
//!
//! A host error is always `ERR` with its message and, in brackets, its kind, who is to blame and whether a retry may help: clients
//! know `ERR`, while a code of our own would be read as a defect by some of them. A store that loads its data is `LOADING`. The store's own errors pass
//! through as they are, because clients act on `WRONGTYPE`, `OOM`, `LOADING`, `READONLY`, `MOVED`.

use std::fmt::Write;

use super::args::Words;
use crate::error::{Error, ErrorKind};
use crate::ports::store::Reply;

pub(super) const SYNTAX: &str = "ERR syntax error";
pub(super) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const DECREMENT_OVERFLOW: &str = "ERR decrement would overflow";
pub(super) const DB_INDEX: &str = "ERR DB index is out of range";
pub(super) const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you sure \
     your configuration is correct?";
pub(super) const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";
pub(super) const NO_AUTH: &str = "NOAUTH Authentication required.";
pub(super) const NO_AUTH_HELLO: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
     <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same \
     time";
pub(super) const NO_PERMISSION_KEY: &str =
    "NOPERM this user has no permissions to access one of the keys used as arguments";
pub(super) const NO_PROTOCOL: &str = "NOPROTO unsupported protocol version";
pub(super) const PROTOCOL_NOT_AN_INTEGER: &str = "ERR Protocol version is not an integer or out of range";
pub(super) const CLIENT_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";
pub(super) const NX_AND_OTHERS: &str = "ERR NX and XX, GT or LT options at the same time are not compatible";
pub(super) const GT_AND_LT: &str = "ERR GT and LT options at the same time are not compatible";
pub(super) const EXEC_ABORT: &str = "EXECABORT Transaction discarded because of previous errors.";
pub(super) const TOO_MANY_CLIENTS: &str = "ERR max number of clients reached";

/// What Redis shows of a name or of all arguments of an unknown command, in bytes.
const SHOWN_BYTES_MAX: usize = 128;

/// An error line of these words.
#[must_use]
pub(super) fn reply(words: impl Into<String>) -> Reply {
    Reply::Error(words.into())
}

/// The error line of a host error.
#[must_use]
pub(super) fn of(error: &Error) -> Reply {
    let Error { kind, message } = error;
    if *kind == ErrorKind::StoreReply {
        return Reply::Error(message.clone());
    }
    let retry = if kind.retry() { "yes" } else { "no" };
    // Clients wait for this by themselves, and know it by its code.
    let is_loading = *kind == ErrorKind::StoreUnavailable && message.contains(": LOADING ");
    let code = if is_loading { "LOADING" } else { "ERR" };
    Reply::Error(format!("{code} {message} [{}; blame: {}; retry: {retry}]", kind.as_str(), kind.blame().as_str()))
}

/// Too few or too many arguments. The name is the table's: `client|setname`.
#[must_use]
pub(super) fn arity(name: &str) -> Reply {
    Reply::Error(format!("ERR wrong number of arguments for '{name}' command"))
}

/// A command that the user may not have carried out, in the words of Redis.
#[must_use]
pub(super) fn no_permission(name: &str) -> Reply {
    Reply::Error(format!("NOPERM this user has no permissions to run the '{name}' command"))
}

/// A command on keys of policies, while another database than theirs is selected.
#[must_use]
pub(super) fn for_policies(name: &str) -> Reply {
    let name = name.to_ascii_uppercase();
    Reply::Error(format!("ERR {name} is for database 0, in which policies keep their keys; SELECT 0 first"))
}

/// More commands than are allowed.
#[must_use]
pub(super) fn too_fast(per_second: u32, wait_ms: u64) -> Reply {
    of(&Error::new(
        ErrorKind::Overloaded,
        format!("{per_second} commands per second are allowed here; try again in {wait_ms} ms"),
    ))
}

/// A password that was not looked at.
#[must_use]
pub(super) fn paused(wait_ms: u64) -> Reply {
    let message = format!("too many wrong passwords came from your address; try again in {wait_ms} ms");
    of(&Error::new(ErrorKind::Overloaded, message))
}

/// A lifetime that cannot be.
#[must_use]
pub(super) fn expire_time(name: &str) -> Reply {
    Reply::Error(format!("ERR invalid expire time in '{name}' command"))
}

/// A command that is not in the table.
#[must_use]
pub(super) fn unknown_command(words: &Words<'_>) -> Reply {
    let mut args = String::new();
    for word in words.iter().skip(1) {
        if args.len() >= SHOWN_BYTES_MAX {
            break;
        }
        // Writing to a string does not fail.
        let _written = write!(args, "'{}' ", shown(word, SHOWN_BYTES_MAX - args.len()));
    }
    let name = shown(words.get(0).unwrap_or_default(), SHOWN_BYTES_MAX);
    Reply::Error(format!("ERR unknown command '{name}', with args beginning with: {args}"))
}

/// A subcommand that is not in the table.
#[must_use]
pub(super) fn unknown_subcommand(container: &str, word: &[u8]) -> Reply {
    let word = shown(word, SHOWN_BYTES_MAX);
    Reply::Error(format!("ERR unknown subcommand '{word}'. Try {} HELP.", container.to_ascii_uppercase()))
}

/// The beginning of what a client sent, for an error line.
#[must_use]
pub(super) fn shown(word: &[u8], max: usize) -> String {
    String::from_utf8_lossy(word.get(..max).unwrap_or(word)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{of, unknown_command, unknown_subcommand};
    use crate::error::{Error, ErrorKind};
    use crate::ports::store::Reply;
    use crate::wire::resp::args::Words;

    #[test]
    fn host_errors_say_what_who_and_whether_to_retry() {
        let check = |kind, message, line: &str| assert_eq!(of(&Error::new(kind, message)), Reply::Error(line.into()));
        check(ErrorKind::StoreReply, "WRONGTYPE Operation", "WRONGTYPE Operation");
        check(ErrorKind::StoreTimeout, "too slow", "ERR too slow [store-timeout; blame: store; retry: yes]");
        check(ErrorKind::Refused, "no", "ERR no [refused; blame: caller; retry: no]");
        let loading = "the store cannot be reached: r:1: LOADING it";
        let line = "LOADING the store cannot be reached: r:1: LOADING it [store-unavailable; blame: store; retry: yes]";
        check(ErrorKind::StoreUnavailable, loading, line);
    }

    #[test]
    fn unknown_commands_as_redis_words_them() {
        let words = Words::new(b"fooab", &[(0, 3), (3, 4), (4, 5)]);
        assert_eq!(
            unknown_command(&words),
            Reply::Error("ERR unknown command 'foo', with args beginning with: 'a' 'b' ".into())
        );
        let long = [b'x'; 300];
        let Reply::Error(line) = unknown_command(&Words::new(&long, &[(0, 300), (0, 100), (0, 100), (0, 100)])) else {
            panic!("an error");
        };
        assert!(line.len() < 400, "{line}");
        assert_eq!(
            unknown_subcommand("client", b"foo"),
            Reply::Error("ERR unknown subcommand 'foo'. Try CLIENT HELP.".into())
        );
    }
}
