//! All commands: a table by name.

use bytes::Bytes;

use super::args::Arguments;
use super::{Outcome, expiry, hash, key, list, list_inside, number, object, random, range, scan, set, set_algebra};
use super::{space, string};
use crate::adapters::memory::integer;
use crate::adapters::memory::keyspace::Keyspace;
use crate::adapters::memory::view::View;

/// Carries out a command whose keys are locked.
type Run = fn(&mut View<'_>, Arguments<'_>) -> Outcome;

/// Which keys a command locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// None.
    None,
    /// The first argument.
    One,
    /// The first two.
    Two,
    /// The second, behind a subcommand.
    Second,
    /// All arguments.
    All,
    /// Every other one, beginning with the first.
    Pairs,
    /// As many as the first argument says, behind it.
    Counted,
    /// Every key there is.
    Every,
}

/// What is known of a command before it runs.
pub(super) struct Spec {
    /// In lower case, as error texts have it.
    pub(super) name: &'static str,
    /// Number of arguments, the name included; negative: at least so many. Redis' way.
    arity: i32,
    keys: Keys,
    /// Whether it is refused when memory is full.
    pub(super) grows: bool,
    pub(super) run: Run,
}

const fn reads(name: &'static str, arity: i32, keys: Keys, run: Run) -> Spec {
    Spec { name, arity, keys, grows: false, run }
}

const fn grows(name: &'static str, arity: i32, keys: Keys, run: Run) -> Spec {
    Spec { name, arity, keys, grows: true, run }
}

/// All commands, in order of their names.
static TABLE: &[Spec] = &[
    grows("append", 3, Keys::One, range::append),
    grows("copy", -3, Keys::Two, key::copy),
    reads("dbsize", 1, Keys::Every, space::dbsize),
    grows("decr", 2, Keys::One, number::decr),
    grows("decrby", 3, Keys::One, number::decrby),
    reads("del", -2, Keys::All, key::del),
    reads("exists", -2, Keys::All, key::exists),
    reads("expire", -3, Keys::One, expiry::expire),
    reads("expireat", -3, Keys::One, expiry::expireat),
    reads("expiretime", 2, Keys::One, expiry::expiretime),
    reads("flushall", -1, Keys::Every, space::flush),
    reads("flushdb", -1, Keys::Every, space::flush),
    reads("get", 2, Keys::One, string::get),
    reads("getdel", 2, Keys::One, string::getdel),
    reads("getex", -2, Keys::One, string::getex),
    reads("getrange", 4, Keys::One, range::getrange),
    grows("getset", 3, Keys::One, string::getset),
    reads("hdel", -3, Keys::One, hash::hdel),
    reads("hexists", 3, Keys::One, hash::hexists),
    reads("hget", 3, Keys::One, hash::hget),
    reads("hgetall", 2, Keys::One, hash::hgetall),
    grows("hincrby", 4, Keys::One, number::hincrby),
    grows("hincrbyfloat", 4, Keys::One, number::hincrbyfloat),
    reads("hkeys", 2, Keys::One, hash::hkeys),
    reads("hlen", 2, Keys::One, hash::hlen),
    reads("hmget", -3, Keys::One, hash::hmget),
    grows("hmset", -4, Keys::One, hash::hmset),
    reads("hrandfield", -2, Keys::One, random::hrandfield),
    reads("hscan", -3, Keys::One, scan::hscan),
    grows("hset", -4, Keys::One, hash::hset),
    grows("hsetnx", 4, Keys::One, hash::hsetnx),
    reads("hstrlen", 3, Keys::One, hash::hstrlen),
    reads("hvals", 2, Keys::One, hash::hvals),
    grows("incr", 2, Keys::One, number::incr),
    grows("incrby", 3, Keys::One, number::incrby),
    grows("incrbyfloat", 3, Keys::One, number::incrbyfloat),
    reads("keys", 2, Keys::Every, scan::keys),
    reads("lindex", 3, Keys::One, list_inside::lindex),
    grows("linsert", 5, Keys::One, list_inside::linsert),
    reads("llen", 2, Keys::One, list_inside::llen),
    grows("lmove", 5, Keys::Two, list::lmove),
    reads("lpop", -2, Keys::One, list::lpop),
    reads("lpos", -3, Keys::One, list_inside::lpos),
    grows("lpush", -3, Keys::One, list::lpush),
    grows("lpushx", -3, Keys::One, list::lpushx),
    reads("lrange", 4, Keys::One, list_inside::lrange),
    reads("lrem", 4, Keys::One, list_inside::lrem),
    grows("lset", 4, Keys::One, list_inside::lset),
    reads("ltrim", 4, Keys::One, list_inside::ltrim),
    reads("mget", -2, Keys::All, string::mget),
    grows("mset", -3, Keys::Pairs, string::mset),
    grows("msetnx", -3, Keys::Pairs, string::msetnx),
    reads("object", -2, Keys::Second, object::object),
    reads("persist", 2, Keys::One, expiry::persist),
    reads("pexpire", -3, Keys::One, expiry::pexpire),
    reads("pexpireat", -3, Keys::One, expiry::pexpireat),
    reads("pexpiretime", 2, Keys::One, expiry::pexpiretime),
    reads("ping", -1, Keys::None, key::ping),
    grows("psetex", 4, Keys::One, string::psetex),
    reads("pttl", 2, Keys::One, expiry::pttl),
    reads("randomkey", 1, Keys::Every, random::randomkey),
    reads("rename", 3, Keys::Two, key::rename),
    reads("renamenx", 3, Keys::Two, key::renamenx),
    reads("rpop", -2, Keys::One, list::rpop),
    grows("rpoplpush", 3, Keys::Two, list::rpoplpush),
    grows("rpush", -3, Keys::One, list::rpush),
    grows("rpushx", -3, Keys::One, list::rpushx),
    grows("sadd", -3, Keys::One, set::sadd),
    reads("scan", -2, Keys::None, scan::scan),
    reads("scard", 2, Keys::One, set::scard),
    reads("sdiff", -2, Keys::All, set_algebra::sdiff),
    grows("sdiffstore", -3, Keys::All, set_algebra::sdiffstore),
    grows("set", -3, Keys::One, string::set),
    grows("setex", 4, Keys::One, string::setex),
    grows("setnx", 3, Keys::One, string::setnx),
    grows("setrange", 4, Keys::One, range::setrange),
    reads("sinter", -2, Keys::All, set_algebra::sinter),
    reads("sintercard", -3, Keys::Counted, set_algebra::sintercard),
    grows("sinterstore", -3, Keys::All, set_algebra::sinterstore),
    reads("sismember", 3, Keys::One, set::sismember),
    reads("smembers", 2, Keys::One, set::smembers),
    reads("smismember", -3, Keys::One, set::smismember),
    reads("smove", 4, Keys::Two, set::smove),
    reads("spop", -2, Keys::One, random::spop),
    reads("srandmember", -2, Keys::One, random::srandmember),
    reads("srem", -3, Keys::One, set::srem),
    reads("sscan", -3, Keys::One, scan::sscan),
    reads("strlen", 2, Keys::One, range::strlen),
    reads("substr", 4, Keys::One, range::getrange),
    reads("sunion", -2, Keys::All, set_algebra::sunion),
    grows("sunionstore", -3, Keys::All, set_algebra::sunionstore),
    reads("time", 1, Keys::None, space::time),
    reads("touch", -2, Keys::All, key::touch),
    reads("ttl", 2, Keys::One, expiry::ttl),
    reads("type", 2, Keys::One, key::kind),
    reads("unlink", -2, Keys::All, key::del),
];

