//! `LARDER.BREAKER`: where the breakers stand, what they did, and operators' word on them.

use super::{bulk, count, field};
use crate::ports::breaker::{BreakerStatus, Mode, Transition};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::session::{Output, Session};

/// `LARDER.BREAKER [LIST]`.
pub(super) fn list(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let breakers = session.engine().breakers().list();
    Ok(Output::Reply(Reply::Array(breakers.into_iter().map(described).collect())))
}

/// `FORCE name OPEN|CLOSED|METRICS-ONLY|AUTO`.
pub(super) fn force(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let mode = Mode::from_word(&args.text(3)).map_err(|error| errors::of(&error))?;
    let status = session.engine().breakers().force(&args.text(2), mode).ok_or_else(|| unknown(args))?;
    Ok(Output::Reply(described(status)))
}

/// `HISTORY name`.
pub(super) fn history(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let steps = session.engine().breakers().history(&args.text(2)).ok_or_else(|| unknown(args))?;
    Ok(Output::Reply(Reply::Array(steps.into_iter().map(step).collect())))
}

fn unknown(args: &Args) -> Reply {
    let name = errors::shown(&args[2], 128);
    errors::reply(format!("ERR there is no breaker '{name}'; LARDER.BREAKER LIST names all"))
}

fn described(status: BreakerStatus) -> Reply {
    Reply::Map(vec![
        field("name", bulk(status.name)),
        field("state", bulk(status.state)),
        field("mode", bulk(status.mode)),
        field("calls", count(status.calls)),
        field("failures", count(status.failures)),
        field("slow", count(status.slow)),
        field("retry_in_ms", status.retry_in_ms.map_or(Reply::Nil, count)),
        field("reopened", count(status.reopened.into())),
        field("last_failure", status.last_failure.map_or(Reply::Nil, bulk)),
    ])
}

fn step(step: Transition) -> Reply {
    Reply::Map(vec![
        field("at_ms", count(step.at_ms)),
        field("from", bulk(step.from)),
        field("to", bulk(step.to)),
        field("why", bulk(step.why)),
    ])
}
