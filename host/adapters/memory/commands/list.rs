//! The ends of lists: `LPUSH`, `RPOP`, `LMOVE` and their kin.

use super::Outcome;
use super::args::{Arguments, is_word, natural};
use super::replies::{count, taken};
use crate::adapters::memory::list::{End, List};
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

pub(super) fn lpush(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    view.make(arguments.at(1), |list| push_all(list, End::Left, arguments))
}

pub(super) fn rpush(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    view.make(arguments.at(1), |list| push_all(list, End::Right, arguments))
}

pub(super) fn lpushx(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let pushed = view.edit(arguments.at(1), |list| push_all(list, End::Left, arguments))?;
    Ok(pushed.unwrap_or(Reply::Integer(0)))
}

pub(super) fn rpushx(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let pushed = view.edit(arguments.at(1), |list| push_all(list, End::Right, arguments))?;
    Ok(pushed.unwrap_or(Reply::Integer(0)))
}

/// Pushes one element after the other; the length then.
fn push_all(list: &mut List, end: End, arguments: Arguments<'_>) -> Reply {
    arguments.from(2).iter().for_each(|element| list.push(end, element));
    count(list.len())
}

pub(super) fn lpop(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    pop(view, arguments, "lpop", End::Left)
}

pub(super) fn rpop(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    pop(view, arguments, "rpop", End::Right)
}

fn pop(view: &mut View<'_>, arguments: Arguments<'_>, command: &str, end: End) -> Outcome {
    if arguments.len() > 3 {
        return Err(Refusal::arity(command));
    }
    let key = arguments.at(1);
    let Some(most) = arguments.get(2) else {
        return Ok(taken(view.edit(key, |list: &mut List| list.pop(end))?.flatten()));
    };
    let most = natural(most, Refusal::NOT_POSITIVE)?;
    let elements = view.edit(key, |list: &mut List| {
        let most = most.min(list.len());
        (0..most).map(|_| taken(list.pop(end))).collect()
    })?;
    Ok(elements.map_or(Reply::Nil, Reply::Array))
}

pub(super) fn rpoplpush(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    move_one(view, arguments, End::Right, End::Left)
}

pub(super) fn lmove(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let from = end(arguments.at(3))?;
    let to = end(arguments.at(4))?;
    move_one(view, arguments, from, to)
}

fn end(word: &[u8]) -> Result<End, Refusal> {
    match word {
        _ if is_word(word, "left") => Ok(End::Left),
        _ if is_word(word, "right") => Ok(End::Right),
        _ => Err(Refusal::SYNTAX),
    }
}

fn move_one(view: &mut View<'_>, arguments: Arguments<'_>, from: End, to: End) -> Outcome {
    let (source, target) = (arguments.at(1), arguments.at(2));
    if view.read::<List>(source)?.is_none() {
        return Ok(Reply::Nil);
    }
    if source == target {
        // In one go: the only element of a list must not take the key with it on the way.
        let turn = |list: &mut List| list.pop(from).inspect(|element| list.push(to, element));
        return Ok(taken(view.edit(source, turn)?.flatten()));
    }
    view.read::<List>(target)?;
    let element = view.edit(source, |list: &mut List| list.pop(from))?.flatten();
    if let Some(element) = &element {
        view.make(target, |list: &mut List| list.push(to, element))?;
    }
    Ok(taken(element))
}