impl Spec {
    /// The command of this name, in any case.
    pub(super) fn find(name: &[u8]) -> Option<&'static Self> {
        let order = |spec: &Self| spec.name.bytes().cmp(name.iter().map(u8::to_ascii_lowercase));
        TABLE.binary_search_by(order).ok().map(|found| &TABLE[found])
    }

    /// Whether it takes so many arguments, the name included.
    pub(super) fn takes(&self, arguments: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { arguments == wanted } else { arguments >= wanted }
    }

    /// The shards of what it may touch.
    pub(super) fn shards(&self, space: &Keyspace, arguments: &[Bytes]) -> u64 {
        let (from, take, step) = match self.keys {
            Keys::None => (1, 0, 1),
            Keys::One => (1, 1, 1),
            Keys::Two => (1, 2, 1),
            Keys::Second => (2, 1, 1),
            Keys::All => (1, usize::MAX, 1),
            Keys::Pairs => (1, usize::MAX, 2),
            Keys::Counted => (2, counted(arguments), 1),
            Keys::Every => return Keyspace::ALL,
        };
        space.shards_of(arguments.iter().skip(from).step_by(step).take(take).map(|key| &key[..]))
    }
}

/// How many keys the first argument says; none if it says nothing that the command takes.
fn counted(arguments: &[Bytes]) -> usize {
    let number = arguments.get(1).and_then(|number| integer::parse(number));
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
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
        for spec in TABLE {
            assert_eq!(Spec::find(spec.name.to_uppercase().as_bytes()).map(|found| found.name), Some(spec.name));
        }
        assert!(Spec::find(b"ge").is_none() && Spec::find(b"gets").is_none());
    }
}
