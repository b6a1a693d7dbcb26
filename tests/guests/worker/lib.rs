//! A policy whose workflow misbehaves as it is told: each command is one misbehaviour, events and ticks have theirs. For the
//! tests of promise 6: a policy cannot harm.
//!
//! Its rules are well behaved, so that a test sees that its domain is still served. Commands that reach for a key
//! answer what the host said, in the words of the debugger: `Ok(None)`, `Err(HostError::NotAllowed(…))`.

use std::{fmt::Debug, hint::black_box, time::Duration};

use larder_policy::host::{self, HostError, breaker, clock, lock, redis};
use larder_policy::*;

/// More than any host should keep.
const FLOOD: u32 = 10_000;
/// More than any host should accept as a name.
const LONG_BYTES: usize = 10_000;
/// More than any host should copy out of an instance.
const HUGE_BYTES: usize = 32 << 20;
/// How long a lock is asked for that is never given back.
const LOCK_MS: u32 = 60_000;

#[derive(Clone, Copy, PartialEq)]
enum Tick {
    Count,
    Loop,
    LoopHost,
    Trap,
    Huge,
    Lock,
}

const TICKS: [(&str, Tick); 6] = [
    ("count", Tick::Count),
    ("loop", Tick::Loop),
    ("loop-host", Tick::LoopHost),
    ("trap", Tick::Trap),
    ("huge", Tick::Huge),
    ("lock", Tick::Lock),
];

struct Worker {
    on_tick: Tick,
}

impl Rules for Worker {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let tick = settings.duration("tick", Duration::ZERO)?;
        let policy = Self { on_tick: settings.choice("on_tick", Tick::Count, &TICKS)? };
        let description = Description::new(env!("CARGO_PKG_VERSION")).shapes(Shapes::all());
        Ok((policy, if tick.is_zero() { description } else { description.tick(tick) }))
    }

    fn plan(&self, _request: &Request) -> Result<Plan, Refusal> {
        Ok(Plan::verbatim())
    }

    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::forever().at_most(candidate.asked_ttl()).into()
    }
}

impl Workflow for Worker {
    fn on_command(&self, command: &str, arguments: &[Vec<u8>]) -> Result<Reply, CommandError> {
        let argument = |at: usize| arguments.get(at).map_or(Ok(""), |bytes| argument::text(bytes));
        let (first, second) = (argument(0)?, argument(1)?);
        match command {
            "echo" => Ok(Reply::Items(arguments.to_vec())),
            "get" => said(redis::get(first)),
            "set" => said(redis::set(first, second.as_bytes(), None)),
            "delete" => said(redis::delete(&[first.to_owned()])),
            "increment" => said(redis::increment(first, 1, None)),
            "push" => said(redis::list_push_back(first, &[second.as_bytes().to_vec()])),
            "scan" => said(redis::scan(first, 0, 1000)),
            "get-long" => said(redis::get(&long(LONG_BYTES))),
            "get-many" => said(redis::get_many(&vec![first.to_owned(); 1_500])),
            "get-flood" => get_flood(first),
            "set-huge" => said(redis::set(first, &vec![b'x'; black_box(HUGE_BYTES)], None)),
            "ticks" => said(redis::get("ticks")),
            "trap" => panic!("a trap in a command, as asked"),
            "trap-after-set" => {
                redis::set(first, second.as_bytes(), None)?;
                panic!("a trap after a write, as asked")
            }
            "loop" => spin(),
            "loop-host" => spin_in_the_host(),
            "loop-redis" => loop {
                let _ = black_box(redis::get(first));
            },
            "recurse" => Ok(Reply::Integer(recurse(1))),
            "memory" => hoard(),
            "reply-huge" => Ok(Reply::Bytes(vec![b'x'; black_box(HUGE_BYTES)])),
            "reply-many" => Ok(Reply::Items(vec![Vec::new(); black_box(5_000_000)])),
            "error-huge" => Err(CommandError::Other(long(HUGE_BYTES))),
            "error-lines" => Err(CommandError::Other("one\r\n+OK\r\n\0two".into())),
            "log-flood" => Ok(flood_log()),
            "metric-flood" => Ok(flood_metrics()),
            "lock-keep" => said(lock::acquire(first, LOCK_MS, 0).map(|guard| guard.map(keep))),
            "lock-trap" => {
                let _guard = lock::acquire(first, LOCK_MS, 0)?;
                panic!("a trap under a lock, as asked")
            }
            "lock-loop" => {
                let _guard = lock::acquire(first, LOCK_MS, 0)?;
                spin()
            }
            "lock-wait" => {
                let _guard = lock::acquire(first, LOCK_MS, 0)?;
                said(lock::acquire(first, LOCK_MS, LOCK_MS).map(|guard| guard.is_some()))
            }
            "lock-free" => said(lock::acquire(first, LOCK_MS, 0).map(|guard| guard.is_some())),
            "lock-flood" => lock_flood(first),
            "permit-keep" => said(breaker::acquire(first).map(|permit| permit.map(std::mem::forget))),
            _ => Err(CommandError::Unknown),
        }
    }

