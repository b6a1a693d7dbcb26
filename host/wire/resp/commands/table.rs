//! The table of all commands, and how a name is found in it.
//!
//! Finding costs one hash over the name and nearly always one comparison; the places are computed when the host is compiled.

use super::data_table::DATA;
use super::own_table::{BREAKER, INVALIDATE, LOCK, OWN, POLICY};
use super::spec::{ALL_KEYS, Group, NO_KEYS, ONE_KEY, PAIRS, Spec};
use super::{
    breaker, client, config, counters, expiry, handshake, help, hot, info, joined, keys, lease, log, own, set, strings,
    tracking, warm, workflow,
};
use crate::config::users::Role::{Admin, Read, Write};
use crate::wire::access::Of;

/// All of them.
pub const COMMANDS: &[Spec] = &all();

/// Both tables as one, in order of the names.
const fn all() -> [Spec; OTHERS.len() + DATA.len()] {
    let mut all = [OTHERS[0]; OTHERS.len() + DATA.len()];
    let (mut others, mut data) = (0, 0);
    while others + data < all.len() {
        let is_data = others == OTHERS.len() || data < DATA.len() && comes_before(DATA[data].name, OTHERS[others].name);
        all[others + data] = if is_data { DATA[data] } else { OTHERS[others] };
        if is_data {
            data += 1;
        } else {
            others += 1;
        }
    }
    all
}

const fn comes_before(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    a.len() < b.len()
}

