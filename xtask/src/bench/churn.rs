//! Memory of L1 under churn: new keys, changed sizes, removals, expiry and invalidations for a minute, and what the process holds of
//! memory all the while against the bound that L1 was given.
//!
//! The values are in a Redis of their own, so that the process has L1 and little else. The load is the same in each run, but how much of it a
//! machine does in a minute is not. Deliberately absent: checks of answers, which the tests do.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::Bench;
use super::client::{Reply, Resp, http_get};
use super::machine::resident_bytes;
use super::server::Server;

const BOUND_MIB: u64 = 64;
/// So little that what the process holds besides is what the load itself takes.
const BASE_MIB: u64 = 2;
const CLIENTS: u64 = 4;
/// Commands in flight of one client.
const BATCH: usize = 64;
/// Keys that are there at the same time, about; older ones are removed.
const KEYS: u64 = 60_000;
const STEP: Duration = Duration::from_millis(100);
/// So that Redis does not take the machine's memory.
const REDIS_BYTES: &str = "268435456";

/// The most that was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    resident: u64,
    accounted: u64,
    entries: u64,
}

/// What a host did under the load.
struct Churned {
    peak: Peak,
    /// Resident memory before it.
    idle: u64,
    commands: u64,
}

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    let redis = Server::redis(bench)?;
    for (name, value) in [("maxmemory", REDIS_BYTES), ("maxmemory-policy", "allkeys-lru")] {
        ensure!(redis.connect()?.call(&["CONFIG", "SET", name, value])? == Reply::Status("OK".to_owned()));
    }
    let policies = bench.policies("policies", "profile")?;
    // Nobody waits for a load that nobody does.
    let toml = policies.join("profile.toml");
    let text = fs::read_to_string(&toml)?.replace("collapse_wait = \"1s\"", "collapse_wait = \"0s\"");
    fs::write(&toml, text)?;
    let store = format!("redis://127.0.0.1:{}", redis.resp);
    let host = |bound_mib: u64, seconds: u64| {
        let size = format!("l1.size={bound_mib}MiB");
        let larder =
            Server::larder(bench, &policies, &store, "profile", &["--set", &size, "--set", "store.timeout=5s"])?;
        load(&larder, Duration::from_secs(seconds))
    };
    let base = host(BASE_MIB, bench.pick(20, 10) as u64)?;
    let seconds = bench.pick(60, 20) as u64;
    let Churned { peak, idle, commands } = host(BOUND_MIB, seconds)?;
    let bound = BOUND_MIB << 20;
    let percent = |bytes: u64, of: u64| format!("**{:.0} %**", bytes as f64 * 100.0 / of as f64);
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let grown = peak.resident.saturating_sub(idle);
    let of_l1 = grown.saturating_sub(base.peak.resident.saturating_sub(base.idle));
    let more = (BOUND_MIB - BASE_MIB) << 20;
    Ok([
        format!("### Memory of L1 under churn ({BOUND_MIB} MiB, {seconds} s, {commands} commands of {CLIENTS} clients)"),
        String::new(),
        "| what, at its highest | bytes | of the bound | goal |\n|---|---|---|---|".to_owned(),
        format!(
            "| what L1 counts ({} entries) | {} | {} | ≤ 105 % |",
            peak.entries,
            mib(peak.accounted),
            percent(peak.accounted, bound)
        ),
        format!("| resident memory, less that of the idle host ({}) | {} | {} | |", mib(idle), mib(grown), percent(grown, bound)),
        format!(
            "| … less what the same load takes with {BASE_MIB} MiB of L1, of what the bound is more | {} | {} | ≤ 105 % |",
            mib(of_l1),
            percent(of_l1, more)
        ),
    ]
    .join("\n"))
}

/// Has the clients at it for so long.
fn load(larder: &Server, time: Duration) -> Result<Churned> {
    // Connections, threads and policies' instances are there before it counts.
    churn(larder, &AtomicBool::new(true), CLIENTS)?;
    let idle = resident_bytes(larder.pid)?;
    let (done, commands) = (AtomicBool::new(false), AtomicU64::new(0));
    let peak = scope(|threads| -> Result<Peak> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| {
                let (done, commands) = (&done, &commands);
                threads.spawn(move || churn(larder, done, seed).map(|n| commands.fetch_add(n, Ordering::Relaxed)))
            })
            .collect();
        let peak = watch(larder, time);
        done.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        peak
    })?;
    Ok(Churned { peak, idle, commands: commands.into_inner() })
}

fn watch(larder: &Server, time: Duration) -> Result<Peak> {
    let (until, mut peak) = (Instant::now() + time, Peak::default());
    while Instant::now() < until {
        peak.resident = peak.resident.max(resident_bytes(larder.pid)?);
        let page = http_get(larder.http, "/metrics")?.body;
        let read = |name: &str| -> Result<u64> {
            let line = page.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
            Ok(line.trim().parse::<f64>()? as u64)
        };
        peak.accounted = peak.accounted.max(read("larder_l1_bytes ")?);
        peak.entries = peak.entries.max(read("larder_l1_entries ")?);
        sleep(STEP);
    }
    Ok(peak)
}

/// Sends commands until it is `done`, and one batch at least; how many there were.
fn churn(larder: &Server, done: &AtomicBool, seed: u64) -> Result<u64> {
    let mut client = larder.connect()?;
    let mut random = Random(seed + 1);
    let blank = "x".repeat(1 << 17);
    let (mut newest, mut commands) = (0, 0);
    loop {
        for _ in 0..BATCH {
            queue(&mut client, &mut random, seed, &mut newest, &blank);
        }
        client.flush()?;
        for _ in 0..BATCH {
            let reply = client.read()?;
            ensure!(!matches!(reply, Reply::Error(_)), "answered {reply:?}");
        }
        commands += BATCH as u64;
        if done.load(Ordering::Relaxed) {
            return Ok(commands);
        }
    }
}

fn queue(client: &mut Resp, random: &mut Random, seed: u64, newest: &mut u64, blank: &str) {
    let key = |n: u64| format!("profile:user:{seed}-{n}");
    let oldest = newest.saturating_sub(KEYS / CLIENTS);
    let some = oldest + random.below(*newest - oldest + 1);
    // Most values are small; a few are large.
    let size = 1 << (4 + random.below(13));
    let value = &blank[..16 + random.below(size) as usize];
    match random.below(1_000) {
        0..450 => {
            client.queue(&["SET", &key(*newest), value]);
            *newest += 1;
        }
        450..600 => client.queue(&["SET", &key(some), value]),
        600..700 => client.queue(&["SET", &key(some), value, "PX", &(1 + random.below(2_000)).to_string()]),
        700..850 => client.queue(&["GET", &key(some)]),
        850..980 => client.queue(&["DEL", &key(oldest.saturating_sub(1)), &key(some)]),
        980..999 => client.queue(&["LARDER.INVALIDATE", "KEY", &key(some)]),
        _ if random.below(100) == 0 => client.queue(&["LARDER.INVALIDATE", "DOMAIN", "profile", "SOFT"]),
        _ => client.queue(&["LARDER.INVALIDATE", "KEY", &key(some), "SOFT"]),
    }
}

/// Xorshift: the same numbers in each run.
struct Random(u64);

impl Random {
    /// Less than `n`, which is not 0.
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}
