//! Redis' commands on the key space, and the checks that they share.
//!
//! Replies and error texts are those of Redis 7.0; the contract suite compares them with a real one, command by command.
//! Deliberately absent: scripts and what blocks: they are answered with an error that says so. `MULTI` is no command here: a block of
//! commands comes as one.

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
use super::view::View;
use crate::ports::store::Reply;

/// What a command answers.
type Outcome = Result<Reply, Refusal>;

/// Carries out one command, all of it at one moment.
pub(super) fn call(space: &Keyspace, arguments: &[Bytes]) -> Reply {
    let carry_out = || {
        let spec = known(arguments)?;
        let mut view = space.lock_shards(spec.shards(space, arguments));
        run(spec, &mut view, arguments)
    };
    carry_out().unwrap_or_else(Reply::from)
}

/// Carries out commands, all of them at one moment, if what is there allows it, `watched` keys included.
pub(super) fn call_all(
    space: &Keyspace,
    block: &[&[Bytes]],
    watched: &[&[u8]],
    allows: impl FnOnce(&View<'_>) -> bool,
) -> Option<Vec<Reply>> {
    let specs: Vec<_> = block.iter().map(|arguments| known(arguments)).collect();
    let touched = specs.iter().zip(block).map(|(spec, arguments)| match spec {
        Ok(spec) => spec.shards(space, arguments),
        Err(_) => 0,
    });
    let shards = touched.fold(space.shards_of(watched.iter().copied()), |all, shards| all | shards);
    let mut view = space.lock_shards(shards);
    allows(&view).then(|| {
        let each = specs.into_iter().zip(block);
        each.map(|(spec, arguments)| spec.and_then(|spec| run(spec, &mut view, arguments)).unwrap_or_else(Reply::from))
            .collect()
    })
}

fn known(arguments: &[Bytes]) -> Result<&'static Spec, Refusal> {
    let name = arguments.first().ok_or(Refusal::EMPTY)?;
    let spec = Spec::find(name).ok_or_else(|| Refusal::unknown(name))?;
    if spec.takes(arguments.len()) { Ok(spec) } else { Err(Refusal::arity(spec.name)) }
}

fn run(spec: &Spec, view: &mut View<'_>, arguments: &[Bytes]) -> Outcome {
    if spec.grows {
        view.room(arguments.iter().skip(1).map(|argument| block_bytes(argument.len())).sum())?;
    }
    (spec.run)(view, Arguments(arguments))
}
