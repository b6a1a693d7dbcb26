//! `CONFIG`: the settings that clients ask a Redis for, as far as they have a meaning here. They cannot be changed from a
//! connection: settings come from flags, the environment and `larder.toml`.

use super::bulk;
use crate::limits::{RESP_INLINE_BYTES_MAX, RESP_KEEPALIVE_MS, VALUE_BYTES_MAX};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::session::{Output, Session};
use crate::wire::resp::{errors, glob};

/// All settings, in order of their names.
fn settings(session: &Session) -> [(&'static str, String); 21] {
    let shared = session.shared();
    let fixed = |name, value: &str| (name, value.to_owned());
    [
        fixed("appendfsync", "everysec"),
        fixed("appendonly", "no"),
        ("bind", shared.local.ip().to_string()),
        fixed("cluster-enabled", "no"),
        fixed("databases", "1"),
        fixed("lazyfree-lazy-user-del", "yes"),
        ("maxclients", shared.clients.max().to_string()),
        // What the store does when its memory is full is its own matter; L1 only forgets copies.
        fixed("maxmemory", "0"),
        fixed("maxmemory-policy", "noeviction"),
        fixed("min-replicas-max-lag", "10"),
        fixed("min-replicas-to-write", "0"),
        fixed("notify-keyspace-events", ""),
        ("port", shared.local.port().to_string()),
        ("proto-inline-max-size", RESP_INLINE_BYTES_MAX.to_string()),
        ("proto-max-bulk-len", VALUE_BYTES_MAX.to_string()),
        fixed("protected-mode", "no"),
        fixed("replica-read-only", "yes"),
        fixed("save", ""),
        fixed("slowlog-max-len", "0"),
        ("tcp-keepalive", (RESP_KEEPALIVE_MS / 1000).to_string()),
        fixed("timeout", "0"),
    ]
}

/// `CONFIG GET pattern …`.
pub(super) fn get(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let wanted = |name: &str| (2..args.len()).any(|at| glob::matches(&args[at], name.as_bytes()));
    let found = settings(session).into_iter().filter(|(name, _)| wanted(name));
    Ok(Output::Reply(Reply::Map(found.map(|(name, value)| (bulk(name), bulk(value))).collect())))
}

pub(super) fn set(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    if !args.len().is_multiple_of(2) {
        return Err(errors::arity("config|set"));
    }
    let name = args.text(2);
    let known = settings(session).iter().any(|(known, _)| known.eq_ignore_ascii_case(&name));
    Err(errors::reply(if known {
        format!(
            "ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config: Larder's settings come \
             from its flags, environment and larder.toml"
        )
    } else {
        format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
    }))
}

pub(super) fn reset_stat(_session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    Err(errors::reply(
        "ERR CONFIG RESETSTAT is not supported: Larder's counters only grow; take the difference of two readings",
    ))
}
