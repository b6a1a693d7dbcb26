//! Swaps under load: two versions of a policy replace one another in the folder while clients read and write.
//!
//! The versions differ in a custom section only, so every answer must stay right; each is renamed into place when the one
//! before it is live. An error is a failed command, an error reply, or a value that was not written.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Bench;
use super::client::{Reply, Resp};
use super::report::quantile;
use super::server::{Server, generation};

/// Client threads, each with one connection that sends one command at a time.
const CLIENTS: u32 = 4;
/// Keys that they share.
const KEYS: u32 = 1_000;
/// One command in so many is a SET.
const SET_EVERY: u32 = 10;
/// How long a swap may take before the run fails.
const SWAP: Duration = Duration::from_secs(10);

/// What the clients saw.
#[derive(Default)]
struct Seen {
    /// Microseconds of each command.
    latencies: Vec<u32>,
    errors: Vec<String>,
}

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    let policies = bench.policies("policies", "profile")?;
    let file = policies.join("profile.wasm");
    let component = fs::read(&file)?;
    let versions = [marked(&component, b'a'), marked(&component, b'b')];
    let larder = Server::larder(bench, &policies, "memory", "profile", &[])?;
    let mut client = larder.connect()?;
    for key in 0..KEYS {
        client.call(&["SET", &name(key), &value(key)])?;
    }
    let (swaps, quiet) = (bench.pick(1_000, 100), Duration::from_secs(bench.pick(20, 5) as u64));
    let pause = || {
        thread::sleep(quiet);
        Ok(())
    };
    let before = under_load(&larder, pause)?.0;
    let (during, lives) = under_load(&larder, || swap(&larder, &file, &versions, swaps))?;
    let after = under_load(&larder, pause)?.0;
    report(swaps, &[before, after], &during, lives)
}

/// Runs `work` while the clients run.
fn under_load<T: Send>(larder: &Server, work: impl FnOnce() -> Result<T> + Send) -> Result<(Seen, T)> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        let clients: Vec<_> = (1..=CLIENTS).map(|seed| scope.spawn(move || load(larder, seed, done))).collect();
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in clients {
            let seen = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
            all.latencies.extend(seen.latencies);
            all.errors.extend(seen.errors);
        }
        all.latencies.sort_unstable();
        Ok((all, worked?))
    })
}

/// One client until `done`.
fn load(larder: &Server, seed: u32, done: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut client = None;
    let mut chance = seed;
    while !done.load(Ordering::Relaxed) {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let key = (chance >> 8) % KEYS;
        let began = Instant::now();
        match command(&mut client, larder, key, (chance >> 20).is_multiple_of(SET_EVERY)) {
            Ok(()) => seen.latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX)),
            Err(error) => {
                seen.errors.push(format!("{error:#}"));
                client = None;
            }
        }
    }
    seen
}

/// One command, its answer checked; connects if there is no connection.
fn command(client: &mut Option<Resp>, larder: &Server, key: u32, set: bool) -> Result<()> {
    if client.is_none() {
        *client = Some(larder.connect()?);
    }
    let client = client.as_mut().context("just connected")?;
    if set {
        let reply = client.call(&["SET", &name(key), &value(key)])?;
        ensure!(reply == Reply::Status("OK".to_owned()), "SET: {reply:?}");
    } else {
        let reply = client.call(&["GET", &name(key)])?;
        ensure!(reply == Reply::Bulk(value(key).into_bytes()), "GET {}: {reply:?}", name(key));
    }
    Ok(())
}

/// Swaps so many times; how long each took from the rename to live, in milliseconds.
fn swap(larder: &Server, file: &Path, versions: &[Vec<u8>; 2], swaps: usize) -> Result<Vec<u32>> {
    let mut lives = Vec::with_capacity(swaps);
    // The ending keeps the half-written file from being taken for a policy.
    let temporary = file.with_extension("wasm.new");
    for round in 0..swaps {
        let old = generation(larder.http, "profile")?;
        fs::write(&temporary, &versions[round % 2])?;
        let began = Instant::now();
        fs::rename(&temporary, file)?;
        while generation(larder.http, "profile")? <= old {
            ensure!(began.elapsed() < SWAP, "swap {round} is not live after {SWAP:?}");
            // Each look is a connection that the clients' two cores pay for.
            thread::sleep(Duration::from_millis(4));
        }
        lives.push(u32::try_from(began.elapsed().as_millis())?);
    }
    lives.sort_unstable();
    Ok(lives)
}

fn report(swaps: usize, quiet: &[Seen; 2], during: &Seen, lives: Vec<u32>) -> Result<String> {
    for error in during.errors.iter().take(10) {
        eprintln!("bench: an error under swaps: {error}");
    }
    let p99 = |seen: &Seen| f64::from(quantile(&seen.latencies, 0.99));
    let without = f64::midpoint(p99(&quiet[0]), p99(&quiet[1]));
    ensure!(without > 0.0, "the clients without swaps saw nothing");
    let failed = |seen: &Seen| format!("{} of {}", seen.errors.len(), seen.latencies.len() + seen.errors.len());
    Ok([
        format!("### {swaps} swaps under load ({CLIENTS} connections, {KEYS} keys, 1 SET in {SET_EVERY})"),
        String::new(),
        "| what | measured | goal |\n|---|---|---|".to_owned(),
        format!("| failed commands during the swaps | **{}** | 0 |", failed(during)),
        format!("| failed commands without, before and after | {}, {} | 0 |", failed(&quiet[0]), failed(&quiet[1])),
        format!(
            "| p99 during ÷ without | **{:.2}×** ({:.0} µs ÷ {without:.0} µs) | ≤ 1.1× |",
            p99(during) / without,
            p99(during)
        ),
        format!(
            "| from the rename to live: median, p99, longest | **{} ms**, {} ms, {} ms | < 200 ms |",
            quantile(&lives, 0.5),
            quantile(&lives, 0.99),
            lives.last().copied().unwrap_or(0)
        ),
    ]
    .join("\n"))
}

fn name(key: u32) -> String {
    format!("profile:user:{key}")
}

fn value(key: u32) -> String {
    format!("{key:064}")
}

/// The component with one more custom section: other bytes, the same behaviour.
fn marked(component: &[u8], mark: u8) -> Vec<u8> {
    // Section 0, its size, the length of its name, the name, one byte of content.
    const NAME: &[u8] = b"bench";
    let mut marked = component.to_vec();
    marked.extend([0, NAME.len() as u8 + 2, NAME.len() as u8]);
    marked.extend(NAME);
    marked.push(mark);
    marked
}
