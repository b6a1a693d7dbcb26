//! The page as a scraper reads it: parsed back, and held against what was counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expect_test::{Expect, expect};

use super::sources::RESERVED;
use super::{Exporter, Series, Source, Value};
use crate::ports::clock::VirtualClock;
use crate::ports::invalidation::{Mode, SelectorKind};
use crate::ports::metrics::{Hook, Metrics, State};
use crate::ports::policy::{Fault, Operation};

/// A page, by the rules of the text format: each line is empty, a comment or `name{labels} number`; a family's `HELP` and `TYPE`
/// stand before its samples, and its samples stand together.
fn parse(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    let mut family = String::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let (keyword, rest) = comment.split_once(' ').unwrap();
            assert!(["HELP", "TYPE"].contains(&keyword), "{line}");
            rest.split(' ').next().unwrap().clone_into(&mut family);
            assert!(keyword == "TYPE" || families.insert(family.clone()), "two families: {line}");
            continue;
        }
        assert!(line.starts_with(&family), "{line} stands in {family}");
        let (series, value) = line.rsplit_once(' ').unwrap();
        let number = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
        assert_eq!(samples.insert(series.to_owned(), number), None, "twice: {line}");
    }
    samples
}

/// The page after some of everything was counted.
fn filled() -> String {
    let metrics = Arc::new(Metrics::default());
    let exporter = exporter(&metrics, Vec::new());
    let profile = metrics.domain("profile");
    profile.answered_many(Operation::Read, State::L1Hit, 3);
    profile.answered(Operation::Read, State::Miss);
    profile.latency[Operation::Read as usize].observe_ns(600);
    profile.latency[Operation::Read as usize].observe_ns(20_000_000_000);
    profile.policy_calls[Hook::PlanBatch as usize].increment();
    profile.policy_remembered.increment();
    profile.policy_time[Hook::PlanBatch as usize].observe_ns(400);
    profile.policy_faults[Fault::BadAnswer as usize].add(2);
    profile.generation.set(7);
    profile.swaps.add(7);
    profile.invalidations[SelectorKind::Tag as usize][Mode::Soft as usize].add(4);
    profile.invalidations_failed[SelectorKind::Domain as usize].increment();
    profile.found_invalidated[Mode::Hard as usize].add(9);
    metrics.domain("quiet");
    metrics.resp_connections.set(5);
    metrics.http_requests.add(11);
    metrics.l1_bytes.set(1 << 40);
    metrics.store_latency.observe_ns(1_000_000);
    exporter.page()
}

fn exporter(metrics: &Arc<Metrics>, sources: Vec<Arc<dyn Source>>) -> Exporter {
    Exporter::new(metrics, Arc::new(VirtualClock::new(0, 1)), sources).unwrap()
}

