//! Which commands are forwarded. On which connection is told in `ports/way.rs`.
//!
//! A command with keys goes unless the server itself calls it dangerous. One without keys goes only if it stands here, for it concerns
//! all users of the server. An operator may allow more, by name, and may take away what would go.

use crate::engine::key::escaped;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::store::{Command, Reply};
use crate::ports::upstream::Facts;
use crate::ports::way::{self, Way};

/// What an operator says of forwarding: names in small letters, a subcommand as `script|flush`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardRules {
    /// What goes though it would be refused.
    pub allow: Vec<String>,
    /// What is refused though it would go.
    pub deny: Vec<String>,
}

/// Without keys, and harmless.
const KEYLESS: [&str; 38] = [
    "acl|cat",
    "acl|genpass",
    "acl|help",
    "command",
    "eval",
    "eval_ro",
    "evalsha",
    "evalsha_ro",
    "function|help",
    "function|list",
    "function|stats",
    "lastsave",
    "latency|doctor",
    "latency|graph",
    "latency|help",
    "latency|histogram",
    "latency|history",
    "latency|latest",
    "lolwut",
    "memory|doctor",
    "memory|help",
    "memory|malloc-stats",
    "memory|stats",
    "module|help",
    "module|list",
    "object",
    "publish",
    "pubsub",
    "script|exists",
    "script|help",
    "script|load",
    "script|show",
    "spublish",
    "time",
    "wait",
    "waitaof",
    "xgroup|help",
    "xinfo|help",
];
/// About all keys of the database that is selected: served by this host in that of the policies, forwarded into all others.
pub(super) const OF_A_DATABASE: [&str; 5] = ["dbsize", "flushdb", "keys", "randomkey", "scan"];
/// With keys and called dangerous by the server, for they are slow on large data. What they do is confined to their keys.
const CONFINED: [&str; 2] = ["sort", "sort_ro"];
/// They answer a list, or nothing.
const LISTS: [&str; 12] = [
    "blmove",
    "blmpop",
    "blpop",
    "brpop",
    "brpoplpush",
    "bzmpop",
    "bzpopmax",
    "bzpopmin",
    "lmpop",
    "xread",
    "xreadgroup",
    "zmpop",
];
fn is_one_of(names: &[&str], name: &[u8]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// What a command answers: its nothing is that of a list where there would be a list, which a client's library does not tell apart.
pub(in crate::engine) fn with_its_nothing(command: &Command, answer: Reply) -> Reply {
    let name = command.name();
    let pops_some = || command.args.len() > 2 && is_one_of(&["lpop", "rpop"], name);
    match answer {
        Reply::Nil if is_one_of(&LISTS, name) || pops_some() => Reply::NilArray,
        answer @ Reply::Array(_) if is_one_of(&["geopos"], name) => each(answer, &list),
        answer @ Reply::Array(_) if command.args.len() == 3 && is_one_of(&["xpending"], name) => last(answer, &list),
        // Of each stream the entries, of each entry the fields: of one that was deleted there are none.
        answer @ Reply::Array(_) if is_one_of(&["xreadgroup"], name) => {
            each(answer, &|stream| last(stream, &|entries| each(entries, &|entry| last(entry, &list))))
        }
        answer => answer,
    }
}

/// Nothing in the place of a list.
fn list(reply: Reply) -> Reply {
    if reply == Reply::Nil { Reply::NilArray } else { reply }
}

fn each(reply: Reply, change: &dyn Fn(Reply) -> Reply) -> Reply {
    match reply {
        Reply::Array(items) => Reply::Array(items.into_iter().map(change).collect()),
        other => other,
    }
}

fn last(reply: Reply, change: &dyn Fn(Reply) -> Reply) -> Reply {
    match reply {
        Reply::Array(mut items) => {
            let changed = items.pop().map(change);
            items.extend(changed);
            Reply::Array(items)
        }
        other => other,
    }
}

/// Whether a command waits for replicas to have what was written.
pub(super) fn waits_for_replicas(name: &[u8]) -> bool {
    is_one_of(&["wait", "waitaof"], name)
}

impl ForwardRules {
    /// # Errors
    /// The command is not to be forwarded.
    pub(super) fn check(&self, facts: &Facts, words: &[&[u8]]) -> Result<()> {
        let name = name_of(words, facts.is_part);
        let container = name.split('|').next().unwrap_or_default();
        if way::of(&[container]) == Way::Closed {
            let message =
                format!("'{container}' concerns a connection, and connections to Redis are shared by all clients");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let never = match name.as_str() {
            "swapdb" => Some("it would put what is in another database among the entries of policies"),
            "script|debug" => Some("it concerns a connection, and connections to Redis are shared by all clients"),
            _ => None,
        };
        if let Some(why) = never {
            return Err(refused(&name, why));
        }
        let lists = |names: &[String]| names.iter().any(|known| *known == name || known == container);
        if lists(&self.deny) {
            return Err(refused(&name, "this host's settings (forward.deny) say so"));
        }
        if lists(&self.allow) {
            return Ok(());
        }
        let listed = |names: &[&str]| names.contains(&name.as_str()) || names.contains(&container);
        let has_keys = facts.first > 0 || facts.movable;
        let goes = match has_keys {
            true => !facts.is_dangerous || listed(&CONFINED),
            false => listed(&KEYLESS),
        };
        if goes {
            Ok(())
        } else {
            Err(refused(&name, "it concerns all users of the store; an operator may add it to forward.allow"))
        }
    }

    /// # Errors
    /// The command does not go into a database without policies.
    pub(super) fn check_elsewhere(&self, facts: &Facts, words: &[&[u8]]) -> Result<()> {
        if OF_A_DATABASE.contains(&name_of(words, facts.is_part).as_str()) {
            return self.check_name(words[0]);
        }
        self.check(facts, words)
    }

    /// Whether an operator lets Redis answer a command, or a part of one, that this host would answer itself.
    pub(super) fn hands_over(&self, name: &str) -> bool {
        let container = name.split('|').next().unwrap_or_default();
        let is = |known: &String| known == name || known == container;
        way::of(&[container]) != Way::Closed && self.allow.iter().any(is) && !self.deny.iter().any(is)
    }

    /// # Errors
    /// The command is not to be forwarded, by its name alone.
    pub(super) fn check_name(&self, name: &[u8]) -> Result<()> {
        let name = name_of(&[name], false);
        let denied = self.deny.contains(&name);
        if denied { Err(refused(&name, "this host's settings (forward.deny) say so")) } else { Ok(()) }
    }
}

/// `container|sub` for a part of another command, else the name, in small letters.
fn name_of(words: &[&[u8]], is_part: bool) -> String {
    let small = |word: &[u8]| escaped(&word[..word.len().min(128)]).to_ascii_lowercase();
    let name = words.first().map(|name| small(name)).unwrap_or_default();
    match words.get(1) {
        Some(second) if is_part => format!("{name}|{}", small(second)),
        _ => name,
    }
}

fn refused(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("'{name}' is not forwarded to Redis: {why}"))
}

fn shown(command: &Command) -> String {
    escaped(command.name()).to_ascii_lowercase()
}

/// The server has the command, and not this part of it. In its words.
pub(super) fn unknown_subcommand(name: &[u8], second: &[u8]) -> Error {
    let second = &second[..second.len().min(128)];
    let message =
        format!("ERR unknown subcommand '{}'. Try {} HELP.", escaped(second), escaped(name).to_ascii_uppercase());
    Error::new(ErrorKind::StoreReply, message)
}

/// Too few or too many words. In the server's words.
pub(super) fn arity(words: &[&[u8]], facts: &Facts) -> Error {
    let name = name_of(words, facts.is_part);
    Error::new(ErrorKind::StoreReply, format!("ERR wrong number of arguments for '{name}' command"))
}

/// The store is no Redis.
pub(super) fn needs_redis(command: &Command) -> Error {
    let message = format!(
        "'{}' needs a Redis store: it is forwarded, and this host keeps its data in memory (store.url)",
        shown(command)
    );
    Error::new(ErrorKind::Unsupported, message)
}

/// `default` does not keep keys as Redis does.
pub(super) fn needs_verbatim(command: &Command) -> Error {
    let message = format!(
        "'{}' is forwarded to Redis, which needs a policy 'default' that keeps keys verbatim and values raw",
        shown(command)
    );
    Error::new(ErrorKind::Unsupported, message)
}

/// A key is of another domain.
pub(super) fn of_a_domain(command: &Command, key: &[u8], domain: &str) -> Error {
    let message = format!(
        "'{}' is forwarded to Redis, which the domain 'default' alone allows; the key '{}' is of the domain '{domain}'",
        shown(command),
        escaped(key)
    );
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&[u8]> {
        line.split(' ').map(str::as_bytes).collect()
    }

    #[test]
    fn what_goes_and_what_does_not() {
        let rules = ForwardRules { allow: vec!["debug".into(), "script|flush".into()], deny: vec!["eval".into()] };
        let keyed = Facts { first: 1, last: 1, step: 1, ..Facts::default() };
        let dangerous = Facts { is_dangerous: true, ..keyed.clone() };
        let keyless = Facts::default();
        let part = Facts { is_part: true, ..Facts::default() };
        for (facts, line, goes) in [
            (&keyed, "ZADD k 1 m", true),
            (&dangerous, "RESTORE k 0 x", false),
            (&dangerous, "SORT k", true),
            (&keyless, "PUBLISH c m", true),
            (&keyless, "SHUTDOWN", false),
            (&keyless, "FLUSHALL", false),
            (&part, "SCRIPT LOAD x", true),
            (&part, "SCRIPT KILL", false),
            (&part, "SCRIPT FLUSH", true),
            (&keyless, "DEBUG SLEEP 1", true),
            (&part, "CONFIG SET a b", false),
            (&keyless, "EVALSHA x 0", true),
            (&keyless, "EVAL x 0", false),
            (&keyless, "MULTI", false),
            (&keyless, "MONITOR", false),
            (&part, "ACL CAT", true),
            (&part, "ACL SETUSER x", false),
            (&part, "LATENCY RESET", false),
            (&keyless, "SCAN 0", false),
        ] {
            assert_eq!(rules.check(facts, &words(line)).is_ok(), goes, "{line}");
        }
        assert!(rules.check_elsewhere(&dangerous, &words("KEYS *")).is_ok());
        assert!(rules.check_elsewhere(&dangerous, &words("RESTORE k 0 x")).is_err());
        let all = ForwardRules { allow: vec!["swapdb".into(), "script".into()], deny: vec![] };
        assert!(all.check(&keyless, &words("SWAPDB 0 1")).is_err());
        assert!(
            all.check(&part, &words("SCRIPT DEBUG YES")).is_err() && all.check(&part, &words("SCRIPT KILL")).is_ok()
        );
        let rules = ForwardRules { allow: vec!["config".into(), "client".into(), "acl|whoami".into()], deny: vec![] };
        assert!(rules.hands_over("config|set") && rules.hands_over("config") && rules.hands_over("acl|whoami"));
        assert!(!rules.hands_over("client|list") && !rules.hands_over("acl") && !rules.hands_over("info"));
    }
}
