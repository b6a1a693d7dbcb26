//! Reading values, and appending to one.

use std::sync::Arc;

use super::{count, set, value, work};
use crate::engine::Engine;
use crate::engine::api::Update;
use crate::engine::fill::{LeaseBook, Who};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
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
    let ttl = set::get_ex_ttl(&args, engine.now_ms())?;
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.get_and_expire(&args[1], ttl).await.map(value) }))
}

pub(super) fn length(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.length(&args[1]).await.map(count) }))
}

pub(super) fn append(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.update(&args[1], Update::Append(args.kept(2))).await.map(Reply::Integer) }))
}
