//! A policy that hands every host function through as a command of its own name, and turns events into the selectors that they
//! name: what the tests of the contract talk to.

use std::cell::RefCell;
use std::fmt::Display;

use larder_policy::host::{HostError, breaker, lock, redis};
use larder_policy::*;

struct Clerk {
    tick_key: String,
    rename: String,
}

thread_local! {
    /// What instances remember: nothing, if each call gets a fresh one.
    static SEEN: RefCell<u32> = const { RefCell::new(0) };
}

impl Rules for Clerk {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self { tick_key: settings.text("tick_key", ""), rename: settings.text("rename", "") };
        let tick_ms = settings.number("tick_ms", 0_u32, 0..=60_000)?;
        let key_version = settings.text("key_version", "v1");
        let enveloped = settings.flag("enveloped", false)?;
        let mut description = Description::new("1.0.0").key_version(key_version);
        description = if enveloped { description.enveloped() } else { description.shapes(Shapes::all()) };
        description.tick_ms = (tick_ms > 0).then_some(tick_ms);
        Ok((policy, description))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        if self.rename.is_empty() {
            Ok(Plan::verbatim())
        } else {
            Ok(Plan::at(format!("{}{}", self.rename, request.key)))
        }
    }

    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::forever().at_most(candidate.asked_ttl()).stale_while_revalidate(minutes(10)).into()
    }
}

/// What a host function answered, as a reply.
trait Told {
    fn told(self) -> Reply;
}

impl Told for () {
    fn told(self) -> Reply {
        Reply::Text("OK".into())
    }
}

impl Told for bool {
    fn told(self) -> Reply {
        Reply::Integer(self.into())
    }
}

impl Told for u32 {
    fn told(self) -> Reply {
        Reply::Integer(self.into())
    }
}

impl Told for i64 {
    fn told(self) -> Reply {
        Reply::Integer(self)
    }
}

impl Told for Option<u64> {
    fn told(self) -> Reply {
        self.map_or(Reply::Nothing, |n| Reply::Integer(n as i64))
    }
}

impl Told for Option<Vec<u8>> {
    fn told(self) -> Reply {
        self.map_or(Reply::Nothing, Reply::Bytes)
    }
}

impl Told for Vec<Vec<u8>> {
    fn told(self) -> Reply {
        Reply::Items(self)
    }
}

impl Told for Vec<Option<Vec<u8>>> {
    fn told(self) -> Reply {
        Reply::Items(self.into_iter().map(|item| item.unwrap_or_else(|| b"(none)".to_vec())).collect())
    }
}

impl Told for Vec<(String, Vec<u8>)> {
    fn told(self) -> Reply {
        Reply::Fields(self.into_iter().map(|(name, value)| (name, text(&value))).collect())
    }
}

impl Told for (u64, Vec<String>) {
    fn told(self) -> Reply {
        let cursor = self.0.to_string();
        Reply::Items(std::iter::once(cursor).chain(self.1).map(String::into_bytes).collect())
    }
}

impl<T: Told> Told for Result<T, HostError> {
    fn told(self) -> Reply {
        self.map_or_else(|error| Reply::Text(format!("{error:?}")), Told::told)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn wrong(what: impl Display) -> CommandError {
    CommandError::InvalidArguments(what.to_string())
}

/// The arguments of a command, taken one after the other.
struct Arguments<'a>(std::slice::Iter<'a, Vec<u8>>);

impl Arguments<'_> {
    fn bytes(&mut self) -> Result<Vec<u8>, CommandError> {
        self.0.next().cloned().ok_or_else(|| wrong("too few arguments"))
    }

