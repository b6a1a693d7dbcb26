//! Greeting, password, and the small commands that concern the connection alone.

use std::sync::Arc;

use super::client::checked_name;
use super::{bulk, field, ok, work};
use crate::config::users::DEFAULT_USER;
use crate::ports::store::Reply;
use crate::wire::access::Denied;
use crate::wire::resp::REDIS_VERSION;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::pipeline::Work;
use crate::wire::resp::reply::Protocol;
use crate::wire::resp::session::{Output, Session};

pub(super) fn ping(_session: &mut Session, args: &Args) -> Result<Output, Reply> {
    match args.len() {
        1 => Ok(Output::Reply(Reply::Status("PONG".into()))),
        2 => Ok(Output::Reply(Reply::Bulk(args.shared(1)))),
        _ => Err(errors::arity("ping")),
    }
}

/// `ACL WHOAMI`: as this host knows its users.
pub(super) fn who_am_i(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let name = session.access().map_or(DEFAULT_USER, |access| access.name());
    Ok(Output::Reply(bulk(name)))
}

pub(super) fn echo(_session: &mut Session, args: &Args) -> Result<Output, Reply> {
    Ok(Output::Reply(Reply::Bulk(args.shared(1))))
}

pub(super) fn quit(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    session.closing = true;
    ok()
}

pub(super) fn reset(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    session.reset();
    Ok(Output::Always(Reply::Status("RESET".into())))
}

/// `SELECT index`: the database of the policies, or another one of a Redis behind this host.
pub(super) fn select(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    let Some(number) = parse_i64(&args[1]).and_then(|index| i32::try_from(index).ok()) else {
        return Err(errors::reply(errors::NOT_AN_INTEGER));
    };
    let is_selected = i64::from(session.database_number()) == i64::from(number);
    if !is_selected && session.watches() {
        let line = "ERR keys are watched in the database that is selected; EXEC, DISCARD or UNWATCH before SELECT";
        return Err(errors::reply(line));
    }
    if !is_selected && number == 0 {
        session.set_database(None);
    }
    if is_selected || number == 0 {
        return Ok(Box::pin(async { Reply::ok() }));
    }
    let (engine, selecting) = (Arc::clone(session.engine()), session.selecting());
    Ok(work(async move {
        // Nobody else fills it.
        let _first = selecting.set(engine.database(number.into()).await?);
        Ok(Reply::ok())
    }))
}

/// `SELECT` of what is selected.
pub(super) fn selected(_session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    ok()
}

pub(super) fn time(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let now_ms = session.engine().now_ms();
    let parts = [now_ms / 1000, now_ms % 1000 * 1000];
    Ok(Output::Reply(Reply::Array(parts.map(|part| bulk(part.to_string())).into())))
}

pub(super) fn auth(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let (user, password) = match args.len() {
        2 => (DEFAULT_USER.as_bytes(), &args[1]),
        3 => (&args[1], &args[2]),
        _ => return Err(errors::reply(errors::SYNTAX)),
    };
    if session.shared().front.gate.is_open() && args.len() == 2 {
        return Err(errors::reply(errors::NO_PASSWORD));
    }
    login(session, user, password)?;
    ok()
}

/// Lets the client in as a user. Where nobody has to say who they are, any password is right for the one user there is.
fn login(session: &mut Session, user: &[u8], password: &[u8]) -> Result<(), Reply> {
    let is_open = session.shared().front.gate.is_open();
    match (is_open, user == DEFAULT_USER.as_bytes()) {
        (true, true) => Ok(()),
        (true, false) => Err(errors::reply(errors::WRONG_PASSWORD)),
        (false, _) => session.login(user, password).map_err(|denied| match denied {
            Denied::Wrong | Denied::Silent => errors::reply(errors::WRONG_PASSWORD),
            Denied::Paused { wait_ms } => errors::paused(wait_ms),
        }),
    }
}

/// `HELLO [protocol [AUTH user password] [SETNAME name]]`.
pub(super) fn hello(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let protocol = match args.len() {
        1 => None,
        _ => Some(protocol(&args[1])?),
    };
    let mut name = None;
    let mut at = 2;
    while at < args.len() {
        let left = args.len() - at - 1;
        if args.is(at, "AUTH") && left >= 2 {
            login(session, &args[at + 1], &args[at + 2])?;
            at += 3;
        } else if args.is(at, "SETNAME") && left >= 1 {
            name = Some(checked_name(&args[at + 1])?);
            at += 2;
        } else {
            return Err(errors::reply(format!("ERR Syntax error in HELLO option '{}'", args.text(at))));
        }
    }
    if session.access().is_none() {
        return Err(errors::reply(errors::NO_AUTH_HELLO));
    }
    if let Some(name) = name {
        session.client().label(|label| label.name = name);
    }
    if let Some(protocol) = protocol {
        session.set_protocol(protocol);
    }
    Ok(Output::Reply(greeting(session)))
}

fn protocol(word: &[u8]) -> Result<Protocol, Reply> {
    match parse_i64(word) {
        None => Err(errors::reply(errors::PROTOCOL_NOT_AN_INTEGER)),
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(errors::reply(errors::NO_PROTOCOL)),
    }
}

fn greeting(session: &Session) -> Reply {
    Reply::Map(vec![
        field("server", bulk("redis")),
        field("version", bulk(REDIS_VERSION)),
        field("proto", Reply::Integer(session.protocol().number())),
        field("id", Reply::Integer(i64::try_from(session.client().id).unwrap_or(i64::MAX))),
        field("mode", bulk("standalone")),
        field("role", bulk("master")),
        field("modules", Reply::Array(Vec::new())),
    ])
}
