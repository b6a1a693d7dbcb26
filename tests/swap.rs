//! A thousand swaps of one policy while clients read and write: no error, and memory stays flat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::host::{Host, HostBuilder, command, sample, text, variant, wait_until};

const SWAPS: u32 = 1_000;
/// After so many swaps pools and caches have their size; from there memory must stay.
const SETTLED: u32 = 200;
/// What is in use shows only without huge pages: of those one byte makes 2 MiB resident. A generation that leaked would leave its code
/// behind, over 100 KiB with each swap: more than a hundred times this over the swaps that count.
const GROWTH_PERCENT_MAX: u64 = 2;
const CLIENTS: u32 = 4;

fn generation(host: &Host) -> u64 {
    host.explain("profile:user:0")["generation"].parse().unwrap()
}

/// Reads and writes until told to stop; counts what it did, panics at the first error.
fn load(mut connection: redis::Connection, client: u32, stop: &AtomicBool, done: &AtomicU64) {
    let mut n = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("profile:user:{}", (n * 7 + client) % 500);
        let value = format!("value of {key}");
        let written: redis::Value = command(&["SET", &key, &value]).query(&mut connection).unwrap();
        assert_eq!(text(&written), "OK");
        for _ in 0..4 {
            let read: redis::Value = command(&["GET", &key]).query(&mut connection).unwrap();
            assert_eq!(text(&read), value);
        }
        done.fetch_add(5, Ordering::Relaxed);
        n += 1;
    }
}

#[test]
fn a_thousand_swaps_lose_no_request_and_leak_no_memory() {
    let host = HostBuilder::samples().env("_RJEM_MALLOC_CONF", "thp:default").start();
    let component = sample("profile");
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (connection, stop, done) = (host.client(), stop.clone(), done.clone());
            std::thread::spawn(move || load(connection, client, &stop, &done))
        })
        .collect();
    let mut settled_kib = 0;
    for swap in 1..=SWAPS {
        let before = generation(&host);
        // Two components in turn, so that the compiler is not what is measured.
        host.put("profile.wasm", &variant(&component, swap % 2));
        wait_until("the swap is live", || generation(&host) > before);
        if swap == SETTLED {
            settled_kib = host.rss_kib();
        }
        if swap % SETTLED == 0 {
            println!("{} KiB after {swap} swaps", host.rss_kib());
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client saw an error");
    }
    let end_kib = host.rss_kib();
    println!(
        "{} requests, {settled_kib} KiB after {SETTLED} swaps, {end_kib} KiB after {SWAPS}",
        done.load(Ordering::Relaxed)
    );
    assert!(done.load(Ordering::Relaxed) > u64::from(SWAPS));
    assert!(end_kib <= settled_kib * (100 + GROWTH_PERCENT_MAX) / 100, "{settled_kib} KiB grew to {end_kib} KiB");
}
