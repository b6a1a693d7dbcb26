//! One suite for the leases of every store: in memory and in a real Redis.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use larder::engine::key::KeyRules;
use larder::ports::clock::VirtualClock;
use larder::ports::lease::{Adopting, Ending, Filling, LeaseKeys, LeaseState, LeaseToken, Lost, Taking};
use larder::ports::store::{Command, Expect, Expire, Reply, Store, StoreKey, Ttl};

use super::{START_MS, memory};
use crate::support::redis::RedisServer;
use crate::support::redis::cluster::RedisCluster;
use crate::support::wait::until;

/// Longer than a test takes.
const LONG_MS: u64 = 60_000;

/// A store and its time.
struct Bench {
    store: Arc<dyn Store>,
    clock: Option<Arc<VirtualClock>>,
    server: Option<RedisServer>,
}

impl Bench {
    fn memory() -> Self {
        let clock = Arc::new(VirtualClock::new(START_MS, 1));
        Self { store: Arc::new(memory(&clock)), clock: Some(clock), server: None }
    }

    fn redis() -> Self {
        let server = RedisServer::start();
        Self { store: Arc::new(server.store()), clock: None, server: Some(server) }
    }

    async fn take(&self, name: &str, token: u8, seen: &Expect) -> Taking {
        self.store.leases().take(&keys(name), self::token(token), LONG_MS, seen).await.expect("answers")
    }

    async fn renew(&self, name: &str, token: u8, ttl_ms: u64) -> bool {
        self.store.leases().renew(&keys(name), self::token(token), ttl_ms).await.expect("answers")
    }

    async fn give_back(&self, name: &str, token: u8) -> bool {
        self.store.leases().give_back(&keys(name), self::token(token)).await.expect("answers")
    }

    async fn fill(&self, name: &str, token: u8, value: &'static str) -> Filling {
        let keys = keys(name);
        let fill = self.store.leases().fill(&keys, self::token(token), value.into(), Expire::InMs(LONG_MS));
        fill.await.expect("answers")
    }

    async fn state(&self, name: &str) -> LeaseState {
        self.store.leases().state(&keys(name)).await.expect("answers")
    }

    async fn value(&self, name: &str) -> Option<String> {
        let held = self.store.get(&keys(name).entry, false).await.expect("answers");
        held.map(|held| String::from_utf8_lossy(&held.bytes).into_owned())
    }

    async fn put(&self, name: &str, value: &'static str) {
        self.store.set(&keys(name).entry, value.into(), Expire::Never).await.expect("answers");
    }

    /// Ends a lease as a write or a delete does.
    async fn end(&self, name: &str, how: Ending) {
        let replies = self.store.pipeline(vec![keys(name).ending(how)]).await.expect("answers");
        assert!(matches!(replies.as_slice(), [Reply::Nil | Reply::Status(_)]), "{replies:?}");
    }

    async fn outlive(&self, name: &str, ms: u64) {
        if let Some(clock) = &self.clock {
            clock.advance_ms(ms + 1);
        }
        until("the lease's life is over", async || (self.state(name).await == LeaseState::Free).then_some(())).await;
    }
}

fn token(n: u8) -> LeaseToken {
    LeaseToken::new([n; 16])
}

fn keys(name: &str) -> LeaseKeys {
    KeyRules::lease_keys(&StoreKey(format!("chat:v1:profile:{name}").into())).expect("a key for the lease")
}

fn prefix(text: &'static str) -> Expect {
    Expect::Prefix(text.into())
}

async fn one_token_holds_it(bench: &Bench) {
    assert_eq!(bench.state("a").await, LeaseState::Free);
    assert_eq!(bench.take("a", 1, &Expect::Absent).await, Taking::Taken);
    let left = |taking| matches!(taking, Taking::HeldFor { ms } if ms > 0 && ms <= LONG_MS);
    assert!(left(bench.take("a", 2, &Expect::Absent).await));
    assert!(left(bench.take("a", 1, &Expect::Absent).await), "a token does not take twice");
    assert!(matches!(bench.state("a").await, LeaseState::HeldFor { ms } if ms > 0 && ms <= LONG_MS));
    assert_eq!(bench.take("b", 2, &Expect::Absent).await, Taking::Taken, "another key is another lease");
    assert!(!bench.give_back("a", 2).await);
    assert!(bench.give_back("a", 1).await);
    assert!(!bench.give_back("a", 1).await);
    assert_eq!(bench.take("a", 2, &Expect::Absent).await, Taking::Taken);
}

