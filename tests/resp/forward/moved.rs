//! Databases besides that of the policies, behind sentinels: they follow their primary.

use std::sync::Arc;
use std::time::Duration;

use larder::engine::forward::ForwardRules;
use larder::ports::clock::VirtualClock;

use crate::support::engine::World;
use crate::support::redis::sentinels::Sentinels;
use crate::support::resp::{Client, Host};
use crate::support::wait::until;

#[tokio::test]
async fn a_failover_is_followed_in_every_database() {
    let set = Sentinels::start().await;
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let world = World::forwarding(Arc::new(set.store()), clock, ForwardRules::default());
    world.default_domain();
    let host = Host::start(world).await;
    let mut client = host.connect().await;
    answered(&mut client, "SET k 0").await;
    answered(&mut client, "SELECT 3").await;
    answered(&mut client, "SET k 3").await;
    until("the replica has it", async || (set.servers[1].cli(&["-n", "3", "GET", "k"]) == "3").then_some(())).await;
    set.fail_over().await;
    answered(&mut client, "SET k 4").await;
    assert_eq!(set.servers[1].cli(&["-n", "3", "GET", "k"]), "4", "in the database that was selected before");
    assert_eq!(client.line("GET k").await, "\"4\"");
    assert_eq!(set.servers[1].cli(&["GET", "k"]), "0", "nothing came into the first one");
    let mut other = host.connect().await;
    assert_eq!(other.pipeline(&["SELECT 3", "GET k", "SELECT 0"]).await, ["+OK", "\"4\"", "+OK"]);
    answered(&mut other, "SET k 1").await;
    assert_eq!(set.servers[1].cli(&["GET", "k"]), "1");
    assert!(host.stop().await);
}

/// Says it until it is done: while there is no primary it is refused.
async fn answered(client: &mut Client, line: &str) {
    let said = async { while client.line(line).await != "+OK" {} };
    tokio::time::timeout(Duration::from_secs(60), said).await.unwrap_or_else(|_| panic!("{line} is never done"));
}
