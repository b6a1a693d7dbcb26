//! Writing values: `SET` with all its options, and the older commands that are one of them each.
//!
//! Options as Redis 7.0 parses them: in any order, each ruling out its rivals, all read before a lifetime is looked at.

use std::sync::Arc;

use bytes::Bytes;

use super::expiry::{Base, Unit, lifetime};
use super::work;
use crate::engine::Engine;
use crate::engine::api::{AskedTtl, Condition, SetAnswer, SetOptions};
use crate::engine::fill::LeaseBook;
use crate::engine::step::Step;
use crate::ports::metrics::State;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::pipeline::Work;

/// A lifetime among the options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    /// None was named.
    #[default]
    None,
    /// `KEEPTTL` or `PERSIST`, whichever the command has.
    Word,
    /// `EX` and its like: what the number means, and which word it is.
    Number(Unit, Base, usize),
}

/// What a client is told of a write.
type Told = fn(SetOptions, SetAnswer) -> Reply;

pub(super) fn set(engine: &Arc<Engine>, leases: &Arc<LeaseBook>, args: Args) -> Result<Work, Reply> {
    fill(engine, leases, args, "set")
}

pub(super) fn set_nx(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    write(engine, args, "setnx")
}

pub(super) fn set_ex(engine: &Arc<Engine>, leases: &Arc<LeaseBook>, args: Args) -> Result<Work, Reply> {
    fill(engine, leases, args, "setex")
}

pub(super) fn pset_ex(engine: &Arc<Engine>, leases: &Arc<LeaseBook>, args: Args) -> Result<Work, Reply> {
    fill(engine, leases, args, "psetex")
}

pub(super) fn get_set(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    write(engine, args, "getset")
}

pub(super) fn set_many(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let items = items(&args)?;
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.set_many(&items).await.map(|()| Reply::ok()) }))
}

/// The keys and values of `MSET`.
pub(super) fn items(args: &Args) -> Result<Vec<(Bytes, Bytes)>, Reply> {
    if args.len().is_multiple_of(2) {
        return Err(errors::arity("mset"));
    }
    Ok((1..args.len()).step_by(2).map(|key| (args.shared(key), args.kept(key + 1))).collect())
}

/// A write in a transaction.
pub(super) fn step(name: &str, args: &Args, now_ms: u64) -> Result<Step, Reply> {
    let (value, options, answer) = parts(name, args, now_ms)?;
    Ok(Step::Set { key: args.shared(1), value: args.kept(value), options, answer })
}

/// Where the value of a writing command is, its options, and what the client is told.
fn parts(name: &str, args: &Args, now_ms: u64) -> Result<(usize, SetOptions, Told), Reply> {
    let plain = SetOptions::default();
    let until = |unit| lifetime(&args[2], unit, Base::Now, name, now_ms).map(|ttl| SetOptions { ttl, ..plain });
    Ok(match name {
        "setnx" => (2, SetOptions { condition: Condition::IfAbsent, ..plain }, |options, answer| {
            Reply::Integer(done(options.condition, answer.state).into())
        }),
        "setex" => (3, until(Unit::Seconds)?, |_, _| Reply::ok()),
        "psetex" => (3, until(Unit::Milliseconds)?, |_, _| Reply::ok()),
        "getset" => (2, SetOptions { want_previous: true, ..plain }, |_, answer| told_previous(answer)),
        _ => (2, set_options(args, now_ms)?, |options, answer| match options.want_previous {
            true => told_previous(answer),
            false if done(options.condition, answer.state) => Reply::ok(),
            false => Reply::Nil,
        }),
    })
}

fn told_previous(answer: SetAnswer) -> Reply {
    answer.previous.map_or(Reply::Nil, Reply::Bulk)
}

/// The lifetime in the options of `GETEX`; none named: it stays as it is.
pub(super) fn get_ex_ttl(args: &Args, now_ms: u64) -> Result<AskedTtl, Reply> {
    let mut life = Life::None;
    let mut at = 2;
    while at < args.len() {
        at = read_life(args, at, "PERSIST", &mut life).ok_or_else(|| errors::reply(errors::SYNTAX))?;
    }
    match life {
        Life::None => Ok(AskedTtl::Keep),
        Life::Word => Ok(AskedTtl::None),
        Life::Number(unit, base, word) => lifetime(&args[word], unit, base, "getex", now_ms),
    }
}

/// Whether this is what is wrong with a command's options whatever its key holds.
pub(super) fn is_syntax(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(line) if line == errors::SYNTAX)
}

fn set_options(args: &Args, now_ms: u64) -> Result<SetOptions, Reply> {
    let mut options = SetOptions::default();
    let mut life = Life::None;
    let mut at = 3;
    while at < args.len() {
        let wanted = match options.condition {
            Condition::Always | Condition::IfAbsent if args.is(at, "NX") => Some(Condition::IfAbsent),
            Condition::Always | Condition::IfPresent if args.is(at, "XX") => Some(Condition::IfPresent),
            _ => None,
        };
        if let Some(condition) = wanted {
            options.condition = condition;
            at += 1;
        } else if args.is(at, "GET") {
            options.want_previous = true;
            at += 1;
        } else {
            at = read_life(args, at, "KEEPTTL", &mut life).ok_or_else(|| errors::reply(errors::SYNTAX))?;
        }
    }
    options.ttl = match life {
        Life::None => AskedTtl::None,
        Life::Word => AskedTtl::Keep,
        Life::Number(unit, base, word) => lifetime(&args[word], unit, base, "set", now_ms)?,
    };
    Ok(options)
}

