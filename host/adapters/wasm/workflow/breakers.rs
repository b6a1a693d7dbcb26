//! `breaker` for workflows.

use wasmtime::component::Resource;

use super::bindings::host::breaker;
use super::bindings::host::host_errors::HostError;
use super::state::CallState;
use crate::ports::workflow::{CallOutcome, CallPermit, CircuitState};

/// The contract's `permit`: the right to make one call, given back when the guest drops it or its call ends.
#[expect(unreachable_pub, reason = "the generated bindings hand it on")]
pub struct Permit(Box<dyn CallPermit>);

impl breaker::Host for CallState {
    async fn current(&mut self, name: String) -> wasmtime::Result<Result<breaker::State, HostError>> {
        let host = self.begin_host_call()?;
        let state = host.circuit(&name);
        self.end_host_call();
        Ok(state.map(breaker::State::from).map_err(HostError::from))
    }

    async fn acquire(&mut self, name: String) -> wasmtime::Result<Result<Option<Resource<Permit>>, HostError>> {
        let host = self.begin_host_call()?;
        let permit = host.permit(&name);
        self.end_host_call();
        Ok(match permit {
            Ok(Some(permit)) => Ok(Some(self.held.push(Permit(permit))?)),
            Ok(None) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }
}

impl breaker::HostPermit for CallState {
    async fn report(&mut self, permit: Resource<Permit>, outcome: breaker::Outcome) -> wasmtime::Result<()> {
        self.held.get_mut(&permit)?.0.report(match outcome {
            breaker::Outcome::Success => CallOutcome::Success,
            breaker::Outcome::Failure => CallOutcome::Failure,
            breaker::Outcome::Slow => CallOutcome::Slow,
            breaker::Outcome::Ignored => CallOutcome::Ignored,
        });
        Ok(())
    }

    async fn drop(&mut self, permit: Resource<Permit>) -> wasmtime::Result<()> {
        self.held.delete(permit)?;
        Ok(())
    }
}

impl From<CircuitState> for breaker::State {
    fn from(state: CircuitState) -> Self {
        match state {
            CircuitState::Closed => Self::Closed,
            CircuitState::Open => Self::Open,
            CircuitState::HalfOpen => Self::HalfOpen,
            CircuitState::ForcedOpen => Self::ForcedOpen,
            CircuitState::ForcedClosed => Self::ForcedClosed,
        }
    }
}
