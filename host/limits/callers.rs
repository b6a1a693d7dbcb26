//! Bounds on callers: who they are, how fast they ask, how they come and go.

/// Files that are open beside those of connections, about: policies, the store, the log.
pub const FILES_BESIDE_CONNECTIONS: u64 = 256;
/// How long a client may take to agree on TLS, in milliseconds.
pub const TLS_HANDSHAKE_MS_MAX: u64 = 10_000;
/// How long a RESP connection may say nothing before it has said who it is, in milliseconds.
pub const RESP_STRANGER_IDLE_MS_MAX: u64 = 10_000;
/// How often connections are looked at that say nothing, in milliseconds.
pub const IDLE_LOOK_MS: u64 = 500;
/// The highest rate that can be set, per second.
pub const RATE_MAX: u32 = 100_000_000;
/// How much of a rate's second may come at once after a pause, as a part of a second: a tenth.
pub const RATE_BURST_DIVISOR: u64 = 10;

/// Users.
pub const USERS_MAX: usize = 1_000;
/// Longest name of a user, in bytes.
pub const USER_NAME_BYTES_MAX: usize = 64;
/// Secrets of one user: one, and those that replace it.
pub const USER_SECRETS_MAX: usize = 4;
/// Shortest secret of a user, in bytes.
pub const SECRET_BYTES_MIN: usize = 16;
/// Longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 1024;
/// Wrong secrets of one address within [`LOGIN_WINDOW_MS`] after which it is refused for a while.
pub const LOGIN_FAILURES_MAX: u32 = 10;
/// How long a wrong secret counts, in milliseconds.
pub const LOGIN_WINDOW_MS: u64 = 60_000;
/// The shortest time for which an address is refused, in milliseconds; it doubles with each more failure.
pub const LOGIN_PAUSE_MS_MIN: u64 = 1_000;
/// The longest.
pub const LOGIN_PAUSE_MS_MAX: u64 = 60_000;
/// Addresses whose failures are remembered; the oldest is forgotten for a new one.
pub const LOGIN_ADDRESSES_MAX: usize = 10_000;
/// Directives of the log that can be set at run time, in bytes.
pub const LOG_DIRECTIVES_BYTES_MAX: usize = 4 * 1024;

/// The longest time that an end may take, in milliseconds: an hour.
pub const DRAIN_MS_MAX: u64 = 60 * 60 * 1000;

const _: () = assert!(SECRET_BYTES_MIN < SECRET_BYTES_MAX && LOGIN_PAUSE_MS_MIN < LOGIN_PAUSE_MS_MAX);
const _: () = assert!(LOGIN_PAUSE_MS_MAX <= LOGIN_WINDOW_MS);
