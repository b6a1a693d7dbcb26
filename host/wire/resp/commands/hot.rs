//! `LARDER.HOTKEYS`: the keys that are read most, of the domains that the caller may read.

use super::{bulk, count, field};
use crate::config::users::Role;
use crate::engine::hot::HotKey;
use crate::limits::HOT_KEYS_MAX;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::session::{Output, Session};

/// How many are shown where nobody says.
const COUNT: usize = 20;

/// `LARDER.HOTKEYS [domain] [COUNT n]`.
pub(super) fn keys(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let named = args.len().is_multiple_of(2);
    let options = if named { 2 } else { 1 };
    let shown = match args.len() - options {
        0 => COUNT,
        2 if args.is(options, "COUNT") => {
            args.text(options + 1).parse().map_err(|_| errors::reply(errors::NOT_AN_INTEGER))?
        }
        _ => return Err(errors::reply(errors::SYNTAX)),
    };
    let domain = named.then(|| args.text(1));
    let access = session.access();
    let reads = |domain: &str| access.is_some_and(|access| access.in_domain(domain.as_bytes()) >= Role::Read);
    let shows = |of: &str| domain.as_deref().is_none_or(|named| named == of) && reads(of);
    let keys = session.engine().hot_keys(shows, shown.min(HOT_KEYS_MAX));
    Ok(Output::Reply(Reply::Array(keys.into_iter().map(described).collect())))
}

fn described(it: HotKey) -> Reply {
    Reply::Map(vec![
        field("key", bulk(it.key)),
        field("domain", bulk(it.domain)),
        field("reads", count(it.reads)),
        field("reads_error", count(it.reads_error)),
        field("share_percent", count(it.share_percent)),
    ])
}
