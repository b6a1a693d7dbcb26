//! A collection that moves from node to node of a cluster while others change it: each race between two of its steps, forced by a node
//! that lets nothing change for as long. What a writer did is there afterwards, what was removed is not, and no lease is left.
//!
//! The steps are: read at the old place, make the copy under the lease, remove the old one if it is still what was read, give the lease
//! back; or undo the copy. Reading goes on while a node is held, so what is held up is the copy or the removal.

use std::sync::Arc;

use larder::engine::key::KeyRules;
use larder::ports::lease::{Adopting, Ending, LeaseKeys, LeaseState, LeaseToken, Lost, Taking};
use larder::ports::store::{Expect, Reply, Store, StoreKey};
use tokio::task::JoinHandle;

use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;
use crate::support::wait::until;

/// Longer than a test takes.
const LONG_MS: u64 = 60_000;
const HOLDER: LeaseToken = LeaseToken::new(*b"whoever moves it");

/// A list at its old place, and the lease of where it is to go, on another node.
struct Moving {
    cluster: RedisCluster,
    store: Arc<dyn Store>,
    from: String,
    keys: LeaseKeys,
}

impl Moving {
    async fn begin() -> Self {
        let cluster = RedisCluster::start(false, 60_000).await;
        let store: Arc<dyn Store> = Arc::new(cluster.store());
        let [from, to, _] = &cluster.keys("chat:v1:profile:c")[..] else { panic!("three primaries") };
        let keys = KeyRules::lease_keys(&StoreKey(to.clone().into())).expect("a key for the lease");
        let moving = Self { from: from.clone(), keys, store, cluster };
        assert_eq!(moving.source().cli(&["RPUSH", &moving.from, "a", "b"]), "2");
        let taken = moving.store.leases().take(&moving.keys, HOLDER, LONG_MS, &Expect::Absent).await;
        assert_eq!(taken, Ok(Taking::Taken));
        moving
    }

    /// The node that it is on.
    fn source(&self) -> &RedisServer {
        &self.cluster.nodes[self.cluster.place_of(&self.from)]
    }

    /// The node that it goes to.
    fn target(&self) -> &RedisServer {
        &self.cluster.nodes[self.cluster.place_of(self.to())]
    }

    fn to(&self) -> &str {
        std::str::from_utf8(self.keys.entry.as_bytes()).expect("text")
    }

    /// Moves it in the background.
    fn go(&self) -> JoinHandle<Adopting> {
        let (store, keys, from) = (Arc::clone(&self.store), self.keys.clone(), StoreKey(self.from.clone().into()));
        tokio::spawn(async move { store.leases().adopt(&keys, HOLDER, &from).await.expect("answers") })
    }

    /// Ends the lease as a write or a delete on another host does.
    async fn end(&self, how: Ending) {
        let replies = self.store.pipeline(vec![self.keys.ending(how)]).await.expect("answers");
        assert!(matches!(replies.as_slice(), [Reply::Nil | Reply::Status(_)]), "{replies:?}");
    }

    async fn lease(&self) -> LeaseState {
        self.store.leases().state(&self.keys).await.expect("answers")
    }

    fn list(&self, node: &RedisServer, key: &str) -> String {
        node.cli(&["LRANGE", key, "0", "-1"]).replace('\n', " ")
    }

    /// What is at the new place, and at the old one.
    fn there(&self) -> (String, String) {
        (self.list(self.target(), self.to()), self.list(self.source(), &self.from))
    }
}

/// Nothing changes on it any more.
fn hold(node: &RedisServer) {
    assert_eq!(node.cli(&["CLIENT", "PAUSE", &LONG_MS.to_string(), "WRITE"]), "OK");
}

fn let_go(node: &RedisServer) {
    assert_eq!(node.cli(&["CLIENT", "UNPAUSE"]), "OK");
}

/// Waits until a script wants to change something on a node that is held.
async fn waits_at(node: &RedisServer) {
    let waiting = |line: &str| line.contains(" flags=b") && line.contains(" cmd=evalsha");
    until("the step waits", async || node.cli(&["CLIENT", "LIST"]).lines().any(waiting).then_some(())).await;
}

