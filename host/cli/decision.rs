//! `larder policy measure`: what a decision of a policy costs beside the same rule as a native Rust function, as a Markdown
//! table. The section `decision` of `cargo xtask bench`; in this binary because there everything is compiled already.
//!
//! The policy is the sample `profile`, called through the port as the engine calls it. Native and component take
//! turns in every round; what counts is the median of the rounds. Deliberately absent: the engine, L1 and the wire around it.

use std::cell::Cell;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use larder::adapters::clock::SystemClock;
use larder::adapters::origin::HttpOrigins;
use larder::adapters::wasm::{Overrides, RegistryConfig, WasmRegistry, prepare_thread};
use larder::ports::clock::Clock;
use larder::ports::hooks::Hooks;
use larder::ports::metrics::Metrics;
use larder::ports::policy::{
    Admission, Candidate, Lifetime, Miss, Operation, Plan, Policy, PolicyError, Refusal, Request, Shape,
};
use larder::ports::table::Policies;

use super::exit::Exit;
use super::out::say;

const ROUNDS: usize = 41;
const CALLS: usize = 5_000;
const BATCH: usize = 100;

/// The rules of `policies/profile`, with its defaults, in Rust.
struct Native;

impl Hooks for Native {}

impl Policy for Native {
    fn plan(&self, request: &Request<'_>) -> Result<Plan, PolicyError> {
        user_of(request.key)?;
        Ok(Plan { suffix: None, miss: Miss::Load, collapse_wait_ms: 1_000 })
    }

    fn plan_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Plan, PolicyError>>, PolicyError> {
        Ok(requests.iter().map(|request| self.plan(request)).collect())
    }

    fn admit(&self, request: &Request<'_>, candidate: &Candidate<'_>) -> Result<Admission, PolicyError> {
        user_of(request.key)?;
        let fresh_ms = candidate.asked_ttl_ms.unwrap_or(u64::MAX).min(86_400_000);
        let lifetime = Lifetime {
            stale_while_revalidate_ms: 300_000,
            stale_if_error_ms: 300_000,
            ..Lifetime::fresh(Some(fresh_ms))
        };
        Ok(Admission::Store(lifetime))
    }
}

fn user_of(key: &str) -> Result<&str, PolicyError> {
    let mut parts = key.split(':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("user"), Some(user), None) if !user.is_empty() => Ok(user),
        _ => Err(PolicyError::Refused(Refusal::InvalidKey(format!("`{key}` is not the key of a profile")))),
    }
}

/// Measures the component `profile.wasm` of a folder and prints the table.
///
/// # Errors
/// It is not there, or does not go live.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (policies, metrics) = (Arc::new(Policies::default()), Arc::new(Metrics::default()));
    let registry = start(folder, scratch.path(), &policies, &metrics, &clock)?;
    let live = policies.table().get("profile").cloned().context("profile.wasm did not go live")?;
    prepare_thread();

    let keys: Vec<String> = (0..BATCH).map(|n| format!("user:{n}")).collect();
    // Keys that come once, as a policy that was asked before is not asked again.
    let once: Vec<String> = (0..2 * (ROUNDS + 1) * CALLS).map(|n| format!("user:{n}")).collect();
    let next = Cell::new(0);
    let new = || &once[next.replace((next.get() + 1) % once.len())];
    say("| decision | native, ns | component, ns | more, ns |\n|---|---|---|---|\n")?;
    let contenders: [&dyn Policy; 2] = [&Native, &*live.policy];
    row("plan", &compare(&*clock, contenders, CALLS, &|policy, _| plan(policy, new())), 1)?;
    row("admit", &compare(&*clock, contenders, CALLS, &|policy, _| admit(policy, new())), 1)?;
    let again = |n: usize| &keys[n % BATCH];
    row("plan, remembered", &compare(&*clock, contenders, CALLS, &|policy, n| plan(policy, again(n))), 1)?;
    row("admit, remembered", &compare(&*clock, contenders, CALLS, &|policy, n| admit(policy, again(n))), 1)?;
    let requests: Vec<_> = keys.iter().map(|key| request(key)).collect();
    let batches = compare(&*clock, contenders, CALLS / BATCH, &|policy, _| {
        black_box(policy.plan_batch(black_box(&requests))).is_ok_and(|plans| plans.len() == BATCH)
    });
    row("plan-batch of 100, per key", &batches, BATCH)?;
    drop(registry);
    Ok(())
}

/// A registry over a folder of its own, so that nothing in the house's folder is touched.
fn start(
    folder: &Path,
    scratch: &Path,
    policies: &Arc<Policies>,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<WasmRegistry>> {
    let policies_dir = scratch.join("policies");
    fs::create_dir(&policies_dir)?;
    for file in ["profile.wasm", "profile.toml"] {
        let from = folder.join(file);
        fs::copy(&from, policies_dir.join(file))
            .with_context(|| format!("copying {}; build it with `cargo xtask policies`", from.display()))?;
    }
    let config = RegistryConfig {
        policies_dir,
        state_dir: scratch.join("state"),
        overrides: Overrides::new(),
        compile_with: None,
        key_separator: b':',
        origins: Arc::new(HttpOrigins::for_checks(clock.clone())?),
    };
    WasmRegistry::start(config, policies.clone(), metrics.clone(), clock.clone())
}

fn request(key: &str) -> Request<'_> {
    Request { key, operation: Operation::Write, shape: Shape::Value }
}

fn plan(policy: &dyn Policy, key: &str) -> bool {
    black_box(policy.plan(black_box(&request(key)))).is_ok()
}

fn admit(policy: &dyn Policy, key: &str) -> bool {
    let candidate = Candidate::written(&[b'v'; 100]);
    black_box(policy.admit(black_box(&request(key)), black_box(&candidate))).is_ok()
}

/// Nanoseconds of one call, the median over the rounds, of each contender.
fn compare(
    clock: &dyn Clock,
    contenders: [&dyn Policy; 2],
    calls: usize,
    call: &dyn Fn(&dyn Policy, usize) -> bool,
) -> [f64; 2] {
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (policy, times) in contenders.iter().zip(&mut rounds) {
            let from = clock.monotonic_ns();
            for n in 0..calls {
                assert!(call(*policy, n), "every key of the measurement is one of a profile");
            }
            // The first round is for the caches.
            if round > 0 {
                times.push((clock.monotonic_ns() - from) as f64 / calls as f64);
            }
        }
    }
    rounds.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

fn row(name: &str, [native, component]: &[f64; 2], keys: usize) -> Result<Exit> {
    let per_key = |ns: f64| ns / keys as f64;
    let [native, component, more] = [*native, *component, component - native].map(per_key);
    say(&format!("| {name} | {native:.0} | {component:.0} | {more:.0} |\n"))
}
