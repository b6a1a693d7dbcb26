//! `COMMAND`: what the table says, in the forms in which clients ask for it.

use super::spec::{Run, Spec};
use super::table::{COMMANDS, find};
use super::{Lookup, bulk, count, field, look_up, subcommand};
use crate::engine::step::Grows;
use crate::ports::store::Reply;
use crate::wire::resp::args::{Args, Words};
use crate::wire::resp::claims::Access;
use crate::wire::resp::session::{Output, Session};
use crate::wire::resp::{errors, glob};

pub(super) fn all(_session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    Ok(Output::Reply(Reply::Array(COMMANDS.iter().map(facts).collect())))
}

pub(super) fn count_all(_session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    Ok(Output::Reply(count(COMMANDS.len() as u64)))
}

/// `COMMAND INFO [name …]`.
pub(super) fn info(_session: &mut Session, args: &Args) -> Result<Output, Reply> {
    if args.len() == 2 {
        return Ok(Output::Reply(Reply::Array(COMMANDS.iter().map(facts).collect())));
    }
    let facts = (2..args.len()).map(|at| named(&args[at]).map_or(Reply::Nil, facts)).collect();
    Ok(Output::Reply(Reply::Array(facts)))
}

/// `COMMAND DOCS [name …]`.
pub(super) fn docs(_session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let entry = |spec: &'static Spec| (bulk(spec.name), doc(spec));
    let docs = match args.len() {
        2 => COMMANDS.iter().map(entry).collect(),
        _ => (2..args.len()).filter_map(|at| named(&args[at])).map(entry).collect(),
    };
    Ok(Output::Reply(Reply::Map(docs)))
}

/// `COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]`.
pub(super) fn list(_session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let filtered = args.len() == 5 && args.is(2, "FILTERBY");
    let chosen: Vec<&Spec> = if args.len() == 2 {
        COMMANDS.iter().collect()
    } else if filtered && args.is(3, "MODULE") {
        Vec::new()
    } else if filtered && args.is(3, "ACLCAT") {
        let category = format!("@{}", args.text(4).to_ascii_lowercase());
        COMMANDS.iter().filter(|spec| categories(spec).contains(&category.as_str())).collect()
    } else if filtered && args.is(3, "PATTERN") {
        COMMANDS.iter().filter(|spec| glob::matches(&args[4], spec.name.as_bytes())).collect()
    } else {
        return Err(errors::reply(errors::SYNTAX));
    };
    Ok(Output::Reply(Reply::Array(chosen.into_iter().map(|spec| bulk(spec.name)).collect())))
}

/// `COMMAND GETKEYS name arg …`.
pub(super) fn get_keys(_session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let words: Words<'_> = args.words().skip(2);
    let Some(found) = words.get(0).and_then(find) else {
        return Err(errors::reply("ERR Invalid command specified"));
    };
    let spec = words.get(1).and_then(|word| subcommand(found, word)).unwrap_or(found);
    if !spec.has_keys() {
        return Err(errors::reply("ERR The command has no key arguments"));
    }
    if !matches!(look_up(words), Lookup::Here(_, Ok(_))) {
        return Err(errors::reply("ERR Invalid number of arguments specified for command"));
    }
    spec.keys.check(words).map_err(|_| errors::reply("ERR Invalid arguments specified for command"))?;
    Ok(Output::Reply(Reply::Array(spec.keys.of(words).map(|key| Reply::Bulk(key.to_vec().into())).collect())))
}

/// A command, or a subcommand as `container|name`.
fn named(name: &[u8]) -> Option<&'static Spec> {
    match name.iter().position(|&byte| byte == b'|') {
        None => find(name),
        Some(bar) => subcommand(find(&name[..bar])?, &name[bar + 1..]),
    }
}

fn flags(spec: &Spec) -> Vec<&'static str> {
    let data = match (spec.has_keys(), spec.access) {
        (true, Access::Read) => &["readonly"][..],
        (true, Access::Write) => &["write"],
        (false, _) => &["noscript", "loading", "stale"],
    };
    let grows = matches!(spec.run, Run::Store(form) if form.grows != Grows::Nothing);
    let others = [
        (grows, "denyoom"),
        (spec.fast, "fast"),
        (spec.admin, "admin"),
        (spec.no_auth, "no_auth"),
        (spec.keys.counted, "movablekeys"),
    ];
    data.iter().copied().chain(others.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag)).collect()
}

