//! Bounds of fill leases, and of who waits for one.

/// Life of a fill lease without being renewed, in milliseconds: how long a key waits whose leader's host died.
pub const LEASE_MS: u64 = 3_000;
/// A lease is renewed when this part of its life is gone: a third leaves room for two tries more.
pub const LEASE_RENEWALS_PER_LIFE: u64 = 3;
/// The longest that a load may hold a lease, however often it is renewed, in milliseconds.
pub const LOAD_LEASE_MS_MAX: u64 = 60_000;
/// The longest that a client may hold a lease, in milliseconds.
pub const CLIENT_LEASE_MS_MAX: u64 = 10_000;
/// Leases that one connection may hold at the same time; a miss beyond them gives its lease back.
pub const LEASES_PER_CONNECTION_MAX: usize = 128;
/// Leases that clients of one host may hold by their tokens at the same time.
pub const LEASES_CLAIMED_MAX: usize = 10_000;
/// Readers of one host that may wait for the load of one key; more are told that the host is overloaded, as a miss for each of
/// them would be the stampede that waiting prevents.
pub const FLIGHT_WAITERS_PER_KEY_MAX: usize = 10_000;
/// Readers of one host that may wait for loads at the same time, over all keys.
pub const FLIGHT_WAITERS_MAX: usize = 50_000;
/// The first pause of a node that waits for another one's fill, in milliseconds; the next ones grow.
pub const LEASE_POLL_MS_MIN: u64 = 5;
/// The longest pause of a node that waits for another one's fill, in milliseconds.
pub const LEASE_POLL_MS_MAX: u64 = 100;
/// Times that one read looks again because the entry changed under it, before it takes what it has.
pub const TURNS_MAX: u32 = 64;
/// Tries to give a lease back that nobody waits for; then its life ends it.
pub const LEASE_RETURN_TRIES_MAX: u32 = 3;
/// The longest text of a lease that a client may send back, in bytes.
pub const LEASE_TEXT_BYTES_MAX: usize = 4 * 1024;

const _: () = assert!(LEASE_MS < CLIENT_LEASE_MS_MAX && CLIENT_LEASE_MS_MAX <= LOAD_LEASE_MS_MAX);
const _: () = assert!(LEASE_POLL_MS_MIN < LEASE_POLL_MS_MAX && LEASE_POLL_MS_MAX < LEASE_MS);
