//! `LARDER.GET` and `LARDER.FILL`: for clients that know of leases.

use std::sync::Arc;

use super::expiry::{Base, Unit, lifetime};
use super::{bulk, count, field, work};
use crate::engine::Engine;
use crate::engine::api::AskedTtl;
use crate::engine::fill::{Filled, Leased, Who};
use crate::ports::metrics::State;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::pipeline::Work;

pub(super) fn get(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.get_or_lease(&args[1], Who::Bearer).await.map(leased) }))
}

pub(super) fn fill(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let ttl = match args.len() {
        4 => AskedTtl::None,
        6 if args.is(4, "PX") => lifetime(&args[5], Unit::Milliseconds, Base::Now, "larder.fill", engine.now_ms())?,
        6 if args.is(4, "EX") => lifetime(&args[5], Unit::Seconds, Base::Now, "larder.fill", engine.now_ms())?,
        _ => return Err(errors::reply(errors::SYNTAX)),
    };
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let value = args.kept(3);
        engine.fill_leased(&args[1], &args[2], value, ttl).await.map(|answer| filled(&answer))
    }))
}

fn leased(Leased { answer, lease }: Leased) -> Reply {
    let waited = answer.waited;
    Reply::Map(vec![
        field("value", answer.value.map_or(Reply::Nil, Reply::Bulk)),
        field("state", bulk(answer.state.as_str())),
        field("age_ms", answer.age_ms.map_or(Reply::Nil, count)),
        field("ttl_ms", answer.fresh_left_ms.map_or(Reply::Nil, Reply::Integer)),
        field("lease", lease.map_or(Reply::Nil, bulk)),
        field("waited_ms", waited.map_or(Reply::Nil, |waited| count(waited.ms))),
        field("waited_for", waited.map_or(Reply::Nil, |waited| bulk(waited.leader.as_str()))),
        field("outcome", waited.map_or(Reply::Nil, |waited| bulk(waited.outcome.as_str()))),
    ])
}

fn filled(filled: &Filled) -> Reply {
    let reason = match (filled.state, filled.lost) {
        (_, Some(lost)) => bulk(lost.as_str()),
        (State::Done, None) => Reply::Nil,
        (state, None) => bulk(state.as_str()),
    };
    Reply::Map(vec![field("stored", Reply::Boolean(filled.state == State::Done)), field("reason", reason)])
}
