//! The way to a server that is well: parted for a while, cut in the middle of an answer.

use larder::adapters::redis::RedisSettings;
use larder::ports::store::{Expire, Store, StoreError};

use super::{K, V, fails_at_once, recovers};
use crate::support::redis::{RedisServer, address, store};
use crate::support::wait::until;
use crate::support::weather::{Proxy, Weather};

#[tokio::test]
async fn a_parted_network_costs_the_deadline_then_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let store = store(RedisSettings { store_ms: 300, ..RedisSettings::new(address(proxy.port)) });
    until("the store serves", async || store.set(&K, V, Expire::Never).await.ok()).await;
    proxy.set(Weather::Parted);
    assert_eq!(store.get(&K, false).await, Err(StoreError::Timeout(300)));
    fails_at_once(&store).await;
    proxy.set(Weather::Fair);
    recovers(&store).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_in_the_middle_is_none() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let store = store(RedisSettings { store_ms: 10_000, ..RedisSettings::new(address(proxy.port)) });
    recovers(&store).await;
    for bytes in 0..6 {
        // "$1\r\nv\r\n" has seven.
        proxy.set(Weather::CutAfter(bytes));
        let cut = store.get(&K, false).await;
        assert!(matches!(cut, Err(StoreError::Broken(_))), "after {bytes} bytes: {cut:?}");
        proxy.set(Weather::Fair);
        recovers(&store).await;
    }
}
