//! Ticks: in their period, on one node of the cluster at a time.

use crate::support::host::{HostBuilder, guest, wait_until};
use crate::support::redis::RedisServer;

use super::{Bench, GRANTS};

const SETTINGS: &str = "tick_ms = 100\ntick_key = 'ticks'";

#[test]
fn a_policy_that_asks_for_ticks_gets_them() {
    for bench in [Bench::memory(SETTINGS), Bench::redis(SETTINGS)] {
        wait_until("it ticked three times", || bench.line("GET clerk:ticks").parse::<u32>().is_ok_and(|n| n >= 3));
        bench.host.waits_to_log("tick: tick 1");
        // A policy that asks no more gets none.
        bench.host.put("clerk.toml", format!("[settings]\ntick_key = 'ticks'\n{GRANTS}").as_bytes());
        wait_until("the ticks end", || {
            let before = bench.line("GET clerk:ticks");
            std::thread::sleep(std::time::Duration::from_millis(300));
            bench.line("GET clerk:ticks") == before
        });
    }
}

#[test]
fn two_hosts_tick_as_often_as_one() {
    let server = RedisServer::start();
    let host = || {
        HostBuilder::new()
            .policy("clerk", &guest("clerk"))
            .toml("clerk", &format!("[settings]\ntick_ms = 1000\ntick_key = 'ticks'\n{GRANTS}"))
            .arg(format!("--store=redis://127.0.0.1:{}", server.port()))
            .start()
    };
    let (one, two) = (host(), host());
    let ticks = || crate::support::host::text(&one.ask(&["GET", "clerk:ticks"]).unwrap()).parse::<u64>().unwrap_or(0);
    // The first host may have ticked while the second started.
    let (began, before) = (std::time::Instant::now(), ticks());
    wait_until("they ticked four times", || ticks() >= before + 4);
    // Each host alone would have ticked so often in half of the time.
    let (ticks, periods) = (ticks() - before, began.elapsed().as_millis() / 900 + 2);
    assert!(u128::from(ticks) <= periods, "{ticks} ticks in {periods} periods");
    drop(two);
}
