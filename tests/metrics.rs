//! The metrics that operators are promised, on the page of a real host that does real work: each is there, and moves.

use std::collections::BTreeMap;

use crate::support::host::{Host, HostBuilder, command, guest, sample, text, variant, wait_until};
use crate::support::origin::{TestOrigin, answer};
use crate::support::redis::RedisServer;

/// Series that have moved after [`work`].
const MOVING: &[&str] = &[
    "cache_hit_rate{window=\"1m\"}",
    "cache_hit_rate{window=\"5m\"}",
    "cache_hit_rate{window=\"1h\"}",
    "cache_error_rate{window=\"1m\"}",
    "cache_operations_per_second{window=\"1m\"}",
    "cache_operation_latency_seconds{quantile=\"0.95\"}",
    "cache_operation_latency_seconds{quantile=\"0.99\"}",
    "cache_operation_latency_seconds_count",
    "cache_active_locks",
    "larder_lock_operations_total{outcome=\"acquired\"}",
    "larder_circuit_breaker_calls_total{name=\"store\",outcome=\"success\"}",
    "larder_circuit_breaker_calls_total{name=\"origin:profile\",outcome=\"success\"}",
    "larder_requests_total{domain=\"profile\",operation=\"read\",state=\"loaded\"}",
    "larder_requests_total{domain=\"profile\",operation=\"read\",state=\"l1-hit\"}",
    "larder_requests_total{domain=\"presence\",operation=\"write\",state=\"done\"}",
    "larder_requests_total{domain=\"hostile\",operation=\"read\",state=\"policy-failed\"}",
    "larder_request_duration_seconds_count{domain=\"profile\",operation=\"read\"}",
    "larder_policy_calls_total{domain=\"profile\",hook=\"plan\"}",
    "larder_policy_faults_total{domain=\"hostile\",fault=\"trap\"}",
    "larder_policy_swaps_total{domain=\"profile\"}",
    "larder_policy_rejections_total{domain=\"presence\"}",
    "larder_policy_generation{domain=\"profile\"}",
    "larder_policy_instances_created_total{domain=\"profile\"}",
    "larder_l1_bytes",
    "larder_l1_entries",
    "larder_leases_taken_total{domain=\"profile\"}",
    "larder_loads_begun_total{domain=\"profile\",reason=\"miss\"}",
    "larder_loads_total{domain=\"profile\",outcome=\"stored\"}",
    "larder_origin_loads_total{domain=\"profile\",outcome=\"2xx\"}",
    "larder_origin_load_duration_seconds_count{domain=\"profile\"}",
    "larder_invalidations_total{domain=\"presence\",kind=\"domain\",mode=\"hard\"}",
    "larder_store_command_duration_seconds_count",
    "larder_coherence_state",
    "larder_coherence_changes_total",
    "larder_coherence_lag_seconds_count",
    "larder_http_requests_total",
    "larder_resp_connections_total",
    "process_resident_memory_bytes",
];

/// Series that are 0 while all is well, and are there to be alerted on.
const STILL: &[&str] = &[
    "cache_circuit_breaker_state{name=\"store\"}",
    "cache_circuit_breaker_state{name=\"origin:profile\"}",
    "larder_circuit_breaker_transitions_total{name=\"store\",to=\"open\"}",
    "larder_coherence_suspect_seconds_total",
    "larder_recovery_waiting",
    "larder_spans_waiting",
];

