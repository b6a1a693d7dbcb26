//! One instance of a policy: its store, its typed exports, and when it has served enough.
//!
//! Invariants: a deadline is set before the instance is made and before each call; `describe` is called first, with the
//! settings; after any error the instance is dropped, because a trap leaves its store unusable.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::bindings::guest::loading;
use super::bindings::types as wit;
use super::exports::{Exports, Guests};
use super::imports::one_line;
use super::manifest::PolicyLimits;
use super::state::{Context, HostState};
use super::ticker::Running;
use super::{convert, deadline, fault};
use crate::limits;
use crate::ports::hooks::{Abilities, Event};
use crate::ports::metrics::Hook;
use crate::ports::origin::OriginResponse;
use crate::ports::policy::{PolicyError, Request};

/// What `describe` answered: the description, or the policy's own words for what is wrong with its settings.
pub(super) type Described = Result<wit::Description, String>;

/// Everything that instances of one policy are made from.
pub(super) struct Program {
    pre: InstancePre<HostState>,
    exports: Exports,
    context: Arc<Context>,
    bounds: PolicyLimits,
}

/// One instance; used by one thread at a time.
pub(super) struct Instance {
    store: Store<HostState>,
    guests: Guests,
    bounds: PolicyLimits,
    calls_left: u64,
    memory_bytes_max: usize,
}

impl Program {
    /// From a component whose imports are resolved.
    ///
    /// # Errors
    /// It does not export the rules, or what its abilities say.
    pub(super) fn new(
        pre: InstancePre<HostState>,
        abilities: Abilities,
        context: Arc<Context>,
        bounds: PolicyLimits,
    ) -> wasmtime::Result<Self> {
        let exports = Exports::find(&pre, abilities)?;
        Ok(Self { pre, exports, context, bounds })
    }

    /// What all instances share.
    pub(super) const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Makes an instance and lets it describe itself: its description, or why it will not serve.
    ///
    /// # Errors
    /// The policy's fault, or no room for another instance.
    pub(super) fn instantiate(&self) -> Result<(Instance, Described), PolicyError> {
        let memory_bytes_max = usize::try_from(self.bounds.memory_bytes).unwrap_or(usize::MAX);
        let mut store = Store::new(self.pre.engine(), HostState::new(Arc::clone(&self.context), memory_bytes_max));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits::HOSTCALL_BYTES_MAX);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline.expired(deadline::thread_ns())));
        let running = begin_call(&mut store, limits::DESCRIBE_MS_MAX);
        let made = self.pre.instantiate(&mut store).and_then(|instance| self.exports.load(&mut store, &instance));
        drop(running);
        store.data_mut().end_lines();
        let guests =
            made.map_err(|error| fault::of_instance(&error, store.data_mut(), self.bounds, limits::DESCRIBE_MS_MAX))?;
        self.context.metrics.instances_created.increment();
        // Half to all of the calls, so that the instances of a policy are not all replaced at once.
        let calls_left = limits::INSTANCE_CALLS_MAX - self.context.clock.random() % (limits::INSTANCE_CALLS_MAX / 2);
        let mut instance = Instance { store, guests, bounds: self.bounds, calls_left, memory_bytes_max: usize::MAX };
        let description = instance.describe()?;
        let first_size = instance.store.data().limiter.memory_bytes();
        let growth = usize::try_from(limits::INSTANCE_GROWTH_BYTES_MAX).unwrap_or(usize::MAX);
        instance.memory_bytes_max = first_size.saturating_add(growth);
        Ok((instance, description))
    }
}

impl Instance {
    fn describe(&mut self) -> Result<Described, PolicyError> {
        let context = Arc::clone(&self.store.data().context);
        let settings: Vec<_> = context.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        context.metrics.policy_calls[Hook::Describe as usize].increment();
        let said = self.call(limits::DESCRIBE_MS_MAX, |guests, store| guests.rules.call_describe(store, &settings))?;
        Ok(said.map_err(|text| one_line(text, limits::LOG_LINE_BYTES_MAX)))
    }

    /// Where a key is kept.
    ///
    /// # Errors
    /// The policy's fault; the instance is of no more use.
    pub(super) fn plan(&mut self, request: wit::Request<'_>) -> Result<Result<wit::Plan, wit::Refusal>, PolicyError> {
        self.call(self.bounds.hook_ms, |guests, store| guests.rules.call_plan(store, request))
    }

