//! Redis' commands on the key space: a table by name, and the checks that they share.
//!
//! Replies and error texts are those of Redis 7.0; the contract suite compares them with a real one, command by command.
//! Deliberately absent: commands that are not about keys at hand (`KEYS`, `SCAN`, `DBSIZE`, scripts, transactions, blocking
//! ones): they are answered with an error that says so.

mod args;
mod expiry;
mod key;
mod number;
mod options;
mod range;
mod string;

use bytes::Bytes;

pub(super) use self::number::increment;

use self::args::Arguments;
use super::keyspace::{Keyspace, View};
use super::refusal::Refusal;
use crate::ports::store::Reply;

/// What a command answers.
type Outcome = Result<Reply, Refusal>;

/// Carries out a command whose keys are locked.
type Run = fn(&mut View<'_>, Arguments<'_>) -> Outcome;

/// Which arguments are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// None.
    None,
    /// The first.
    One,
    /// The first two.
    Two,
    /// All.
    All,
    /// Every other one, beginning with the first.
    Pairs,
}

/// What is known of a command before it runs.
struct Spec {
    /// In lower case, as error texts have it.
    name: &'static str,
    /// Number of arguments, the name included; negative: at least so many. Redis' way.
    arity: i32,
    keys: Keys,
    /// Whether it is refused when memory is full.
    grows: bool,
    run: Run,
}

const fn reads(name: &'static str, arity: i32, keys: Keys, run: Run) -> Spec {
    Spec { name, arity, keys, grows: false, run }
}

const fn grows(name: &'static str, arity: i32, keys: Keys, run: Run) -> Spec {
    Spec { name, arity, keys, grows: true, run }
}

/// All commands, in order of their names.
static TABLE: [Spec; 39] = [
    grows("append", 3, Keys::One, range::append),
    grows("copy", -3, Keys::Two, key::copy),
    grows("decr", 2, Keys::One, number::decr),
    grows("decrby", 3, Keys::One, number::decrby),
    reads("del", -2, Keys::All, key::del),
    reads("exists", -2, Keys::All, key::exists),
    reads("expire", -3, Keys::One, expiry::expire),
    reads("expireat", -3, Keys::One, expiry::expireat),
    reads("expiretime", 2, Keys::One, expiry::expiretime),
    reads("get", 2, Keys::One, string::get),
    reads("getdel", 2, Keys::One, string::getdel),
    reads("getex", -2, Keys::One, string::getex),
    reads("getrange", 4, Keys::One, range::getrange),
    grows("getset", 3, Keys::One, string::getset),
    grows("incr", 2, Keys::One, number::incr),
    grows("incrby", 3, Keys::One, number::incrby),
    grows("incrbyfloat", 3, Keys::One, number::incrbyfloat),
    reads("mget", -2, Keys::All, string::mget),
    grows("mset", -3, Keys::Pairs, string::mset),
    grows("msetnx", -3, Keys::Pairs, string::msetnx),
    reads("persist", 2, Keys::One, expiry::persist),
    reads("pexpire", -3, Keys::One, expiry::pexpire),
    reads("pexpireat", -3, Keys::One, expiry::pexpireat),
    reads("pexpiretime", 2, Keys::One, expiry::pexpiretime),
    reads("ping", -1, Keys::None, key::ping),
    grows("psetex", 4, Keys::One, string::psetex),
    reads("pttl", 2, Keys::One, expiry::pttl),
    reads("rename", 3, Keys::Two, key::rename),
    reads("renamenx", 3, Keys::Two, key::renamenx),
    grows("set", -3, Keys::One, string::set),
    grows("setex", 4, Keys::One, string::setex),
    grows("setnx", 3, Keys::One, string::setnx),
    grows("setrange", 4, Keys::One, range::setrange),
    reads("strlen", 2, Keys::One, range::strlen),
    reads("substr", 4, Keys::One, range::getrange),
    reads("touch", -2, Keys::All, key::exists),
    reads("ttl", 2, Keys::One, expiry::ttl),
    reads("type", 2, Keys::One, key::kind),
    reads("unlink", -2, Keys::All, key::del),
];

impl Spec {
    /// The command of this name, in any case.
    fn find(name: &[u8]) -> Option<&'static Self> {
        let order = |spec: &Self| spec.name.bytes().cmp(name.iter().map(u8::to_ascii_lowercase));
        TABLE.binary_search_by(order).ok().map(|found| &TABLE[found])
    }

    fn takes(&self, arguments: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { arguments == wanted } else { arguments >= wanted }
    }

    fn lock<'a>(&self, space: &'a Keyspace, arguments: &[Bytes]) -> View<'a> {
        let (take, step) = match self.keys {
            Keys::None => (0, 1),
            Keys::One => (1, 1),
            Keys::Two => (2, 1),
            Keys::All => (usize::MAX, 1),
            Keys::Pairs => (usize::MAX, 2),
        };
        space.lock(arguments.iter().skip(1).step_by(step).take(take).map(|key| &key[..]))
    }
}

/// Carries out one command, all of it at one moment.
pub(super) fn call(space: &Keyspace, arguments: &[Bytes]) -> Reply {
    carry_out(space, arguments).unwrap_or_else(Reply::from)
}

fn carry_out(space: &Keyspace, arguments: &[Bytes]) -> Outcome {
    let name = arguments.first().ok_or(Refusal::EMPTY)?;
    let spec = Spec::find(name).ok_or_else(|| Refusal::unknown(name))?;
    if !spec.takes(arguments.len()) {
        return Err(Refusal::arity(spec.name));
    }
    if spec.grows {
        space.room(arguments.iter().skip(1).map(Bytes::len).sum())?;
    }
    let mut view = spec.lock(space, arguments);
    (spec.run)(&mut view, Arguments(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn a_command_is_found_in_any_case() {
        for spec in &TABLE {
            assert_eq!(Spec::find(spec.name.to_uppercase().as_bytes()).map(|found| found.name), Some(spec.name));
        }
        assert!(Spec::find(b"ge").is_none() && Spec::find(b"gets").is_none());
    }
}