const OTHERS: &[Spec] = &[
    Spec::container("acl", ACL).doc(Group::Server, "6.0.0", "The users."),
    Spec::write("append", 3, ONE_KEY, strings::append).fast().doc(Group::String, "2.0.0", "Appends to a value."),
    Spec::session("auth", -2, handshake::auth).fast().no_auth().doc(Group::Connection, "1.0.0", "Says the password."),
    Spec::container("client", CLIENT).doc(Group::Connection, "2.4.0", "The connections."),
    Spec::turn("command", -1, NO_KEYS, joined::all).with(COMMAND).doc(Group::Server, "2.8.13", "All commands."),
    Spec::container("config", CONFIG).admin().doc(Group::Server, "2.0.0", "The settings."),
    Spec::write("decr", 2, ONE_KEY, counters::decr).fast().doc(Group::String, "1.0.0", "Takes 1 from a number."),
    Spec::write("decrby", 3, ONE_KEY, counters::decr_by).fast().doc(Group::String, "1.0.0", "Takes from a number."),
    Spec::write("del", -2, ALL_KEYS, keys::delete).doc(Group::Generic, "1.0.0", "Removes keys."),
    Spec::session("echo", 2, handshake::echo).fast().doc(Group::Connection, "1.0.0", "Says it back."),
    Spec::read("exists", -2, ALL_KEYS, keys::exists).fast().doc(Group::Generic, "1.0.0", "How many of the keys exist."),
    Spec::write("expire", -3, ONE_KEY, expiry::expire).fast().doc(
        Group::Generic,
        "1.0.0",
        "Expires a key, in seconds.",
    ),
    Spec::write("expireat", -3, ONE_KEY, expiry::expire_at).fast().doc(
        Group::Generic,
        "1.2.0",
        "Expires a key at a Unix time, in seconds.",
    ),
    Spec::read("expiretime", 2, ONE_KEY, expiry::expire_time).fast().doc(
        Group::Generic,
        "7.0.0",
        "The Unix time at which a key expires, in seconds.",
    ),
    Spec::leases("get", 2, strings::get).fast().doc(Group::String, "1.0.0", "The value of a key."),
    Spec::write("getdel", 2, ONE_KEY, strings::get_del).fast().doc(
        Group::String,
        "6.2.0",
        "The value of a key, which is removed.",
    ),
    Spec::write("getex", -2, ONE_KEY, strings::get_ex).fast().doc(
        Group::String,
        "6.2.0",
        "The value of a key, whose expiry is changed.",
    ),
    Spec::write("getset", 3, ONE_KEY, set::get_set).fast().doc(
        Group::String,
        "1.0.0",
        "Writes a value, answers the old one.",
    ),
    Spec::session("hello", -1, handshake::hello).fast().no_auth().doc(
        Group::Connection,
        "6.0.0",
        "Greets, and chooses the protocol.",
    ),
    Spec::write("incr", 2, ONE_KEY, counters::incr).fast().doc(Group::String, "1.0.0", "Adds 1 to a number."),
    Spec::write("incrby", 3, ONE_KEY, counters::incr_by).fast().doc(Group::String, "1.0.0", "Adds to a number."),
    Spec::turn("info", -1, NO_KEYS, info::with_keyspace).doc(Group::Server, "1.0.0", "How the server is doing."),
    Spec::session("larder.breaker", -1, breaker::list).admin().needs(Read, Of::Host).with(BREAKER).doc(
        Group::Larder,
        OWN,
        "Where the breakers stand.",
    ),
    Spec::write("larder.call", -3, NO_KEYS, workflow::call).needs(Write, Of::Domain(1)).doc(
        Group::Larder,
        OWN,
        "Has the policy of a domain carry out one of its commands.",
    ),
    Spec::write("larder.event", 4, NO_KEYS, workflow::event).needs(Write, Of::DomainOrAll(1)).doc(
        Group::Larder,
        OWN,
        "Tells an event; the policy says what it makes out of date.",
    ),
    Spec::read("larder.explain", 2, ONE_KEY, own::explain).doc(Group::Larder, OWN, "Why a key is answered as it is."),
    Spec::write("larder.fill", -4, ONE_KEY, lease::fill).doc(
        Group::Larder,
        OWN,
        "(key lease value [PX ms|EX s]) Stores what was loaded, if nothing has overtaken it since the lease was taken.",
    ),
    Spec::read("larder.get", 2, ONE_KEY, lease::get).doc(
        Group::Larder,
        OWN,
        "A value with its state, age and time to live; on a miss the lease to fill it.",
    ),
    Spec::session("larder.help", 1, own::help).doc(Group::Larder, OWN, "Larder's own commands."),
    Spec::session("larder.hotkeys", -1, hot::keys).admin().needs(Read, Of::Host).doc(
        Group::Larder,
        OWN,
        "([domain] [COUNT n]) The keys that are read most just now, of domains that may be read.",
    ),
    Spec::container("larder.invalidate", INVALIDATE).doc(Group::Larder, OWN, "Invalidates what is out of date."),
    Spec::container("larder.lock", LOCK).doc(Group::Larder, OWN, "Distributed locks."),
    Spec::session("larder.log", -1, log::log).needs(Admin, Of::Host).doc(
        Group::Larder,
        OWN,
        "[directives] What is logged, and from now on this.",
    ),
    Spec::container("larder.policy", POLICY).admin().doc(Group::Larder, OWN, "The policies."),
    Spec::session("larder.status", 1, own::status).admin().needs(Read, Of::Host).doc(
        Group::Larder,
        OWN,
        "How the host is, as JSON.",
    ),
    Spec::write("larder.warm", -2, NO_KEYS, warm::warm).admin().needs(Admin, Of::Domain(1)).doc(
        Group::Larder,
        OWN,
        "Brings keys in before anybody asks, some at a time.",
    ),
    Spec::read("mget", -2, ALL_KEYS, strings::get_many).fast().doc(Group::String, "1.0.0", "The values of keys."),
    Spec::session("monitor", 1, client::monitor).admin().doc(Group::Server, "1.0.0", "What all clients say."),
    Spec::write("mset", -3, PAIRS, set::set_many).doc(Group::String, "1.0.1", "Writes many values."),
    Spec::write("persist", 2, ONE_KEY, expiry::persist).fast().doc(
        Group::Generic,
        "2.2.0",
        "Takes a key's expiry away.",
    ),
    Spec::write("pexpire", -3, ONE_KEY, expiry::pexpire).fast().doc(
        Group::Generic,
        "2.6.0",
        "Expires a key, in milliseconds.",
    ),
    Spec::write("pexpireat", -3, ONE_KEY, expiry::pexpire_at).fast().doc(
        Group::Generic,
        "2.6.0",
        "Expires a key at a Unix time, in milliseconds.",
    ),
    Spec::read("pexpiretime", 2, ONE_KEY, expiry::pexpire_time).fast().doc(
        Group::Generic,
        "7.0.0",
        "The Unix time at which a key expires, in milliseconds.",
    ),
    Spec::session("ping", -1, handshake::ping).fast().doc(Group::Connection, "1.0.0", "Whether the server is there."),
    Spec::fills("psetex", 4, set::pset_ex).doc(Group::String, "2.6.0", "Writes a value, with milliseconds to live."),
    Spec::read("pttl", 2, ONE_KEY, expiry::pttl).fast().doc(
        Group::Generic,
        "2.6.0",
        "Milliseconds that a key has left.",
    ),
    Spec::session("quit", -1, handshake::quit).fast().no_auth().doc(Group::Connection, "1.0.0", "Ends the connection."),
    Spec::session("reset", 1, handshake::reset).fast().no_auth().doc(
        Group::Connection,
        "6.2.0",
        "Makes the connection as it was when new.",
    ),
    Spec::session("role", 1, info::role).fast().doc(Group::Server, "2.8.12", "Always a master without replicas."),
    Spec::turn("select", 2, NO_KEYS, handshake::select).fast().doc(Group::Connection, "1.0.0", "Chooses a database."),
    Spec::fills("set", -3, set::set).doc(Group::String, "1.0.0", "Writes a value."),
    Spec::fills("setex", 4, set::set_ex).doc(Group::String, "2.0.0", "Writes a value, with seconds to live."),
    Spec::write("setnx", 3, ONE_KEY, set::set_nx).fast().doc(
        Group::String,
        "1.0.0",
        "Writes a value if there is none.",
    ),
    Spec::read("strlen", 2, ONE_KEY, strings::length).fast().doc(Group::String, "2.2.0", "The length of a value."),
    Spec::session("time", 1, handshake::time).fast().doc(Group::Server, "2.6.0", "The server's time."),
    Spec::read("ttl", 2, ONE_KEY, expiry::ttl).fast().doc(Group::Generic, "1.0.0", "Seconds that a key has left."),
    Spec::read("type", 2, ONE_KEY, keys::kind).fast().doc(Group::Generic, "1.0.0", "What kind of value a key holds."),
    Spec::write("unlink", -2, ALL_KEYS, keys::delete).fast().doc(Group::Generic, "4.0.0", "Removes keys."),
];

