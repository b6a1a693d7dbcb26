//! Every bound of the host, with its unit in its name. What an operator may change is a setting with one of these as its
//! default or its cap.

mod bulk;
mod callers;
mod decisions;
mod leases;
mod loads;
mod locks;
mod tracing;
mod upstream;

pub use self::bulk::*;
pub use self::callers::*;
pub use self::decisions::*;
pub use self::leases::*;
pub use self::loads::*;
pub use self::locks::*;
pub use self::tracing::*;
pub use self::upstream::*;

/// Longest key that an application may send, in bytes, where the settings do not say otherwise (`CACHE_MAX_KEY_LENGTH`).
pub const KEY_BYTES_DEFAULT: usize = 250;
/// Longest key that the settings may allow.
pub const KEY_BYTES_MAX: usize = 16 * 1024;
/// Longest storage-key suffix that a policy may answer, in bytes.
pub const SUFFIX_BYTES_MAX: usize = 1024;
/// Longest domain name, in bytes.
pub const DOMAIN_BYTES_MAX: usize = 64;
/// Largest value, in bytes; below Redis' 512 MiB because a value is copied once on each side.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest lifetime that a policy or an application may ask for: a thousand years, in milliseconds. Clients write "for ever" as a
/// far date.
pub const TTL_MS_MAX: u64 = 1_000 * 365 * 24 * 60 * 60 * 1000;

/// Tags of one entry.
pub const TAGS_MAX: usize = 32;
/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 128;

/// Generations that a tag or domain remembers as softly ended since its last hard invalidation. What is older is judged as hard as
/// that one was.
pub const GENERATIONS_KEPT_MAX: usize = 16;
/// Prefixes of one domain that were invalidated and are told apart; one more invalidates the whole domain. Each is compared with the
/// key of every entry that is read from the store.
pub const PREFIXES_MAX: usize = 128;
/// Longest prefix that can be invalidated, in bytes.
pub const PREFIX_BYTES_MAX: usize = 256;
/// Longest pattern that can be invalidated, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Tags of one domain whose generations a node remembers; what it forgets it asks the store for again.
pub const TAGS_KNOWN_MAX: usize = 65_536;
/// How long a tag that nobody uses keeps its generation in the store at least, in milliseconds: 30 days. A tag in use keeps it
/// longer than its entries live.
pub const TAG_LIFE_MS_MIN: u64 = 30 * 24 * 60 * 60 * 1000;
/// A generation that is known for longer than the bound *B* divided by this is asked for again along with the next read, so that
/// entries may be trusted for nearly all of *B*.
pub const GENERATION_AGE_DIVISOR: u64 = 8;
/// How often one operation asks for generations that invalidations keep overtaking, before it takes them for invalidated.
pub const GENERATION_QUESTIONS_MAX: u32 = 3;
/// Keys of one step of a scan, about.
pub const SCAN_STEP_KEYS: usize = 500;
/// Names that `KEYS` answers; who has more goes through them with `SCAN`.
pub const KEYS_SHOWN_MAX: usize = 1_000_000;
/// Keys in the store up to which `DBSIZE` looks at each of them, to leave out those that are not for applications.
pub const DBSIZE_LOOKED_AT_MAX: usize = 100_000;
/// How often `RANDOMKEY` draws again when it has drawn a key that is not for applications.
pub const RANDOM_KEY_TRIES_MAX: usize = 32;
/// Selectors of one HTTP request.
pub const SELECTORS_MAX: usize = 1_000;
/// The JSON of one such request, in bytes: what it becomes in memory is several times as large.
pub const SELECTORS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Arguments of one RESP command.
pub const RESP_ARGS_MAX: usize = 1024 * 1024;
/// One RESP command with all its arguments, in bytes.
pub const RESP_COMMAND_BYTES_MAX: usize = VALUE_BYTES_MAX + 1024 * 1024;
/// One inline command, in bytes; Redis' own bound.
pub const RESP_INLINE_BYTES_MAX: usize = 64 * 1024;
/// Replies that wait for a client that does not read, in bytes; above it no more commands are read, and after
/// [`RESP_WRITE_STALL_MS_MAX`] the connection ends.
pub const RESP_OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a client may read nothing while replies wait.
pub const RESP_WRITE_STALL_MS_MAX: u64 = 30_000;
/// Commands of one connection that are carried out at the same time.
pub const RESP_INFLIGHT_MAX: usize = 128;
/// Bytes that one read takes from a RESP connection at most.
pub const RESP_READ_BYTES: usize = 64 * 1024;
/// After how long a silent RESP connection is asked by TCP whether the other end is still there, in milliseconds; Redis' own
/// default.
pub const RESP_KEEPALIVE_MS: u64 = 300_000;
/// Longest name that a RESP client may give itself or its library, in bytes.
pub const RESP_CLIENT_NAME_BYTES_MAX: usize = 1024;
/// What a client that keeps copies of its own is yet to be told, in keys; above it the client is told to give up all its copies instead.
pub const TRACKING_TOLD_MAX: usize = 8_192;
/// Keys that are remembered for clients that keep copies of their own; Redis' own default (`tracking-table-max-keys`). Above it some key is
/// forgotten, and its readers are told so.
pub const TRACKING_KEYS_MAX: usize = 1_000_000;
/// Readers of those keys, each key counted once for each.
pub const TRACKING_ITEMS_MAX: usize = 4 * TRACKING_KEYS_MAX;
/// Beginnings of keys of which one client may want to hear.
pub const TRACKING_PREFIXES_MAX: usize = 128;
/// How often it is looked at whether time or new rules have ended what clients keep, in milliseconds.
pub const TRACKING_LOOK_MS: u64 = 20;
/// Longest pause of all clients (`CLIENT PAUSE`), in milliseconds. As many wait as there are connections, each with one command.
pub const RESP_PAUSE_MS_MAX: u64 = 3_600_000;
/// How long what a client still sends is read and dropped after the last answer, in milliseconds.
pub const RESP_LINGER_MS_MAX: u64 = 1_000;
/// Idle buffers that a worker thread keeps for its RESP connections, for reading and for writing each.
pub const RESP_BUFFERS_KEPT_MAX: usize = 64;
/// How long nothing is accepted after an attempt to accept failed, in milliseconds.
pub const ACCEPT_PAUSE_MS: u64 = 100;
/// Open RESP connections by default.
pub const RESP_CONNECTIONS_DEFAULT: usize = 10_000;

