//! A policy that misbehaves as its setting `mode` says, for the tests of promise 6: a policy cannot harm.
//!
//! With `mode = "none"` it is well behaved and its answers are the other settings. `only_key` confines the
//! misbehaviour to one key, so that a test sees that the others are served.

use std::{hint::black_box, time::Duration};

use larder_policy::*;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    None,
    TrapDescribe,
    LoopDescribe,
    ErrorDescribe,
    TrapPlan,
    LoopPlan,
    RecursePlan,
    MemoryPlan,
    HugePlan,
    RandomPlan,
    ShortBatch,
    TrapAdmit,
    LoopAdmit,
    SuffixDots,
    SuffixEmpty,
    SuffixLong,
    SuffixControl,
    LogFlood,
    MetricFlood,
}

const MODES: [(&str, Mode); 19] = [
    ("none", Mode::None),
    ("trap-describe", Mode::TrapDescribe),
    ("loop-describe", Mode::LoopDescribe),
    ("error-describe", Mode::ErrorDescribe),
    ("trap-plan", Mode::TrapPlan),
    ("loop-plan", Mode::LoopPlan),
    ("recurse-plan", Mode::RecursePlan),
    ("memory-plan", Mode::MemoryPlan),
    ("huge-plan", Mode::HugePlan),
    ("random-plan", Mode::RandomPlan),
    ("short-batch", Mode::ShortBatch),
    ("trap-admit", Mode::TrapAdmit),
    ("loop-admit", Mode::LoopAdmit),
    ("bad-suffix-dots", Mode::SuffixDots),
    ("bad-suffix-empty", Mode::SuffixEmpty),
    ("bad-suffix-long", Mode::SuffixLong),
    ("bad-suffix-control", Mode::SuffixControl),
    ("log-flood", Mode::LogFlood),
    ("metric-flood", Mode::MetricFlood),
];

/// More than any host should keep.
const FLOOD: u32 = 10_000;
/// More than any host should accept as a storage key.
const LONG_BYTES: usize = 10_000;
/// More than any host should copy out of an instance.
const HUGE_BYTES: usize = 32 << 20;

struct Hostile {
    mode: Mode,
    only_key: String,
    fresh: Duration,
    stale: Duration,
    /// Put before the key to make the suffix; empty: the suffix is the key itself.
    before: String,
}

impl Rules for Hostile {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self {
            mode: settings.choice("mode", Mode::None, &MODES)?,
            only_key: settings.text("only_key", ""),
            fresh: settings.duration("fresh", minutes(1))?,
            stale: settings.duration("stale", Duration::ZERO)?,
            before: settings.text("before", ""),
        };
        let version = settings.text("version", env!("CARGO_PKG_VERSION"));
        let key_version = settings.text("key_version", "v1");
        let enveloped = settings.flag("enveloped", true)?;
        match policy.mode {
            Mode::TrapDescribe => panic!("a trap in describe, as asked"),
            Mode::LoopDescribe => spin(),
            Mode::ErrorDescribe => return Err("an error in describe, as asked".into()),
            _ => {}
        }
        let description = Description::new(version).key_version(key_version);
        Ok((policy, if enveloped { description.enveloped() } else { description.shapes(Shapes::all()) }))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match self.mode_for(request) {
            Mode::TrapPlan => panic!("a trap in plan, as asked"),
            Mode::LoopPlan => spin(),
            Mode::RecursePlan => drop(black_box(recurse(1))),
            Mode::MemoryPlan => hoard(),
            Mode::HugePlan => return Ok(Plan::at(long(HUGE_BYTES))),
            Mode::RandomPlan => return Ok(Plan::at(format!("{:x}", host::clock::random_u64()))),
            Mode::SuffixDots => return Ok(Plan::at(format!("../other:{}", request.key))),
            Mode::SuffixEmpty => return Ok(Plan::at("")),
            Mode::SuffixLong => return Ok(Plan::at(long(LONG_BYTES))),
            Mode::SuffixControl => return Ok(Plan::at("a\r\nDEL b\0")),
            Mode::LogFlood => flood_log(),
            Mode::MetricFlood => flood_metrics(),
            _ => {}
        }
        if self.before.is_empty() {
            Ok(Plan::verbatim())
        } else {
            Ok(Plan::at(format!("{}{}", self.before, request.key)))
        }
    }

    fn admit(&self, request: &Request, candidate: &Candidate) -> Admission {
        match self.mode_for(request) {
            Mode::TrapAdmit => panic!("a trap in admit, as asked"),
            Mode::LoopAdmit => spin(),
            _ => {}
        }
        Lifetime::fresh(self.fresh).at_most(candidate.asked_ttl()).stale_while_revalidate(self.stale).into()
    }

    fn plan_batch(&self, requests: &[Request]) -> Vec<Result<Plan, Refusal>> {
        let answers = requests.len().saturating_sub(usize::from(self.mode == Mode::ShortBatch));
        requests.iter().take(answers).map(|request| self.plan(request)).collect()
    }
}

impl Hostile {
    fn mode_for(&self, request: &Request) -> Mode {
        if self.only_key.is_empty() || self.only_key == request.key { self.mode } else { Mode::None }
    }
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

/// Not inlined and with its end out of the compiler's sight, which would otherwise unroll it or make it a loop.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 8]);
    if black_box(depth) == 0 { 0 } else { recurse(depth + 1) ^ black_box(frame)[0] }
}

fn hoard() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn flood_log() {
    let line = long(LONG_BYTES);
    for _ in 0..FLOOD {
        host::info(&line);
    }
}

fn flood_metrics() {
    for number in 0..FLOOD {
        host::metrics::count(&format!("flood_{number}"), &[("label".into(), format!("{number}"))], 1);
    }
}

export!(Hostile);
