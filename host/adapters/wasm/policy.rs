//! A live policy: the port's [`Policy`], served by one reused instance for each thread.
//!
//! Invariants: an instance belongs to one policy of one generation, so that dropping the policy frees the instances of all
//! threads at once, whichever thread drops it; a failed call costs its own decision and its thread's instance, nothing else.

use std::cell::RefCell;
use std::sync::Arc;

use thread_local::ThreadLocal;

use super::bindings::types as wit;
use super::decisions::{Answers, Decisions, Question};
use super::instance::{Instance, Program};
use super::workflow::WorkflowProgram;
use super::{answer, convert, fault, loads};
use crate::limits;
use crate::ports::hooks::{Abilities, EntryState, Event, Hooks, Revalidation};
use crate::ports::metrics::Hook;
use crate::ports::origin::{Acceptance, BatchValues, OriginRequest, OriginResponse};
use crate::ports::policy::{
    Admission, Candidate, Description, Encoding, Fault, Plan, Policy, PolicyError, Request, Selector,
};
use crate::ports::trace::{self, Layer};
use crate::ports::workflow::Workflow;

/// One call in so many is timed: reading the clock twice costs as much as a tenth of a call.
const TIMED_ONE_IN: u32 = 16;

/// One answer in so many is remembered, which chance picks: what is asked again and again soon is among them, and what is asked once seldom
/// costs the room.
const REMEMBERED_ONE_IN: u64 = 16;

/// A policy that serves.
pub(super) struct WasmPolicy {
    program: Arc<Program>,
    encoding: Encoding,
    wants_bytes: bool,
    abilities: Abilities,
    workflow: Option<Arc<WorkflowProgram>>,
    slots: ThreadLocal<RefCell<Slot>>,
}

/// What one thread keeps for the policy.
#[derive(Default)]
struct Slot {
    instance: Option<Instance>,
    calls: u32,
    decisions: Decisions,
}

impl WasmPolicy {
    /// Serves with instances of `program`, and of `workflow` if it has one.
    pub(super) fn new(
        program: Arc<Program>,
        workflow: Option<Arc<WorkflowProgram>>,
        description: &Description,
        abilities: Abilities,
    ) -> Self {
        let &Description { encoding, wants_bytes, .. } = description;
        Self { program, encoding, wants_bytes, abilities, workflow, slots: ThreadLocal::new() }
    }

    /// Calls a hook on this thread's instance; makes one if there is none, drops it if it failed or is worn.
    fn call<T>(
        &self,
        hook: Hook,
        call: impl FnOnce(&mut Instance) -> Result<T, PolicyError>,
    ) -> Result<T, PolicyError> {
        let metrics = &self.program.context().metrics;
        metrics.policy_calls[hook as usize].increment();
        let span = trace::span(Layer::Policy, hook.as_str());
        let answer = match self.slots.get_or_default().try_borrow_mut() {
            Ok(mut slot) => self.call_in(&mut slot, hook, call),
            Err(_) => Err(fault::failed(Fault::Instance, "a policy is called from within itself")),
        };
        if span.is_recorded() {
            fault::tell(self.program.context(), &span, answer.as_ref().err());
        }
        answer.inspect_err(|error| fault::report(self.program.context(), hook, error))
    }

    fn call_in<T>(
        &self,
        slot: &mut Slot,
        hook: Hook,
        call: impl FnOnce(&mut Instance) -> Result<T, PolicyError>,
    ) -> Result<T, PolicyError> {
        let instance = match &mut slot.instance {
            Some(instance) => instance,
            none => none.insert(self.instantiate()?),
        };
        slot.calls = slot.calls.wrapping_add(1);
        let timed = slot.calls.is_multiple_of(TIMED_ONE_IN);
        let context = self.program.context();
        let began = if timed { context.clock.monotonic_ns() } else { 0 };
        let answer = call(instance);
        if timed {
            let ns = context.clock.monotonic_ns().saturating_sub(began);
            context.metrics.policy_time[hook as usize].observe_ns(ns);
        }
        if answer.is_err() || instance.is_worn() {
            slot.instance = None;
        }
        answer
    }

    #[cold]
    fn instantiate(&self) -> Result<Instance, PolicyError> {
        let (instance, described) = self.program.instantiate()?;
        described.map_err(|text| fault::failed(Fault::BadAnswer, format!("it refuses to serve again: {text}")))?;
        Ok(instance)
    }

    /// The answer to a question that was asked before.
    fn remembered<A: Clone>(&self, question: &Question<'_>, among: fn(&Decisions) -> &Answers<A>) -> Option<A> {
        let slot = self.slots.get()?.try_borrow().ok()?;
        let answer = among(&slot.decisions).get(question)?;
        self.program.context().metrics.policy_remembered.increment();
        Some(answer)
    }

    /// Remembers the answer of the call that just ended, if nothing else went into it.
    fn remember<A: Clone>(&self, question: Question<'_>, answer: &A, among: fn(&mut Decisions) -> &mut Answers<A>) {
        if let Some(Ok(mut slot)) = self.slots.get().map(RefCell::try_borrow_mut)
            && slot.instance.as_ref().is_some_and(Instance::kept_to_itself)
            && self.program.context().clock.random().is_multiple_of(REMEMBERED_ONE_IN)
        {
            among(&mut slot.decisions).keep(question, answer.clone());
        }
    }

    /// Faults that only show when the answer is looked at; the instance that gave it is still good.
    fn checked<T>(&self, hook: Hook, answer: Result<T, PolicyError>) -> Result<T, PolicyError> {
        answer.inspect_err(|error| fault::report(self.program.context(), hook, error))
    }
}

