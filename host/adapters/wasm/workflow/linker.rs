//! The host functions of a workflow: those of the pure hooks, and those that may wait.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::bindings::host::{breaker, host_errors, lock, redis};
use super::state::CallState;
use crate::adapters::wasm::bindings::host::{clock, log, metrics, settings, types};
use crate::adapters::wasm::state::HostState;

/// A linker with everything that a workflow may import.
///
/// # Errors
/// A name is defined twice: a defect of the host.
pub(in crate::adapters::wasm) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    type Base = HasSelf<HostState>;
    type Call = HasSelf<CallState>;
    let mut linker = Linker::new(engine);
    types::add_to_linker::<_, Base>(&mut linker, |state: &mut CallState| &mut state.base)?;
    log::add_to_linker::<_, Base>(&mut linker, |state: &mut CallState| &mut state.base)?;
    settings::add_to_linker::<_, Base>(&mut linker, |state: &mut CallState| &mut state.base)?;
    clock::add_to_linker::<_, Base>(&mut linker, |state: &mut CallState| &mut state.base)?;
    metrics::add_to_linker::<_, Base>(&mut linker, |state: &mut CallState| &mut state.base)?;
    host_errors::add_to_linker::<_, Call>(&mut linker, |state| state)?;
    redis::add_to_linker::<_, Call>(&mut linker, |state| state)?;
    lock::add_to_linker::<_, Call>(&mut linker, |state| state)?;
    breaker::add_to_linker::<_, Call>(&mut linker, |state| state)?;
    Ok(linker)
}

impl host_errors::Host for CallState {}