    fn on_tick(&self) -> Option<String> {
        match self.on_tick {
            Tick::Count => redis::increment("ticks", 1, None).ok().map(|ticks| format!("tick {ticks}")),
            Tick::Loop => spin(),
            Tick::LoopHost => spin_in_the_host(),
            Tick::Trap => panic!("a trap in a tick, as asked"),
            Tick::Huge => Some(long(HUGE_BYTES)),
            Tick::Lock => lock::acquire("tick", LOCK_MS, 0).ok().flatten().map(|guard| format!("{}", keep(guard))),
        }
    }
}

impl Events for Worker {
    fn on_event(&self, event: &Event) -> Result<Vec<Selector>, String> {
        let payload = json::Object::parse(&event.payload)?;
        match event.kind.as_str() {
            "key" => Ok(vec![Selector::Key(payload.text("name")?.into())]),
            "prefix" => Ok(vec![Selector::Prefix(payload.text("name")?.into())]),
            "pattern" => Ok(vec![Selector::Pattern(payload.text("name")?.into())]),
            "tag" => Ok(vec![Selector::Tag(payload.text("name")?.into())]),
            "trap" => panic!("a trap in on-event, as asked"),
            "loop" => spin(),
            "many" => Ok((0..payload.number("count")?).map(|number| Selector::Key(number.to_string())).collect()),
            "long" => Ok(vec![Selector::Key(long(LONG_BYTES))]),
            "redis" => Err(format!("{:?}", redis::get("a"))),
            kind => Err(format!("there is no event `{kind}`")),
        }
    }
}

/// What the host said.
fn said<T: Debug>(answer: Result<T, HostError>) -> Result<Reply, CommandError> {
    Ok(Reply::Text(format!("{answer:?}")))
}

/// Asks as often as the argument says, a million times by default; how often it was answered.
fn get_flood(name: &str) -> Result<Reply, CommandError> {
    let answered = (0..1_000_000).take_while(|_| redis::get(name).is_ok()).count();
    Ok(Reply::Integer(i64::try_from(answered).unwrap_or(i64::MAX)))
}

/// Takes locks until the host has enough of it, and keeps them all.
fn lock_flood(name: &str) -> Result<Reply, CommandError> {
    let taken = (0..FLOOD).map_while(|number| lock::acquire(&format!("{name}{number}"), LOCK_MS, 0).ok().flatten());
    Ok(Reply::Integer(taken.map(keep).count().try_into().unwrap_or(i64::MAX)))
}

/// Never gives a lock back, as a guest with a bug would; its token.
fn keep(guard: lock::Guard) -> u64 {
    let token = guard.fencing_token();
    std::mem::forget(guard);
    token
}

/// The length is kept from the optimizer, which would otherwise work the text out (for minutes).
fn long(bytes: usize) -> String {
    "x".repeat(black_box(bytes))
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

/// An endless loop that is in the host most of the time.
fn spin_in_the_host() -> ! {
    loop {
        black_box(clock::now_ms());
    }
}

/// Not inlined and with its end out of the compiler's sight, which would otherwise unroll it or make it a loop.
#[inline(never)]
fn recurse(depth: i64) -> i64 {
    let frame = black_box([depth; 8]);
    if black_box(depth) == 0 { 0 } else { recurse(depth + 1) ^ black_box(frame)[0] }
}

fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn flood_log() -> Reply {
    let line = long(LONG_BYTES);
    (0..FLOOD).for_each(|_| host::info(&line));
    Reply::Nothing
}

fn flood_metrics() -> Reply {
    for number in 0..FLOOD {
        host::metrics::count(&format!("flood_{number}"), &[("label".into(), format!("{number}"))], 1);
    }
    Reply::Nothing
}

export!(Worker with events, workflow);
