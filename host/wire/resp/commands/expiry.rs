//! Lifetimes: changing and asking them, in seconds and milliseconds, from now and by the wall clock.

use std::sync::Arc;

use super::work;
use crate::engine::Engine;
use crate::engine::api::{AskedTtl, ExpireCondition};
use crate::ports::store::{Reply, Ttl};
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::pipeline::Work;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// From when a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Now,
    Epoch,
}

impl Unit {
    /// In milliseconds, if they fit.
    const fn checked_ms(self, number: i64) -> Option<i64> {
        match self {
            Self::Seconds => number.checked_mul(1000),
            Self::Milliseconds => Some(number),
        }
    }

    /// From milliseconds, rounded as Redis rounds.
    fn of_ms(self, ms: u64) -> i64 {
        let number = match self {
            Self::Seconds => ms.saturating_add(500) / 1000,
            Self::Milliseconds => ms,
        };
        i64::try_from(number).unwrap_or(i64::MAX)
    }
}

/// The lifetime that an option of a writing command names.
///
/// # Errors
/// The error line: no number; not after now, or too far away to be counted.
pub(super) fn lifetime(number: &[u8], unit: Unit, base: Base, command: &str, now_ms: u64) -> Result<AskedTtl, Reply> {
    let number = parse_i64(number).ok_or_else(|| errors::reply(errors::NOT_AN_INTEGER))?;
    let ms = unit.checked_ms(number).and_then(|ms| u64::try_from(ms).ok()).filter(|&ms| ms > 0);
    let asked = ms.and_then(|ms| match base {
        Base::Epoch => Some(AskedTtl::AtMs(ms)),
        Base::Now => fits(now_ms.saturating_add(ms)).then_some(AskedTtl::InMs(ms)),
    });
    asked.ok_or_else(|| errors::expire_time(command))
}

fn fits(ms: u64) -> bool {
    i64::try_from(ms).is_ok()
}

pub(super) fn expire(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    change(engine, args, Unit::Seconds, Base::Now, "expire")
}

pub(super) fn pexpire(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    change(engine, args, Unit::Milliseconds, Base::Now, "pexpire")
}

pub(super) fn expire_at(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    change(engine, args, Unit::Seconds, Base::Epoch, "expireat")
}

pub(super) fn pexpire_at(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    change(engine, args, Unit::Milliseconds, Base::Epoch, "pexpireat")
}

fn change(engine: &Arc<Engine>, args: Args, unit: Unit, base: Base, command: &str) -> Result<Work, Reply> {
    let condition = condition(&args)?;
    let at_ms = expire_at_ms(&args[2], unit, base, command, engine.now_ms())?;
    let engine = Arc::clone(engine);
    Ok(work(async move {
        let changed = engine.expire(&args[1], at_ms, condition).await?;
        Ok(Reply::Integer(changed.into()))
    }))
}

/// The wall time that is meant; one that is past is fine, it removes the key.
pub(super) fn expire_at_ms(number: &[u8], unit: Unit, base: Base, command: &str, now_ms: u64) -> Result<u64, Reply> {
    let number = parse_i64(number).ok_or_else(|| errors::reply(errors::NOT_AN_INTEGER))?;
    let at = unit.checked_ms(number).and_then(|ms| match base {
        Base::Epoch => Some(ms),
        Base::Now => ms.checked_add_unsigned(now_ms),
    });
    let at = at.ok_or_else(|| errors::expire_time(command))?;
    Ok(u64::try_from(at).unwrap_or(0))
}

pub(super) fn condition(args: &Args) -> Result<ExpireCondition, Reply> {
    let (mut none, mut some, mut later, mut earlier) = (false, false, false, false);
    for at in 3..args.len() {
        let option = match () {
            () if args.is(at, "NX") => &mut none,
            () if args.is(at, "XX") => &mut some,
            () if args.is(at, "GT") => &mut later,
            () if args.is(at, "LT") => &mut earlier,
            () => return Err(errors::reply(format!("ERR Unsupported option {}", args.text(at)))),
        };
        *option = true;
    }
    match (none, some, later, earlier) {
        (true, true, _, _) | (true, _, true, _) | (true, _, _, true) => Err(errors::reply(errors::NX_AND_OTHERS)),
        (_, _, true, true) => Err(errors::reply(errors::GT_AND_LT)),
        (true, ..) => Ok(ExpireCondition::IfNone),
        // A key without an expiry counts as infinite, so nothing is later: `XX` adds nothing.
        (_, _, true, _) => Ok(ExpireCondition::IfLater),
        (_, true, _, true) => Ok(ExpireCondition::IfSomeEarlier),
        (_, _, _, true) => Ok(ExpireCondition::IfEarlier),
        (_, true, ..) => Ok(ExpireCondition::IfSome),
        (false, false, false, false) => Ok(ExpireCondition::Always),
    }
}

