//! How long keys live: `TTL`, `EXPIRE`, `PERSIST` and their kin.

use std::cmp::Ordering;

use bytes::Bytes;

use super::Outcome;
use super::args::{Arguments, integer, is_word};
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::shard::NEVER;
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

/// Answered for a key that is absent, and for one that does not expire.
const MISSING: Reply = Reply::Integer(-2);
const ENDLESS: Reply = Reply::Integer(-1);

pub(super) fn ttl(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let now_ms = view.now_ms;
    Ok(tell(view, arguments.at(1), |at_ms| seconds(at_ms.saturating_sub(now_ms))))
}

pub(super) fn pttl(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let now_ms = view.now_ms;
    Ok(tell(view, arguments.at(1), |at_ms| at_ms.saturating_sub(now_ms)))
}

pub(super) fn expiretime(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(tell(view, arguments.at(1), seconds))
}

pub(super) fn pexpiretime(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    Ok(tell(view, arguments.at(1), |at_ms| at_ms))
}

const fn seconds(ms: u64) -> u64 {
    ms.saturating_add(500) / 1000
}

fn tell(view: &View<'_>, key: &[u8], say: impl FnOnce(u64) -> u64) -> Reply {
    match view.peek(key) {
        None => MISSING,
        Some(entry) if entry.expires_ms == NEVER => ENDLESS,
        Some(entry) => Reply::Integer(i64::try_from(say(entry.expires_ms)).unwrap_or(i64::MAX)),
    }
}

pub(super) fn persist(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let had_one = view.change(arguments.at(1), |entry| std::mem::replace(&mut entry.expires_ms, NEVER) != NEVER);
    Ok(Reply::Integer(i64::from(had_one.unwrap_or(false))))
}

pub(super) fn expire(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    set_expiry(view, arguments, &Form { command: "expire", unit_ms: 1000, from_now: true })
}

pub(super) fn pexpire(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    set_expiry(view, arguments, &Form { command: "pexpire", unit_ms: 1, from_now: true })
}

pub(super) fn expireat(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    set_expiry(view, arguments, &Form { command: "expireat", unit_ms: 1000, from_now: false })
}

pub(super) fn pexpireat(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    set_expiry(view, arguments, &Form { command: "pexpireat", unit_ms: 1, from_now: false })
}

/// How the expiry is given.
struct Form {
    command: &'static str,
    unit_ms: i64,
    from_now: bool,
}

/// When the expiry is changed.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    if_none: bool,
    if_some: bool,
    if_later: bool,
    if_earlier: bool,
}

impl Conditions {
    fn parse(arguments: &[Bytes]) -> Result<Self, Refusal> {
        let mut wanted = Self::default();
        for word in arguments {
            let flag = match word {
                _ if is_word(word, "nx") => &mut wanted.if_none,
                _ if is_word(word, "xx") => &mut wanted.if_some,
                _ if is_word(word, "gt") => &mut wanted.if_later,
                _ if is_word(word, "lt") => &mut wanted.if_earlier,
                _ => return Err(Refusal::option(word)),
            };
            *flag = true;
        }
        if wanted.if_none && (wanted.if_some || wanted.if_later || wanted.if_earlier) {
            return Err(Refusal::NX_WITH_OTHERS);
        }
        if wanted.if_later && wanted.if_earlier {
            return Err(Refusal::GT_WITH_LT);
        }
        Ok(wanted)
    }

    /// A key without an expiry counts as one that never expires. Times are signed: a new one may lie before the epoch.
    fn hold(self, current_ms: Option<u64>, new_ms: i64) -> bool {
        let Some(current_ms) = current_ms else { return !self.if_some && !self.if_later };
        let later = u64::try_from(new_ms).map_or(Ordering::Less, |new_ms| new_ms.cmp(&current_ms));
        !(self.if_none || (self.if_later && later.is_le()) || (self.if_earlier && later.is_ge()))
    }
}

fn set_expiry(view: &mut View<'_>, arguments: Arguments<'_>, form: &Form) -> Outcome {
    let invalid = || Refusal::expire_time(form.command);
    let wanted = Conditions::parse(arguments.from(3))?;
    let now_ms = i64::try_from(view.now_ms).map_err(|_| invalid())?;
    let ms = integer(arguments.at(2))?.checked_mul(form.unit_ms).ok_or_else(invalid)?;
    let at_ms = ms.checked_add(if form.from_now { now_ms } else { 0 }).ok_or_else(invalid)?;
    let key = arguments.at(1);
    let Some(current) = view.get(key).map(|entry| entry.expires_ms) else { return Ok(Reply::Integer(0)) };
    if !wanted.hold((current != NEVER).then_some(current), at_ms) {
        return Ok(Reply::Integer(0));
    }
    match u64::try_from(at_ms) {
        Ok(at_ms) if at_ms > view.now_ms => {
            view.change(key, |entry| entry.expires_ms = at_ms);
        }
        _ => {
            view.discard(key);
        }
    }
    Ok(Reply::Integer(1))
}
