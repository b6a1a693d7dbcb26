//! How a call of a policy went wrong, told from wasmtime's error and what the instance did before it.

use wasmtime::{PoolConcurrencyLimitError, Trap};

use super::imports::one_line;
use super::manifest::PolicyLimits;
use super::state::{Context, HostState};
use super::wasi_refusal::Stopped;
use crate::limits;
use crate::ports::metrics::Hook;
use crate::ports::policy::{Fault, PolicyError};
use crate::ports::trace::Span;

/// Notes a call in its span.
pub(super) fn tell(context: &Context, span: &Span, error: Option<&PolicyError>) {
    span.note("larder.domain", std::sync::Arc::clone(&context.domain));
    match error {
        Some(PolicyError::Failed { fault, .. }) => span.fail(fault.as_str()),
        Some(PolicyError::Refused(_)) => span.fail("refused"),
        None => {}
    }
}

/// The fault behind an error of a call. A deadline outranks memory: it says for certain why the call ended, while a guest may
/// have borne a refused allocation.
pub(super) fn of_call(
    error: &wasmtime::Error,
    state: &mut HostState,
    bounds: PolicyLimits,
    deadline_ms: u64,
) -> PolicyError {
    let trap = error.downcast_ref::<Trap>();
    let (fault, message) = match trap {
        Some(Trap::Interrupt) => (Fault::Deadline, format!("it ran for longer than {deadline_ms} ms")),
        _ if state.limiter.denied() => {
            (Fault::Memory, format!("it asked for more than its {} KiB of memory", bounds.memory_bytes >> 10))
        }
        Some(Trap::StackOverflow) => (
            Fault::Trap,
            format!("its calls nest deeper than its {} KiB of stack", limits::INSTANCE_STACK_BYTES_MAX >> 10),
        ),
        Some(trap) => (Fault::Trap, trap.to_string()),
        None if error.is::<Stopped>() => (Fault::Trap, error.root_cause().to_string()),
        None if error.is::<PoolConcurrencyLimitError>() => {
            (Fault::Instance, format!("the host has no room for another instance: {error:#}"))
        }
        None => (Fault::BadAnswer, format!("it handed the host what cannot be taken: {}", error.root_cause())),
    };
    let message = match state.take_last_words() {
        Some(words) if fault == Fault::Trap => format!("{words} ({message})"),
        _ => message,
    };
    failed(fault, one_line(message, limits::LOG_LINE_BYTES_MAX))
}

/// The fault behind an error of making an instance.
pub(super) fn of_instance(
    error: &wasmtime::Error,
    state: &mut HostState,
    bounds: PolicyLimits,
    deadline_ms: u64,
) -> PolicyError {
    if error.is::<Trap>() || error.is::<Stopped>() || error.is::<PoolConcurrencyLimitError>() || state.limiter.denied()
    {
        return of_call(error, state, bounds, deadline_ms);
    }
    failed(
        Fault::Instance,
        format!("it does not fit the contract larder:policy@0.1.0; was it built against another `wit/`? {error:#}"),
    )
}

/// Counts a failure and tells the log, within the domain's bounds. A refusal is none.
#[cold]
pub(super) fn report(context: &Context, hook: Hook, error: &PolicyError) {
    let PolicyError::Failed { fault, message } = error else { return };
    context.metrics.policy_failed(*fault, &context.faults);
    if context.log.take(context.clock.monotonic_ns() / 1_000_000_000) {
        tracing::warn!(
            target: "larder::policy",
            domain = &*context.domain,
            hook = hook.as_str(),
            fault = fault.as_str(),
            "the policy failed: {message}"
        );
    }
}

/// A failure of the policy.
pub(super) fn failed(fault: Fault, message: impl Into<String>) -> PolicyError {
    PolicyError::Failed { fault, message: message.into() }
}