pub(super) fn persist(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.persist(&args[1]).await.map(|had| Reply::Integer(had.into())) }))
}

pub(super) fn ttl(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    Ok(ask(engine, args, Unit::Seconds, Base::Now))
}

pub(super) fn pttl(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    Ok(ask(engine, args, Unit::Milliseconds, Base::Now))
}

pub(super) fn expire_time(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    Ok(ask(engine, args, Unit::Seconds, Base::Epoch))
}

pub(super) fn pexpire_time(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    Ok(ask(engine, args, Unit::Milliseconds, Base::Epoch))
}

fn ask(engine: &Arc<Engine>, args: Args, unit: Unit, base: Base) -> Work {
    let engine = Arc::clone(engine);
    work(async move {
        let answer = match base {
            Base::Now => engine.ttl(&args[1]).await?,
            Base::Epoch => engine.expires_at(&args[1]).await?,
        };
        Ok(Reply::Integer(match answer {
            Ttl::Missing => -2,
            Ttl::Never => -1,
            Ttl::Ms(ms) => unit.of_ms(ms),
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::{Base, Unit, condition, expire_at_ms};
    use crate::engine::api::ExpireCondition;
    use crate::ports::store::Reply;
    use crate::wire::resp::args::Args;

    #[test]
    fn conditions_of_expire() {
        let check = |options: &str, expected: Result<ExpireCondition, &str>| {
            let args = Args::parse(&format!("expire k 1 {options}"));
            assert_eq!(condition(&args), expected.map_err(|line| Reply::Error(line.into())), "{options}");
        };
        check("", Ok(ExpireCondition::Always));
        check("nx", Ok(ExpireCondition::IfNone));
        check("XX", Ok(ExpireCondition::IfSome));
        check("GT", Ok(ExpireCondition::IfLater));
        check("LT", Ok(ExpireCondition::IfEarlier));
        check("XX GT", Ok(ExpireCondition::IfLater));
        check("LT XX", Ok(ExpireCondition::IfSomeEarlier));
        check("GT GT", Ok(ExpireCondition::IfLater));
        for options in ["NX XX", "NX GT", "LT NX", "NX GT LT"] {
            check(options, Err("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        check("GT LT", Err("ERR GT and LT options at the same time are not compatible"));
        check("foo", Err("ERR Unsupported option foo"));
    }

    #[test]
    fn times_of_expire() {
        let check = |number: &str, unit, base, expected: Result<u64, &str>| {
            let at = expire_at_ms(number.as_bytes(), unit, base, "expire", 5_000);
            assert_eq!(at, expected.map_err(|line| Reply::Error(line.into())), "{number}");
        };
        check("10", Unit::Seconds, Base::Now, Ok(15_000));
        check("10", Unit::Milliseconds, Base::Now, Ok(5_010));
        check("10", Unit::Seconds, Base::Epoch, Ok(10_000));
        check("-10", Unit::Seconds, Base::Now, Ok(0));
        check("-1", Unit::Seconds, Base::Now, Ok(4_000));
        check("x", Unit::Seconds, Base::Now, Err("ERR value is not an integer or out of range"));
        for number in ["9223372036854775807", "-9223372036854775808", "9223372036854775"] {
            check(number, Unit::Seconds, Base::Now, Err("ERR invalid expire time in 'expire' command"));
        }
    }

    #[test]
    fn seconds_round_as_in_redis() {
        assert_eq!([0, 499, 500, 1_499, 1_500].map(|ms| Unit::Seconds.of_ms(ms)), [0, 0, 1, 1, 2]);
    }
}
