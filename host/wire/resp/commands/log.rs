//! `LARDER.LOG`: what is logged, while the host runs.

use super::bulk;
use crate::limits::LOG_DIRECTIVES_BYTES_MAX;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::session::{Output, Session};

/// `LARDER.LOG [directives]`: the directives that count from now on.
pub(super) fn log(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let Some(log) = &session.shared().front.log else {
        return Err(errors::reply("ERR this host's log cannot be changed while it runs"));
    };
    match args.len() {
        1 => {}
        2 if args[1].len() <= LOG_DIRECTIVES_BYTES_MAX => {
            let directives = args.text(1);
            log.set(&directives).map_err(|what| errors::reply(format!("ERR {what}")))?;
            tracing::warn!(directives, client = session.client().id, "what is logged was changed over RESP");
        }
        _ => return Err(errors::arity("larder.log")),
    }
    Ok(Output::Reply(bulk(log.directives())))
}