/// Body of one HTTP request, in bytes.
pub const HTTP_BODY_BYTES_MAX: usize = VALUE_BYTES_MAX;
/// Header section of one HTTP request, in bytes.
pub const HTTP_HEADER_BYTES_MAX: usize = 32 * 1024;
/// What one HTTP connection reads ahead at most, in bytes.
pub const HTTP_BUFFER_BYTES_MAX: usize = 128 * 1024;
/// Open HTTP connections by default.
pub const HTTP_CONNECTIONS_DEFAULT: usize = 10_000;
/// Body of a request that is JSON, in bytes.
pub const HTTP_JSON_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take to send the header section.
pub const HTTP_HEADER_MS_MAX: u64 = 10_000;
/// How long an HTTP connection may lie idle between two requests; above the 60 s of common client pools, so that they close first.
pub const HTTP_IDLE_MS_MAX: u64 = 75_000;
/// How long a client may send nothing of an unfinished body, or read nothing while an answer waits.
pub const HTTP_STALL_MS_MAX: u64 = 30_000;
/// How long what a client still sends is read and dropped after the last answer, so that the answer is not lost with a reset.
pub const HTTP_LINGER_MS_MAX: u64 = 2_000;
/// Bodies of all HTTP requests that are being read at the same time, in bytes.
pub const HTTP_BODIES_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Size of a component file, in bytes.
pub const COMPONENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Size of a `NAME.toml`, in bytes.
pub const POLICY_TOML_BYTES_MAX: u64 = 256 * 1024;
/// Size of a `NAME.cases.toml`, in bytes.
pub const POLICY_CASES_BYTES_MAX: u64 = 256 * 1024;
/// Cases of one policy. They run at every load, before the policy is live.
pub const CASES_MAX: usize = 256;
/// What all cases of one policy may take together, in milliseconds: each of 256 cases alone may use up two deadlines of a hook.
pub const CASES_MS_MAX: u64 = 5_000;
/// Domains with a policy.
pub const DOMAINS_MAX: usize = 1024;
/// Components of a domain that are kept for rollback.
pub const ROLLBACK_MAX: usize = 3;
/// Steps in a domain's history.
pub const HISTORY_MAX: usize = 50;
/// How often it is looked at how many calls of each live policy failed, in milliseconds: what a rollback by itself waits at most.
pub const PROBATION_STEP_MS: u64 = 250;
/// The time over which failures are held against calls, in milliseconds: long enough that a policy with one call in six seconds
/// shows, short enough that yesterday's good calls excuse nothing.
pub const PROBATION_WINDOW_MS: u64 = 60_000;
/// Step in which the window moves, in milliseconds.
pub const PROBATION_WINDOW_STEP_MS: u64 = 1_000;
/// Failures in the window below which nothing is concluded: a handful of odd keys is no broken policy.
pub const PROBATION_FAULTS_MIN: u64 = 10;
/// Share of the calls in the window that may fail, in percent, by default. What serves nine requests in ten may be better than
/// what was there before; what fails more is broken.
pub const FAULT_PERCENT_DEFAULT: u64 = 10;
/// Components of a domain in quarantine; the oldest go first.
pub const QUARANTINED_MAX: usize = 16;
/// How long the policy folder must be quiet before it is read again, in milliseconds.
pub const WATCH_QUIET_MS: u64 = 30;
/// How long a folder that never gets quiet may put off the reading, in milliseconds.
pub const WATCH_QUIET_MS_MAX: u64 = 500;

