//! Commands of policies.

use std::sync::Arc;

use super::{bulk, work};
use crate::engine::Engine;
use crate::ports::store::Reply;
use crate::ports::workflow::CommandReply;
use crate::wire::resp::args::Args;
use crate::wire::resp::pipeline::Work;

/// `LARDER.CALL domain command [argument …]`
pub(super) fn call(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let (domain, command) = (args.text(1), args.text(2));
        let arguments: Vec<_> = (3..args.len()).map(|index| args.shared(index)).collect();
        engine.command(&domain, &command, &arguments).await.map(reply)
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
