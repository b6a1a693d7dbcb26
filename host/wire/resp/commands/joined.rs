//! `COMMAND` where there is a Redis behind this host: what it says of the commands that would be served or forwarded, and what the
//! table says of those that Redis does not have. Where Redis does not answer, the table alone.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::spec::SessionFn;
use super::{introspect, table};
use crate::engine::Engine;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::pipeline::Work;
use crate::wire::resp::session::{Output, Session};

/// What becomes of the two answers, the table's and Redis'.
type Join = fn(&Engine, Vec<Bytes>, Reply, Reply) -> Reply;

pub(super) fn all(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    joined(session, args, introspect::all, args.all_shared(), facts)
}

pub(super) fn info(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    joined(session, args, introspect::info, args.all_shared(), if args.len() == 2 { facts } else { named_facts })
}

pub(super) fn docs(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    joined(session, args, introspect::docs, args.all_shared(), docs_of_both)
}

pub(super) fn list(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    joined(session, args, introspect::list, args.all_shared(), facts)
}

pub(super) fn count_all(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    let names = ["COMMAND", "LIST"].map(|word| Bytes::from_static(word.as_bytes())).into();
    joined(session, args, introspect::count_all, names, count_of_both)
}

/// `COMMAND GETKEYS name arg …`: of a command that is not in the table Redis knows where its keys are.
pub(super) fn get_keys(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    if table::find(&args[2]).is_some() || !session.engine().forwards() {
        return introspect::get_keys(session, args).map(ready);
    }
    let (engine, words) = (Arc::clone(session.engine()), args.all_shared());
    Ok(super::work(async move {
        let found = engine.forward(None, words, crate::ports::upstream::Types::Rich, |_, _| Ok(())).await?;
        Ok(found.unwrap_or(Reply::Nil))
    }))
}

fn joined(session: &mut Session, args: &Args, own: SessionFn, words: Vec<Bytes>, join: Join) -> Result<Work, Reply> {
    let own = own(session, args)?;
    let (true, Output::Reply(own)) = (session.engine().forwards(), &own) else { return Ok(ready(own)) };
    let (engine, asked, own) = (Arc::clone(session.engine()), args.all_shared(), own.clone());
    Ok(Box::pin(async move {
        match engine.commands_of_redis(words).await {
            Some(theirs) => join(&engine, asked, own, theirs),
            None => own,
        }
    }))
}

fn ready(output: Output) -> Work {
    let reply = match output {
        Output::Reply(reply) | Output::Always(reply) => reply,
        Output::Text(text) => super::bulk(text),
        Output::Nothing => Reply::ok(),
    };
    Box::pin(std::future::ready(reply))
}

/// A name by itself, or the first of what is said of a command.
fn name(said: &Reply) -> &[u8] {
    match said {
        Reply::Bulk(name) | Reply::Status(name) => name,
        Reply::Array(parts) => parts.first().map_or(b"", name),
        _ => b"",
    }
}

/// Whether a command of Redis can be had here.
fn is_served(engine: &Engine, name: &[u8]) -> bool {
    let container = name.split(|&byte| byte == b'|').next().unwrap_or_default();
    table::find(container).is_some() || engine.would_forward(container)
}

fn items(reply: Reply) -> Vec<Reply> {
    match reply {
        Reply::Array(items) | Reply::Set(items) => items,
        _ => Vec::new(),
    }
}

fn facts(engine: &Engine, _asked: Vec<Bytes>, own: Reply, theirs: Reply) -> Reply {
    let mut all = items(theirs);
    all.retain(|said| is_served(engine, name(said)));
    let known: HashSet<Vec<u8>> = all.iter().map(|said| name(said).to_vec()).collect();
    all.extend(items(own).into_iter().filter(|said| !known.contains(name(said))));
    Reply::Array(all)
}

fn named_facts(engine: &Engine, asked: Vec<Bytes>, own: Reply, theirs: Reply) -> Reply {
    let pairs = asked.iter().skip(2).zip(items(own).into_iter().zip(items(theirs)));
    let chosen = pairs.map(|(name, (own, theirs))| match theirs {
        Reply::Array(_) if is_served(engine, name) => theirs,
        _ => own,
    });
    Reply::Array(chosen.collect())
}

fn docs_of_both(engine: &Engine, _asked: Vec<Bytes>, own: Reply, theirs: Reply) -> Reply {
    let (Reply::Map(own), Reply::Map(mut all)) = (own, theirs) else { return Reply::Map(Vec::new()) };
    all.retain(|(said, _)| is_served(engine, name(said)));
    let known: HashSet<Vec<u8>> = all.iter().map(|(said, _)| name(said).to_vec()).collect();
    all.extend(own.into_iter().filter(|(said, _)| !known.contains(name(said))));
    Reply::Map(all)
}

fn count_of_both(engine: &Engine, asked: Vec<Bytes>, _own: Reply, theirs: Reply) -> Reply {
    let own = table::COMMANDS.iter().map(|spec| super::bulk(spec.name)).collect();
    super::count(items(facts(engine, asked, Reply::Array(own), theirs)).len() as u64)
}
