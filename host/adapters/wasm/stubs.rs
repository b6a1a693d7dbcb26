//! `redis`, `lock` and `breaker` for the pure hooks, which may not wait: every function answers `not-allowed`.
//!
//! A component imports one list of interfaces for all its exports, so the rules of a policy that does I/O in its workflow
//! import these too. No resource is ever made here, so the methods of resources cannot be reached.

use wasmtime::component::Resource;

use super::bindings::host::{breaker, host_errors::HostError, lock, redis};
use super::state::HostState;

fn not_allowed<T>(function: &str) -> Result<T, HostError> {
    Err(HostError::NotAllowed(format!("`{function}` does I/O; the rules are pure: only `workflow` may call it")))
}

/// One function of the contract per line: its name, its parameters, its answer.
macro_rules! not_allowed {
    ($interface:literal: $($function:ident($($parameter:ty),*) -> $answer:ty;)*) => {
        $(fn $function(&mut self, $(_: $parameter),*) -> Result<$answer, HostError> {
            not_allowed(concat!($interface, ".", stringify!($function)))
        })*
    };
}

type Bytes = Vec<u8>;

impl redis::Host for HostState {
    not_allowed! { "redis":
        get(String) -> Option<Bytes>;
        get_many(Vec<String>) -> Vec<Option<Bytes>>;
        set(String, Bytes, Option<u64>) -> ();
        set_if_absent(String, Bytes, Option<u64>) -> bool;
        delete(Vec<String>) -> u32;
        exists(String) -> bool;
        ttl_ms(String) -> Option<u64>;
        expire(String, Option<u64>) -> bool;
        increment(String, i64, Option<u64>) -> i64;
        hash_get(String, String) -> Option<Bytes>;
        hash_get_all(String) -> Vec<(String, Bytes)>;
        hash_set(String, Vec<(String, Bytes)>) -> u32;
        hash_delete(String, Vec<String>) -> u32;
        hash_increment(String, String, i64) -> i64;
        list_push_front(String, Vec<Bytes>) -> u32;
        list_push_back(String, Vec<Bytes>) -> u32;
        list_pop_front(String, u32) -> Vec<Bytes>;
        list_pop_back(String, u32) -> Vec<Bytes>;
        list_range(String, i64, i64) -> Vec<Bytes>;
        list_trim(String, i64, i64) -> ();
        list_length(String) -> u32;
        list_remove(String, i64, Bytes) -> u32;
        set_add(String, Vec<Bytes>) -> u32;
        set_remove(String, Vec<Bytes>) -> u32;
        set_members(String) -> Vec<Bytes>;
        set_contains(String, Bytes) -> bool;
        scan(String, u64, u32) -> (u64, Vec<String>);
    }
}

impl lock::Host for HostState {
    not_allowed! { "lock":
        acquire(String, u32, u32) -> Option<Resource<lock::Guard>>;
    }
}

impl lock::HostGuard for HostState {
    fn fencing_token(&mut self, _: Resource<lock::Guard>) -> u64 {
        0
    }

    not_allowed! { "lock.guard":
        extend(Resource<lock::Guard>, u32) -> ();
        release(Resource<lock::Guard>) -> bool;
    }

    fn drop(&mut self, _: Resource<lock::Guard>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl breaker::Host for HostState {
    not_allowed! { "breaker":
        current(String) -> breaker::State;
        acquire(String) -> Option<Resource<breaker::Permit>>;
    }
}

impl breaker::HostPermit for HostState {
    fn report(&mut self, _: Resource<breaker::Permit>, _: breaker::Outcome) {}

    fn drop(&mut self, _: Resource<breaker::Permit>) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_reach_nothing_that_waits() {
        let mut state = HostState::of_test();
        let answers = [
            redis::Host::get(&mut state, "k".into()).map(drop),
            redis::Host::scan(&mut state, String::new(), 0, 1).map(drop),
            lock::Host::acquire(&mut state, "l".into(), 1, 1).map(drop),
            breaker::Host::current(&mut state, "store".into()).map(drop),
        ];
        for (answer, function) in
            answers.into_iter().zip(["redis.get", "redis.scan", "lock.acquire", "breaker.current"])
        {
            assert!(matches!(answer, Err(HostError::NotAllowed(text)) if text.contains(function)));
        }
    }
}
