//! RESP over a real socket: what a Redis client sees.

mod collections;
mod commands;
mod connections;
mod forward;
mod monitor;
mod ordering;
mod protocol;

use larder::ports::policy::Lifetime;

use crate::support::engine::World;
use crate::support::resp::{Client, Host};

/// A world with `default` as Redis has it, and an enveloped domain `profile`.
fn world() -> World {
    let world = World::new();
    world.default_domain();
    world.enveloped("profile", Lifetime::fresh(Some(60_000)));
    world
}

/// A host with that world and a client of it.
async fn host() -> (Host, Client) {
    let host = Host::start(world()).await;
    let client = host.connect().await;
    (host, client)
}