    fn text(&mut self) -> Result<String, CommandError> {
        self.bytes().map(|bytes| text(&bytes))
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, CommandError> {
        self.text()?.parse().map_err(|_| wrong("not a number"))
    }

    fn optional(&mut self) -> Result<Option<u64>, CommandError> {
        if self.0.len() == 0 { Ok(None) } else { self.number().map(Some) }
    }

    fn rest(&mut self) -> Vec<Vec<u8>> {
        self.0.by_ref().cloned().collect()
    }

    fn texts(&mut self) -> Vec<String> {
        self.rest().iter().map(|bytes| text(bytes)).collect()
    }

    fn pairs(&mut self) -> Result<Vec<(String, Vec<u8>)>, CommandError> {
        let mut pairs = Vec::new();
        while self.0.len() > 0 {
            pairs.push((self.text()?, self.bytes()?));
        }
        Ok(pairs)
    }
}

fn redis_command(command: &str, it: &mut Arguments<'_>) -> Result<Option<Reply>, CommandError> {
    Ok(Some(match command {
        "get" => redis::get(&it.text()?).told(),
        "get-many" => redis::get_many(&it.texts()).told(),
        "set" => redis::set(&it.text()?, &it.bytes()?, it.optional()?).told(),
        "set-if-absent" => redis::set_if_absent(&it.text()?, &it.bytes()?, it.optional()?).told(),
        "delete" => redis::delete(&it.texts()).told(),
        "exists" => redis::exists(&it.text()?).told(),
        "ttl-ms" => redis::ttl_ms(&it.text()?).told(),
        "expire" => redis::expire(&it.text()?, it.optional()?).told(),
        "increment" => redis::increment(&it.text()?, it.number()?, it.optional()?).told(),
        "hash-get" => redis::hash_get(&it.text()?, &it.text()?).told(),
        "hash-get-all" => redis::hash_get_all(&it.text()?).told(),
        "hash-set" => redis::hash_set(&it.text()?, &it.pairs()?).told(),
        "hash-delete" => redis::hash_delete(&it.text()?, &it.texts()).told(),
        "hash-increment" => redis::hash_increment(&it.text()?, &it.text()?, it.number()?).told(),
        "list-push-front" => redis::list_push_front(&it.text()?, &it.rest()).told(),
        "list-push-back" => redis::list_push_back(&it.text()?, &it.rest()).told(),
        "list-pop-front" => redis::list_pop_front(&it.text()?, it.number()?).told(),
        "list-pop-back" => redis::list_pop_back(&it.text()?, it.number()?).told(),
        "list-range" => redis::list_range(&it.text()?, it.number()?, it.number()?).told(),
        "list-trim" => redis::list_trim(&it.text()?, it.number()?, it.number()?).told(),
        "list-length" => redis::list_length(&it.text()?).told(),
        "list-remove" => redis::list_remove(&it.text()?, it.number()?, &it.bytes()?).told(),
        "set-add" => redis::set_add(&it.text()?, &it.rest()).told(),
        "set-remove" => redis::set_remove(&it.text()?, &it.rest()).told(),
        "set-members" => redis::set_members(&it.text()?).told(),
        "set-contains" => redis::set_contains(&it.text()?, &it.bytes()?).told(),
        "scan" => redis::scan(&it.text()?, it.number()?, it.number()?).told(),
        _ => return Ok(None),
    }))
}

/// Takes a lock, does one thing under it, and says how it went.
fn under_lock(it: &mut Arguments<'_>) -> Result<Reply, CommandError> {
    let (name, ttl_ms, wait_ms) = (it.text()?, it.number()?, it.number()?);
    let guard = match lock::acquire(&name, ttl_ms, wait_ms) {
        Ok(Some(guard)) => guard,
        Ok(None) => return Ok(Reply::Text("taken".into())),
        Err(error) => return Ok(Reply::Text(format!("{error:?}"))),
    };
    Ok(match it.text()?.as_str() {
        "fence" => Reply::Integer(guard.fencing_token() as i64),
        "extend" => guard.extend(it.number()?).told(),
        "release" => guard.release().told(),
        "release-twice" => {
            let _ = guard.release();
            guard.release().told()
        }
        "again" => match lock::acquire(&name, ttl_ms, 0) {
            Ok(None) => Reply::Text("taken".into()),
            other => Reply::Text(format!("{:?}", other.is_ok())),
        },
        "trap" => panic!("a trap under a lock, as asked"),
        "forget" => {
            std::mem::forget(guard);
            Reply::Text("forgotten".into())
        }
        other => return Err(wrong(format!("do what? `{other}`"))),
    })
}

fn under_breaker(it: &mut Arguments<'_>) -> Result<Reply, CommandError> {
    let (name, outcome) = (it.text()?, it.text()?);
    let outcome = match outcome.as_str() {
        "success" => Some(breaker::Outcome::Success),
        "failure" => Some(breaker::Outcome::Failure),
        "slow" => Some(breaker::Outcome::Slow),
        "ignored" => Some(breaker::Outcome::Ignored),
        _ => None,
    };
    Ok(match breaker::acquire(&name) {
        Ok(Some(permit)) => {
            if let Some(outcome) = outcome {
                permit.report(outcome);
            }
            Reply::Text("called".into())
        }
        Ok(None) => Reply::Text("open".into()),
        Err(error) => Reply::Text(format!("{error:?}")),
    })
}

impl Workflow for Clerk {
    fn on_command(&self, command: &str, arguments: &[Vec<u8>]) -> Result<Reply, CommandError> {
        let mut it = Arguments(arguments.iter());
        if let Some(reply) = redis_command(command, &mut it)? {
            return Ok(reply);
        }
        match command {
            "nothing" => Ok(Reply::Nothing),
            "echo" => Ok(Reply::Items(it.rest())),
            "fields" => Ok(Reply::Fields(it.pairs()?.into_iter().map(|(name, value)| (name, text(&value))).collect())),
            "remember" => Ok(Reply::Integer(SEEN.with_borrow_mut(|seen| {
                *seen += 1;
                i64::from(*seen)
            }))),
            "lock" => under_lock(&mut it),
            "circuit" => Ok(match breaker::current(&it.text()?) {
                Ok(state) => Reply::Text(format!("{state:?}")),
                Err(error) => Reply::Text(format!("{error:?}")),
            }),
            "guarded" => under_breaker(&mut it),
            "unavailable" => Err(CommandError::Unavailable("not now, as asked".into())),
            "other" => Err(CommandError::Other("no, as asked".into())),
            _ => Err(CommandError::Unknown),
        }
    }

    fn on_tick(&self) -> Option<String> {
        let count = redis::increment(&self.tick_key, 1, None).ok()?;
        Some(format!("tick {count}"))
    }
}

impl Events for Clerk {
    fn on_event(&self, event: &Event) -> Result<Vec<Selector>, String> {
        let what = event.payload.trim_matches('"').to_owned();
        match event.kind.as_str() {
            "key" => Ok(vec![Selector::Key(what)]),
            "tag" => Ok(vec![Selector::Tag(what)]),
            "prefix" => Ok(vec![Selector::Prefix(what)]),
            "pattern" => Ok(vec![Selector::Pattern(what)]),
            "domain" => Ok(vec![Selector::Domain]),
            "nothing" => Ok(Vec::new()),
            "trap" => panic!("a trap in on-event, as asked"),
            "io" => Err(format!("{:?}", redis::get("x"))),
            other => Err(format!("no event `{other}`")),
        }
    }
}

export!(Clerk with workflow, events);