const ACL: &[Spec] =
    &[Spec::session("acl|whoami", 2, handshake::who_am_i).doc(Group::Server, "6.0.0", "Who the client is.")];

const CLIENT: &[Spec] = &[
    Spec::session("client|caching", 3, tracking::caching).doc(
        Group::Connection,
        "6.0.0",
        "(YES|NO) Whether what the next command reads is tracked.",
    ),
    Spec::session("client|getname", 2, client::get_name).doc(Group::Connection, "2.6.9", "This connection's name."),
    Spec::session("client|getredir", 2, tracking::get_redir).doc(
        Group::Connection,
        "6.0.0",
        "The connection that is told in place of this one.",
    ),
    Spec::session("client|help", 2, help).doc(Group::Connection, "5.0.0", "This list."),
    Spec::session("client|id", 2, client::id).doc(Group::Connection, "5.0.0", "This connection's number."),
    Spec::session("client|info", 2, client::info).doc(Group::Connection, "6.2.0", "This connection."),
    Spec::session("client|kill", -3, client::kill).admin().doc(
        Group::Connection,
        "2.4.0",
        "Ends connections: <addr:port> | [ID id] [ADDR a] [LADDR a] [SKIPME yes|no].",
    ),
    Spec::session("client|list", -2, client::list).admin().doc(
        Group::Connection,
        "2.4.0",
        "All connections, or [ID id ...].",
    ),
    Spec::session("client|no-evict", 3, client::accepted_switch).admin().doc(
        Group::Connection,
        "7.0.0",
        "(ON|OFF) Accepted; connections are never evicted.",
    ),
    Spec::session("client|no-touch", 3, client::accepted_switch).doc(
        Group::Connection,
        "7.2.0",
        "(ON|OFF) Accepted; reads count for L1 either way.",
    ),
    Spec::session("client|pause", -3, tracking::pause).admin().doc(
        Group::Connection,
        "3.0.0",
        "<ms> [WRITE|ALL] Lets all clients wait; what is for operators goes on.",
    ),
    Spec::session("client|reply", 3, client::reply).doc(
        Group::Connection,
        "3.2.0",
        "(ON|OFF|SKIP) Which answers are sent.",
    ),
    Spec::session("client|setinfo", 4, client::set_info).doc(
        Group::Connection,
        "7.2.0",
        "(LIB-NAME|LIB-VER) What the client library is.",
    ),
    Spec::session("client|setname", 3, client::set_name).doc(Group::Connection, "2.6.9", "Names this connection."),
    Spec::session("client|tracking", -3, tracking::tracking).doc(
        Group::Connection,
        "6.0.0",
        "(ON|OFF) [REDIRECT id] [BCAST] [PREFIX p ...] [OPTIN|OPTOUT] [NOLOOP] Copies in the client.",
    ),
    Spec::session("client|trackinginfo", 2, tracking::tracking_info).doc(
        Group::Connection,
        "6.2.0",
        "How this connection tracks.",
    ),
    Spec::session("client|unblock", -3, client::unblock).admin().doc(
        Group::Connection,
        "5.0.0",
        "<id> [TIMEOUT|ERROR] Ends a command that waits.",
    ),
    Spec::session("client|unpause", 2, tracking::unpause).admin().doc(
        Group::Connection,
        "6.2.0",
        "Ends the pause of all clients.",
    ),
];

