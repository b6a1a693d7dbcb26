//! `CLIENT`: who is connected, under which name, and the end of a connection.

use std::fmt::Write;

use super::{bulk, ok};
use crate::limits::RESP_CLIENT_NAME_BYTES_MAX;
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::clients::{Client, Ending, Unblock};
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::session::{Output, Replies, Session};

/// What a client may call itself: nothing that would break a line of `CLIENT LIST`.
///
/// # Errors
/// The error line.
pub(super) fn checked_name(name: &[u8]) -> Result<String, Reply> {
    label(name).ok_or_else(|| errors::reply(errors::CLIENT_NAME))
}

/// Text without spaces and control characters, as Redis checks it, and not too long.
fn label(text: &[u8]) -> Option<String> {
    let fits = text.len() <= RESP_CLIENT_NAME_BYTES_MAX;
    (fits && text.iter().all(u8::is_ascii_graphic)).then(|| String::from_utf8_lossy(text).into_owned())
}

pub(super) fn id(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    Ok(Output::Reply(super::count(session.client().id)))
}

pub(super) fn get_name(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let name = session.client().label(|label| label.name.clone());
    Ok(Output::Reply(if name.is_empty() { Reply::Nil } else { bulk(name) }))
}

pub(super) fn set_name(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let name = checked_name(&args[2])?;
    session.client().label(|label| label.name = name);
    ok()
}

pub(super) fn set_info(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let (is_name, is_version) = (args.is(2, "LIB-NAME"), args.is(2, "LIB-VER"));
    if !is_name && !is_version {
        return Err(errors::reply(format!("ERR Unrecognized option '{}'", args.text(2))));
    }
    let Some(value) = label(&args[3]) else {
        let option = if is_name { "lib-name" } else { "lib-ver" };
        return Err(errors::reply(format!("ERR {option} cannot contain spaces, newlines or special characters.")));
    };
    session.client().label(|label| if is_name { label.lib_name = value } else { label.lib_version = value });
    ok()
}

pub(super) fn info(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let mut line = session.client().line(session.engine().now_ms());
    line.push('\n');
    Ok(Output::Text(line))
}

/// `CLIENT LIST [TYPE type] [ID id …]`.
pub(super) fn list(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let clients = session.shared().clients.list();
    let chosen: Vec<_> = match args.len() {
        2 => clients,
        4 if args.is(2, "TYPE") => {
            let normal = is_normal(args, 3)?;
            clients.into_iter().filter(|_| normal).collect()
        }
        4.. if args.is(2, "ID") => {
            let ids = (3..args.len()).map(|at| listed_id(&args[at])).collect::<Result<Vec<_>, _>>()?;
            clients.into_iter().filter(|client| ids.contains(&client.id)).collect()
        }
        _ => return Err(errors::reply(errors::SYNTAX)),
    };
    let now_ms = session.engine().now_ms();
    let mut text = String::new();
    for client in chosen {
        // Writing to a string does not fail.
        let _written = writeln!(text, "{}", client.line(now_ms));
    }
    Ok(Output::Text(text))
}

/// Whether a type of client is the one that all are.
fn is_normal(args: &Args, at: usize) -> Result<bool, Reply> {
    let known = ["normal", "master", "replica", "slave", "pubsub"].into_iter().find(|word| args.is(at, word));
    let known = known.ok_or_else(|| errors::reply(format!("ERR Unknown client type '{}'", args.text(at))))?;
    Ok(known == "normal")
}

fn client_id(word: &[u8]) -> Option<u64> {
    parse_i64(word).and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0)
}

fn listed_id(word: &[u8]) -> Result<u64, Reply> {
    client_id(word).ok_or_else(|| errors::reply("ERR Invalid client ID"))
}

fn killed_id(word: &[u8]) -> Result<u64, Reply> {
    client_id(word).ok_or_else(|| errors::reply("ERR client-id should be greater than 0"))
}

pub(super) fn reply(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    if args.is(2, "ON") {
        session.replies = Replies::On;
        return Ok(Output::Always(Reply::ok()));
    }
    if args.is(2, "OFF") {
        session.replies = Replies::Off;
    } else if args.is(2, "SKIP") {
        if session.replies == Replies::On {
            session.replies = Replies::SkipNext;
        }
    } else {
        return Err(errors::reply(errors::SYNTAX));
    }
    Ok(Output::Nothing)
}