/// Brings the move to where the copy is there and the old one is about to be removed; `changed` is done to the old place in between.
async fn copied(moving: &Moving, changed: impl FnOnce(&RedisServer)) -> JoinHandle<Adopting> {
    hold(moving.target());
    let adopting = moving.go();
    waits_at(moving.target()).await;
    changed(moving.source());
    hold(moving.source());
    let_go(moving.target());
    waits_at(moving.source()).await;
    assert_eq!(moving.list(moving.target(), moving.to()), "a b", "the copy is there");
    adopting
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_to_the_old_one_after_it_was_read_is_not_lost() {
    let moving = Moving::begin().await;
    hold(moving.target());
    let adopting = moving.go();
    waits_at(moving.target()).await;
    assert_eq!(moving.source().cli(&["RPUSH", &moving.from, "c"]), "3");
    let_go(moving.target());
    assert_eq!(adopting.await.unwrap(), Adopting::Lost(Lost::Gone));
    assert_eq!(moving.there(), (String::new(), "a b c".to_owned()), "the copy went, not what it was of");
    assert_eq!(moving.lease().await, LeaseState::Free);
    // The next one takes all of it.
    assert_eq!(moving.store.leases().take(&moving.keys, HOLDER, LONG_MS, &Expect::Absent).await, Ok(Taking::Taken));
    assert_eq!(moving.go().await.unwrap(), Adopting::Adopted);
    assert_eq!(moving.there(), ("a b c".to_owned(), String::new()));
    assert_eq!(moving.lease().await, LeaseState::Free);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_after_it_was_read_does_not_come_back() {
    let moving = Moving::begin().await;
    // Whoever deletes removes the old one first, then ends the lease, then removes the new one.
    let adopting = copied(&moving, |old| assert_eq!(old.cli(&["DEL", &moving.from]), "1")).await;
    moving.end(Ending::Deleted).await;
    assert_eq!(moving.target().cli(&["DEL", moving.to()]), "1");
    let_go(moving.source());
    assert_eq!(adopting.await.unwrap(), Adopting::Lost(Lost::Gone));
    assert_eq!(moving.there(), (String::new(), String::new()));
    assert_eq!(moving.lease().await, LeaseState::Ended(Ending::Deleted));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_after_it_was_read_does_not_come_back() {
    let moving = Moving::begin().await;
    // Nobody ends a lease for that.
    let adopting = copied(&moving, |old| assert_eq!(old.cli(&["DEL", &moving.from]), "1")).await;
    let_go(moving.source());
    assert_eq!(adopting.await.unwrap(), Adopting::Lost(Lost::Gone));
    assert_eq!(moving.there(), (String::new(), String::new()), "nothing of what was read before");
    assert_eq!(moving.lease().await, LeaseState::Free);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_the_copy_stays() {
    let moving = Moving::begin().await;
    let adopting = copied(&moving, |_| {}).await;
    // Another host adds to what it finds, and ends the lease before.
    moving.end(Ending::Written).await;
    assert_eq!(moving.target().cli(&["RPUSH", moving.to(), "c"]), "3");
    let_go(moving.source());
    assert_eq!(adopting.await.unwrap(), Adopting::Adopted);
    assert_eq!(moving.there(), ("a b c".to_owned(), String::new()));
    assert_eq!(
        moving.lease().await,
        LeaseState::Ended(Ending::Written),
        "the lease of whoever ended it is not given back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_the_copy_stays_though_the_old_one_was_changed() {
    let moving = Moving::begin().await;
    let adopting = copied(&moving, |old| assert_eq!(old.cli(&["RPUSH", &moving.from, "late"]), "3")).await;
    moving.end(Ending::Written).await;
    assert_eq!(moving.target().cli(&["RPUSH", moving.to(), "c"]), "3");
    let_go(moving.source());
    assert_eq!(adopting.await.unwrap(), Adopting::Lost(Lost::Gone));
    // The undo does not touch what somebody else has written to; the late one is where it was put.
    assert_eq!(moving.there(), ("a b c".to_owned(), "a b late".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_another_took_keeps_its_copy() {
    let moving = Moving::begin().await;
    let adopting = copied(&moving, |old| assert_eq!(old.cli(&["RPUSH", &moving.from, "late"]), "3")).await;
    // The first holder's lease ran out, and another host leads now.
    let lease = String::from_utf8_lossy(moving.keys.lease.as_bytes()).into_owned();
    assert_eq!(moving.target().cli(&["SET", &lease, "another", "PX", &LONG_MS.to_string()]), "OK");
    let_go(moving.source());
    assert_eq!(adopting.await.unwrap(), Adopting::Lost(Lost::Gone));
    assert_eq!(moving.there(), ("a b".to_owned(), "a b late".to_owned()));
    assert_eq!(moving.target().cli(&["GET", &lease]), "another");
}
