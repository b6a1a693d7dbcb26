//! Numbers that are changed where they are.

use std::sync::Arc;

use super::work;
use crate::engine::Engine;
use crate::engine::api::Update;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::pipeline::Work;

pub(super) fn incr(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    Ok(add(engine, args, 1))
}

pub(super) fn decr(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    Ok(add(engine, args, -1))
}

pub(super) fn incr_by(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let by = number(&args)?;
    Ok(add(engine, args, by))
}

pub(super) fn decr_by(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let by = number(&args)?.checked_neg().ok_or_else(|| errors::reply(errors::DECREMENT_OVERFLOW))?;
    Ok(add(engine, args, by))
}

fn number(args: &Args) -> Result<i64, Reply> {
    parse_i64(&args[2]).ok_or_else(|| errors::reply(errors::NOT_AN_INTEGER))
}

fn add(engine: &Arc<Engine>, args: Args, by: i64) -> Work {
    let engine = Arc::clone(engine);
    work(async move { engine.update(&args[1], Update::IncrementBy(by)).await.map(Reply::Integer) })
}
