//! Databases besides that of the policies, behind sentinels: they follow their primary.

use std::sync::Arc;

use larder::engine::forward::ForwardRules;
use larder::ports::clock::VirtualClock;

use crate::support::engine::World;
use crate::support::redis::sentinels::Sentinels;
use crate::support::resp::Host;
use crate::support::wait::until;

#[tokio::test]
async fn a_failover_is_followed_in_every_database() {
    let set = Sentinels::start().await;
    let clock = Arc::new(VirtualClock::new(1_000_000_000_000, 7));
    let world = World::forwarding(Arc::new(set.store()), clock, ForwardRules::default());
    world.default_domain();
    let host = Host::start(world).await;
    let mut client = host.connect().await;
    until("the host has found the primary", async || (client.line("SET k 0").await == "+OK").then_some(())).await;
    until("another database", async || (client.line("SELECT 3").await == "+OK").then_some(())).await;
    until("it is written", async || (client.line("SET k 3").await == "+OK").then_some(())).await;
    until("the replica has it", async || (set.servers[1].cli(&["-n", "3", "GET", "k"]) == "3").then_some(())).await;
    set.fail_over().await;
    until("the other one is the primary", async || set.servers[1].cli(&["ROLE"]).starts_with("master").then_some(()))
        .await;
    until("the old one is a replica that follows", async || {
        set.servers[0].cli(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
    })
    .await;
    until("the other one is written in the same database", async || {
        client.line("SET k 4").await;
        (set.servers[1].cli(&["-n", "3", "GET", "k"]) == "4").then_some(())
    })
    .await;
    assert_eq!(client.line("GET k").await, "\"4\"");
    assert_eq!(set.servers[1].cli(&["GET", "k"]), "0", "nothing came into the first one");
    // What was selected before is not lost with the connection, and neither is what others select.
    let mut other = host.connect().await;
    assert_eq!(other.pipeline(&["SELECT 3", "GET k", "SELECT 0"]).await, ["+OK", "\"4\"", "+OK"]);
    until("the first one is written, too", async || (other.line("SET k 1").await == "+OK").then_some(())).await;
    assert_eq!(set.servers[1].cli(&["GET", "k"]), "1");
    assert!(host.stop().await);
}
