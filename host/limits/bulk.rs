//! Bounds on many keys at once, on compression, and on what is known of hot keys.

/// Values up to this size are compressed and decompressed on the thread that serves them, in bytes: what takes a fraction of a
/// millisecond. Larger ones beside it.
pub const COMPRESS_INLINE_BYTES_MAX: usize = 64 * 1024;
/// Large values that are compressed or decompressed at the same time; the others wait.
pub const COMPRESSIONS_MAX: usize = 8;
/// Zstandard's level: higher ones save a few percent more for several times the time.
pub const ZSTD_LEVEL: i32 = 1;

/// Keys of one HTTP batch where the settings do not say otherwise (`CACHE_BATCH_SIZE`).
pub const BATCH_SIZE_DEFAULT: usize = 100;
/// Keys that the settings may allow in one HTTP batch.
pub const BATCH_SIZE_MAX: usize = 10_000;
/// The JSON of an HTTP batch, in bytes.
pub const BATCH_BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Values in the answer of an HTTP batch, in bytes; what is over is told without its value.
pub const BATCH_ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Keys of one step of a warming.
pub const WARM_STEP_KEYS_MAX: usize = 1_000;
/// Keys of the store that one step of an invalidation looks at, about.
pub const INVALIDATE_STEP_KEYS_MAX: usize = 100_000;
/// How often the log says how far invalidations by scan have come, in milliseconds.
pub const INVALIDATE_TOLD_MS: u64 = 10_000;
/// Keys that a warming reads at once.
pub const WARM_CHUNK_KEYS: usize = 50;
/// Life of the lock under which a domain is warmed at the start, in milliseconds; it is renewed while that runs.
pub const WARM_LOCK_MS: u64 = 30_000;
/// Longest key version, in bytes.
pub const KEY_VERSION_BYTES_MAX: usize = 64;

/// How often a key is looked at that somebody else carries over from an older key version.
pub const MIGRATION_TURNS_MAX: usize = 6;
/// The first pause in between, in milliseconds; it doubles.
pub const MIGRATION_PAUSE_MS_MIN: u64 = 1;
/// How long whoever carries a key over may hold its lease, in milliseconds.
pub const MIGRATION_MS_MAX: u64 = 2_000;

/// The smallest part of L1 that evicts by itself, in bytes.
pub const L1_SHARD_BYTES_MIN: u64 = 1024 * 1024;
/// Shares of L1.
pub const L1_SHARES_MAX: usize = 32;
/// Keys that are watched for being read most.
pub const HOT_KEYS_MAX: usize = 256;
/// One read in so many is looked at to find them.
pub const HOT_KEYS_SAMPLE: u32 = 64;
/// After this time a read counts half, in milliseconds.
pub const HOT_KEYS_HALF_LIFE_MS: u64 = 30_000;