/// How long a file that cannot be used must stay as it is before that is reported, in milliseconds: it may be half written.
pub const WATCH_SETTLE_MS: u64 = 250;
/// The policy folder is read again after this time though nothing was reported, in milliseconds: not every file system reports.
pub const WATCH_POLL_MS: u64 = 2_000;

/// Deadline of one pure hook, in milliseconds, by default. The ticker's step comes on top.
pub const HOOK_MS_DEFAULT: u64 = 5;
/// The longest that a `NAME.toml` may allow.
pub const HOOK_MS_MAX: u64 = 1_000;
/// Deadline of `describe`, in milliseconds.
pub const DESCRIBE_MS_MAX: u64 = 1_000;
/// Step of the ticker that ends overruns, in milliseconds.
pub const TICK_MS: u64 = 1;
/// Steps without a policy call after which the ticker rests.
pub const TICKER_IDLE_TICKS: u32 = 50;
/// How long the ticker rests at most before it looks whether its engine is still there, in milliseconds.
pub const TICKER_REST_MS_MAX: u64 = 1_000;
/// Linear memory of one instance, summed over its memories, in bytes, by default.
pub const INSTANCE_MEMORY_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;
/// The most that a `NAME.toml` may allow.
pub const INSTANCE_MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Elements of all tables of one instance.
pub const INSTANCE_TABLE_ELEMENTS_MAX: usize = 100_000;
/// Deadline of one command of a workflow on the wall, in milliseconds, by default.
pub const WORKFLOW_MS_DEFAULT: u64 = 1_000;
/// Deadline of one tick of a workflow on the wall, in milliseconds, by default.
pub const TICK_CALL_MS_DEFAULT: u64 = 10_000;
/// The longest that a `NAME.toml` may allow for either.
pub const WORKFLOW_MS_MAX: u64 = 60_000;
/// Processor time of one call of a workflow, in milliseconds, by default. What it waits for the host is not counted.
pub const WORKFLOW_PROCESSOR_MS_DEFAULT: u64 = 50;
/// The most that a `NAME.toml` may allow.
pub const WORKFLOW_PROCESSOR_MS_MAX: u64 = 10_000;
/// Host functions that may wait, in one call of a workflow.
pub const HOST_CALLS_MAX: u32 = 1_000;
/// Locks and permits that one call of a workflow may hold at the same time.
pub const HELD_RESOURCES_MAX: usize = 64;
/// Calls of workflows that run at the same time, over all domains.
pub const WORKFLOWS_MAX: u64 = 512;
/// Calls of the workflow of one domain that run at the same time, so that none takes all of [`WORKFLOWS_MAX`].
pub const WORKFLOWS_PER_DOMAIN_MAX: u64 = 128;
/// The shortest period of ticks that a policy may ask for, in milliseconds.
pub const TICK_PERIOD_MS_MIN: u32 = 100;
/// What the lock of a tick outlives the longest tick by, in milliseconds.
pub const TICK_MARGIN_MS: u64 = 1_000;
/// How often it is looked which policies' ticks are due, in milliseconds.
pub const TICK_LOOK_MS: u64 = 50;
/// What one event may make out of date: selectors.
pub const EVENT_SELECTORS_MAX: usize = 1_000;
/// Name of an event, in bytes.
pub const EVENT_KIND_BYTES_MAX: usize = 128;
/// Payload of an event, in bytes.
pub const EVENT_PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Keys that a policy may name for warming.
pub const WARM_KEYS_MAX: usize = 100_000;
/// Keys that one portion of a policy's scan may look at.
pub const OWN_SCAN_COUNT_MAX: u32 = 1_000;
/// Grants of keys of other domains to one policy.
pub const GRANTED_KEYS_MAX: usize = 64;
/// Keys of one command of a workflow.
pub const OWN_KEYS_MAX: usize = 1_000;
/// Stack of one instance, in bytes.
pub const INSTANCE_STACK_BYTES_MAX: usize = 256 * 1024;
/// Calls after which an instance is replaced; each one draws its own number from half of this to this.
pub const INSTANCE_CALLS_MAX: u64 = 1_000_000;
/// What an instance's memory may grow beyond its first size before it is replaced, in bytes.
pub const INSTANCE_GROWTH_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What one call may make the host copy, in bytes.
pub const HOSTCALL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Lines that a policy may log in one call.
pub const LOG_LINES_PER_CALL_MAX: u32 = 16;
/// One line, in bytes.
pub const LOG_LINE_BYTES_MAX: usize = 4 * 1024;
/// Lines that one policy may log in a second, over all its instances.
pub const LOG_LINES_PER_SECOND_MAX: u32 = 100;
/// Handles of WASI (streams, waits) that one instance may hold.
pub const WASI_HANDLES_MAX: u32 = 64;
/// What a policy may write at once to standard output or error, in bytes; WASI's own bound for one blocking write.
pub const WASI_WRITE_BYTES_MAX: usize = 4 * 1024;
/// Random bytes that a policy may ask for at once through WASI.
pub const WASI_RANDOM_BYTES_MAX: usize = 64 * 1024;
/// Series of one policy's own metrics.
pub const POLICY_SERIES_MAX: usize = 200;
/// Labels of one series of a policy's own metrics.
pub const POLICY_LABELS_MAX: usize = 8;
/// Name of a policy's own metric, of a label, or a label's value, in bytes.
pub const POLICY_LABEL_BYTES_MAX: usize = 64;
/// Text with which a policy refuses a request, in bytes; what is over is cut off.
pub const REFUSAL_BYTES_MAX: usize = 1024;
/// Keys that are planned in one call of a policy, under one deadline; a longer batch takes several.
pub const PLAN_BATCH_MAX: usize = 256;
/// Instances of policies at the same time: live policies times worker threads, and what drains.
pub const POOL_INSTANCES: u32 = 4096;
/// Core instances at the same time: a component of Rust has 3, of JavaScript 8 to 11, of Python 14 to 38.
pub const POOL_CORE_INSTANCES: u32 = POOL_INSTANCES * 16;
/// Linear memories at the same time; each reserves 4 GiB of address space.
pub const POOL_MEMORIES: u32 = 4096;
/// Tables at the same time; each reserves room for [`INSTANCE_TABLE_ELEMENTS_MAX`].
pub const POOL_TABLES: u32 = 8192;
/// The size of all counts above where the address space does not allow them: so many times smaller.
pub const POOL_SHRINK: u32 = 8;
/// Bytes of a freed linear memory that stay resident for the next instance.
pub const POOL_KEEP_RESIDENT_BYTES: usize = 128 * 1024;
/// Slots of the instance pool that stay resident without an instance. Each swap leaves one behind: wasmtime's own hundred would let
/// a host grow by megabytes over its first swaps.
pub const POOL_WARM_SLOTS_MAX: u32 = 8;
/// Core instances, memories and tables of one component.
pub const COMPONENT_PARTS_MAX: u32 = 64;
/// Compiled components that are kept on disk, in bytes; the longest unused go first.
pub const COMPILED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// A component above this size, in bytes, is compiled on all cores; a smaller one on one, to leave the others to requests.
pub const COMPILE_ALONE_BYTES_MAX: usize = 256 * 1024;
/// How long a component may take to compile, in seconds on the processor, over all cores: five times what 18 MB of Python take.
pub const COMPILE_CPU_S_MAX: u64 = 120;
/// How far the compiler stands back behind the host, as nice(2) counts: a third of its turns where both want the processor.
pub const COMPILE_NICE: i32 = 5;
/// How long it may take on the wall, in milliseconds, however busy the machine is.
pub const COMPILE_MS_MAX: u64 = 300_000;
/// What the compiler of one component may take of memory, address space included, in bytes.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Policies that are loaded at the same time.
pub const LOADS_MAX: usize = 4;
/// Value that is shown to a policy which wants a candidate's bytes; a longer one is not.
pub const CANDIDATE_BYTES_MAX: usize = 1024 * 1024;

