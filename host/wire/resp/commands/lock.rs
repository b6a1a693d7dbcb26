//! `LARDER.LOCK`: distributed locks. A caller keeps its token; nobody else is shown it.

use std::sync::Arc;

use super::{bulk, count, field, work};
use crate::engine::Engine;
use crate::error::Error;
use crate::ports::lock::{Ask, Freed, Grant, LockInfo, LockList, LockName, Token, Which, lock_owner, lock_prefix};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::pipeline::Work;

/// `ACQUIRE name [TTL ms] [WAIT ms] [OWNER label]`: the token, the fence and the life; nil if somebody else holds it.
pub(super) fn acquire(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let name = LockName::application(&args[2]).map_err(refused)?;
    let mut ask = Ask::default();
    let mut at = 3;
    while at < args.len() {
        if at + 1 == args.len() {
            return Err(errors::reply(errors::SYNTAX));
        }
        match () {
            () if args.is(at, "TTL") && ask.ttl_ms.is_none() => ask.ttl_ms = Some(milliseconds(&args, at + 1)?),
            () if args.is(at, "WAIT") && ask.wait_ms.is_none() => ask.wait_ms = Some(milliseconds(&args, at + 1)?),
            () if args.is(at, "OWNER") && ask.owner.is_none() => {
                ask.owner = Some(lock_owner(&args[at + 1]).map_err(refused)?.to_owned());
            }
            () => return Err(errors::reply(errors::SYNTAX)),
        }
        at += 2;
    }
    let locks = Arc::clone(engine.locks());
    Ok(work(async move { Ok(locks.take(&name, ask).await?.map_or(Reply::Nil, grant)) }))
}

/// `EXTEND name token [TTL ms]`: 1 if the token holds the lock.
pub(super) fn extend(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let (name, token) = (LockName::any(&args[2]).map_err(refused)?, Token::claimed(&args[3]).map_err(refused)?);
    let ttl_ms = match args.len() {
        4 => None,
        6 if args.is(4, "TTL") => Some(milliseconds(&args, 5)?),
        _ => return Err(errors::reply(errors::SYNTAX)),
    };
    let locks = Arc::clone(engine.locks());
    Ok(work(async move { Ok(count(locks.extend(&name, &token, ttl_ms).await?.is_some().into())) }))
}

/// `RELEASE name token`: 1 if the token held the lock.
pub(super) fn release(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let (name, token) = (LockName::any(&args[2]).map_err(refused)?, Token::claimed(&args[3]).map_err(refused)?);
    let locks = Arc::clone(engine.locks());
    Ok(work(async move { Ok(count(locks.release(&name, &token).await?.into())) }))
}

/// `INFO name`: fence, life and owner; nil if nobody holds it.
pub(super) fn info(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let name = LockName::any(&args[2]).map_err(refused)?;
    let locks = Arc::clone(engine.locks());
    Ok(work(async move { Ok(locks.info(&name).await?.map_or(Reply::Nil, described)) }))
}

/// `LIST [prefix]`: the held locks, and whether these are all.
pub(super) fn list(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let prefix = match args.len() {
        2 => String::new(),
        3 => lock_prefix(&args[2]).map_err(refused)?.to_owned(),
        _ => return Err(errors::arity("larder.lock|list")),
    };
    let locks = Arc::clone(engine.locks());
    Ok(work(async move {
        let LockList { locks, complete } = locks.list(&prefix).await?;
        Ok(Reply::Map(vec![
            field("complete", Reply::Boolean(complete)),
            field("locks", Reply::Array(locks.into_iter().map(described).collect())),
        ]))
    }))
}

/// `FORCE-RELEASE name`: 1 if anybody held it. `FORCE-RELEASE PREFIX prefix`, `FORCE-RELEASE OWNER label`: how many were freed.
pub(super) fn force_release(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let locks = Arc::clone(engine.locks());
    if args.len() == 3 {
        let name = LockName::any(&args[2]).map_err(refused)?;
        return Ok(work(async move { Ok(count(locks.force_release(&name).await?.into())) }));
    }
    let by_owner = match args.len() {
        4 if args.is(2, "PREFIX") => false,
        4 if args.is(2, "OWNER") => true,
        _ => return Err(errors::reply(errors::SYNTAX)),
    };
    let text = if by_owner { lock_owner(&args[3]) } else { lock_prefix(&args[3]) }.map_err(refused)?.to_owned();
    Ok(work(async move {
        let which = if by_owner { Which::Owner(&text) } else { Which::Prefix(&text) };
        let Freed { released, complete } = locks.force_release_all(which).await?;
        Ok(Reply::Map(vec![field("released", count(released)), field("complete", Reply::Boolean(complete))]))
    }))
}

fn milliseconds(args: &Args, at: usize) -> Result<u64, Reply> {
    let ms = parse_i64(&args[at]).and_then(|ms| u64::try_from(ms).ok());
    ms.ok_or_else(|| errors::reply(errors::NOT_AN_INTEGER))
}

fn refused(error: Error) -> Reply {
    errors::of(&error)
}

fn grant(grant: Grant) -> Reply {
    Reply::Map(vec![
        field("token", Reply::Bulk(grant.token.bytes().clone())),
        field("fence", count(grant.fence)),
        field("ttl_ms", count(grant.ttl_ms)),
    ])
}

fn described(lock: LockInfo) -> Reply {
    Reply::Map(vec![
        field("name", bulk(lock.name)),
        field("fence", count(lock.fence)),
        field("ttl_ms", count(lock.ttl_ms)),
        field("owner", bulk(lock.owner)),
    ])
}