async fn it_is_taken_of_what_was_seen(bench: &Bench) {
    bench.put("s", "old value").await;
    assert_eq!(bench.take("s", 1, &Expect::Absent).await, Taking::Changed);
    assert_eq!(bench.take("s", 1, &prefix("new")).await, Taking::Changed);
    assert_eq!(bench.state("s").await, LeaseState::Free, "nothing was taken");
    assert_eq!(bench.take("s", 1, &prefix("old")).await, Taking::Taken);
    assert_eq!(bench.take("t", 1, &prefix("old")).await, Taking::Changed, "it is gone");
    let push = Command::new("RPUSH").arg(keys("l").entry.0).arg("x");
    assert_eq!(bench.store.call(push).await, Ok(Reply::Integer(1)));
    assert_eq!(bench.take("l", 1, &Expect::Absent).await, Taking::Changed, "a list is not nothing");
    assert_eq!(bench.take("l", 1, &prefix("x")).await, Taking::Changed);
}

async fn a_fill_ends_it(bench: &Bench) {
    assert_eq!(bench.take("f", 1, &Expect::Absent).await, Taking::Taken);
    assert_eq!(bench.fill("f", 2, "theirs").await, Filling::Lost(Lost::Gone));
    assert_eq!(bench.value("f").await, None);
    assert_eq!(bench.fill("f", 1, "mine").await, Filling::Stored);
    assert_eq!(bench.value("f").await.as_deref(), Some("mine"));
    assert!(matches!(bench.store.ttl(&keys("f").entry).await, Ok(Ttl::Ms(ms)) if ms > 0 && ms <= LONG_MS));
    assert_eq!(bench.state("f").await, LeaseState::Free);
    assert_eq!(bench.fill("f", 1, "again").await, Filling::Lost(Lost::Gone), "once");
    assert_eq!(bench.value("f").await.as_deref(), Some("mine"));
}

async fn a_delete_fences_it(bench: &Bench) {
    assert_eq!(bench.take("d", 1, &Expect::Absent).await, Taking::Taken);
    bench.end("d", Ending::Deleted).await;
    assert_eq!(bench.state("d").await, LeaseState::Ended(Ending::Deleted));
    assert!(!bench.renew("d", 1, LONG_MS).await);
    assert_eq!(bench.fill("d", 1, "old").await, Filling::Lost(Lost::Deleted));
    assert_eq!(bench.value("d").await, None);
    assert!(!bench.give_back("d", 1).await);
    assert_eq!(bench.take("d", 2, &Expect::Absent).await, Taking::Taken, "what has ended is free");
    assert_eq!(bench.fill("d", 1, "old").await, Filling::Lost(Lost::Gone));
    assert_eq!(bench.fill("d", 2, "new").await, Filling::Stored);
}

async fn a_write_fences_it_and_what_it_wrote_goes(bench: &Bench) {
    assert_eq!(bench.take("w", 1, &Expect::Absent).await, Taking::Taken);
    bench.end("w", Ending::Written).await;
    bench.put("w", "written").await;
    assert_eq!(bench.fill("w", 1, "loaded").await, Filling::Lost(Lost::Written));
    assert_eq!(bench.value("w").await, None, "nobody can say which is newer");
}

async fn nothing_is_noted_where_no_lease_is(bench: &Bench) {
    bench.end("n", Ending::Written).await;
    assert_eq!(bench.state("n").await, LeaseState::Free);
    assert_eq!(bench.fill("n", 1, "x").await, Filling::Lost(Lost::Gone));
}

async fn it_ends_with_its_life(bench: &Bench) {
    assert_eq!(bench.store.leases().take(&keys("e"), token(1), 40, &Expect::Absent).await, Ok(Taking::Taken));
    assert!(bench.renew("e", 1, LONG_MS).await);
    assert!(!bench.renew("e", 2, LONG_MS).await);
    if let Some(clock) = &bench.clock {
        clock.advance_ms(1_000);
    }
    assert!(matches!(bench.state("e").await, LeaseState::HeldFor { ms } if ms > 40), "it was renewed");
    assert!(bench.renew("e", 1, 40).await);
    bench.outlive("e", 40).await;
    assert!(!bench.renew("e", 1, LONG_MS).await, "what is over stays over");
    assert_eq!(bench.fill("e", 1, "late").await, Filling::Lost(Lost::Gone));
    assert_eq!(bench.value("e").await, None);
}

