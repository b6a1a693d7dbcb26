//! jemalloc, where it is the process' allocator: what it says of itself.
//!
//! Its names and their types are those of jemalloc(3).

use std::ffi::CStr;
use std::ptr::{from_mut, null_mut};

use tikv_jemalloc_sys::mallctl;

use crate::ports::allocator::{Allocator, Held};

/// jemalloc; the binary makes it the allocator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jemalloc;

impl Allocator for Jemalloc {
    fn held(&self) -> Option<Held> {
        // Its figures are of the last time that they were added up.
        add_up()?;
        Some(Held { allocated_bytes: figure(c"stats.allocated")?, resident_bytes: figure(c"stats.resident")? })
    }
}

/// Has it add up its figures.
fn add_up() -> Option<()> {
    let mut epoch: u64 = 1;
    #[expect(
        unsafe_code,
        reason = "the name ends with a 0, and what is read and written is a uint64_t, as this name's is"
    )]
    let failed =
        unsafe { mallctl(c"epoch".as_ptr(), null_mut(), null_mut(), from_mut(&mut epoch).cast(), size_of_val(&epoch)) };
    (failed == 0).then_some(())
}

/// The value of a name that is a `size_t`.
fn figure(name: &CStr) -> Option<u64> {
    let (mut value, mut size) = (0_usize, size_of::<usize>());
    #[expect(
        unsafe_code,
        reason = "the name ends with a 0, and what is written is as large as `size` says, or nothing is"
    )]
    let failed = unsafe { mallctl(name.as_ptr(), from_mut(&mut value).cast(), &raw mut size, null_mut(), 0) };
    if failed == 0 { u64::try_from(value).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_at_least_what_is_in_use() {
        let held = Jemalloc.held().expect("it can be asked");
        assert!(held.resident_bytes >= held.allocated_bytes && held.resident_bytes > 0, "{held:?}");
        assert_eq!(figure(c"stats.nothing"), None);
    }
}
