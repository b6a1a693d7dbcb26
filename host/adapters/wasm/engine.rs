//! The wasmtime engine that serves, and its allocator.
//!
//! Invariants: there is one serving engine in the process; every store that it makes sets its deadline before it is
//! instantiated and before each call, since an old deadline would trap at once. Deliberately absent: asynchronous calls (one
//! asynchronous import bars the fast ones) and fuel (2–3 times slower than epochs).

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use super::ticker;
use crate::limits;

/// Frames of a guest's stack that a fault names.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not zero");

/// Makes the serving engine and starts its ticker, which ends with the engine.
///
/// The pooling allocator makes an instance in microseconds, but reserves terabytes of address space. Where that cannot be had
/// (`ulimit -v`, small address spaces) a smaller pool is tried, and then each instance maps its own memory: slower, said aloud.
///
/// # Errors
/// The platform cannot run WebAssembly, or no thread can be started.
pub(super) fn serving() -> anyhow::Result<Engine> {
    let engine = [1, limits::POOL_SHRINK].into_iter().find_map(pooled).map_or_else(on_demand, Ok)?;
    ticker::start(engine.weak())?;
    Ok(engine)
}

/// An engine to compile with and throw away: wasmtime 48 keeps what the compiler allocated for the life of its engine.
///
/// # Errors
/// The platform cannot compile WebAssembly.
pub(super) fn compiling(all_cores: bool) -> anyhow::Result<Engine> {
    let mut config = base();
    config.parallel_compilation(all_cores).allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// Prepares the calling thread for policy calls; for the start of worker threads. Without it the first call of a thread pays
/// for its signal stack, some hundred microseconds.
pub fn prepare_thread() {
    Engine::tls_eager_initialize();
}

/// What the compiler and the serving engine must agree on.
///
/// Multiple memories stay on: wasmtime joins the components inside a component (Python's and JavaScript's runtimes are made so) with
/// modules that copy from one memory to another. The pool allows a module one memory of its own all the same.
fn base() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(limits::INSTANCE_STACK_BYTES_MAX)
        .memory_init_cow(true)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        .wasm_memory64(false)
        .wasm_relaxed_simd(false);
    config
}

fn pooled(shrink: u32) -> Option<Engine> {
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(shrink)));
    match Engine::new(&config) {
        Ok(engine) => {
            tracing::debug!(target: "larder::policy", memories = limits::POOL_MEMORIES / shrink, "instance pool reserved");
            Some(engine)
        }
        Err(error) => {
            tracing::warn!(
                target: "larder::policy",
                memories = limits::POOL_MEMORIES / shrink,
                error = format!("{error:#}"),
                "the address space does not hold the instance pool (is `ulimit -v` set?)"
            );
            None
        }
    }
}

fn pool(shrink: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits::POOL_INSTANCES / shrink)
        .total_core_instances(limits::POOL_CORE_INSTANCES / shrink)
        .total_memories(limits::POOL_MEMORIES / shrink)
        .total_tables(limits::POOL_TABLES / shrink)
        .max_core_instances_per_component(limits::COMPONENT_PARTS_MAX)
        .max_memories_per_component(limits::COMPONENT_PARTS_MAX)
        .max_tables_per_component(limits::COMPONENT_PARTS_MAX)
        .table_elements(limits::INSTANCE_TABLE_ELEMENTS_MAX)
        .max_memory_size(usize::try_from(limits::INSTANCE_MEMORY_BYTES_MAX).unwrap_or(usize::MAX))
        .max_unused_warm_slots(limits::POOL_WARM_SLOTS_MAX)
        .linear_memory_keep_resident(limits::POOL_KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

fn on_demand() -> anyhow::Result<Engine> {
    tracing::warn!(
        target: "larder::policy",
        "policies run without an instance pool: each new instance costs about ten times more"
    );
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| anyhow::anyhow!("{error:#}"))
}
