//! Queues of users, `queue:{userId}`: a Redis list, oldest item first, that never expires and never holds more than its newest
//! `list_max` items.
//!
//! `push user item…` answers the length, `pop user [count]` takes the oldest, `range user start stop` looks, `length user` counts.
//! `cleanup user [keep]` drops all but the newest; `cleanup` alone and each tick walk over the queues, a portion at a time,
//! and bring in line with the settings what was written past them: by other users of the store, or under other settings.
//!
//! Items are the application's own bytes: there is no stamp in them, so none is too old. A queue that nobody writes
//! to any more goes as a whole, if `idle_ttl` says so.

use std::time::Duration;

use larder_policy::host::{self, HostError, clock, redis};
use larder_policy::*;

struct Queue {
    list_max: u32,
    idle_ttl: Option<Duration>,
    scan_count: u32,
    cleanup_time: Duration,
}

impl Rules for Queue {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self {
            list_max: settings.number("list_max", 1000, 1..=1_000_000)?,
            idle_ttl: some(settings.duration("idle_ttl", Duration::ZERO)?),
            scan_count: settings.number("scan_count", 100, 1..=200)?,
            cleanup_time: settings.duration("cleanup_time", milliseconds(500))?,
        };
        let tick = some(settings.duration("tick", minutes(5))?);
        let description = Description::new(env!("CARGO_PKG_VERSION"))
            .key_version(settings.text("key_version", "v1"))
            .shapes(Shapes::LIST);
        Ok((policy, if let Some(tick) = tick { description.tick(tick) } else { description }))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match parts(&request.key) {
            Some([_user]) => Ok(Plan::verbatim()),
            None => Err(Refusal::InvalidKey("the key of a queue must be `{userId}`, one part".into())),
        }
    }

    fn admit(&self, _request: &Request, _candidate: &Candidate) -> Admission {
        let lifetime = self.idle_ttl.map_or_else(Lifetime::forever, |ttl| Lifetime::fresh(ttl).sliding());
        lifetime.newest(self.list_max).never_stale().into()
    }
}

impl Workflow for Queue {
    fn on_command(&self, command: &str, arguments: &[Vec<u8>]) -> Result<Reply, CommandError> {
        match (command, arguments) {
            ("push", [user, items @ ..]) if !items.is_empty() => self.push(user_of(user)?, items),
            ("pop", [user]) => {
                let item = redis::list_pop_front(user_of(user)?, 1)?.pop();
                Ok(item.map_or(Reply::Nothing, Reply::Bytes))
            }
            ("pop", [user, count]) => {
                let count = argument::number(count, 1..=self.list_max)?;
                Ok(Reply::Items(redis::list_pop_front(user_of(user)?, count)?))
            }
            ("range", [user, start, stop]) => {
                let (start, stop) = (argument::number(start, POSITIONS)?, argument::number(stop, POSITIONS)?);
                Ok(Reply::Items(redis::list_range(user_of(user)?, start, stop)?))
            }
            ("length", [user]) => Ok(Reply::Integer(redis::list_length(user_of(user)?)?.into())),
            ("cleanup", []) => Ok(self.clean_up()?.into()),
            ("cleanup", [user]) => Ok(Reply::Integer(keep_newest(user_of(user)?, self.list_max)?.into())),
            ("cleanup", [user, keep]) => {
                let keep = argument::number(keep, 0..=u32::MAX)?;
                Ok(Reply::Integer(keep_newest(user_of(user)?, keep)?.into()))
            }
            ("push", _) => argument::usage("push user item…"),
            ("pop", _) => argument::usage("pop user [count]"),
            ("range", _) => argument::usage("range user start stop"),
            ("length", _) => argument::usage("length user"),
            ("cleanup", _) => argument::usage("cleanup [user [keep]]"),
            _ => Err(CommandError::Unknown),
        }
    }