/// The page as series and values.
fn page(host: &Host) -> BTreeMap<String, f64> {
    let (status, _, page) = host.http("GET", "/metrics", "", b"");
    assert_eq!(status, 200);
    let page = String::from_utf8(page).unwrap();
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

fn ask(host: &Host, words: &[&str]) -> String {
    host.ask(words).map_or_else(|error| error.to_string(), |answer| text(&answer))
}

/// Does something of everything.
fn work(host: &Host, redis: &RedisServer) {
    let mut client = host.client();
    for words in [
        &["GET", "profile:user:1"][..],
        &["GET", "profile:user:1"],
        &["GET", "presence:1"],
        &["SET", "presence:1", "online"],
        &["GET", "presence:1"],
        &["LARDER.LOCK", "ACQUIRE", "jobs/1", "TTL", "60000"],
        &["LARDER.INVALIDATE", "DOMAIN", "presence"],
        &["LARDER.BREAKER", "FORCE", "store", "metrics-only"],
    ] {
        let _: redis::RedisResult<redis::Value> = command(words).query(&mut client);
    }
    // The guest traps for this key.
    assert!(ask(host, &["GET", "hostile:bad"]).contains("trap"));
    let before = host.metric("larder_policy_swaps_total");
    host.put("profile.wasm", &variant(&sample("profile"), 1));
    wait_until("the swap is live", || host.metric("larder_policy_swaps_total") > before);
    host.put("presence.wasm", b"no component");
    wait_until("the file is refused", || host.metric("larder_policy_rejections_total") > 0.0);
    // What somebody else changes is told, and the host's own changes with their lag.
    assert_eq!(redis.cli(&["SET", "chat:v1:presence:1", "away"]).trim(), "OK");
    wait_until("the store told of it", || {
        assert_eq!(ask(host, &["SET", "presence:2", "online"]), "OK");
        let page = page(host);
        page.get("larder_coherence_lag_seconds_count").is_some_and(|&n| n > 0.0)
            && page.get("larder_coherence_changes_total").is_some_and(|&n| n > 0.0)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_are_promised_is_there_and_moves() {
    let origin = TestOrigin::always(answer(200, "one")).await;
    let url = origin.url();
    let working = tokio::task::spawn_blocking(move || {
        let redis = RedisServer::start();
        let limits = "[limits]\nhook_ms = 1000\nload_ms = 30000\nload_soft_ms = 30000";
        let toml = format!("origin = \"{url}\"\n[settings]\n[grants]\n{limits}\n");
        let hostile = "[settings]\nmode = \"trap-plan\"\nonly_key = \"bad\"\n[limits]\nhook_ms = 1000\n";
        let host = HostBuilder::new().sample("profile").toml("profile", &toml).sample("presence");
        let host = host.policy("hostile", &guest("hostile")).toml("hostile", hostile);
        let host = host.env("CACHE_MAX_LATENCY_MS", "10000").arg("--store").arg(redis.url()).start();
        work(&host, &redis);
        page(&host)
    });
    let page = working.await.unwrap();
    let names = || page.keys().map(String::as_str).collect::<Vec<_>>().join("\n");
    for series in MOVING {
        assert!(page.get(*series).is_some_and(|&value| value > 0.0), "{series} does not move:\n{}", names());
    }
    for series in STILL {
        assert!(page.contains_key(*series), "{series} is missing:\n{}", names());
    }
}

#[test]
fn the_log_sums_up() {
    let host = HostBuilder::new().sample("presence").set("log.summary", "1s").start();
    assert_eq!(ask(&host, &["GET", "presence:1"]), "nil");
    assert_eq!(ask(&host, &["SET", "presence:1", "online"]), "OK");
    assert_eq!(ask(&host, &["GET", "presence:1"]), "online");
    assert_ne!(ask(&host, &["LARDER.LOCK", "ACQUIRE", "jobs/1", "TTL", "60000"]), "nil");
    let mut lines = Vec::new();
    wait_until("a line holds the lock", || {
        let log = host.log();
        let parsed = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines = parsed.filter(|line| line["message"] == "summary").collect();
        lines.last().is_some_and(|line| line["locks"] == 1)
    });
    let last = lines.last().unwrap();
    assert_eq!((last["level"].as_str(), last["breakers"].as_str()), (Some("INFO"), Some("0 closed")), "{last}");
    for rate in ["hit_rate_1m", "hit_rate_5m", "hit_rate_1h"] {
        assert_eq!(last[rate].as_f64(), Some(0.5), "{last}");
    }
    assert!(last["p95_ms"].as_f64() > Some(0.0) && last["p99_ms"].as_f64() >= last["p95_ms"].as_f64(), "{last}");
    assert!(last["l1_bytes"].as_u64() > Some(0), "{last}");
    let sum = |field: &str| lines.iter().filter_map(|line| line[field].as_u64()).sum::<u64>();
    assert_eq!((sum("requests"), sum("errors")), (3, 0), "{lines:?}");
}

#[test]
fn a_log_without_a_summary_has_none() {
    for off in ["0", "off"] {
        let host = HostBuilder::new().set("log.summary", off).start();
        assert!(host.stop());
    }
}

#[test]
fn l1_keeps_to_the_room_that_is_measured() {
    const BOUND: f64 = 1_048_576.0;
    let host = HostBuilder::new().sample("profile").arg("--set").arg("l1.size=1MiB").start();
    // Before anything is cached the room is less than the bound: something will be held beside what is counted.
    wait_until("what the process holds was measured", || host.metric("larder_l1_room_bytes") == (BOUND * 0.8).floor());
    let value = "x".repeat(1_000);
    for n in 0..3_000 {
        host.ask(&["SET", &format!("profile:user:{n}"), &value]).unwrap();
    }
    // What came in is three times the bound, so that L1 is full whatever the room has become.
    wait_until("L1 is full and within its room", || {
        let (held, room) = (host.metric("larder_l1_bytes"), host.metric("larder_l1_room_bytes"));
        held > BOUND * 0.4 && held <= room && room <= BOUND
    });
}
