//! The HTTP front end over real sockets: what a client sends, and every byte that comes back.

mod batch;
mod bounds;
mod entries;
mod operators;

use larder::ports::policy::Lifetime;

use crate::support::engine::World;

const HOUR_MS: u64 = 3_600_000;

/// A profile lives for an hour and is stale for five minutes; everything else is as in Redis.
fn world() -> World {
    let world = World::new();
    world.enveloped("profile", Lifetime { stale_while_revalidate_ms: 300_000, ..Lifetime::fresh(Some(HOUR_MS)) });
    world.default_domain();
    world
}
