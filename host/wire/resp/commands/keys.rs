//! Commands on keys of any type.

use std::sync::Arc;

use super::{count, work};
use crate::engine::Engine;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::pipeline::Work;

/// `DEL` and `UNLINK`: memory is given back in the background either way.
pub(super) fn delete(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let keys: Vec<_> = (1..args.len()).map(|index| args.shared(index)).collect();
        engine.delete(&keys).await.map(count)
    }))
}

pub(super) fn exists(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let keys: Vec<_> = (1..args.len()).map(|index| args.shared(index)).collect();
        engine.exists(&keys).await.map(count)
    }))
}

pub(super) fn kind(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.kind(&args[1]).await.map(|kind| Reply::Status(kind.into())) }))
}
