//! Redis' commands on the key space, and the checks that they share.
//!
//! Replies and error texts are those of Redis 7.0; the contract suite compares them with a real one, command by command.
//! Deliberately absent: scripts, transactions and what blocks: they are answered with an error that says so.

mod args;
mod expiry;
mod hash;
mod key;
mod list;
mod list_inside;
mod number;
mod object;
mod options;
mod random;
mod range;
mod replies;
mod scan;
mod set;
mod set_algebra;
mod space;
mod string;
mod table;

use bytes::Bytes;

pub(super) use self::number::increment;

use self::args::Arguments;
use self::table::Spec;
use super::keyspace::Keyspace;
use super::refusal::Refusal;
use super::value::block_bytes;
use crate::ports::store::Reply;

/// What a command answers.
type Outcome = Result<Reply, Refusal>;

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
        space.room(arguments.iter().skip(1).map(|argument| block_bytes(argument.len())).sum())?;
    }
    let mut view = spec.lock(space, arguments);
    (spec.run)(&mut view, Arguments(arguments))
}
