//! `MULTI`, `EXEC`, `DISCARD`, `WATCH`, `UNWATCH`.

use std::sync::Arc;

use super::{errors, ok, queue, work};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::pipeline::Work;
use crate::wire::resp::session::{Output, Session};
use crate::wire::resp::transaction::{Queued, Watching};

pub(super) fn multi(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    if session.transaction.is_some() {
        return Err(errors::reply("ERR MULTI calls can not be nested"));
    }
    session.transaction = Some(Box::default());
    ok()
}

pub(super) fn discard(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    if session.transaction.take().is_none() {
        return Err(errors::reply("ERR DISCARD without MULTI"));
    }
    session.unwatch();
    ok()
}

pub(super) fn unwatch(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    session.unwatch();
    ok()
}

pub(super) fn watch(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    if session.transaction.is_some() {
        return Err(errors::reply("ERR WATCH inside MULTI is not allowed"));
    }
    let keys: Vec<_> = (1..args.len()).map(|at| args.shared(at)).collect();
    let (engine, watching) = (Arc::clone(session.engine()), session.watching());
    let database = session.database().map(Arc::clone);
    Ok(work(async move {
        // Whatever happens from here on, what was watched before must not be taken for unchanged.
        let before = std::mem::replace(&mut *watching.lock(), Watching::Lost);
        let before = match before {
            Watching::Nothing => None,
            Watching::Keys(watched) => Some(watched),
            Watching::Lost => {
                return Err(Error::new(ErrorKind::StoreUnavailable, "an earlier WATCH was lost; UNWATCH first"));
            }
        };
        let watched = match database {
            Some(database) => engine.watch_in(&database, before, &keys).await?,
            None => engine.watch(before, &keys).await?,
        };
        *watching.lock() = Watching::Keys(watched);
        Ok(Reply::ok())
    }))
}

/// What a command of the transaction has come to before the store is asked.
enum Part {
    /// It is answered.
    Answer(Reply),
    /// It is part of the block; how many words it has, for its answer.
    Step(&'static super::Spec, usize),
    /// It is part of the block, and answered as Redis does.
    Forwarded,
}

pub(super) fn exec(session: &mut Session, _args: &Args) -> Result<Work, Reply> {
    let Some(transaction) = session.transaction.take() else { return Err(errors::reply("ERR EXEC without MULTI")) };
    let watched = match session.unwatch() {
        _ if transaction.is_refused() => return Err(errors::reply(errors::EXEC_ABORT)),
        Watching::Lost => return Err(Reply::NilArray),
        Watching::Keys(watched) => Some(watched),
        Watching::Nothing => None,
    };
    let (mut parts, mut steps): (Vec<Part>, Vec<Step>) = Default::default();
    for queued in transaction.into_queued() {
        parts.push(match queued {
            Queued::Session(run, args) => Part::Answer(on_connection(session, run, &args)),
            Queued::Forward(looked_at) => match looked_at.get() {
                Some(forwarded) => {
                    steps.push(Step::Forward(forwarded.clone()));
                    Part::Forwarded
                }
                None => return Err(errors::reply(errors::EXEC_ABORT)),
            },
            Queued::Data(spec, args) => match queue::step(spec, &args, session.engine().now_ms()) {
                Ok(step) => {
                    steps.push(step);
                    Part::Step(spec, args.len())
                }
                Err(reply) => Part::Answer(reply),
            },
        });
    }
    let engine = Arc::clone(session.engine());
    let types = session.protocol().types();
    let database = session.database().map(Arc::clone);
    Ok(Box::pin(async move {
        let executed = match database {
            Some(database) => engine.execute_in(&database, &steps, watched, types).await,
            None => engine.execute(&steps, watched, types).await,
        };
        match executed {
            Ok(Some(answers)) => together(parts, answers),
            Ok(None) => Reply::NilArray,
            Err(Error { kind: ErrorKind::StoreReply, message }) => {
                errors::reply(format!("EXECABORT Transaction discarded because of: {message}"))
            }
            Err(error) => errors::of(&error),
        }
    }))
}

fn on_connection(session: &mut Session, run: super::SessionFn, args: &Args) -> Reply {
    match run(session, args).unwrap_or_else(Output::Reply) {
        Output::Reply(reply) | Output::Always(reply) => reply,
        Output::Text(text) => super::bulk(text),
        Output::Nothing => Reply::ok(),
    }
}

fn together(parts: Vec<Part>, answers: Vec<crate::error::Result<Reply>>) -> Reply {
    let mut answers = answers.into_iter();
    let answer = |part| match part {
        Part::Answer(reply) => reply,
        Part::Step(spec, words) => told(answers.next(), |reply| queue::as_redis(spec, words, reply)),
        Part::Forwarded => told(answers.next(), |reply| reply),
    };
    Reply::Array(parts.into_iter().map(answer).collect())
}

fn told(answer: Option<crate::error::Result<Reply>>, as_redis: impl FnOnce(Reply) -> Reply) -> Reply {
    match answer {
        Some(Ok(reply)) => as_redis(reply),
        Some(Err(error)) => errors::of(&error),
        None => Reply::Nil,
    }
}
