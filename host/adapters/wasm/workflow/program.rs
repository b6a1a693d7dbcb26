//! One call of a workflow: a fresh instance, its description, the call, within a deadline on the wall and a budget of the processor.
//!
//! Invariants: nothing of a call outlives it: dropping its future drops the instance and gives back what the guest held; a
//! guest that spins hands over the thread at each tick.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, Instance, InstancePre};

use super::bindings::guest;
use super::state::{CallState, TooManyHostCalls};
use crate::adapters::wasm::bindings::types as wit;
use crate::adapters::wasm::fault;
use crate::adapters::wasm::imports::one_line;
use crate::adapters::wasm::manifest::PolicyLimits;
use crate::adapters::wasm::state::{Context, HostState};
use crate::adapters::wasm::ticker::Running;
use crate::limits;
use crate::ports::metrics::Hook;
use crate::ports::policy::{Fault, PolicyError};
use crate::ports::trace::{self, Layer};
use crate::ports::workflow::{CommandError, CommandReply, Workflow, WorkflowHost};

const RULES: &str = "larder:policy/rules@0.1.0";

/// Everything that the calls of one workflow are made from.
pub(in crate::adapters::wasm) struct WorkflowProgram {
    pre: InstancePre<CallState>,
    describe: ComponentExportIndex,
    workflow: guest::GuestIndices,
    context: Arc<Context>,
    bounds: PolicyLimits,
}

impl WorkflowProgram {
    /// From a component whose imports are resolved.
    ///
    /// # Errors
    /// It does not export a workflow and rules.
    pub(in crate::adapters::wasm) fn new(
        pre: InstancePre<CallState>,
        context: Arc<Context>,
        bounds: PolicyLimits,
    ) -> wasmtime::Result<Self> {
        let component = pre.component();
        let missing = || wasmtime::Error::msg(format!("it exports no `describe` in {RULES}"));
        let rules = component.get_export_index(None, RULES).ok_or_else(missing)?;
        let describe = component.get_export_index(Some(&rules), "describe").ok_or_else(missing)?;
        let workflow = guest::GuestIndices::new(&pre)?;
        Ok(Self { pre, describe, workflow, context, bounds })
    }

    /// Makes an instance and runs one function of it.
    async fn call<T, F>(
        &self,
        host: Arc<dyn WorkflowHost>,
        hook: Hook,
        wall_ms: u64,
        function: impl FnOnce(guest::Guest, Store<CallState>) -> F + Send,
    ) -> Result<T, PolicyError>
    where
        F: Future<Output = (wasmtime::Result<T>, Store<CallState>)> + Send,
        T: Send,
    {
        let metrics = &self.context.metrics;
        metrics.policy_calls[hook as usize].increment();
        metrics.workflows_running.increment();
        let _running = RunningWorkflow { context: &self.context, began_ns: self.context.clock.monotonic_ns(), hook };
        let called = async {
            let mut store = self.store(host);
            match self.begin(&mut store).await {
                Ok(guest) => {
                    let (answer, mut store) = function(guest, store).await;
                    store.data_mut().base.end_lines();
                    answer.map_err(|error| self.fault(&error, &mut store))
                }
                Err(error) => Err(error),
            }
        };
        let span = trace::span(Layer::Policy, hook.as_str());
        let answer = span.within(timeout(Duration::from_millis(wall_ms), called)).await.unwrap_or_else(|_| {
            Err(fault::failed(
                Fault::Deadline,
                format!("it did not end within {wall_ms} ms; what it had done stays done"),
            ))
        });
        fault::tell(&self.context, &span, answer.as_ref().err());
        answer.inspect_err(|error| fault::report(&self.context, hook, error))
    }

    fn store(&self, host: Arc<dyn WorkflowHost>) -> Store<CallState> {
        let memory_bytes_max = usize::try_from(self.bounds.memory_bytes).unwrap_or(usize::MAX);
        let base = HostState::new(Arc::clone(&self.context), memory_bytes_max);
        let mut store = Store::new(self.pre.engine(), CallState::new(base, host, self.bounds.workflow_processor_ms));
        store.limiter(|state| &mut state.base.limiter);
        store.set_hostcall_fuel(limits::HOSTCALL_BYTES_MAX);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().budget.tick()));
        store.set_epoch_deadline(1);
        store
    }

    /// Makes the instance and lets it describe itself, which is how a policy learns its settings.
    async fn begin(&self, store: &mut Store<CallState>) -> Result<guest::Guest, PolicyError> {
        store.data().budget.resume();
        let instance = self.pre.instantiate_async(&mut *store).await.map_err(|error| self.fault(&error, store))?;
        self.context.metrics.instances_created.increment();
        let described = self.describe(store, &instance).await.map_err(|error| self.fault(&error, store))?;
        if let Err(text) = described {
            let text = one_line(text, limits::LOG_LINE_BYTES_MAX);
            return Err(fault::failed(Fault::BadAnswer, format!("it refuses to serve again: {text}")));
        }
        self.workflow.load(&mut *store, &instance).map_err(|error| self.fault(&error, store))
    }

    async fn describe(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<wit::Description, String>> {
        let context = Arc::clone(&self.context);
        let settings: Vec<_> = context.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let describe = instance
            .get_typed_func::<(&[(&str, &str)],), (Result<wit::Description, String>,)>(&mut *store, &self.describe)?;
        Ok(describe.call_async(&mut *store, (&settings,)).await?.0)
    }

    fn fault(&self, error: &wasmtime::Error, store: &mut Store<CallState>) -> PolicyError {
        store.data_mut().base.end_lines();
        if let Some(too_many) = error.downcast_ref::<TooManyHostCalls>() {
            return fault::failed(Fault::HostCalls, too_many.to_string());
        }
        fault::of_call(error, &mut store.data_mut().base, self.bounds, self.bounds.workflow_processor_ms)
    }
}

/// Counts a call for as long as it runs, however it ends.
struct RunningWorkflow<'a> {
    context: &'a Context,
    began_ns: u64,
    hook: Hook,
}

impl Drop for RunningWorkflow<'_> {
    fn drop(&mut self) {
        let metrics = &self.context.metrics;
        metrics.workflows_running.decrement();
        let ns = self.context.clock.monotonic_ns().saturating_sub(self.began_ns);
        metrics.policy_time[self.hook as usize].observe_ns(ns);
    }
}

#[async_trait]
impl Workflow for WorkflowProgram {
    async fn on_command(
        &self,
        host: Arc<dyn WorkflowHost>,
        command: &str,
        arguments: &[Bytes],
    ) -> Result<Result<CommandReply, CommandError>, PolicyError> {
        // Epochs are counted while it runs, also while it waits: it may go on at any time.
        let _ticking = Running::begin();
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.to_vec()).collect();
        let run = |guest: guest::Guest, mut store: Store<CallState>| async move {
            (guest.call_on_command(&mut store, command, &arguments).await, store)
        };
        let said = self.call(host, Hook::OnCommand, self.bounds.workflow_ms, run).await?;
        Ok(said.map(CommandReply::from).map_err(CommandError::from))
    }

    async fn on_tick(&self, host: Arc<dyn WorkflowHost>) -> Result<Option<String>, PolicyError> {
        let _ticking = Running::begin();
        let run = |guest: guest::Guest, mut store: Store<CallState>| async move {
            (guest.call_on_tick(&mut store).await, store)
        };
        let line = self.call(host, Hook::OnTick, self.bounds.tick_ms, run).await?;
        Ok(line.map(|line| one_line(line, limits::LOG_LINE_BYTES_MAX)))
    }
}