    /// The same for many keys.
    ///
    /// # Errors
    /// The policy's fault; the instance is of no more use.
    pub(super) fn plan_batch(
        &mut self,
        requests: &[wit::Request<'_>],
    ) -> Result<Vec<Result<wit::Plan, wit::Refusal>>, PolicyError> {
        self.call(self.bounds.hook_ms, |guests, store| guests.rules.call_plan_batch(store, requests))
    }

    /// Whether a value is stored.
    ///
    /// # Errors
    /// The policy's fault; the instance is of no more use.
    pub(super) fn admit(
        &mut self,
        request: wit::Request<'_>,
        candidate: wit::Candidate<'_>,
    ) -> Result<wit::Admission, PolicyError> {
        self.call(self.bounds.hook_ms, |guests, store| guests.rules.call_admit(store, request, candidate))
    }

    /// What an event makes out of date.
    ///
    /// # Errors
    /// As of [`Self::optional`].
    pub(super) fn on_event(&mut self, event: &Event<'_>) -> Result<Result<Vec<wit::Selector>, String>, PolicyError> {
        let event = convert::event(event);
        self.optional(|guests, store| Some(guests.events.as_ref()?.call_on_event(store, event)))
    }

    /// What to ask the origin for.
    ///
    /// # Errors
    /// As of [`Self::optional`].
    pub(super) fn origin_request(
        &mut self,
        request: &Request<'_>,
    ) -> Result<Result<loading::OriginRequest, wit::Refusal>, PolicyError> {
        let request = convert::request(request);
        self.optional(|guests, store| Some(guests.loading.as_ref()?.call_origin_request_for(store, request)))
    }

    /// What an answer of the origin is worth.
    ///
    /// # Errors
    /// As of [`Self::optional`].
    pub(super) fn accept(
        &mut self,
        request: &Request<'_>,
        response: &OriginResponse,
    ) -> Result<loading::Acceptance, PolicyError> {
        let headers: Vec<_> = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let size_bytes = u32::try_from(response.body.len()).unwrap_or(u32::MAX);
        let (request, status) = (convert::request(request), response.status);
        let response = loading::OriginResponse { status, headers: &headers, size_bytes };
        self.optional(|guests, store| Some(guests.loading.as_ref()?.call_accept(store, request, response)))
    }

    /// Calls an optional hook.
    ///
    /// # Errors
    /// The policy's fault; the instance is of no more use. It does not export the interface.
    pub(super) fn optional<T>(
        &mut self,
        hook: impl FnOnce(&Guests, &mut Store<HostState>) -> Option<wasmtime::Result<T>>,
    ) -> Result<T, PolicyError> {
        let absent = || Err(wasmtime::Error::msg("the interface is not exported"));
        self.call(self.bounds.hook_ms, |guests, store| hook(guests, store).unwrap_or_else(absent))
    }

    /// Whether the last call had nothing but its request to go by, and left nothing but its answer.
    pub(super) fn kept_to_itself(&self) -> bool {
        self.store.data().kept_to_itself()
    }

    /// Whether it has served enough calls, or grown too far: a linear memory never shrinks.
    pub(super) fn is_worn(&self) -> bool {
        self.calls_left == 0 || self.store.data().limiter.memory_bytes() > self.memory_bytes_max
    }

    fn call<T>(
        &mut self,
        deadline_ms: u64,
        hook: impl FnOnce(&Guests, &mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, PolicyError> {
        self.calls_left = self.calls_left.saturating_sub(1);
        let running = begin_call(&mut self.store, deadline_ms);
        let answer = hook(&self.guests, &mut self.store);
        drop(running);
        self.store.data_mut().end_lines();
        answer.map_err(|error| fault::of_call(&error, self.store.data_mut(), self.bounds, deadline_ms))
    }
}

/// Sets the deadline of what the store does next; epochs are counted while the answer lives.
fn begin_call(store: &mut Store<HostState>, deadline_ms: u64) -> Running {
    let running = Running::begin();
    let ticks = store.data_mut().begin_call(deadline_ms);
    store.set_epoch_deadline(ticks);
    running
}
