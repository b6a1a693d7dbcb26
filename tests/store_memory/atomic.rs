//! Commands over several keys are one moment, though the keys are in parts under locks of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use futures_util::FutureExt as _;
use larder::adapters::memory::MemoryStore;
use larder::ports::store::{Command, Reply, Store as _};

const KEYS: u32 = 12;
const ELEMENTS: usize = 60;
const ROUNDS: usize = 4_000;
const MOVERS: u64 = 3;

fn call(store: &MemoryStore, words: &[&str]) -> Reply {
    let args = words.iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    store.call(Command { args }).now_or_never().expect("memory never waits").expect("memory always answers")
}

fn integer(reply: &Reply) -> usize {
    let Reply::Integer(n) = reply else { panic!("{reply:?} is a number") };
    usize::try_from(*n).expect("it is not negative")
}

/// Threads do what `act` says while another one looks on with `look`, all with chance of their own.
fn race(store: &Arc<MemoryStore>, act: fn(&MemoryStore, &mut fastrand::Rng), look: impl Fn(&MemoryStore)) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let movers: Vec<_> = (0..MOVERS)
            .map(|seed| {
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    (0..ROUNDS).for_each(|_| act(store, &mut rng));
                })
            })
            .collect();
        let ender = scope.spawn(|| {
            movers.into_iter().for_each(|mover| mover.join().expect("a mover ends"));
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            look(store);
        }
        ender.join().expect("the movers end");
    });
    look(store);
}

fn key(rng: &mut fastrand::Rng) -> String {
    format!("k{}", rng.u32(..KEYS))
}

fn all_keys() -> Vec<String> {
    (0..KEYS).map(|n| format!("k{n}")).collect()
}

fn store() -> Arc<MemoryStore> {
    Arc::new(super::store(1 << 30).0)
}

#[test]
fn a_member_that_moves_is_always_in_one_set() {
    let store = store();
    for n in 0..ELEMENTS {
        call(&store, &["SADD", "k0", &n.to_string()]);
    }
    let act = |store: &MemoryStore, rng: &mut fastrand::Rng| {
        let (from, to, member) = (key(rng), key(rng), rng.usize(..ELEMENTS).to_string());
        call(store, &["SMOVE", &from, &to, &member]);
    };
    race(&store, act, |store| {
        let keys = all_keys();
        let mut words = vec!["SUNION"];
        words.extend(keys.iter().map(String::as_str));
        let Reply::Set(members) = call(store, &words) else { panic!("SUNION answers a set") };
        assert_eq!(members.len(), ELEMENTS, "none is on the way");
    });
    let total: usize = all_keys().iter().map(|key| integer(&call(&store, &["SCARD", key]))).sum();
    assert_eq!(total, ELEMENTS, "and none is there twice");
}

#[test]
fn an_element_that_moves_is_never_lost() {
    let store = store();
    for n in 0..ELEMENTS {
        call(&store, &["RPUSH", "k0", &n.to_string()]);
    }
    let act = |store: &MemoryStore, rng: &mut fastrand::Rng| {
        let (from, to) = (key(rng), key(rng));
        let end = |left: bool| if left { "LEFT" } else { "RIGHT" };
        call(store, &["LMOVE", &from, &to, end(rng.bool()), end(rng.bool())]);
    };
    race(&store, act, |_| {});
    let mut elements = Vec::new();
    for key in all_keys() {
        let Reply::Array(held) = call(&store, &["LRANGE", &key, "0", "-1"]) else { panic!("LRANGE answers a list") };
        elements.extend(held.into_iter().map(|element| format!("{element:?}")));
    }
    elements.sort();
    elements.dedup();
    assert_eq!(elements.len(), ELEMENTS);
}

#[test]
fn a_key_that_is_renamed_always_has_one_name() {
    const VALUES: usize = 4;
    let store = store();
    for n in 0..VALUES {
        call(&store, &["SET", &format!("k{n}"), &n.to_string()]);
    }
    let act = |store: &MemoryStore, rng: &mut fastrand::Rng| {
        let (from, to) = (key(rng), key(rng));
        call(store, &["RENAMENX", &from, &to]);
    };
    race(&store, act, |store| {
        let keys = all_keys();
        let mut words = vec!["EXISTS"];
        words.extend(keys.iter().map(String::as_str));
        assert_eq!(integer(&call(store, &words)), VALUES);
        assert_eq!(integer(&call(store, &["DBSIZE"])), VALUES);
        let Reply::Array(names) = call(store, &["KEYS", "*"]) else { panic!("KEYS answers a list") };
        assert_eq!(names.len(), VALUES);
    });
}

#[test]
fn what_is_stored_of_many_sets_is_one_moment() {
    let store = store();
    // The pairs (k0, k1) and (k2, k3) change together, so that whoever sees half of a change sees a wrong number.
    let act = |store: &MemoryStore, rng: &mut fastrand::Rng| {
        let (from, to) = if rng.bool() { ("k0", "k2") } else { ("k2", "k0") };
        call(store, &["SMOVE", from, to, &rng.usize(..ELEMENTS).to_string()]);
        call(store, &["SUNIONSTORE", "all", "k0", "k1", "k2"]);
        call(store, &["COPY", "all", "copy", "REPLACE"]);
    };
    call(&store, &["SADD", "k1", "always"]);
    for n in 0..ELEMENTS {
        call(&store, &["SADD", if n % 2 == 0 { "k0" } else { "k2" }, &n.to_string()]);
    }
    call(&store, &["SUNIONSTORE", "all", "k0", "k1", "k2"]);
    call(&store, &["COPY", "all", "copy"]);
    race(&store, act, |store| {
        for key in ["all", "copy"] {
            assert_eq!(integer(&call(store, &["SCARD", key])), ELEMENTS + 1, "{key}");
        }
    });
}

#[test]
fn of_many_that_are_set_if_absent_all_or_none_are_there() {
    let store = store();
    let act = |store: &MemoryStore, rng: &mut fastrand::Rng| {
        if rng.bool() {
            call(store, &["MSETNX", "k0", "v", "k1", "v", "k2", "v"]);
        } else {
            call(store, &["DEL", "k2", "k1", "k0"]);
        }
    };
    race(&store, act, |store| {
        let there = integer(&call(store, &["EXISTS", "k1", "k0", "k2"]));
        assert!(there == 0 || there == 3, "{there} of three");
    });
}
