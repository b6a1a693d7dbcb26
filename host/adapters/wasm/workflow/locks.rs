//! `lock` for workflows.

use wasmtime::component::Resource;

use super::bindings::host::host_errors::HostError;
use super::bindings::host::lock;
use super::state::CallState;
use crate::ports::workflow::HeldLock;

/// The contract's `guard`: a lock that the guest holds until it drops it or its call ends.
#[expect(unreachable_pub, reason = "the generated bindings hand it on")]
pub struct Guard(Box<dyn HeldLock>);

impl lock::Host for CallState {
    async fn acquire(
        &mut self,
        name: String,
        ttl_ms: u32,
        wait_ms: u32,
    ) -> wasmtime::Result<Result<Option<Resource<Guard>>, HostError>> {
        let host = self.begin_host_call()?;
        let taken = host.lock(name, ttl_ms, wait_ms).await;
        self.end_host_call();
        Ok(match taken {
            Ok(Some(lock)) => Ok(Some(self.held.push(Guard(lock))?)),
            Ok(None) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }
}

impl lock::HostGuard for CallState {
    async fn fencing_token(&mut self, guard: Resource<Guard>) -> wasmtime::Result<u64> {
        Ok(self.held.get(&guard)?.0.fencing_token())
    }

    async fn extend(&mut self, guard: Resource<Guard>, ttl_ms: u32) -> wasmtime::Result<Result<(), HostError>> {
        self.begin_host_call()?;
        let extended = self.held.get_mut(&guard)?.0.extend(ttl_ms).await;
        self.end_host_call();
        Ok(extended.map_err(HostError::from))
    }

    async fn release(&mut self, guard: Resource<Guard>) -> wasmtime::Result<Result<bool, HostError>> {
        self.begin_host_call()?;
        let released = self.held.get_mut(&guard)?.0.release().await;
        self.end_host_call();
        Ok(released.map_err(HostError::from))
    }

    async fn drop(&mut self, guard: Resource<Guard>) -> wasmtime::Result<()> {
        self.held.delete(guard)?;
        Ok(())
    }
}
