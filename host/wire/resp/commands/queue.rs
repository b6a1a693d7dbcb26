//! Commands of a transaction: what each of them is to the engine. One that is not here cannot be part of one.

use bytes::Bytes;

use super::expiry::{Base, Unit, condition, expire_at_ms};
use super::spec::{Group, Run, SessionFn, Spec};
use super::{data, handshake, info, set, space};
use crate::engine::sequence::Deed;
use crate::engine::step::{Form, Read, Step, Wanted};
use crate::ports::store::Reply;
use crate::wire::resp::args::{Args, Words};
use crate::wire::resp::claims::Access;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::session::Session;

/// Whether a command on the connection can be part of a transaction.
pub fn may_be_queued(spec: &Spec) -> bool {
    match spec.run {
        Run::Session(_) => !matches!(spec.group, Group::Larder | Group::Transactions) && spec.name != "monitor",
        Run::Data(_) | Run::Leasing(_) | Run::Store(_) => {
            spec.group != Group::Larder && !matches!(spec.name, "randomkey" | "flushdb" | "flushall")
        }
        Run::Turn(_) => ["info", "select"].contains(&spec.name),
        Run::Container => false,
    }
}

/// Commands whose step is just what they are by themselves, in a domain whose values are raw. In order.
const FOLLOWING: [&str; 19] = [
    "append",
    "decr",
    "decrby",
    "expire",
    "expireat",
    "get",
    "getrange",
    "getset",
    "incr",
    "incrby",
    "persist",
    "pexpire",
    "pexpireat",
    "psetex",
    "set",
    "setex",
    "setnx",
    "setrange",
    "substr",
];

/// Whether a command of so many words may go to the store with those before and behind it.
#[must_use]
pub fn follows(spec: &Spec, words: usize) -> bool {
    match (spec.run, spec.name) {
        // Which may be in several nodes of a cluster, and in several databases.
        (Run::Store(_), "copy") => words == 3,
        (Run::Store(form), _) => !form.apart,
        (_, "del" | "unlink") => words == 2,
        (_, name) => FOLLOWING.binary_search(&name).is_ok(),
    }
}

/// What a command does with its keys, as far as a sequence needs to know.
#[must_use]
pub fn deed(spec: &Spec, words: Words<'_>) -> Deed {
    let word = |at| words.get(at).unwrap_or_default();
    let lives = || LIVES.iter().any(|option| word(3).eq_ignore_ascii_case(option.as_bytes()));
    match (spec.name, words.len()) {
        ("set", 3) | ("setex" | "psetex", _) => Deed::Stores,
        ("set", 5) if lives() => Deed::Stores,
        _ if spec.access == Access::Read => Deed::Reads,
        _ => Deed::Changes,
    }
}

/// Options of `SET` that say how long a value lives, and nothing else.
const LIVES: [&str; 4] = ["ex", "px", "exat", "pxat"];

/// What is left of a command on the connection and the engine when it is part of a transaction: what needs no engine.
pub fn in_transaction(spec: &Spec, session: &Session, args: &Args) -> Option<SessionFn> {
    match spec.name {
        "info" => Some(info::info),
        // The block goes to one database as a whole.
        "select" if parse_i64(&args[1]) == Some(session.database_number().into()) => Some(handshake::selected),
        _ => None,
    }
}

/// A command with its arguments, as the engine takes it.
///
/// # Errors
/// The error line, which is the command's answer in the transaction.
pub fn step(spec: &Spec, args: &Args, now_ms: u64) -> Result<Step, Reply> {
    let keys = || spec.keys.places(args.words()).map(|at| args.shared(at)).collect::<Vec<Bytes>>();
    let read = |read| Ok(Step::Read { keys: keys(), read });
    let as_it_is = |form| data::command(spec, form, args).map(Step::Command);
    let expire = |unit, base| {
        let condition = condition(args)?;
        let at_ms = expire_at_ms(&args[2], unit, base, spec.name, now_ms)?;
        Ok(Step::Expire { key: args.shared(1), at_ms, condition })
    };
    match (spec.name, spec.run) {
        (_, Run::Store(form)) => as_it_is(form),
        ("get", _) => read(Read::Value),
        ("mget", _) => read(Read::Values),
        ("strlen", _) => read(Read::Length),
        ("exists", _) => read(Read::Count),
        ("set" | "setnx" | "setex" | "psetex" | "getset", _) => set::step(spec.name, args, now_ms),
        ("mset", _) => set::items(args).map(Step::SetMany),
        ("del" | "unlink", _) => Ok(Step::Delete(keys())),
        ("getrange" | "substr", _) => as_it_is(Form::reads(Wanted::String)),
        ("getdel", _) => as_it_is(Form::shrinks(Wanted::String)),
        ("append" | "setrange", _) => as_it_is(Form::grows(Wanted::String)),
        ("incr" | "decr" | "incrby" | "decrby", _) => as_it_is(Form::grows(Wanted::Counter)),
        ("type" | "ttl" | "pttl" | "expiretime" | "pexpiretime", _) => as_it_is(Form::reads(Wanted::Any).opens()),
        ("expire", _) => expire(Unit::Seconds, Base::Now),
        ("pexpire", _) => expire(Unit::Milliseconds, Base::Now),
        ("expireat", _) => expire(Unit::Seconds, Base::Epoch),
        ("pexpireat", _) => expire(Unit::Milliseconds, Base::Epoch),
        ("persist", _) => Ok(Step::Persist(args.shared(1))),
        ("getex", _) => match set::get_ex_ttl(args, now_ms) {
            Ok(ttl) => Ok(Step::GetAndExpire { key: args.shared(1), ttl }),
            Err(reply) if set::is_syntax(&reply) => Err(reply),
            // Redis looks at the key before it looks at the lifetime.
            Err(_) => as_it_is(Form::reads(Wanted::String)),
        },
        ("scan", _) => Ok(Step::Scan(space::scan_request(args))),
        ("keys", _) => Ok(Step::Keys(args.shared(1))),
        ("dbsize", _) => Ok(Step::Size),
        (name, _) => Err(cannot_be_queued(name)),
    }
}

/// What a command is told that cannot be part of a transaction.
pub fn cannot_be_queued(name: &str) -> Reply {
    if name == "select" {
        return errors::reply(
            "ERR SELECT of another database cannot be part of a transaction, which goes to one database as a whole: SELECT before MULTI",
        );
    }
    errors::reply(format!("ERR {} cannot be part of a transaction", name.replace('|', " ").to_ascii_uppercase()))
}

/// What Redis makes of the reply.
#[must_use]
pub fn as_redis(spec: &Spec, words: usize, reply: Reply) -> Reply {
    data::as_redis(spec.name, words, reply)
}

#[cfg(test)]
mod tests {
    use super::FOLLOWING;
    use crate::wire::resp::commands::find;

    #[test]
    fn those_that_follow_are_commands_in_order() {
        assert!(FOLLOWING.is_sorted());
        assert!(FOLLOWING.iter().all(|name| find(name.as_bytes()).is_some_and(|spec| spec.has_keys())));
    }
}