/// Deadline of one store command, in milliseconds, by default (`CACHE_MAX_LATENCY_MS`).
pub const STORE_MS_DEFAULT: u64 = 100;
/// Store commands of this host that wait for an answer at the same time.
pub const STORE_INFLIGHT_MAX: usize = 50_000;
/// Keys that one client may watch.
pub const WATCHED_KEYS_MAX: usize = 4_096;
/// Commands of one transaction.
pub const QUEUED_COMMANDS_MAX: usize = 100_000;
/// All of them together, in bytes.
pub const QUEUED_BYTES_MAX: usize = RESP_COMMAND_BYTES_MAX;
/// What the embedded memory store may hold by default, in bytes.
pub const MEMORY_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;
/// The most that it may hold, in bytes: far fewer entries fit than its tables can number, which is 2^32 in each.
pub const MEMORY_BYTES_MAX: u64 = 128 * 1024 * 1024 * 1024;
/// Entries that one step of the memory store's sweep, or of a scan, may look at under one lock.
pub const SWEEP_SLOTS_PER_LOCK: usize = 4_096;
/// Entries that one step of a scan looks at, whatever `COUNT` asks for.
pub const SCAN_COUNT_MAX: usize = 100_000;
/// Elements that a command draws at random with repetitions: a count that has no bound in what there is.
pub const RANDOM_COUNT_MAX: usize = 1_000_000;
/// Keys of one batch command.
pub const BATCH_KEYS_MAX: usize = 100_000;
/// Attempts of a read-judge-write on one entry before it is given up as contended.
pub const REPLACE_ATTEMPTS_MAX: u32 = 16;

