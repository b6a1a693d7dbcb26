//! What a WASI function answers that has nothing behind it, worked out from its own type: an empty list, none, or the error
//! that says "not allowed".
//!
//! Invariant: no function is left without an answer; where its type has neither, the call ends with a message that names it.

use wasmtime::component::types::Type;
use wasmtime::component::{LinkerInstance, Val};

use super::wasi::Handle;

/// Errors that say "you may not", in the words of the different interfaces; the first that a type has is taken.
const REFUSALS: [&str; 6] = ["access-denied", "not-permitted", "access", "not-supported", "unsupported", "closed"];

/// Links a function that answers with nothing or refuses.
pub(super) fn refuse<T: 'static>(
    into: &mut LinkerInstance<'_, T>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    let full_name = format!("wasi:{interface}#{name}");
    into.func_new(name, move |mut store, ty, parameters, results| {
        for parameter in parameters {
            // A borrowed handle must be given back before the call ends.
            if let Val::Resource(handle) = parameter {
                handle.try_into_resource::<Handle>(&mut store)?;
            }
        }
        for (result, ty) in results.iter_mut().zip(ty.results()) {
            *result = nothing(&ty)
                .ok_or_else(|| Stopped::error(format!("it calls {full_name}, which policies do not have")))?;
        }
        Ok(())
    })
}

/// The value of a type that says least.
fn nothing(ty: &Type) -> Option<Val> {
    match ty {
        Type::List(_) => Some(Val::List(Vec::new())),
        Type::Option(_) => Some(Val::Option(None)),
        Type::Result(result) => Some(Val::Result(Err(match result.err() {
            Some(error) => Some(Box::new(refusal(&error)?)),
            None => None,
        }))),
        _ => None,
    }
}

fn refusal(error: &Type) -> Option<Val> {
    let among = |names: &[&str]| REFUSALS.into_iter().find(|refusal| names.contains(refusal)).map(str::to_owned);
    match error {
        Type::Enum(error) => Some(Val::Enum(among(&error.names().collect::<Vec<_>>())?)),
        Type::Variant(error) => {
            let plain: Vec<_> = error.cases().filter(|case| case.ty.is_none()).map(|case| case.name).collect();
            Some(Val::Variant(among(&plain)?, None))
        }
        _ => None,
    }
}

/// The host ended a call because of what the guest asked for through WASI: a trap in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Stopped(String);

impl Stopped {
    /// To be returned from a host function.
    pub(super) fn error(words: impl Into<String>) -> wasmtime::Error {
        wasmtime::Error::new(Self(words.into()))
    }
}
