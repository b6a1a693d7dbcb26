//! Commands that the store carries out as they are, and what Redis says in two ways where the store says it in one.

use std::sync::Arc;

use super::spec::Spec;
use super::work;
use crate::engine::Engine;
use crate::engine::step::{DataCommand, Form};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::pipeline::Work;

/// Begins one.
///
/// # Errors
/// The error line.
pub fn begin(spec: &'static Spec, form: Form, engine: &Arc<Engine>, args: &Args) -> Result<Work, Reply> {
    let command = command(spec, form, args)?;
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let reply = engine.carry_out(&command).await?;
        Ok(as_redis(spec.name, command.args.len(), reply))
    }))
}

/// The command as the engine takes it.
///
/// # Errors
/// The error line: a number of keys that is none; another database.
pub(super) fn command(spec: &Spec, form: Form, args: &Args) -> Result<DataCommand, Reply> {
    spec.keys.check(args.words())?;
    let mut words = args.all_shared();
    if spec.name == "copy" {
        // There is one database; the store behind may have more, and this host's need not be its first.
        while let Some(at) = (3..words.len().saturating_sub(1)).find(|&at| words[at].eq_ignore_ascii_case(b"db")) {
            match parse_i64(&words[at + 1]) {
                Some(0) => drop(words.drain(at..at + 2)),
                Some(_) => return Err(errors::reply(errors::DB_INDEX)),
                None => return Err(errors::reply(errors::NOT_AN_INTEGER)),
            }
        }
    }
    Ok(DataCommand { args: words, keys: spec.keys.places(args.words()).collect(), form })
}

/// Redis' reply, as it tells it to both protocols.
pub(super) fn as_redis(name: &str, words: usize, reply: Reply) -> Reply {
    match (name, reply) {
        ("lpop" | "rpop", Reply::Nil) if words > 2 => Reply::NilArray,
        // Of a store that was asked in RESP2 it is flat already.
        ("hrandfield", Reply::Array(items)) if words > 3 && matches!(items.first(), Some(Reply::Array(_))) => {
            pairs(items)
        }
        (_, reply) => reply,
    }
}

/// A list of lists of two, as pairs.
fn pairs(items: Vec<Reply>) -> Reply {
    let pair = |item| match item {
        Reply::Array(pair) => <[Reply; 2]>::try_from(pair).map(|[name, value]| (name, value)).ok(),
        _ => None,
    };
    Reply::Pairs(items.into_iter().filter_map(pair).collect())
}
