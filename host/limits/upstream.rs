//! Bounds of the ways to Redis: clusters, and connections that clients have for themselves.

/// How long one attempt to reach the store may take, greeting included.
pub const STORE_CONNECT_MS_MAX: u64 = 1_000;
/// Shortest pause between two attempts to reach a store that is down.
pub const STORE_BACKOFF_MS_MIN: u64 = 20;
/// Longest pause between two attempts; what a recovered store waits at most until it is used again.
pub const STORE_BACKOFF_MS_MAX: u64 = 1_000;
/// How long the status tells that the store refused something, in milliseconds.
pub const STORE_REFUSAL_TOLD_MS: u64 = 60_000;
/// The words of a breaker for the latest failure, in bytes.
pub const BREAKER_CAUSE_BYTES_MAX: usize = 300;
/// How long a connection may answer nothing while commands time out on it before it is replaced.
pub const STORE_SILENCE_MS_MAX: u64 = 1_000;
/// Calls whose commands may wait to be written to one store connection; more wait with their callers.
pub const STORE_WRITE_QUEUE_MAX: usize = 4_096;
/// Room for what the store says next, in bytes.
pub const STORE_READ_BYTES: usize = 16 * 1024;
/// Room that a connection to the store keeps when nothing is under way, in bytes, each way.
pub const STORE_BUFFER_KEPT_BYTES_MAX: usize = 256 * 1024;
/// Longest status or error of the store, in bytes.
pub const STORE_ANSWER_LINE_BYTES_MAX: usize = 1024 * 1024;
/// Elements of one collection for which there is room before they come; for more there is when they come.
pub const STORE_ANSWER_ROOM_ELEMENTS_MAX: usize = 1_024;
/// Collections within each other in an answer that is passed on.
pub const STORE_ANSWER_DEPTH_MAX: usize = 256;
/// Collections within each other in an answer that is read at all; Lua in Redis makes 8,000 at most.
pub const STORE_ANSWER_NESTING_MAX: usize = 16_384;
/// Connections to the store that clients have for themselves at the same time, by default: for blocking commands and subscriptions.
pub const STORE_OWN_MAX: usize = 1_000;
/// Such connections that are kept for the next client when nobody has them.
pub const STORE_OWN_IDLE_MAX: usize = 32;
/// Clients of one host that may watch keys at the same time (`WATCH`): each has a connection to the store of its own.
pub const STORE_WATCHES_MAX: usize = 256;
/// Of these connections, those that are kept for the next client, of one server.
pub const STORE_WATCHES_IDLE_MAX: usize = 32;
/// Databases of the store besides 0 that clients of one host use at the same time. Each has one connection for each thread and
/// protocol, and those of [`STORE_OWN_MAX`] and [`STORE_WATCHES_MAX`] that its clients take.
pub const STORE_DATABASES_MAX: usize = 64;
/// Consecutive forwarded commands of one client that first go to the store in one go. Small, as nobody knows yet how slow they are,
/// and they have one deadline.
pub const FORWARD_TOGETHER_MIN: usize = 16;
/// The most that go in one go, after those before them were quick.
pub const FORWARD_TOGETHER_MAX: usize = 1_024;
/// How often a command of a cluster is sent on from one node to another.
pub const CLUSTER_REDIRECTS_MAX: u32 = 5;
/// The first pause before a cluster that has to agree first is asked again, in milliseconds; it doubles.
pub const CLUSTER_RETRY_MS_MIN: u64 = 5;
/// The shortest time between two readings of a cluster's slots, in milliseconds.
pub const CLUSTER_LOOK_MS_MIN: u64 = 100;
/// Bits of a scan's cursor that say at which primary of a cluster it is; Redis allows 1,000 nodes.
pub const CLUSTER_PRIMARIES_BITS: u32 = 10;
/// Messages that wait for a subscriber that does not read, in bytes; more, and it is disconnected. Redis' own bound.
pub const RESP_HEARD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest line that who monitors is told, about; what is longer is cut.
pub const MONITOR_LINE_BYTES_MAX: usize = 2 * 1024;
/// Lines that wait for one who monitors: more than one reading of a connection's commands makes.
pub const MONITOR_LINES_MAX: usize = 8_192;