/// Reads one option that names a lifetime; answers where the next option is, or nothing if this is none or rules out one before.
fn read_life(args: &Args, at: usize, word: &str, life: &mut Life) -> Option<usize> {
    if args.is(at, word) {
        return matches!(life, Life::None | Life::Word).then(|| {
            *life = Life::Word;
            at + 1
        });
    }
    let (unit, base) = match () {
        () if args.is(at, "EX") => (Unit::Seconds, Base::Now),
        () if args.is(at, "PX") => (Unit::Milliseconds, Base::Now),
        () if args.is(at, "EXAT") => (Unit::Seconds, Base::Epoch),
        () if args.is(at, "PXAT") => (Unit::Milliseconds, Base::Epoch),
        () => return None,
    };
    let fits = match life {
        Life::None => true,
        Life::Word => false,
        // Redis takes the same option twice; the last one counts.
        Life::Number(other_unit, other_base, _) => (*other_unit, *other_base) == (unit, base),
    };
    if !fits || at + 1 >= args.len() {
        return None;
    }
    *life = Life::Number(unit, base, at + 1);
    Some(at + 2)
}

/// Whether a client may take it that its value was written. What a policy passes on is acknowledged, since a cache may forget at
/// any time; but not under a condition: two clients that both hear that they were first would both believe it.
fn done(condition: Condition, state: State) -> bool {
    match state {
        // A fill that lost its lease is acknowledged as well.
        State::Unmet | State::Passed => condition == Condition::Always,
        _ => true,
    }
}

fn write(engine: &Arc<Engine>, args: Args, name: &str) -> Result<Work, Reply> {
    let (value, options, told) = parts(name, &args, engine.now_ms())?;
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let value = args.kept(value);
        engine.set(&args[1], value, options).await.map(|answer| told(options, answer))
    }))
}

/// A write that is the fill, if the connection holds the lease of the key.
fn fill(engine: &Arc<Engine>, leases: &Arc<LeaseBook>, args: Args, name: &str) -> Result<Work, Reply> {
    let (value, options, told) = parts(name, &args, engine.now_ms())?;
    let (engine, leases) = (Arc::clone(engine), Arc::clone(leases));
    Ok(work(async move {
        let value = args.kept(value);
        engine.set_or_fill(&args[1], value, options, &leases).await.map(|answer| told(options, answer))
    }))
}

#[cfg(test)]
mod tests {
    use super::{get_ex_ttl, set_options};
    use crate::engine::api::{AskedTtl, Condition, SetOptions};
    use crate::ports::store::Reply;
    use crate::wire::resp::args::Args;

    const NOW_MS: u64 = 1_000_000;

    fn args(line: &str) -> Args {
        Args::parse(line)
    }

    #[track_caller]
    fn check(line: &str, expected: Result<SetOptions, &str>) {
        assert_eq!(set_options(&args(line), NOW_MS), expected.map_err(|line| Reply::Error(line.into())), "{line}");
    }

    #[test]
    fn options_of_set() {
        let with = |ttl, condition, want_previous| Ok(SetOptions { ttl, condition, want_previous });
        check("set k v", with(AskedTtl::None, Condition::Always, false));
        check("set k v ex 10", with(AskedTtl::InMs(10_000), Condition::Always, false));
        check("set k v PX 10 NX", with(AskedTtl::InMs(10), Condition::IfAbsent, false));
        check("set k v XX GET EXAT 10", with(AskedTtl::AtMs(10_000), Condition::IfPresent, true));
        check("set k v nx get pxat 10", with(AskedTtl::AtMs(10), Condition::IfAbsent, true));
        check("set k v KEEPTTL KEEPTTL NX NX", with(AskedTtl::Keep, Condition::IfAbsent, false));
        check("set k v EX 10 EX 20", with(AskedTtl::InMs(20_000), Condition::Always, false));
        for line in [
            "set k v foo",
            "set k v NX XX",
            "set k v XX NX",
            "set k v EX",
            "set k v EX 10 PX 10",
            "set k v KEEPTTL EX 10",
            "set k v EX 10 KEEPTTL",
            "set k v EXAT 10 EX 10",
            "set k v PERSIST",
            "set k v EX NX 10",
        ] {
            check(line, Err("ERR syntax error"));
        }
        check("set k v EX abc", Err("ERR value is not an integer or out of range"));
        check("set k v EX 1.5", Err("ERR value is not an integer or out of range"));
        for line in [
            "set k v EX 0",
            "set k v EX -1",
            "set k v PX 0",
            "set k v EXAT 0",
            "set k v EX 9223372036854775807",
            "set k v PX 9223372036854775807",
            "set k v EX 9223372036854775",
        ] {
            check(line, Err("ERR invalid expire time in 'set' command"));
        }
        check(
            "set k v PXAT 9223372036854775807",
            with(AskedTtl::AtMs(i64::MAX.unsigned_abs()), Condition::Always, false),
        );
    }

    #[test]
    fn options_of_getex() {
        let check = |line: &str, expected: Result<AskedTtl, &str>| {
            assert_eq!(get_ex_ttl(&args(line), NOW_MS), expected.map_err(|line| Reply::Error(line.into())), "{line}");
        };
        check("getex k", Ok(AskedTtl::Keep));
        check("getex k persist", Ok(AskedTtl::None));
        check("getex k EX 10", Ok(AskedTtl::InMs(10_000)));
        check("getex k PXAT 10", Ok(AskedTtl::AtMs(10)));
        for line in ["getex k PERSIST EX 10", "getex k EX 10 PERSIST", "getex k KEEPTTL", "getex k EX", "getex k NX"] {
            check(line, Err("ERR syntax error"));
        }
        check("getex k EX 0", Err("ERR invalid expire time in 'getex' command"));
    }
}