const COMMAND: &[Spec] = &[
    Spec::turn("command|count", 2, NO_KEYS, joined::count_all).doc(Group::Server, "2.8.13", "How many there are."),
    Spec::turn("command|docs", -2, NO_KEYS, joined::docs).doc(Group::Server, "7.0.0", "What all or some of them do."),
    Spec::turn("command|getkeys", -4, NO_KEYS, joined::get_keys).doc(Group::Server, "2.8.13", "The keys in a command."),
    Spec::session("command|help", 2, help).doc(Group::Server, "5.0.0", "This list."),
    Spec::turn("command|info", -2, NO_KEYS, joined::info).doc(Group::Server, "2.8.13", "Facts of all or some of them."),
    Spec::turn("command|list", -2, NO_KEYS, joined::list).doc(
        Group::Server,
        "7.0.0",
        "Their names [FILTERBY (MODULE m|ACLCAT c|PATTERN p)].",
    ),
];

const CONFIG: &[Spec] = &[
    Spec::session("config|get", -3, config::get).admin().doc(Group::Server, "2.0.0", "Settings that match patterns."),
    Spec::session("config|help", 2, help).doc(Group::Server, "5.0.0", "This list."),
    Spec::session("config|resetstat", 2, config::reset_stat).admin().doc(Group::Server, "2.0.0", "Not supported."),
    Spec::session("config|set", -4, config::set).admin().doc(Group::Server, "2.0.0", "Not supported."),
];

/// Twice as many places as commands, at least, so that a search ends soon.
const PLACES: usize = 512;
const _: () = assert!(COMMANDS.len() * 2 < PLACES);

static INDEX: [Option<&'static Spec>; PLACES] = index();

const fn index() -> [Option<&'static Spec>; PLACES] {
    let mut places = [None; PLACES];
    let mut i = 0;
    while i < COMMANDS.len() {
        let mut at = hash(COMMANDS[i].name.as_bytes());
        while places[at].is_some() {
            at = (at + 1) % PLACES;
        }
        places[at] = Some(&COMMANDS[i]);
        i += 1;
    }
    places
}

/// FNV-1a (Fowler, Noll, Vo) of the name in small letters, folded to a place.
const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut i = 0;
    while i < name.len() {
        hash = (hash ^ name[i].to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    (hash ^ hash >> 16) as usize % PLACES
}

/// A command by its name, in any case of letters.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    const NAME_BYTES_MAX: usize = 32;
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut at = hash(name);
    while let Some(spec) = INDEX[at] {
        if spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(spec);
        }
        at = (at + 1) % PLACES;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::spec::Run;
    use super::{COMMANDS, find};

    #[test]
    fn every_command_is_found_by_its_name() {
        for spec in COMMANDS {
            for name in [spec.name.to_owned(), spec.name.to_ascii_uppercase()] {
                assert_eq!(find(name.as_bytes()).map(|found| found.name), Some(spec.name));
            }
        }
        for name in ["", "ge", "gett", "get ", "flushnone", &"x".repeat(1000)] {
            assert!(find(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn the_table_is_whole() {
        assert!(COMMANDS.is_sorted_by_key(|spec| spec.name), "in order, and so without doubles");
        for spec in COMMANDS {
            assert_eq!(
                spec.subcommands.is_empty(),
                !matches!(
                    spec.name,
                    "acl"
                        | "client"
                        | "command"
                        | "config"
                        | "larder.breaker"
                        | "larder.invalidate"
                        | "larder.lock"
                        | "larder.policy"
                        | "object"
                )
            );
            assert!(spec.subcommands.is_sorted_by_key(|spec| spec.name));
            for spec in std::iter::once(spec).chain(spec.subcommands) {
                assert_eq!(spec.name, spec.name.to_ascii_lowercase());
                assert!(spec.summary.ends_with('.') && !spec.since.is_empty(), "{}", spec.name);
                assert!(spec.arity != 0 && (!spec.has_keys() || spec.arity.unsigned_abs() >= 2), "{}", spec.name);
                assert!(!spec.has_keys() || !matches!(spec.run, Run::Session(_)), "{}", spec.name);
            }
            for subcommand in spec.subcommands {
                assert_eq!(subcommand.name.split_once('|').map(|(container, _)| container), Some(spec.name));
            }
        }
    }
}