    fn on_tick(&self) -> Option<String> {
        match self.clean_up() {
            Ok(Cleaned { trimmed: 0, .. }) => None,
            Ok(Cleaned { queues, trimmed, dropped, .. }) => {
                Some(format!("looked at {queues} queues, trimmed {trimmed}, dropped {dropped} items"))
            }
            Err(error) => Some(format!("the clean-up ended early: {}", host::words(error))),
        }
    }
}

/// What one part of a walk over the queues did.
#[derive(Default)]
struct Cleaned {
    queues: u32,
    trimmed: u32,
    dropped: u32,
    /// Whether the walk came to its end; else the next part goes on from here.
    done: bool,
}

impl Queue {
    /// The newest stay in any case: a trim counts from the end, so it is right whatever was pushed or taken meanwhile.
    fn push(&self, user: &str, items: &[Vec<u8>]) -> Result<Reply, CommandError> {
        let length = redis::list_push_back(user, items)?;
        if length > self.list_max {
            redis::list_trim(user, -i64::from(self.list_max), -1)?;
        }
        if self.idle_ttl.is_some() {
            redis::expire(user, self.idle_ms())?;
        }
        Ok(Reply::Integer(length.min(self.list_max).into()))
    }

    /// Goes on with the walk over the queues for about `cleanup_time`. Where it stopped is kept in the store: each call
    /// has a new instance, perhaps on another node.
    fn clean_up(&self) -> Result<Cleaned, HostError> {
        let until_ms = clock::now_ms().saturating_add(in_ms(self.cleanup_time));
        let cursor = redis::get(&cursor_name())?.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
        let mut cursor: u64 = cursor.unwrap_or(0);
        let mut cleaned = Cleaned::default();
        let mut calls = CALLS_MAX;
        while calls > self.scan_count * CALLS_PER_QUEUE {
            let (next, names) = redis::scan("", cursor, self.scan_count)?;
            calls -= 1;
            // A portion may hold more than was asked for; what is too much waits for the next walk.
            for name in names.iter().filter(|name| parts::<1>(name).is_some()) {
                if calls < CALLS_PER_QUEUE {
                    break;
                }
                calls -= CALLS_PER_QUEUE;
                self.clean_up_queue(name, &mut cleaned)?;
            }
            cursor = next;
            if cursor == 0 || clock::now_ms() >= until_ms {
                break;
            }
        }
        if cursor == 0 {
            redis::delete(&[cursor_name()])?;
        } else {
            redis::set(&cursor_name(), cursor.to_string().as_bytes(), Some(CURSOR_MS))?;
        }
        Ok(Cleaned { done: cursor == 0, ..cleaned })
    }

    fn clean_up_queue(&self, user: &str, cleaned: &mut Cleaned) -> Result<(), HostError> {
        let dropped = match keep_newest(user, self.list_max) {
            // Somebody else's, under a queue's name: not for a clean-up to judge.
            Err(HostError::WrongType) => return Ok(()),
            dropped => dropped?,
        };
        cleaned.queues += 1;
        cleaned.trimmed += u32::from(dropped > 0);
        cleaned.dropped = cleaned.dropped.saturating_add(dropped);
        if redis::ttl_ms(user)?.is_some() != self.idle_ttl.is_some() {
            redis::expire(user, self.idle_ms())?;
        }
        Ok(())
    }

    fn idle_ms(&self) -> Option<u64> {
        self.idle_ttl.map(in_ms)
    }
}

impl From<Cleaned> for Reply {
    fn from(Cleaned { queues, trimmed, dropped, done }: Cleaned) -> Self {
        Self::fields(&[("queues", &queues), ("trimmed", &trimmed), ("dropped", &dropped), ("done", &done)])
    }
}

/// What one part of a walk may ask of the host, which allows a thousand calls.
const CALLS_MAX: u32 = 900;
/// Length, trim, time to live, expire.
const CALLS_PER_QUEUE: u32 = 4;
/// Positions in a list, from either end.
const POSITIONS: std::ops::RangeInclusive<i64> = i64::MIN..=i64::MAX;
/// A walk that nobody went on with for a day begins anew.
const CURSOR_MS: u64 = 24 * 60 * 60 * 1000;