fn categories(spec: &Spec) -> Vec<&'static str> {
    let data = match (spec.has_keys(), spec.access) {
        (true, Access::Read) => Some("@read"),
        (true, Access::Write) => Some("@write"),
        (false, _) => None,
    };
    let speed = if spec.fast { "@fast" } else { "@slow" };
    let danger = spec.admin.then_some("@dangerous");
    [data, Some(spec.group.category()), Some(speed), danger].into_iter().flatten().collect()
}

/// The ten items of Redis 7: name, arity, flags, first key, last key, step, categories, tips, key specifications, subcommands.
fn facts(spec: &Spec) -> Reply {
    let statuses = |words: Vec<&'static str>| words.into_iter().map(|word| Reply::Status(word.into())).collect();
    // What is counted has no fixed place.
    let is_fixed = spec.has_keys() && !spec.keys.counted;
    let key_specs = if spec.has_keys() { vec![key_spec(spec)] } else { Vec::new() };
    Reply::Array(vec![
        bulk(spec.name),
        Reply::Integer(spec.arity.into()),
        Reply::Set(statuses(flags(spec))),
        count(if is_fixed { spec.keys.first as u64 } else { 0 }),
        Reply::Integer(spec.keys.last as i64),
        count(if is_fixed { spec.keys.step as u64 } else { 0 }),
        Reply::Set(statuses(categories(spec))),
        Reply::Set(Vec::new()),
        Reply::Set(key_specs),
        Reply::Set(spec.subcommands.iter().map(facts).collect()),
    ])
}

fn key_spec(spec: &Spec) -> Reply {
    let access = match spec.access {
        Access::Read => ["RO", "access"],
        Access::Write => ["RW", "update"],
    };
    let first = i64::try_from(spec.keys.first).unwrap_or(i64::MAX) - i64::from(spec.keys.counted);
    Reply::Map(vec![
        field("flags", Reply::Set(access.map(|flag| Reply::Status(flag.into())).into())),
        field(
            "begin_search",
            Reply::Map(vec![
                field("type", bulk("index")),
                field("spec", Reply::Map(vec![field("index", Reply::Integer(first))])),
            ]),
        ),
        field("find_keys", if spec.keys.counted { counted_keys() } else { ranged_keys(spec, first) }),
    ])
}

/// The number of keys comes first, then the keys.
fn counted_keys() -> Reply {
    Reply::Map(vec![
        field("type", bulk("keynum")),
        field(
            "spec",
            Reply::Map(vec![
                field("keynumidx", Reply::Integer(0)),
                field("firstkey", Reply::Integer(1)),
                field("keystep", Reply::Integer(1)),
            ]),
        ),
    ])
}

fn ranged_keys(spec: &Spec, first: i64) -> Reply {
    // Redis counts the last key from the first, or from the end if negative.
    let last = if spec.keys.last < 0 { spec.keys.last as i64 } else { spec.keys.last as i64 - first };
    Reply::Map(vec![
        field("type", bulk("range")),
        field(
            "spec",
            Reply::Map(vec![
                field("lastkey", Reply::Integer(last)),
                field("keystep", count(spec.keys.step as u64)),
                field("limit", Reply::Integer(0)),
            ]),
        ),
    ])
}

fn doc(spec: &Spec) -> Reply {
    let mut doc = vec![
        field("summary", bulk(spec.summary)),
        field("since", bulk(spec.since)),
        field("group", bulk(spec.group.as_str())),
    ];
    if matches!(spec.run, Run::Container) || !spec.subcommands.is_empty() {
        let subcommands = spec.subcommands.iter().map(|spec| (bulk(spec.name), self::doc(spec))).collect();
        doc.push(field("subcommands", Reply::Map(subcommands)));
    }
    Reply::Map(doc)
}
