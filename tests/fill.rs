//! Fills: what every store promises of leases, who leads and who waits, what plain clients get of it, and a checker of histories.

mod adopting;
mod bounds;
mod checker;
mod clients;
mod contract;
mod engine;
mod hosts;
mod nodes;

use std::sync::Arc;
use std::time::Duration;

use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::engine::Engine;
use larder::engine::api::SetOptions;
use larder::engine::fill::{LeaseBook, Leased, Who};
use larder::error::Error;
use larder::ports::clock::VirtualClock;
use larder::ports::policy::{Admission, Encoding, Lifetime, Miss, Plan};
use larder::ports::store::Store;

use crate::support::engine::{Rules, World, description, tagged};
use crate::support::gated::GatedStore;

const HOUR_MS: u64 = 3_600_000;
const START_MS: u64 = 1_000_000_000_000;
const WAIT_MS: u32 = 1_000;

/// Rules whose misses are filled under leases.
fn leasing(wait_ms: u32, rules: Rules) -> Rules {
    Rules { plan: Box::new(move |_| Ok(Plan { suffix: None, miss: Miss::Lease, collapse_wait_ms: wait_ms })), ..rules }
}

/// `profile` with leases and tags as the keys name them, `passing` that stores nothing, `plain` that is raw and asks for leases that it
/// does not get, and `default`.
fn furnished(world: World, wait_ms: u32) -> World {
    let life = Lifetime { stale_while_revalidate_ms: 300_000, ..Lifetime::fresh(Some(HOUR_MS)) };
    world.go_live("profile", description(Encoding::Enveloped), leasing(wait_ms, tagged(life)));
    let passing = Rules { admit: Box::new(|_, _| Ok(Admission::Pass(0))), ..tagged(Lifetime::fresh(None)) };
    world.go_live("passing", description(Encoding::Enveloped), leasing(wait_ms, passing));
    world.go_live("plain", description(Encoding::Raw), leasing(wait_ms, tagged(Lifetime::fresh(None))));
    world.default_domain();
    world
}

fn memory(clock: &Arc<VirtualClock>) -> MemoryStore {
    MemoryStore::new(MemorySettings::default(), clock.clone())
}

/// A world in tokio's paused time, whose clock goes with it.
fn paused_world(shared: bool) -> (World, Arc<GatedStore>) {
    let clock = Arc::new(VirtualClock::new(START_MS, 7));
    let gated = Arc::new(if shared { GatedStore::new(memory(&clock)) } else { GatedStore::exclusive(memory(&clock)) });
    go_with_time(&clock);
    (furnished(World::over(gated.clone() as Arc<dyn Store>, clock), WAIT_MS), gated)
}

/// Lets a virtual clock go with tokio's paused time, in steps of 5 ms.
fn go_with_time(clock: &Arc<VirtualClock>) {
    let clock = Arc::clone(clock);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            clock.advance_ms(5);
        }
    });
}

async fn read(engine: &Engine, key: &str, book: &LeaseBook) -> Result<Leased, Error> {
    engine.get_or_lease(key.as_bytes(), Who::Connection(book)).await
}

async fn write(engine: &Engine, key: &str, value: &str, book: &LeaseBook) -> String {
    let answer = engine.set_or_fill(key.as_bytes(), value.to_owned().into(), SetOptions::default(), book).await;
    answer.map_or_else(|error| format!("! {}", error.kind.as_str()), |answer| answer.state.as_str().to_owned())
}

/// An answer as text: `value (state)`, and what came of its wait.
fn shown(leased: &Result<Leased, Error>) -> String {
    match leased {
        Err(error) => format!("! {}", error.kind.as_str()),
        Ok(Leased { answer, .. }) => {
            let value =
                answer.value.as_ref().map_or_else(|| "-".into(), |value| String::from_utf8_lossy(value).into_owned());
            let waited = answer.waited.map_or(String::new(), |waited| {
                format!(", waited for {}: {}", waited.leader.as_str(), waited.outcome.as_str())
            });
            format!("{value} ({}{waited})", answer.state.as_str())
        }
    }
}