/// Fills that are begun at the same time may go together: each has its own answer, and does what it would alone.
async fn many_at_once_are_each_their_own(bench: &Bench) {
    const MANY: usize = 200;
    let long = "x".repeat(10_000);
    let value = |n: usize| if n % 9 == 8 { long.clone() } else { format!("value {n}") };
    for n in 0..MANY {
        let name = format!("m{n}");
        assert_eq!(bench.take(&name, 1, &Expect::Absent).await, Taking::Taken);
        match n % 5 {
            1 => bench.end(&name, Ending::Deleted).await,
            2 => {
                bench.put(&name, "newer").await;
                bench.end(&name, Ending::Written).await;
            }
            3 => assert!(bench.give_back(&name, 1).await),
            _ => {}
        }
    }
    let fills = (0..MANY).map(async |n| {
        // The fifth is somebody else's.
        let token = if n % 5 == 4 { 2 } else { 1 };
        let expire = if n % 2 == 0 { Expire::Never } else { Expire::InMs(LONG_MS) };
        let keys = keys(&format!("m{n}"));
        bench.store.leases().fill(&keys, self::token(token), value(n).into(), expire).await.expect("answers")
    });
    let done = join_all(fills).await;
    for (n, done) in done.into_iter().enumerate() {
        let name = format!("m{n}");
        let (expected, there) = match n % 5 {
            0 => (Filling::Stored, Some(value(n))),
            1 => (Filling::Lost(Lost::Deleted), None),
            2 => (Filling::Lost(Lost::Written), None),
            _ => (Filling::Lost(Lost::Gone), None),
        };
        assert_eq!((done, bench.value(&name).await), (expected, there), "{name}");
        let ttl = bench.store.ttl(&keys(&name).entry).await.expect("answers");
        let lives = if n % 5 != 0 {
            Ttl::Missing
        } else if n % 2 == 0 {
            Ttl::Never
        } else {
            ttl
        };
        assert_eq!((ttl, ttl == Ttl::Missing), (lives, n % 5 != 0), "{name}");
        assert_eq!(matches!(bench.state(&name).await, LeaseState::HeldFor { .. }), n % 5 == 4, "{name}");
    }
}

/// What was begun and given up holds nobody up who comes to the same.
async fn a_fill_that_is_given_up_takes_no_other_along(bench: &Bench) {
    for round in 0..20 {
        let names: Vec<String> = (0..8).map(|n| format!("g{round}-{n}")).collect();
        for name in &names {
            assert_eq!(bench.take(name, 1, &Expect::Absent).await, Taking::Taken);
        }
        let mut fills: Vec<_> = names.iter().map(|name| Box::pin(bench.fill(name, 1, "v"))).collect();
        // All are begun, and the first is dropped: one of those that others may wait with.
        let begun: Vec<_> = fills.iter_mut().map(|fill| fill.now_or_never()).collect();
        if bench.clock.is_some() {
            assert_eq!(begun, vec![Some(Filling::Stored); 8], "nothing is waited for in memory");
            continue;
        }
        drop(fills.swap_remove(round % 8));
        assert_eq!(join_all(fills).await, vec![Filling::Stored; 7]);
    }
}

async fn the_word_of_an_ending_goes_with_the_leases_life(bench: &Bench) {
    assert_eq!(bench.store.leases().take(&keys("k"), token(1), 40, &Expect::Absent).await, Ok(Taking::Taken));
    bench.end("k", Ending::Deleted).await;
    bench.outlive("k", 40).await;
}

