//! Bounds of distributed locks.

/// Longest name of a lock, in bytes; a policy's has its domain before it.
pub const LOCK_NAME_BYTES_MAX: usize = 200;
/// Longest token that is looked at, in bytes. The host's own have 32.
pub const LOCK_TOKEN_BYTES_MAX: usize = 64;
/// Longest label of a lock's owner, in bytes.
pub const LOCK_OWNER_BYTES_MAX: usize = 128;
/// Longest life of a lock without being extended, in milliseconds: a day.
pub const LOCK_TTL_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Longest time that a caller may wait for a lock, in milliseconds.
pub const LOCK_WAIT_MS_MAX: u64 = 60_000;
/// The longest pause between two tries of a waiting caller, as a multiple of the first (`CACHE_LOCK_RETRY_DELAY`).
pub const LOCK_RETRY_GROWTH_MAX: u64 = 8;
/// How long a lock's fence is kept after the lock was last taken or extended, in milliseconds: 30 days. A fence that is gone
/// begins again at the wall time, which is above every earlier one.
pub const LOCK_FENCE_KEEP_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Locks that one host may hold at the same time.
pub const LOCKS_HELD_MAX: usize = 100_000;
/// Callers of one host that may wait for locks at the same time.
pub const LOCK_WAITERS_MAX: usize = 10_000;
/// Locks that one listing tells, or one bulk release looks at.
pub const LOCKS_LISTED_MAX: usize = 1_000;
/// Keys that one step of a listing looks at.
pub const LOCK_SCAN_KEYS: usize = 1_000;
/// How long the steps of one listing may take together, in milliseconds; what was found until then is told.
pub const LOCK_SCAN_MS_MAX: u64 = 2_000;
/// Releases of one bulk release that are under way at the same time.
pub const LOCK_RELEASES_INFLIGHT_MAX: usize = 16;
/// Tries of a release that nobody waits for; then the lock's life ends it.
pub const LOCK_RELEASE_TRIES_MAX: u32 = 5;
/// A guard renews its lock when this part of its life is gone: a third leaves room for two tries more.
pub const LOCK_RENEWALS_PER_TTL: u64 = 3;