/// Name of a policy's breaker, without its domain, in bytes.
pub const BREAKER_NAME_BYTES_MAX: usize = 64;
/// Breakers of one policy.
pub const BREAKERS_PER_DOMAIN_MAX: usize = 16;
/// Breakers of the host.
pub const BREAKERS_MAX: usize = 1_024;
/// The longest time that a breaker stays open after trials that failed, in milliseconds; a longer `CACHE_CB_RECOVERY_TIMEOUT`
/// is its own cap.
pub const BREAKER_OPEN_MS_MAX: u64 = 10 * 60 * 1000;
/// How long a breaker stays open at least that is told that what it stands for is well, in milliseconds; doubles while trials fail.
pub const BREAKER_HINT_MS_MIN: u64 = 1_000;
/// How long the calls on trial of a half-open breaker may take, in milliseconds.
pub const BREAKER_HALF_OPEN_MS_MAX: u64 = 30_000;
/// Steps in a breaker's history.
pub const BREAKER_HISTORY_MAX: usize = 50;
/// From which part of its deadline on an answer of the store is slow, in percent.
pub const STORE_SLOW_PERCENT: u64 = 80;

/// Invalidations that wait for a store that is away; more invalidate a whole domain.
pub const RECOVERY_WAITING_MAX: usize = 10_000;
/// Of those, how many are done at the same time when it is back.
pub const REPLAYS_INFLIGHT_MAX: usize = 32;
/// How often it is looked whether the store is back, while invalidations wait for it, in milliseconds.
pub const RECOVERY_LOOK_MS: u64 = 100;
/// Pause between two lines of the log with one cause, in milliseconds.
pub const LOG_PAUSE_MS: u64 = 1_000;
/// How many probes prove within the bound *B* that the stream of changes runs.
pub const PROBES_PER_TRUST: u64 = 4;
/// Shortest pause between two probes, in milliseconds.
pub const PROBE_MS_MIN: u64 = 5;
/// Longest pause between two probes, in milliseconds.
pub const PROBE_MS_MAX: u64 = 1_000;
/// How long the store keeps the key of a probe after its host has gone, in milliseconds.
pub const PROBE_KEY_MS: u64 = 60_000;
/// Keys that are tried until one lies in a slot of a node of a cluster. Of a node with one slot alone about 16,384 are needed; 64 times that is enough.
pub const PROBE_KEY_TRIES_MAX: u64 = 1 << 20;
/// Pause before a store is asked again that refused to tell of changes, in milliseconds.
pub const TRACKING_REFUSED_MS: u64 = 60_000;

