//! Reading values, and appending to one.

use std::sync::Arc;

use super::{count, set, value, work};
use crate::engine::Engine;
use crate::engine::api::Update;
use crate::engine::fill::{LeaseBook, Who};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::pipeline::Work;

pub(super) fn get(engine: &Arc<Engine>, leases: &Arc<LeaseBook>, args: Args) -> Result<Work, Reply> {
    let (engine, leases) = (Arc::clone(engine), Arc::clone(leases));
    Ok(work(async move {
        let leased = engine.get_or_lease(&args[1], Who::Connection(&leases)).await?;
        Ok(value(leased.answer))
    }))
}

pub(super) fn get_many(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let keys: Vec<_> = (1..args.len()).map(|index| args.shared(index)).collect();
        let answers = engine.get_many(&keys).await?;
        Ok(Reply::Array(answers.into_iter().map(value).collect()))
    }))
}

pub(super) fn get_del(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.take(&args[1]).await.map(value) }))
}

pub(super) fn get_ex(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let ttl = match set::get_ex_ttl(&args, engine.now_ms()) {
        Err(reply) if set::is_syntax(&reply) => return Err(reply),
        ttl => ttl,
    };
    let engine = Arc::clone(engine);
    Ok(work(async move {
        match ttl {
            Ok(ttl) => engine.get_and_expire(&args[1], ttl).await.map(value),
            // Redis looks at the key before it looks at the lifetime.
            Err(reply) => Ok(engine.get(&args[1]).await?.value.map_or(Reply::Nil, |_| reply)),
        }
    }))
}

pub(super) fn length(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.length(&args[1]).await.map(count) }))
}

pub(super) fn append(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.update(&args[1], Update::Append(args.kept(2))).await.map(Reply::Integer) }))
}

/// `GETRANGE` and `SUBSTR`.
pub(super) fn get_range(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let number = |at: usize| parse_i64(&args[at]).ok_or_else(|| errors::reply(errors::NOT_AN_INTEGER));
    let (start, end) = (number(2)?, number(3)?);
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.range(&args[1], start, end).await.map(Reply::Bulk) }))
}

pub(super) fn set_range(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let at = parse_i64(&args[2]).ok_or_else(|| errors::reply(errors::NOT_AN_INTEGER))?;
    let at = usize::try_from(at).map_err(|_| errors::reply("ERR offset is out of range"))?;
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.update(&args[1], Update::SetRange(at, args.kept(3))).await.map(Reply::Integer) }))
}
