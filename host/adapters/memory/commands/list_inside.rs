//! What is inside a list: `LRANGE`, `LINDEX`, `LPOS`, `LSET`, `LINSERT`, `LREM`, `LTRIM`.

use bytes::Bytes;

use super::Outcome;
use super::args::{Arguments, integer, is_word, natural, place, range};
use super::replies::{count, list, maybe};
use crate::adapters::memory::list::{End, List};
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

pub(super) fn llen(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(count(view.read::<List>(arguments.at(1))?.map_or(0, List::len)))
}

pub(super) fn lrange(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (start, end) = (integer(arguments.at(2))?, integer(arguments.at(3))?);
    let there = view.read::<List>(arguments.at(1))?;
    Ok(there.map_or(Reply::Array(Vec::new()), |there| list(there.range(range(start, end, there.len())))))
}

pub(super) fn lindex(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let Some(there) = view.read::<List>(arguments.at(1))? else { return Ok(Reply::Nil) };
    let at = place(integer(arguments.at(2))?, there.len());
    Ok(maybe(at.and_then(|at| there.get(at))))
}

pub(super) fn lset(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let set = |list: &mut List| {
        let at = place(integer(arguments.at(2))?, list.len());
        let is_set = at.is_some_and(|at| list.set(at, arguments.at(3)));
        if is_set { Ok(Reply::ok()) } else { Err(Refusal::INDEX) }
    };
    view.edit(arguments.at(1), set)?.ok_or(Refusal::NO_SUCH_KEY)?
}

pub(super) fn linsert(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let behind = match arguments.at(2) {
        word if is_word(word, "after") => 1,
        word if is_word(word, "before") => 0,
        _ => return Err(Refusal::SYNTAX),
    };
    let (pivot, element) = (arguments.at(3), arguments.at(4));
    let inserted = view.edit(arguments.at(1), |list: &mut List| {
        let Some(at) = list.from(End::Left).position(|there| there == pivot) else { return Reply::Integer(-1) };
        list.insert(at + behind, element);
        count(list.len())
    })?;
    Ok(inserted.unwrap_or(Reply::Integer(0)))
}

pub(super) fn lrem(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let wanted = integer(arguments.at(2))?;
    let most = if wanted == 0 { usize::MAX } else { usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX) };
    let end = if wanted < 0 { End::Right } else { End::Left };
    let removed = view.edit(arguments.at(1), |list: &mut List| list.remove(arguments.at(3), end, most))?;
    Ok(count(removed.unwrap_or(0)))
}

pub(super) fn ltrim(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let (start, end) = (integer(arguments.at(2))?, integer(arguments.at(3))?);
    view.edit(arguments.at(1), |list: &mut List| list.trim(range(start, end, list.len())))?;
    Ok(Reply::ok())
}

/// What `LPOS` looks for.
struct Search {
    from: End,
    /// Matches that are passed over.
    skip: usize,
    /// How many places are asked for; `None`: one, alone.
    most: Option<usize>,
    /// Elements that are compared.
    compared: usize,
}

impl Search {
    fn parse(arguments: &[Bytes]) -> Result<Self, Refusal> {
        let mut search = Self { from: End::Left, skip: 0, most: None, compared: usize::MAX };
        // Nought means all.
        let all_for_none = |n: usize| if n == 0 { usize::MAX } else { n };
        let (pairs, alone) = arguments.as_chunks::<2>();
        for [word, number] in pairs {
            if is_word(word, "rank") {
                let rank = integer(number)?;
                let above = rank.unsigned_abs().checked_sub(1).ok_or(Refusal::RANK)?;
                // There is no rank as far from the end as the smallest number says: it wraps to the first.
                search.skip = if rank == i64::MIN { 0 } else { usize::try_from(above).unwrap_or(usize::MAX) };
                search.from = if rank < 0 { End::Right } else { End::Left };
            } else if is_word(word, "count") {
                search.most = Some(all_for_none(natural(number, Refusal::COUNT_NEGATIVE)?));
            } else if is_word(word, "maxlen") {
                search.compared = all_for_none(natural(number, Refusal::MAXLEN_NEGATIVE)?);
            } else {
                return Err(Refusal::SYNTAX);
            }
        }
        if alone.is_empty() { Ok(search) } else { Err(Refusal::SYNTAX) }
    }

    fn run(&self, list: &List, element: &[u8]) -> Vec<Reply> {
        let last = list.len().saturating_sub(1);
        let from_left = |n: usize| if self.from == End::Left { n } else { last - n };
        let compared = list.from(self.from).take(self.compared).enumerate();
        let found = compared.filter(|(_, there)| *there == element).skip(self.skip);
        found.take(self.most.unwrap_or(1)).map(|(n, _)| count(from_left(n))).collect()
    }
}

pub(super) fn lpos(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let search = Search::parse(arguments.from(3))?;
    let there = view.read::<List>(arguments.at(1))?;
    let mut found = there.map_or_else(Vec::new, |list| search.run(list, arguments.at(2)));
    Ok(if search.most.is_some() { Reply::Array(found) } else { found.pop().unwrap_or(Reply::Nil) })
}