/// Step of the snapshots from which windowed metrics are computed, in milliseconds.
pub const METRICS_STEP_MS: u64 = 5_000;

/// How long a copy in L1 may be trusted where others share the store and no stream of changes runs, in milliseconds: the
/// bound *B* of the promises.
pub const TRUST_MS_DEFAULT: u64 = 1_000;
/// Bytes of L1 by default.
pub const L1_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// How often L1's room is fitted to what the process holds for it, in milliseconds.
pub const L1_ROOM_LOOK_MS: u64 = 250;
/// L1's room at the start, in percent of its bytes: nobody knows yet how much the process will hold beside what is in use.
pub const L1_ROOM_PERCENT_BEGIN: u64 = 80;
/// The least that is left to L1 of its bytes, in percent, whatever the process holds.
pub const L1_ROOM_PERCENT_MIN: u64 = 50;
/// Values up to this size are copied into L1, in bytes; longer ones share the memory of their envelope.
pub const L1_COPY_BYTES_MAX: usize = 512;
/// The longest step of a sliding renewal, in milliseconds: a read renews a key at most once in it.
pub const SLIDING_STEP_MS_MAX: u64 = 1_000;

const _: () = assert!(KEY_BYTES_DEFAULT <= KEY_BYTES_MAX);
const _: () = assert!(SUFFIX_BYTES_MAX <= KEY_BYTES_MAX);
const _: () = assert!(VALUE_BYTES_MAX < RESP_COMMAND_BYTES_MAX);
const _: () = assert!(HOOK_MS_DEFAULT <= HOOK_MS_MAX && TICK_MS < HOOK_MS_DEFAULT);
const _: () = assert!(STORE_BACKOFF_MS_MIN < STORE_BACKOFF_MS_MAX && STORE_MS_DEFAULT <= STORE_CONNECT_MS_MAX);
const _: () = assert!(WATCH_QUIET_MS < WATCH_QUIET_MS_MAX);
const _: () = assert!(PROBATION_STEP_MS <= PROBATION_WINDOW_STEP_MS && PROBATION_WINDOW_STEP_MS < PROBATION_WINDOW_MS);
const _: () = assert!(WATCH_QUIET_MS_MAX < WATCH_POLL_MS && WATCH_SETTLE_MS < WATCH_POLL_MS);
const _: () = assert!(COMPILE_CPU_S_MAX * 1_000 < COMPILE_MS_MAX);
const _: () = assert!(CANDIDATE_BYTES_MAX < HOSTCALL_BYTES_MAX);
const _: () = assert!(WORKFLOW_MS_DEFAULT <= TICK_CALL_MS_DEFAULT && TICK_CALL_MS_DEFAULT <= WORKFLOW_MS_MAX);
const _: () = assert!(WORKFLOWS_PER_DOMAIN_MAX < WORKFLOWS_MAX);
const _: () = assert!(HTTP_HEADER_MS_MAX < HTTP_IDLE_MS_MAX && HTTP_STALL_MS_MAX < HTTP_IDLE_MS_MAX);
const _: () = assert!(HTTP_HEADER_BYTES_MAX <= HTTP_BUFFER_BYTES_MAX);
const _: () = assert!(LOCK_TTL_MS_MAX < LOCK_FENCE_KEEP_MS);
const _: () = assert!(HTTP_BODY_BYTES_MAX < HTTP_BODIES_BYTES_MAX);

/// How often the memory store is swept, in milliseconds.
pub const MEMORY_SWEEP_MS: u64 = 100;
/// How many places of the memory store one sweep looks at.
pub const MEMORY_SWEEP_KEYS: usize = 2_000;
