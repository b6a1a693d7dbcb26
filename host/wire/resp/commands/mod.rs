//! The commands: one table as data, and the functions it names.
//!
//! A function checks its arguments in Redis' words and calls the engine once; what the call means is the engine's to say.

mod breaker;
mod client;
mod config;
mod counters;
mod data;
mod data_table;
mod expiry;
mod handshake;
mod hot;
mod info;
mod introspect;
mod invalidate;
mod joined;
mod keys;
mod lease;
mod lock;
mod log;
mod own;
mod own_table;
mod queue;
mod set;
mod space;
mod spec;
mod strings;
mod table;
mod tracking;
mod transaction;
mod warm;
mod workflow;

use std::future::Future;

use futures_util::TryFutureExt;

pub use data::begin;
pub use own::explain_elsewhere;
pub use queue::{as_redis, cannot_be_queued, deed, follows, in_transaction, may_be_queued, step};
pub use spec::{DataFn, KeyRange, LeasingFn, Run, SessionFn, Spec, TurnFn};
pub use table::{COMMANDS, find};

use super::args::{Args, Words};
use super::pipeline::Work;
use super::session::Output;
use super::{errors, number};
use crate::engine::api::Answer;
use crate::error::Error;
use crate::ports::store::Reply;

/// Where a command is served.
pub enum Lookup {
    /// Here: the command, and the part of it that these words call, or the error line: an unknown subcommand, too few or too many arguments.
    Here(&'static Spec, Result<&'static Spec, Reply>),
    /// By the Redis behind this host, if by anybody: the command, or the part of one, is not in the table.
    Elsewhere,
}

/// Which command these words call.
#[must_use]
pub fn look_up(words: Words<'_>) -> Lookup {
    let Some(command) = words.get(0).and_then(find) else { return Lookup::Elsewhere };
    let spec = match words.get(1).filter(|_| !command.subcommands.is_empty()) {
        None => command,
        Some(word) => match subcommand(command, word) {
            Some(spec) => spec,
            // What is said of connections is for this host alone.
            None if command.name == "client" => {
                return Lookup::Here(command, Err(errors::unknown_subcommand(command.name, word)));
            }
            None => return Lookup::Elsewhere,
        },
    };
    Lookup::Here(command, if spec.takes(words.len()) { Ok(spec) } else { Err(errors::arity(spec.name)) })
}

/// A subcommand by its name, in any case of letters.
#[must_use]
pub fn subcommand(container: &'static Spec, name: &[u8]) -> Option<&'static Spec> {
    container.subcommands.iter().find(|spec| spec.short_name().as_bytes().eq_ignore_ascii_case(name))
}

/// Whether a command says something of the server, which Redis could say instead: it concerns no data.
#[must_use]
pub fn is_of_server(spec: &Spec) -> bool {
    let says = matches!(spec.run, Run::Session(_) | Run::Container) || spec.name == "info";
    spec.group == spec::Group::Server && says
}

/// Whether a command concerns data, so that another database than that of the policies gets it as it is.
#[must_use]
pub fn is_passed_on(spec: &Spec) -> bool {
    match spec.run {
        Run::Data(_) | Run::Leasing(_) | Run::Store(_) => spec.group != spec::Group::Larder && spec.name != "flushall",
        Run::Container => spec.group == spec::Group::Generic,
        Run::Session(_) | Run::Turn(_) => false,
    }
}

/// Whether a command puts a key into another database, which no policy knows: it goes to the store as it is.
#[must_use]
pub fn leaves(spec: &Spec, words: Words<'_>) -> bool {
    let is_db = |at: usize| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(b"db"));
    let other = |at: usize| words.get(at).and_then(number::parse_i64).is_some_and(|number| number != 0);
    spec.name == "copy" && (3..words.len()).any(|at| is_db(at) && other(at + 1))
}

/// Whether a command says something of a key that only policies know, and none in another database.
#[must_use]
pub fn is_for_policies(spec: &Spec) -> bool {
    spec.group == spec::Group::Larder && spec.has_keys() && spec.name != "larder.explain"
}

/// Work that may fail. A block around it would keep the future twice, and all of it is copied into the box.
fn work(future: impl Future<Output = Result<Reply, Error>> + Send + 'static) -> Work {
    Box::pin(future.unwrap_or_else(|error| errors::of(&error)))
}

/// The value that a read found.
fn value(answer: Answer) -> Reply {
    answer.value.map_or(Reply::Nil, Reply::Bulk)
}

/// A count as Redis sends it.
fn count(n: u64) -> Reply {
    Reply::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Text as bytes.
fn bulk(text: impl Into<String>) -> Reply {
    Reply::Bulk(text.into().into())
}

/// A named value of a map.
fn field(name: &'static str, value: Reply) -> (Reply, Reply) {
    (Reply::Bulk(name.as_bytes().into()), value)
}

/// `OK`, from a command on the connection.
const fn ok() -> Result<Output, Reply> {
    Ok(Output::Reply(Reply::ok()))
}

/// Answers `HELP` of a container from the table.
fn help(_session: &mut super::session::Session, args: &Args) -> Result<Output, Reply> {
    let Some(container) = find(&args[0]) else { return Ok(Output::Nothing) };
    let title = format!("{} <subcommand> [<arg> ...]. Subcommands are:", container.name.to_ascii_uppercase());
    let lines = container
        .subcommands
        .iter()
        .flat_map(|spec| [spec.short_name().to_ascii_uppercase(), format!("    {}", spec.summary)]);
    let lines = std::iter::once(title).chain(lines).map(|line| Reply::Status(line.into())).collect();
    Ok(Output::Reply(Reply::Array(lines)))
}
