//! Sets from sets: `SINTER`, `SUNION`, `SDIFF`, their `STORE` forms, and `SINTERCARD`.

use bytes::Bytes;
use foldhash::quality::RandomState;
use hashbrown::HashSet;

use super::Outcome;
use super::args::{Arguments, is_word, natural};
use super::replies::{count, set};
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::set::{Member, Set};
use crate::adapters::memory::view::View;

/// Makes members from sets, of which absent ones are `None`.
type Combine = for<'a> fn(&[Option<&'a Set>]) -> Vec<&'a [u8]>;

pub(super) fn sinter(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    show(view, arguments, intersection)
}

pub(super) fn sunion(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    show(view, arguments, union)
}

pub(super) fn sdiff(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    show(view, arguments, difference)
}

pub(super) fn sinterstore(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    store(view, arguments, intersection)
}

pub(super) fn sunionstore(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    store(view, arguments, union)
}

pub(super) fn sdiffstore(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    store(view, arguments, difference)
}

fn show(view: &mut View<'_>, arguments: Arguments<'_>, combine: Combine) -> Outcome {
    let sets = sets(view, arguments.from(1))?;
    Ok(set(combine(&sets)))
}

fn store(view: &mut View<'_>, arguments: Arguments<'_>, combine: Combine) -> Outcome {
    let mut result = Set::default();
    for member in combine(&sets(view, arguments.from(2))?) {
        result.add(member);
    }
    view.room(result.heap_bytes())?;
    let length = result.len();
    view.put_kind(arguments.at(1), result);
    Ok(count(length))
}

/// The sets under these keys. The first key with another type is what the command is refused for.
fn sets<'v>(view: &'v mut View<'_>, keys: &[Bytes]) -> Result<Vec<Option<&'v Set>>, Refusal> {
    for key in keys {
        view.get(key);
    }
    let view = &*view;
    keys.iter().map(|key| view.peek_at::<Set>(key)).collect()
}

fn members(set: &Set) -> impl Iterator<Item = &[u8]> {
    set.members().iter().map(|Member(member)| &**member)
}

fn intersection<'a>(sets: &[Option<&'a Set>]) -> Vec<&'a [u8]> {
    common(sets).collect()
}

/// The members that all have, by way of the smallest set.
fn common<'a>(sets: &[Option<&'a Set>]) -> impl Iterator<Item = &'a [u8]> {
    let mut there: Vec<&Set> = sets.iter().flatten().copied().collect();
    there.sort_by_key(|set| set.len());
    // An absent set is an empty one.
    let smallest = if there.len() < sets.len() { None } else { there.first().copied() };
    let candidates = smallest.into_iter().flat_map(members);
    candidates.filter(move |member| there[1..].iter().all(|set| set.contains(member)))
}

fn union<'a>(sets: &[Option<&'a Set>]) -> Vec<&'a [u8]> {
    let mut seen: HashSet<&[u8], RandomState> = HashSet::default();
    sets.iter().flatten().copied().flat_map(members).filter(|member| seen.insert(member)).collect()
}

/// The members that only the first has. Of two ways the one with less work, as Redis has it: ask every other set for each member
/// of the first, or strike out of the first what the others hold.
fn difference<'a>(sets: &[Option<&'a Set>]) -> Vec<&'a [u8]> {
    let Some((Some(first), others)) = sets.split_first() else { return Vec::new() };
    let others: Vec<&Set> = others.iter().flatten().copied().collect();
    let held: usize = others.iter().map(|set| set.len()).sum();
    if first.len().saturating_mul(others.len()) <= first.len().saturating_add(held) {
        return members(first).filter(|member| !others.iter().any(|set| set.contains(member))).collect();
    }
    let mut left: HashSet<&[u8], RandomState> = members(first).collect();
    for member in others.into_iter().flat_map(members) {
        left.remove(member);
    }
    left.into_iter().collect()
}

pub(super) fn sintercard(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let keys =
        natural(arguments.at(1), Refusal::NUMKEYS).and_then(|n| if n > 0 { Ok(n) } else { Err(Refusal::NUMKEYS) })?;
    let rest = arguments.from(2);
    if keys > rest.len() {
        return Err(Refusal::TOO_FEW_KEYS);
    }
    let (keys, options) = rest.split_at(keys);
    let mut most = 0;
    let (pairs, alone) = options.as_chunks::<2>();
    for [word, number] in pairs {
        if !is_word(word, "limit") {
            return Err(Refusal::SYNTAX);
        }
        most = natural(number, Refusal::LIMIT_NEGATIVE)?;
    }
    if !alone.is_empty() {
        return Err(Refusal::SYNTAX);
    }
    let sets = sets(view, keys)?;
    Ok(count(common(&sets).take(if most == 0 { usize::MAX } else { most }).count()))
}