impl Policy for WasmPolicy {
    fn plan(&self, request: &Request<'_>) -> Result<Plan, PolicyError> {
        let question = Question::plan(request);
        if let Some(plan) = question.and_then(|question| self.remembered(&question, |all| &all.plans)) {
            return Ok(plan);
        }
        let said = self.call(Hook::Plan, |instance| instance.plan(convert::request(request)))?;
        let plan = self.checked(Hook::Plan, answer::plan(said))?;
        if let Some(question) = question {
            self.remember(question, &plan, |all| &mut all.plans);
        }
        Ok(plan)
    }

    fn plan_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Plan, PolicyError>>, PolicyError> {
        let mut plans = Vec::with_capacity(requests.len());
        let mut lowered: Vec<wit::Request<'_>> = Vec::with_capacity(requests.len().min(limits::PLAN_BATCH_MAX));
        for chunk in requests.chunks(limits::PLAN_BATCH_MAX) {
            lowered.clear();
            lowered.extend(chunk.iter().map(convert::request));
            let said = self.call(Hook::PlanBatch, |instance| instance.plan_batch(&lowered))?;
            if said.len() != chunk.len() {
                let message = format!("it answered {} of {} requests", said.len(), chunk.len());
                return self.checked(Hook::PlanBatch, Err(fault::failed(Fault::BadAnswer, message)));
            }
            plans.extend(said.into_iter().map(|said| self.checked(Hook::PlanBatch, answer::plan(said))));
        }
        Ok(plans)
    }

    fn admit(&self, request: &Request<'_>, candidate: &Candidate<'_>) -> Result<Admission, PolicyError> {
        let question = Question::admit(request, candidate, self.wants_bytes);
        if let Some(admission) = question.and_then(|question| self.remembered(&question, |all| &all.admissions)) {
            return Ok(admission);
        }
        let headers: Vec<_> =
            candidate.origin_headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let show_bytes = self.wants_bytes && candidate.bytes.len() <= limits::CANDIDATE_BYTES_MAX;
        let said = self.call(Hook::Admit, |instance| {
            instance.admit(convert::request(request), convert::candidate(candidate, &headers, show_bytes))
        })?;
        let admission = self.checked(Hook::Admit, answer::admission(said, self.encoding))?;
        if let Some(question) = question {
            self.remember(question, &admission, |all| &mut all.admissions);
        }
        Ok(admission)
    }
}

impl Hooks for WasmPolicy {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn revalidate(&self, entry: &EntryState<'_>) -> Result<Revalidation, PolicyError> {
        let state = convert::entry_state(entry);
        let call = |instance: &mut Instance| {
            instance.optional(|guests, store| Some(guests.revalidation.as_ref()?.call_revalidate(store, state)))
        };
        self.call(Hook::Revalidate, call).map(Revalidation::from)
    }

    fn origin_request(&self, request: &Request<'_>) -> Result<OriginRequest, PolicyError> {
        let said = self.call(Hook::OriginRequestFor, |instance| instance.origin_request(request))?;
        self.checked(Hook::OriginRequestFor, loads::request(said))
    }

    fn batch_request(&self, requests: &[Request<'_>]) -> Result<Option<OriginRequest>, PolicyError> {
        let lowered: Vec<_> = requests.iter().map(convert::request).collect();
        let call = |instance: &mut Instance| {
            instance.optional(|guests, store| Some(guests.loading.as_ref()?.call_batch_request_for(store, &lowered)))
        };
        let said = self.call(Hook::BatchRequestFor, call)?;
        self.checked(Hook::BatchRequestFor, said.map(loads::one_request).transpose())
    }

    fn accept(&self, request: &Request<'_>, response: &OriginResponse) -> Result<Acceptance, PolicyError> {
        self.call(Hook::Accept, |instance| instance.accept(request, response)).map(loads::acceptance)
    }

    fn split(&self, requests: &[Request<'_>], body: &[u8]) -> Result<BatchValues, PolicyError> {
        let lowered: Vec<_> = requests.iter().map(convert::request).collect();
        let call = |instance: &mut Instance| {
            instance.optional(|guests, store| Some(guests.loading.as_ref()?.call_split(store, &lowered, body)))
        };
        let said = self.call(Hook::Split, call)?;
        self.checked(Hook::Split, loads::split(said, requests.len()))
    }

    fn on_event(&self, event: &Event<'_>) -> Result<Result<Vec<Selector>, String>, PolicyError> {
        let said = self.call(Hook::OnEvent, |instance| instance.on_event(event))?;
        self.checked(Hook::OnEvent, answer::selectors(said))
    }

    fn warm_keys(&self) -> Result<Vec<String>, PolicyError> {
        let call = |instance: &mut Instance| {
            instance.optional(|guests, store| Some(guests.warming.as_ref()?.call_keys(store)))
        };
        let keys = self.call(Hook::Keys, call)?;
        self.checked(Hook::Keys, answer::warm_keys(keys))
    }

    fn migrate(&self, from_version: &str, key: &str, value: &[u8]) -> Result<Option<Vec<u8>>, PolicyError> {
        let call = |instance: &mut Instance| {
            instance.optional(|guests, store| {
                Some(guests.migration.as_ref()?.call_migrate(store, from_version, key, value))
            })
        };
        self.call(Hook::Migrate, call)
    }

    fn workflow(&self) -> Option<&dyn Workflow> {
        self.workflow.as_deref().map(|workflow| workflow as &dyn Workflow)
    }
}