/// The lines of families whose names begin so, without buckets.
#[track_caller]
fn check(page: &str, prefix: &str, expected: &Expect) {
    let wanted = |line: &&str| line.starts_with(prefix) && !line.contains("_bucket");
    let lines: Vec<&str> = page.lines().filter(wanted).collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn what_was_counted_is_on_the_page() {
    let page = filled();
    let samples = parse(&page);
    for (series, value) in [
        (r#"larder_requests_total{domain="profile",operation="read",state="l1-hit"}"#, 3.0),
        (r#"larder_policy_calls_total{domain="profile",hook="plan-batch"}"#, 1.0),
        (r#"larder_policy_faults_total{domain="profile",fault="bad-answer"}"#, 2.0),
        (r#"larder_policy_generation{domain="profile"}"#, 7.0),
        (r#"larder_policy_generation{domain="quiet"}"#, 0.0),
        ("larder_l1_bytes", (1_u64 << 40) as f64),
        ("larder_http_requests_total", 11.0),
        ("larder_resp_connections", 5.0),
        (r#"larder_store_command_duration_seconds_bucket{le="0.001"}"#, 1.0),
        (r#"larder_store_command_duration_seconds_bucket{le="0.0005"}"#, 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}\n{page}");
    }
    if cfg!(target_os = "linux") {
        assert!(samples["process_resident_memory_bytes"] > 0.0);
        assert!(samples["process_open_fds"] >= 1.0);
        assert!(samples["process_start_time_seconds"] > 1.6e9);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of all names")]
fn the_names_are_a_promise() {
    let page = filled();
    let types =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).filter(|line| !line.starts_with("process_"));
    expect![[r#"
        cache_active_locks gauge
        cache_error_rate gauge
        cache_hit_rate gauge
        cache_operation_latency_seconds summary
        cache_operations_per_second gauge
        larder_build_info gauge
        larder_coherence_changes_total counter
        larder_coherence_dropped_total counter
        larder_coherence_flushes_total counter
        larder_coherence_refused_total counter
        larder_coherence_state gauge
        larder_coherence_suspect_seconds_total counter
        larder_config_reloads_total counter
        larder_config_settings_waiting gauge
        larder_denials_total counter
        larder_fill_waiting gauge
        larder_foreign_bytes_total counter
        larder_found_invalidated_total counter
        larder_http_connections gauge
        larder_http_connections_refused_total counter
        larder_http_requests_total counter
        larder_invalidation_prefixes_overflowed_total counter
        larder_invalidation_removed_keys_total counter
        larder_invalidation_scanned_keys_total counter
        larder_invalidations_failed_total counter
        larder_invalidations_total counter
        larder_l1_bytes gauge
        larder_l1_entries gauge
        larder_l1_room_bytes gauge
        larder_leases_taken_total counter
        larder_logins_total counter
        larder_policy_call_duration_seconds histogram
        larder_policy_calls_total counter
        larder_policy_failing gauge
        larder_policy_faults_total counter
        larder_policy_generation gauge
        larder_policy_instances_created_total counter
        larder_policy_quarantines_total counter
        larder_policy_rejections_total counter
        larder_policy_remembered_total counter
        larder_policy_swaps_total counter
        larder_rate_limited_total counter
        larder_recovery_oldest_seconds gauge
        larder_recovery_overflowed_total counter
        larder_recovery_queued_total counter
        larder_recovery_replayed_total counter
        larder_recovery_superseded_total counter
        larder_recovery_waiting gauge
        larder_rejudged_total counter
        larder_request_duration_seconds histogram
        larder_requests_total counter
        larder_resp_connections gauge
        larder_resp_connections_refused_total counter
        larder_resp_connections_total counter
        larder_resp_idle_ended_total counter
        larder_resp_protocol_errors_total counter
        larder_spans_waiting gauge
        larder_store_command_duration_seconds histogram
        larder_store_errors_total counter
        larder_tls_failures_total counter
        larder_tracking_bytes gauge
        larder_tracking_clients gauge
        larder_tracking_evicted_total counter
        larder_tracking_flushes_total counter
        larder_tracking_keys gauge
        larder_tracking_overflowed_total counter
        larder_tracking_told_total counter
        larder_unknown_domain_total counter"#]]
    .assert_eq(&types.collect::<Vec<_>>().join("\n"));
    for name in RESERVED {
        assert!(page.contains(&format!("# TYPE {name} ")), "{name}");
    }
}

#[test]
fn buckets_are_cumulative_and_end_with_all() {
    let page = filled();
    let samples = parse(&page);
    let bucket = |le: &str| {
        samples[&format!(r#"larder_request_duration_seconds_bucket{{domain="profile",operation="read",le="{le}"}}"#)]
    };
    assert_eq!((bucket("0.0000005"), bucket("0.000001"), bucket("10"), bucket("+Inf")), (0.0, 1.0, 1.0, 2.0));
    check(
        &page,
        "larder_request_duration_seconds",
        &expect![[r#"
            larder_request_duration_seconds_sum{domain="profile",operation="read"} 20.0000006
            larder_request_duration_seconds_count{domain="profile",operation="read"} 2"#]],
    );
}

#[test]
fn the_recent_past_is_on_the_page() {
    let metrics = Arc::new(Metrics::default());
    let exporter = exporter(&metrics, Vec::new());
    check(
        &exporter.page(),
        "cache_",
        &expect![[r#"
            cache_active_locks 0
            cache_operation_latency_seconds_sum 0
            cache_operation_latency_seconds_count 0
            cache_operations_per_second{window="1h"} 0
            cache_operations_per_second{window="1m"} 0
            cache_operations_per_second{window="5m"} 0"#]],
    );
    let profile = metrics.domain("profile");
    profile.answered_many(Operation::Read, State::StoreHit, 3);
    profile.answered(Operation::Read, State::Miss);
    for _ in 0..4 {
        profile.latency[Operation::Read as usize].observe_ns(1_000_000);
    }
    let expected = expect![[r#"
        cache_active_locks 0
        cache_error_rate{window="1h"} 0
        cache_error_rate{window="1m"} 0
        cache_error_rate{window="5m"} 0
        cache_hit_rate{window="1h"} 0.75
        cache_hit_rate{window="1m"} 0.75
        cache_hit_rate{window="5m"} 0.75
        cache_operation_latency_seconds{quantile="0.5"} 0.00075
        cache_operation_latency_seconds{quantile="0.95"} 0.000975
        cache_operation_latency_seconds{quantile="0.99"} 0.000995
        cache_operation_latency_seconds_sum 0.004
        cache_operation_latency_seconds_count 4
        cache_operations_per_second{window="1h"} 0
        cache_operations_per_second{window="1m"} 0
        cache_operations_per_second{window="5m"} 0"#]];
    check(&exporter.page(), "cache_", &expected);
}

#[test]
fn sources_add_their_series_and_cannot_break_the_page() {
    let series = |name: &str, label: &str, value| Series {
        name: name.to_owned(),
        labels: vec![(label.to_owned(), "a\"\n\\".to_owned())],
        value,
    };
    let first = move || {
        vec![
            series("larder_policy_orders", "domain", Value::Counter(2)),
            series("larder_policy_depth", "domain", Value::Gauge(-1.5)),
            series("larder_policy_size", "domain", Value::Histogram { buckets: vec![(1.0, 1)], sum: 9.0, count: 2 }),
            series("larder_policy_calls_total", "domain", Value::Counter(99)),
            series("larder_http_requests_total", "domain", Value::Counter(99)),
            series("larder_policy_a b", "domain", Value::Counter(99)),
            series("larder_policy_x", "bad label", Value::Counter(99)),
            series("larder_policy_orders", "kind", Value::Gauge(99.0)),
        ]
    };
    let second =
        || vec![Series { name: "larder_policy_orders".to_owned(), labels: Vec::new(), value: Value::Counter(3) }];
    let page = exporter(&Arc::default(), vec![Arc::new(first), Arc::new(second)]).page();
    assert!(parse(&page).values().all(|&value| value != 99.0), "{page}");
    check(
        &page,
        "larder_policy_",
        &expect![[r#"
        larder_policy_depth{domain="a\"\n\\"} -1.5
        larder_policy_orders 3
        larder_policy_orders{domain="a\"\n\\"} 2
        larder_policy_size_sum{domain="a\"\n\\"} 9
        larder_policy_size_count{domain="a\"\n\\"} 2"#]],
    );
}