async fn a_collection_is_adopted_under_it(bench: &Bench) {
    let from = StoreKey("chat:v0:profile:c".into());
    let adopt =
        async |token: u8| bench.store.leases().adopt(&keys("c"), self::token(token), &from).await.expect("answers");
    let push = async || bench.store.call(Command::new("RPUSH").arg(from.0.clone()).arg("a")).await.expect("answers");
    let there = async || bench.store.ttl(&from).await.expect("answers") != Ttl::Missing;
    push().await;
    assert_eq!(adopt(1).await, Adopting::Lost(Lost::Gone), "nobody took it");
    assert_eq!(bench.take("c", 1, &Expect::Absent).await, Taking::Taken);
    assert_eq!(adopt(2).await, Adopting::Lost(Lost::Gone));
    bench.end("c", Ending::Deleted).await;
    assert_eq!(adopt(1).await, Adopting::Lost(Lost::Deleted));
    assert!(there().await);
    assert_eq!(bench.take("c", 3, &Expect::Absent).await, Taking::Taken);
    assert_eq!(adopt(3).await, Adopting::Adopted);
    assert!(!there().await);
    assert_eq!(bench.state("c").await, LeaseState::Free);
    // Not over what is there, and no string.
    push().await;
    bench.store.delete(&[keys("c").entry]).await.expect("answers");
    assert_eq!(bench.take("c", 4, &Expect::Absent).await, Taking::Taken);
    bench.put("c", "newer").await;
    assert_eq!(adopt(4).await, Adopting::Taken);
    bench.store.delete(&[keys("c").entry, from.clone()]).await.expect("answers");
    assert_eq!(adopt(4).await, Adopting::Nothing);
    bench.store.set(&from, "text".into(), Expire::Never).await.expect("answers");
    assert_eq!(adopt(4).await, Adopting::Nothing);
    bench.store.delete(std::slice::from_ref(&from)).await.expect("answers");
}

async fn check(bench: Bench) {
    one_token_holds_it(&bench).await;
    it_is_taken_of_what_was_seen(&bench).await;
    a_fill_ends_it(&bench).await;
    a_delete_fences_it(&bench).await;
    a_write_fences_it_and_what_it_wrote_goes(&bench).await;
    nothing_is_noted_where_no_lease_is(&bench).await;
    it_ends_with_its_life(&bench).await;
    the_word_of_an_ending_goes_with_the_leases_life(&bench).await;
    many_at_once_are_each_their_own(&bench).await;
    a_fill_that_is_given_up_takes_no_other_along(&bench).await;
    a_collection_is_adopted_under_it(&bench).await;
}

#[tokio::test]
async fn in_memory() {
    check(Bench::memory()).await;
}

#[tokio::test]
async fn in_redis() {
    check(Bench::redis()).await;
}

#[tokio::test]
async fn collections_are_adopted_from_node_to_node_of_a_cluster() {
    let cluster = RedisCluster::start(false, 5_000).await;
    a_collection_is_adopted_under_it(&Bench { store: Arc::new(cluster.store()), clock: None, server: None }).await;
}

#[tokio::test]
async fn a_lease_that_redis_evicts_fills_nothing() {
    let bench = Bench::redis();
    assert_eq!(bench.take("a", 1, &Expect::Absent).await, Taking::Taken);
    let lease = String::from_utf8(keys("a").lease.0.to_vec()).unwrap();
    assert_eq!(bench.server.as_ref().unwrap().cli(&["DEL", &lease]), "1");
    assert!(!bench.renew("a", 1, LONG_MS).await);
    assert_eq!(bench.fill("a", 1, "x").await, Filling::Lost(Lost::Gone));
    assert_eq!(bench.take("a", 2, &Expect::Absent).await, Taking::Taken);
}

#[test]
fn a_lease_lies_in_the_slot_of_its_entry() {
    let check = |entry: &str, expected: Option<&str>| {
        let keys = KeyRules::lease_keys(&StoreKey(entry.to_owned().into()));
        let lease = keys.map(|keys| String::from_utf8(keys.lease.0.to_vec()).unwrap());
        assert_eq!(lease.as_deref(), expected, "{entry}");
        if let Some(lease) = lease {
            assert_eq!(hash_tag(&lease), hash_tag(entry), "{entry}");
        }
    };
    check("chat:v1:profile:user:42", Some("{chat:v1:profile:user:42}:lease"));
    check("chat:v1:profile:{user:42}:x", Some("chat:v1:profile:{user:42}:x\x1flease"));
    check("chat:v1:profile:{user", Some("{chat:v1:profile:{user}:lease"));
    // What would be its slot's own has a brace in it, so no other key can name it.
    check("chat:v1:profile:user}42", None);
    check("chat:v1:profile:{}x", None);
}

/// What decides on the slot, as the cluster specification says it.
fn hash_tag(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}
