//! Commands of policies, and events of the application.

use std::sync::Arc;

use super::{bulk, count, work};
use crate::engine::Engine;
use crate::ports::hooks::Event;
use crate::ports::store::Reply;
use crate::ports::workflow::CommandReply;
use crate::wire::resp::args::Args;
use crate::wire::resp::pipeline::Work;

/// Stands for every domain whose policy takes events.
const EVERY_DOMAIN: &str = "*";

/// `LARDER.CALL domain command [argument …]`
pub(super) fn call(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let (domain, command) = (args.text(1), args.text(2));
        let arguments: Vec<_> = (3..args.len()).map(|index| args.shared(index)).collect();
        engine.command(&domain, &command, &arguments).await.map(reply)
    }))
}

/// `LARDER.EVENT domain type json`
pub(super) fn event(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let (domain, kind, payload) = (args.text(1), args.text(2), args.text(3));
        let domain = (domain != EVERY_DOMAIN).then_some(&*domain);
        let outcomes = engine.event(domain, &Event { kind: &kind, payload: &payload }).await?;
        Ok(count(outcomes.len() as u64))
    }))
}

fn reply(reply: CommandReply) -> Reply {
    match reply {
        CommandReply::Nothing => Reply::Nil,
        CommandReply::Integer(n) => Reply::Integer(n),
        CommandReply::Text(text) => bulk(text),
        CommandReply::Bytes(bytes) => Reply::Bulk(bytes),
        CommandReply::Items(items) => Reply::Array(items.into_iter().map(Reply::Bulk).collect()),
        CommandReply::Fields(fields) => {
            Reply::Map(fields.into_iter().map(|(name, value)| (bulk(name), bulk(value))).collect())
        }
    }
}
