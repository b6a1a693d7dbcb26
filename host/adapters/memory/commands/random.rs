//! What chance picks: `SPOP`, `SRANDMEMBER`, `HRANDFIELD`, `RANDOMKEY`.

use bytes::Bytes;
use fastrand::Rng;
use foldhash::quality::RandomState;
use hashbrown::HashSet;

use super::Outcome;
use super::args::{Arguments, is_word, natural, signed_count};
use super::replies::{bulk, taken};
use crate::adapters::memory::dense::Keyed as _;
use crate::adapters::memory::hash::{Field, Hash};
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::set::{Member, Set};
use crate::adapters::memory::view::View;
use crate::limits::RANDOM_COUNT_MAX;
use crate::ports::store::Reply;

pub(super) fn spop(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    if arguments.len() > 3 {
        return Err(Refusal::SYNTAX);
    }
    let mut chance = view.chance();
    let pop = |set: &mut Set, chance: &mut Rng| set.remove_at(chance.usize(..set.len()));
    let Some(most) = arguments.get(2) else {
        return Ok(taken(view.edit(arguments.at(1), |set| pop(set, &mut chance))?));
    };
    let most = natural(most, Refusal::NOT_POSITIVE)?;
    let popped = view.edit(arguments.at(1), |set: &mut Set| {
        let most = most.min(set.len());
        let popped = (0..most).map(|_| Reply::Bulk(pop(set, &mut chance).into())).collect();
        if is_rebuilt(set.len(), most) {
            set.renew();
        }
        popped
    })?;
    Ok(Reply::Set(popped.unwrap_or_default()))
}

/// Whether Redis, where so few are left, puts them into a new set instead of taking the others out.
const fn is_rebuilt(left: usize, popped: usize) -> bool {
    const TIMES: usize = 5;
    popped > 0 && left.saturating_mul(TIMES) <= popped
}

pub(super) fn srandmember(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    if arguments.len() > 3 {
        return Err(Refusal::SYNTAX);
    }
    let mut chance = view.chance();
    let wanted = arguments.get(2).map(|number| signed_count(number)).transpose()?;
    let members = view.read::<Set>(arguments.at(1))?.map(Set::members).unwrap_or_default();
    let show = |Member(member): &Member| bulk(member);
    let Some((repeats, wanted)) = wanted else { return Ok(one(members, &mut chance).map_or(Reply::Nil, show)) };
    Ok(Reply::Array(many(members, repeats, wanted, &mut chance)?.map(show).collect()))
}

pub(super) fn hrandfield(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let mut chance = view.chance();
    let wanted = arguments.get(2).map(|number| signed_count(number)).transpose()?;
    let with_values = match arguments.from(3) {
        [] => false,
        [word] if is_word(word, "withvalues") => true,
        _ => return Err(Refusal::SYNTAX),
    };
    if with_values && wanted.is_some_and(|(_, wanted)| wanted > i64::MAX as usize / 2) {
        return Err(Refusal::OUT_OF_RANGE);
    }
    let fields = view.read::<Hash>(arguments.at(1))?.map(Hash::fields).unwrap_or_default();
    let name = |field: &Field| bulk(&field.name);
    let pair = |field: &Field| Reply::Array(vec![bulk(&field.name), bulk(&field.value)]);
    let Some((repeats, wanted)) = wanted else { return Ok(one(fields, &mut chance).map_or(Reply::Nil, name)) };
    let drawn = many(fields, repeats, wanted, &mut chance)?;
    Ok(Reply::Array(if with_values { drawn.map(pair).collect() } else { drawn.map(name).collect() }))
}

pub(super) fn randomkey(view: &mut View<'_>, _arguments: Arguments<'_>) -> Outcome {
    let mut chance = view.chance();
    loop {
        let keys: usize = view.shards().map(<[_]>::len).sum();
        if keys == 0 {
            return Ok(Reply::Nil);
        }
        let Some(entry) = view.shards().flatten().nth(chance.usize(..keys)) else { return Ok(Reply::Nil) };
        let key = Bytes::copy_from_slice(entry.key());
        if !entry.is_gone(view.now_ms) {
            return Ok(Reply::Bulk(key));
        }
        view.discard(&key);
    }
}

fn one<'a, T>(items: &'a [T], chance: &mut Rng) -> Option<&'a T> {
    (!items.is_empty()).then(|| &items[chance.usize(..items.len())])
}

/// As many as wanted, each at most once or again and again.
fn many<'a, T>(
    items: &'a [T],
    repeats: bool,
    wanted: usize,
    chance: &mut Rng,
) -> Result<impl Iterator<Item = &'a T>, Refusal> {
    let places = if items.is_empty() || wanted == 0 {
        Vec::new()
    } else if !repeats {
        distinct(items.len(), wanted, chance)
    } else if wanted <= RANDOM_COUNT_MAX {
        (0..wanted).map(|_| chance.usize(..items.len())).collect()
    } else {
        return Err(Refusal::OUT_OF_RANGE);
    };
    Ok(places.into_iter().map(|at| &items[at]))
}

/// So many different numbers below `length`, all sets of them alike probable (Floyd 1987: one draw for each).
fn distinct(length: usize, wanted: usize, chance: &mut Rng) -> Vec<usize> {
    if wanted >= length {
        return (0..length).collect();
    }
    let mut drawn: HashSet<usize, RandomState> = HashSet::with_capacity_and_hasher(wanted, RandomState::default());
    for last in length - wanted..length {
        if !drawn.insert(chance.usize(..=last)) {
            drawn.insert(last);
        }
    }
    drawn.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_drawn_alike_often() {
        let mut chance = Rng::with_seed(5);
        let mut drawn = [0; 10];
        for _ in 0..20_000 {
            let numbers = distinct(10, 3, &mut chance);
            assert_eq!(numbers.iter().collect::<std::collections::HashSet<_>>().len(), 3);
            numbers.into_iter().for_each(|n| drawn[n] += 1);
        }
        assert!(drawn.iter().all(|n| (5_700..6_300).contains(n)), "{drawn:?}");
    }
}
