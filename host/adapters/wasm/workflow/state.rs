//! What the host keeps beside the instance of one call.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::ResourceTable;

use super::budget::Budget;
use crate::adapters::wasm::state::HostState;
use crate::limits;
use crate::ports::workflow::WorkflowHost;

/// The data of a store that serves one call.
pub(in crate::adapters::wasm) struct CallState {
    /// What pure hooks have too.
    pub(super) base: HostState,
    /// What the engine lends this domain.
    pub(super) host: Arc<dyn WorkflowHost>,
    /// Locks and permits that the guest holds; dropped with the call, and then given back.
    pub(super) held: ResourceTable,
    /// The processor time that is left.
    pub(super) budget: Budget,
    host_calls_left: u32,
}

/// The guest asked the host for more than one call may: the call ends.
#[derive(Debug)]
pub(super) struct TooManyHostCalls;

impl fmt::Display for TooManyHostCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it made more than {} host calls", limits::HOST_CALLS_MAX)
    }
}

impl std::error::Error for TooManyHostCalls {}

impl AsMut<HostState> for CallState {
    fn as_mut(&mut self) -> &mut HostState {
        &mut self.base
    }
}

impl CallState {
    /// For one call.
    pub(super) fn new(base: HostState, host: Arc<dyn WorkflowHost>, processor_ms: u64) -> Self {
        let mut held = ResourceTable::new();
        held.set_max_capacity(limits::HELD_RESOURCES_MAX);
        Self { base, host, held, budget: Budget::new(processor_ms), host_calls_left: limits::HOST_CALLS_MAX }
    }

    /// Before each host function that may wait: what the guest is lent, or the end of the call.
    pub(super) fn begin_host_call(&mut self) -> wasmtime::Result<Arc<dyn WorkflowHost>> {
        self.host_calls_left =
            self.host_calls_left.checked_sub(1).ok_or_else(|| wasmtime::Error::new(TooManyHostCalls))?;
        self.budget.pause();
        Ok(Arc::clone(&self.host))
    }

    /// After it.
    pub(super) fn end_host_call(&self) {
        self.budget.resume();
    }
}
