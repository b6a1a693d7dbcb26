//! `LARDER.WARM`: one step of a warming, as `SCAN` is one of a scan.

use std::sync::Arc;

use super::{bulk, count, field, work};
use crate::engine::Engine;
use crate::engine::warm::{WarmSource, WarmStep, Warmed};
use crate::limits::WARM_STEP_KEYS_MAX;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::pipeline::Work;

/// How many keys a step has where nobody says.
const COUNT: usize = 500;

/// `LARDER.WARM domain [VERSION version pattern] [CURSOR cursor] [COUNT n] [KEYS key …]`.
pub(super) fn warm(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let syntax = || errors::reply(errors::SYNTAX);
    let mut step = WarmStep { source: WarmSource::Policy, cursor: None, count: COUNT };
    let mut at = 2;
    while at < args.len() {
        let left = args.len() - at;
        if args.is(at, "KEYS") && left > 1 {
            if left - 1 > WARM_STEP_KEYS_MAX || step.source != WarmSource::Policy || step.cursor.is_some() {
                return Err(syntax());
            }
            step.source = WarmSource::Keys((at + 1..args.len()).map(|word| args.text(word)).collect());
            step.count = WARM_STEP_KEYS_MAX;
            at = args.len();
        } else if args.is(at, "VERSION") && left > 2 && step.source == WarmSource::Policy {
            step.source = WarmSource::Version { version: args.text(at + 1), pattern: args.text(at + 2) };
            at += 3;
        } else if args.is(at, "CURSOR") && left > 1 {
            step.cursor = Some(args.text(at + 1));
            at += 2;
        } else if args.is(at, "COUNT") && left > 1 {
            step.count = args.text(at + 1).parse().map_err(|_| errors::reply(errors::NOT_AN_INTEGER))?;
            at += 2;
        } else {
            return Err(syntax());
        }
    }
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.warm(&args.text(1), &step).await.map(warmed) }))
}

fn warmed(it: Warmed) -> Reply {
    Reply::Map(vec![
        field("held", count(it.held)),
        field("stored", count(it.stored)),
        field("loaded", count(it.loaded)),
        field("absent", count(it.absent)),
        field("failed", count(it.failed)),
        field("total", it.total.map_or(Reply::Nil, count)),
        field("cursor", it.cursor.map_or(Reply::Nil, bulk)),
    ])
}
