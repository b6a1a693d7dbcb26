//! Members of sets: `SADD`, `SISMEMBER`, `SMOVE` and their kin.

use super::Outcome;
use super::args::Arguments;
use super::replies::{count, flag};
use crate::adapters::memory::set::{Member, Set};
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

pub(super) fn sadd(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let members = arguments.from(2);
    view.make(arguments.at(1), |set: &mut Set| count(members.iter().filter(|member| set.add(member)).count()))
}

pub(super) fn srem(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let members = arguments.from(2);
    let removed =
        view.edit(arguments.at(1), |set: &mut Set| members.iter().filter(|member| set.remove(member)).count())?;
    Ok(count(removed.unwrap_or(0)))
}

pub(super) fn smembers(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let members = view.read::<Set>(arguments.at(1))?.map(Set::members).unwrap_or_default();
    Ok(super::replies::set(members.iter().map(|Member(member)| &**member)))
}

pub(super) fn sismember(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let set = view.read::<Set>(arguments.at(1))?;
    Ok(flag(set.is_some_and(|set| set.contains(arguments.at(2)))))
}

pub(super) fn smismember(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let set = view.read::<Set>(arguments.at(1))?;
    let there = arguments.from(2).iter().map(|member| flag(set.is_some_and(|set| set.contains(member))));
    Ok(Reply::Array(there.collect()))
}

pub(super) fn scard(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(count(view.read::<Set>(arguments.at(1))?.map_or(0, Set::len)))
}

pub(super) fn smove(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (source, target, member) = (arguments.at(1), arguments.at(2), arguments.at(3));
    let Some(set) = view.read::<Set>(source)? else { return Ok(flag(false)) };
    let is_there = set.contains(member);
    view.read::<Set>(target)?;
    if is_there && source != target {
        view.edit(source, |set: &mut Set| set.remove(member))?;
        view.make(target, |set: &mut Set| set.add(member))?;
    }
    Ok(flag(is_there))
}
