//! `larder policy measure-fill`: what a fill under its lease costs beside a plain write of the same bytes, in a real Redis, as a Markdown
//! table. The section `fill` of `cargo xtask bench`; in this binary because there the adapter is compiled already.
//!
//! Both go through the store's port as the engine calls it, over one connection, and take turns; what counts is the median of the rounds'
//! ratios. Every fill is checked to have been stored. Deliberately absent: the engine, its policy and the wire around it.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use larder::adapters::clock::SystemClock;
use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore};
use larder::engine::key::KeyRules;
use larder::ports::clock::Clock;
use larder::ports::lease::{Filling, LeaseKeys, LeaseToken};
use larder::ports::metrics::Metrics;
use larder::ports::store::{Command, Expire, Store, StoreKey};

use super::out::say;

const ROUNDS: usize = 15;
/// A profile in its envelope.
const VALUE_BYTES: usize = 200;
const DAY_MS: u64 = 86_400_000;
/// Longer than any deadline that is of use here.
const STORE_MS: u64 = 10_000;
/// Leases that are made in one go, before the clock runs.
const CHUNK: usize = 500;

/// How many calls are under way at the same time, and how many there are in one round.
const WORK: [(&str, usize, usize); 2] = [("one alone", 1, 1_000), ("50 at once", 50, 20_000)];

/// Prints the table.
///
/// # Errors
/// The URL is none, or the store fails.
pub(crate) fn run(url: &str) -> Result<()> {
    // As a worker of the host has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let settings = RedisSettings { store_ms: STORE_MS, ..RedisSettings::new(RedisAddress::parse(url)?) };
        let store = RedisStore::new(settings, Arc::clone(&clock), Arc::new(Metrics::default()));
        say("| work | fill under a lease | plain SET | ratio | goal |\n|---|---|---|---|---|\n")?;
        for (work, at_once, calls) in WORK {
            let Measured { fill_us, set_us, ratio } = compare(&store, &*clock, at_once, calls).await?;
            say(&format!("| {work} | {fill_us:.1} µs | {set_us:.1} µs | **{ratio:.2}×** | ≤ 1.15× |\n"))?;
        }
        Ok(())
    })
}

struct Measured {
    fill_us: f64,
    set_us: f64,
    ratio: f64,
}

async fn compare(store: &RedisStore, clock: &dyn Clock, at_once: usize, calls: usize) -> Result<Measured> {
    let keys: Vec<LeaseKeys> = (0..calls).map(keys_of).collect::<Result<_>>()?;
    let token = LeaseToken::new(*b"of a measurement");
    let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
    let expire = Expire::InMs(DAY_MS);
    let mut rounds = Vec::with_capacity(ROUNDS);
    // The first round is for the caches.
    for round in 0..=ROUNDS {
        let mut times_us = [0.0; 2];
        for turn in 0..2 {
            let fills = (turn + round) % 2 == 0;
            if fills {
                lease(store, &keys, token).await?;
            }
            let from_ns = clock.monotonic_ns();
            let workers = (0..at_once).map(async |worker| {
                for keys in keys.iter().skip(worker).step_by(at_once) {
                    if fills {
                        let filled = store.leases().fill(keys, token, value.clone(), expire).await?;
                        ensure!(filled == Filling::Stored, "a fill was lost: {filled:?}");
                    } else {
                        store.set(&keys.entry, value.clone(), expire).await?;
                    }
                }
                Ok(())
            });
            try_join_all(workers).await?;
            times_us[usize::from(!fills)] = (clock.monotonic_ns() - from_ns) as f64 / 1e3 / calls as f64;
        }
        if round > 0 {
            rounds.push(times_us);
        }
    }
    let middle = |of: fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    Ok(Measured { fill_us: middle(|it| it[0]), set_us: middle(|it| it[1]), ratio: middle(|it| it[0] / it[1]) })
}

fn keys_of(n: usize) -> Result<LeaseKeys> {
    let entry = StoreKey(format!("chat:v1:profile:user:{n}").into());
    KeyRules::lease_keys(&entry).context("every key of the measurement has a lease")
}

/// Makes these leases, as if each had been taken.
async fn lease(store: &RedisStore, keys: &[LeaseKeys], token: LeaseToken) -> Result<()> {
    let life = Bytes::from(DAY_MS.to_string());
    for some in keys.chunks(CHUNK) {
        let set = |keys: &LeaseKeys| {
            let set = Command::new("SET").arg(keys.lease.0.clone()).arg(token.to_string());
            set.arg("PX").arg(life.clone())
        };
        store.pipeline(some.iter().map(set).collect()).await?;
    }
    Ok(())
}
