//! The store behind sentinels: it finds the primary, and the next one.

use larder::ports::store::{Expire, Store, StoreError};

use super::{K, V, is_unavailable, recovers};
use crate::support::redis::sentinels::Sentinels;
use crate::support::wait::until;

#[tokio::test]
async fn a_failover_is_followed() {
    let mut set = Sentinels::start().await;
    let store = set.store();
    recovers(&store).await;
    // Both are well.
    set.fail_over().await;
    until("the other one is written", async || {
        store.set(&K, "w".into(), Expire::Never).await.ok()?;
        (set.servers[1].cli(&["GET", "k"]) == "w").then_some(())
    })
    .await;
    // The new one dies.
    until("the replica has it", async || (set.servers[0].cli(&["GET", "k"]) == "w").then_some(())).await;
    set.servers[1].kill();
    let lost = until("it is known to be away", async || store.get(&K, false).await.err()).await;
    assert!(matches!(lost, StoreError::Unavailable(_) | StoreError::Broken(_)), "{lost:?}");
    until("the first one is the primary again", async || store.set(&K, V, Expire::Never).await.ok()).await;
    assert_eq!(set.servers[0].cli(&["GET", "k"]), "v");
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_is_told() {
    let set = Sentinels::start().await;
    let url = set.url().replace("/main", "/other");
    let address = larder::adapters::redis::RedisAddress::parse(&url).expect("an address");
    let settings = larder::adapters::redis::RedisSettings {
        store_ms: 10_000,
        ..larder::adapters::redis::RedisSettings::new(address)
    };
    is_unavailable(&crate::support::redis::store(settings), "it knows no primary 'other'").await;
}