/// Where a walk stopped. Two parts, so no user's queue is called so.
fn cursor_name() -> String {
    join(["cleanup", "cursor"]).unwrap_or_default()
}

/// How many it dropped.
fn keep_newest(user: &str, keep: u32) -> Result<u32, HostError> {
    let length = redis::list_length(user)?;
    if length > keep {
        // Redis keeps all from position 0 for "the last 0".
        if keep == 0 { redis::list_trim(user, 1, 0)? } else { redis::list_trim(user, -i64::from(keep), -1)? }
    }
    Ok(length.saturating_sub(keep))
}

fn user_of(argument: &[u8]) -> Result<&str, CommandError> {
    let user = argument::text(argument)?;
    let wrong = || CommandError::InvalidArguments(format!("`{user}` is no user; it must be one part of a key"));
    parts(user).map(|[user]| user).ok_or_else(wrong)
}

/// Zero stands for none.
fn some(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}

export!(Queue with workflow);

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(settings: &[(&str, &str)]) -> (Queue, Description) {
        let table = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Queue::describe(&mut Settings::new(table)).unwrap()
    }

    fn request(key: &str) -> Request {
        Request { key: key.into(), operation: Operation::Update, shape: Shape::List }
    }

    fn admitted(settings: &[(&str, &str)]) -> Admission {
        let candidate = Candidate {
            cause: Cause::Write,
            size_bytes: 1,
            asked_ttl_ms: Some(1000),
            origin_status: None,
            origin_headers: vec![],
            load_ms: 0,
            bytes: None,
        };
        queue(settings).0.admit(&request("42"), &candidate)
    }

    #[test]
    fn a_key_has_one_part_and_none_is_the_clean_ups() {
        let (queue, _) = queue(&[]);
        assert_eq!(queue.plan(&request("42")), Ok(Plan::verbatim()));
        for key in ["", "42:mail", ":", &cursor_name()] {
            assert!(matches!(queue.plan(&request(key)), Err(Refusal::InvalidKey(_))), "{key}");
        }
    }

    #[test]
    fn a_queue_never_expires_whatever_was_asked_unless_it_lies_idle() {
        assert_eq!(admitted(&[]), Lifetime::forever().newest(1000).never_stale().into());
        let idle = Lifetime::fresh(days(7)).sliding().newest(10).never_stale();
        assert_eq!(admitted(&[("idle_ttl", "7d"), ("list_max", "10")]), idle.into());
    }

    #[test]
    fn the_tick_can_be_turned_off() {
        assert_eq!(queue(&[]).1.tick_ms, Some(300_000));
        assert_eq!(queue(&[("tick", "0")]).1.tick_ms, None);
    }

    #[test]
    fn wrong_commands_are_refused_before_the_store_is_asked() {
        let (queue, _) = queue(&[]);
        let refused = |command: &str, arguments: &[&str]| {
            let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.as_bytes().into()).collect();
            queue.on_command(command, &arguments).unwrap_err()
        };
        assert_eq!(refused("psuh", &["42", "x"]), CommandError::Unknown);
        assert_eq!(refused("push", &["42"]), CommandError::InvalidArguments("push user item…".into()));
        for (command, arguments) in [
            ("push", &["4:2", "x"][..]),
            ("push", &["", "x"]),
            ("pop", &[]),
            ("pop", &["42", "0"]),
            ("pop", &["42", "1001"]),
            ("range", &["42", "0"]),
            ("range", &["42", "0", "last"]),
            ("length", &["42", "x"]),
            ("cleanup", &["42", "-1"]),
            ("cleanup", &["42", "1", "x"]),
        ] {
            let error = refused(command, arguments);
            assert!(matches!(error, CommandError::InvalidArguments(_)), "{command} {arguments:?}: {error:?}");
        }
    }
}
