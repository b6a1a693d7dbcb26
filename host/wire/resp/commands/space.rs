//! The key space as a whole: going through it, counting, drawing, emptying.

use std::sync::Arc;

use super::{count, work};
use crate::engine::Engine;
use crate::engine::step::ScanRequest;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::pipeline::Work;

/// `SCAN cursor [MATCH pattern] [COUNT n] [TYPE type]`. What is to match is the application's key, so that the store is not told.
pub(super) fn scan_request(args: &Args) -> ScanRequest {
    let mut request = ScanRequest { cursor: args.shared(1), pattern: None, options: Vec::new() };
    for at in (2..args.len()).step_by(2) {
        if at + 1 == args.len() {
            request.options.push(args.shared(at));
        } else if args.is(at, "MATCH") {
            request.pattern = Some(args.shared(at + 1));
        } else {
            request.options.extend([args.shared(at), args.shared(at + 1)]);
        }
    }
    request
}

pub(super) fn scan(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let (engine, request) = (Arc::clone(engine), scan_request(&args));
    Ok(work(async move {
        let (next, keys) = engine.scan_keys(&request).await?;
        Ok(Reply::Array(vec![Reply::Bulk(next), Reply::Array(keys.into_iter().map(Reply::Bulk).collect())]))
    }))
}

pub(super) fn keys(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let keys = engine.all_keys(&args[1]).await?;
        Ok(Reply::Array(keys.into_iter().map(Reply::Bulk).collect()))
    }))
}

pub(super) fn random(engine: &Arc<Engine>, _args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { Ok(engine.random_key().await?.map_or(Reply::Nil, Reply::Bulk)) }))
}

pub(super) fn size(engine: &Arc<Engine>, _args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.count_keys().await.map(count) }))
}

/// `FLUSHDB` and `FLUSHALL`, where database 0 is selected.
pub(super) fn flush(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    if args.len() > 2 || args.len() == 2 && !args.is(1, "ASYNC") && !args.is(1, "SYNC") {
        return Err(errors::reply(errors::SYNTAX));
    }
    let engine = Arc::clone(engine);
    let all = args.is(0, "flushall");
    Ok(work(async move { if all { engine.flush_all().await } else { engine.flush().await }.map(|()| Reply::ok()) }))
}