/// `NO-EVICT` and `NO-TOUCH`, which change nothing here.
pub(super) fn accepted_switch(_session: &mut Session, args: &Args) -> Result<Output, Reply> {
    if args.is(2, "ON") || args.is(2, "OFF") { ok() } else { Err(errors::reply(errors::SYNTAX)) }
}

/// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`: whether the client waited for what others do.
pub(super) fn unblock(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let id = parse_i64(&args[2]).ok_or_else(|| errors::reply(errors::NOT_AN_INTEGER))?;
    let how = match args.len() {
        3 => Unblock::AsTimeout,
        4 if args.is(3, "TIMEOUT") => Unblock::AsTimeout,
        4 if args.is(3, "ERROR") => Unblock::AsError,
        _ => {
            let line = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
            return Err(errors::reply(line));
        }
    };
    let clients = session.shared().clients.list();
    let found = clients.iter().find(|client| i64::try_from(client.id) == Ok(id));
    Ok(Output::Reply(Reply::Integer(found.is_some_and(|client| client.unblock(how)).into())))
}

/// `MONITOR`.
pub(super) fn monitor(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    session.monitored = Some(session.shared().monitors.join());
    ok()
}

/// Which connections are to end.
#[derive(Default)]
struct Filter {
    id: Option<u64>,
    peer: Option<String>,
    local: Option<String>,
    user: Option<String>,
    /// Nobody matches: a type that no connection has.
    nobody: bool,
    skip_self: bool,
}

impl Filter {
    fn matches(&self, client: &Client, own: u64) -> bool {
        let left_out = self.nobody || (self.skip_self && client.id == own);
        !left_out
            && self.id.is_none_or(|id| id == client.id)
            && self.peer.as_ref().is_none_or(|peer| *peer == client.peer.to_string())
            && self.user.as_ref().is_none_or(|user| client.label(|label| *label.user == **user))
            && self.local.as_ref().is_none_or(|local| *local == client.local.to_string())
    }
}

/// `CLIENT KILL addr:port`, or with filters, of which all must hold.
pub(super) fn kill(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let old_form = args.len() == 3;
    let filter =
        if old_form { Filter { peer: Some(args.text(2)), ..Filter::default() } } else { filter(session, args)? };
    let own = session.client().id;
    let mut killed = 0;
    for client in session.shared().clients.list() {
        if filter.matches(&client, own) {
            killed += 1;
            if client.id == own {
                // It is still to hear that it worked.
                session.closing = true;
            } else {
                client.end(Ending::Kill);
            }
        }
    }
    match (old_form, killed) {
        (true, 0) => Err(errors::reply("ERR No such client")),
        (true, _) => ok(),
        (false, killed) => Ok(Output::Reply(Reply::Integer(killed))),
    }
}

fn filter(session: &Session, args: &Args) -> Result<Filter, Reply> {
    let mut filter = Filter { skip_self: true, ..Filter::default() };
    if !args.len().is_multiple_of(2) {
        return Err(errors::reply(errors::SYNTAX));
    }
    for at in (2..args.len()).step_by(2) {
        let value = at + 1;
        match () {
            () if args.is(at, "ID") => filter.id = Some(killed_id(&args[value])?),
            () if args.is(at, "ADDR") => filter.peer = Some(args.text(value)),
            () if args.is(at, "LADDR") => filter.local = Some(args.text(value)),
            () if args.is(at, "TYPE") => filter.nobody |= !is_normal(args, value)?,
            () if args.is(at, "USER") && session.shared().front.gate.knows(&args[value]) => {
                filter.user = Some(args.text(value));
            }
            () if args.is(at, "USER") => return Err(errors::reply(format!("ERR No such user '{}'", args.text(value)))),
            () if args.is(at, "SKIPME") && args.is(value, "YES") => filter.skip_self = true,
            () if args.is(at, "SKIPME") && args.is(value, "NO") => filter.skip_self = false,
            () => return Err(errors::reply(errors::SYNTAX)),
        }
    }
    Ok(filter)
}
