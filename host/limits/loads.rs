//! Bounds of loads from origins, and of what they leave behind.

use super::VALUE_BYTES_MAX;

/// How long a load from an origin may take, in milliseconds, by default (`load_ms` in `NAME.toml`).
pub const LOAD_MS_DEFAULT: u64 = 2_000;
/// From when on a caller that can be given a stale value is not kept waiting for a load, in milliseconds, by default (`load_soft_ms`).
pub const LOAD_SOFT_MS_DEFAULT: u64 = 200;
/// The longest that a `NAME.toml` may allow.
pub const LOAD_MS_MAX: u64 = 60_000;
/// Loads from one origin that are under way at the same time on one node, by default (`loads_max`).
pub const LOADS_PER_ORIGIN_DEFAULT: usize = 64;
/// The most that a `NAME.toml` may allow.
pub const LOADS_PER_ORIGIN_MAX: usize = 10_000;
/// The longest body of an origin's answer, in bytes, by default (`load_size`).
pub const LOAD_BYTES_DEFAULT: usize = 8 * 1024 * 1024;
/// How long one attempt to connect to an origin may take, name and TLS included, in milliseconds.
pub const ORIGIN_CONNECT_MS_MAX: u64 = 5_000;
/// How long a connection to an origin is kept without use, in milliseconds; below the 60 s after which common servers close it.
pub const ORIGIN_IDLE_MS_MAX: u64 = 50_000;
/// Headers of an origin's answer.
pub const ORIGIN_HEADERS_MAX: usize = 100;
/// Head of an origin's answer, in bytes; also what is read ahead of one connection.
pub const ORIGIN_HEADER_BYTES_MAX: usize = 64 * 1024;
/// Share of the requests to an origin that may be sent a second time, in percent.
pub const ORIGIN_RETRY_PERCENT: u64 = 20;
/// Retries that may be saved up for a bad moment.
pub const ORIGIN_RETRIES_SAVED_MAX: u64 = 10;
/// From which part of its deadline on a load is slow, in percent.
pub const ORIGIN_SLOW_PERCENT: u64 = 80;
/// Path and query of a policy's request to its origin, in bytes.
pub const ORIGIN_PATH_BYTES_MAX: usize = 8 * 1024;
/// Headers of a policy's request to its origin.
pub const ORIGIN_REQUEST_HEADERS_MAX: usize = 32;
/// One such header, name and value, in bytes.
pub const ORIGIN_REQUEST_HEADER_BYTES_MAX: usize = 8 * 1024;
/// The shortest pause after a failed load in which its key is not loaded again, in milliseconds.
pub const LOAD_THROTTLE_MS_MIN: u64 = 1_000;
/// The longest one: it doubles with each failure in a row.
pub const LOAD_THROTTLE_MS_MAX: u64 = 30_000;
/// Keys whose latest load a node remembers: how it went, and until when it pauses.
pub const LOADS_REMEMBERED_MAX: usize = 16_384;
/// Keys that one request to an origin is about.
pub const LOAD_BATCH_KEYS_MAX: usize = 100;
/// Loads that one batch has under way at once.
pub const BATCH_LOADS_MAX: usize = 16;
/// How long a reader waits for a load beyond the origin's own deadline, in milliseconds: for the store, before and after it.
pub const LOAD_MARGIN_MS: u64 = 2_000;
/// How long a node leaves an entry alone that another node refreshes, in milliseconds.
pub const REFRESH_PAUSE_MS: u64 = 100;
/// Background refreshes of one host that are under way at once; one more is left to a later reader.
pub const REFRESHES_INFLIGHT_MAX: usize = 1_024;
/// Loads of one host that are under way at once, in the background or with readers that wait.
pub const LOADS_INFLIGHT_MAX: usize = 4_096;

const _: () = assert!(LOAD_SOFT_MS_DEFAULT <= LOAD_MS_DEFAULT && LOAD_MS_DEFAULT <= LOAD_MS_MAX);
const _: () = assert!(LOAD_BYTES_DEFAULT <= VALUE_BYTES_MAX && LOADS_PER_ORIGIN_DEFAULT <= LOADS_PER_ORIGIN_MAX);
