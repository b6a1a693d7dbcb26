//! What the host's parts are told at the start, from the settings. Pure; the wiring itself is in `serve.rs`.

use larder::config::Config;
use larder::engine::Settings;
use larder::engine::compress::CompressSettings;
use larder::engine::forward::ForwardRules;
use larder::engine::key::KeyRules;
use larder::engine::l1::{Eviction, L1Settings};
use larder::engine::locks::LockSettings;
use larder::ports::breaker::BreakerSettings;
use larder::ports::compression::CompressionMethod;
use larder::ports::table::OnStoreFailure;

pub(super) fn key_rules(config: &Config) -> KeyRules {
    KeyRules { prefix: config.key_prefix.clone(), separator: config.key_separator, key_bytes_max: config.key_bytes_max }
}

pub(super) fn lock_settings(config: &Config) -> LockSettings {
    // The name by which the machine knows itself; where there is none, the process alone has to do.
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    LockSettings {
        ttl_ms: config.lock_ttl_ms,
        retry_ms: config.lock_retry_ms,
        retries_max: config.lock_retries_max as u64,
        node: format!("larder {} {}", machine.trim(), std::process::id()),
    }
}

pub(super) fn breaker_settings(config: &Config) -> BreakerSettings {
    BreakerSettings {
        failure_threshold: config.breaker_failure_threshold,
        recovery_ms: config.breaker_recovery_ms,
        monitoring_ms: config.breaker_monitoring_ms,
        half_open_calls_max: config.breaker_half_open_calls_max,
        slow_ms: None,
    }
}

pub(super) fn engine_settings(config: &Config) -> Settings {
    Settings {
        keys: key_rules(config),
        l1: L1Settings {
            bytes_max: config.l1_bytes_max,
            eviction: Eviction::ALL.into_iter().find(|it| it.as_str() == config.l1_eviction).unwrap_or_default(),
            shares: config.l1_shares.clone(),
            separator: config.key_separator,
        },
        trust_ms: config.l1_trust_ms,
        value_bytes_max: config.value_bytes_max,
        old_versions: config.key_old_versions.clone(),
        warm_keys_per_s: config.warm_keys_per_s,
        batch_keys_max: config.batch_keys_max,
        compress: CompressSettings {
            automatic: CompressionMethod::ALL.into_iter().find(|known| known.as_str() == config.compress_method),
            threshold_bytes: config.compress_threshold_bytes,
            saving_percent: config.compress_saving_percent,
        },
        forward: ForwardRules { allow: config.forward_allow.clone(), deny: config.forward_deny.clone() },
        flush_on: config.flush_on,
        budget_ms: config.store_timeout_ms,
        on_store_failure: OnStoreFailure::from_word(&config.on_store_failure).unwrap_or_default(),
    }
}
