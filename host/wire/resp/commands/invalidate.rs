//! `LARDER.INVALIDATE`: what is out of date. A key is said as applications say it; everything else within a domain that is named.

use std::sync::Arc;

use super::{count, work};
use crate::engine::Engine;
use crate::engine::api::Outcome;
use crate::ports::invalidation::Mode;
use crate::ports::policy::Selector;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::pipeline::Work;

/// `KEY key [SOFT]`.
pub(super) fn key(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let mode = mode(&args, 3)?;
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.invalidate_name(&args[2], mode).await.map(outcome) }))
}

/// `TAG domain tag [SOFT]`.
pub(super) fn tag(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    within(engine, &args, Selector::Tag)
}

/// `PREFIX domain prefix [SOFT]`.
pub(super) fn prefix(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    within(engine, &args, Selector::Prefix)
}

/// `PATTERN domain pattern [SOFT]`.
pub(super) fn pattern(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    within(engine, &args, Selector::Pattern)
}

/// `DOMAIN domain [SOFT]`.
pub(super) fn domain(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let mode = mode(&args, 3)?;
    begin(engine, text(&args, 2)?, Selector::Domain, mode)
}

fn within(engine: &Arc<Engine>, args: &Args, selector: fn(String) -> Selector) -> Result<Work, Reply> {
    begin(engine, text(args, 2)?, selector(text(args, 3)?), mode(args, 4)?)
}

fn begin(engine: &Arc<Engine>, domain: String, selector: Selector, mode: Mode) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.invalidate(&domain, &selector, mode).await.map(outcome) }))
}

/// What is told of how many keys it concerned, where that is known.
fn outcome(outcome: Outcome) -> Reply {
    outcome.keys.map_or_else(Reply::ok, count)
}

/// Tags and prefixes are UTF-8 in the contract: a foreign byte that was replaced would invalidate something else.
fn text(args: &Args, index: usize) -> Result<String, Reply> {
    String::from_utf8(args[index].to_vec()).map_err(|_| errors::reply("ERR the argument is not UTF-8"))
}

/// `SOFT` as the last word, or nothing.
fn mode(args: &Args, index: usize) -> Result<Mode, Reply> {
    match args.len() - index {
        0 => Ok(Mode::Hard),
        1 if args.is(index, "soft") => Ok(Mode::Soft),
        _ => Err(errors::reply(errors::SYNTAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::mode;
    use crate::wire::resp::args::Args;

    #[test]
    fn soft_is_the_last_word() {
        let check = |line: &str, index, expect: &str| {
            let found = mode(&Args::parse(line), index).map_or("error", |mode| mode.as_str());
            assert_eq!(found, expect, "{line}");
        };
        check("x key k", 3, "hard");
        check("x key k SoFt", 3, "soft");
        check("x key k hard", 3, "error");
        check("x key k soft soft", 3, "error");
        check("x tag soft soft", 4, "hard");
        check("x tag soft soft soft", 4, "soft");
    }
}
