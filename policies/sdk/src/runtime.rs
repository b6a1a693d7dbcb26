//! What the generated bindings need under them: memory that the host fills or takes over, constructors, sets of flags.
//!
//! The canonical ABI wants `cabi_realloc`: the host calls it for each text and list that it hands over. It stands here, and not in a
//! crate of its own, so that a policy depends on nothing that would have to be fetched.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

/// A block that is lent to the host for the length of one call, and freed when this is dropped.
pub struct Cleanup {
    block: NonNull<u8>,
    layout: Layout,
}

impl Cleanup {
    /// Allocates a block; null and nothing to free if it has no size.
    pub fn new(layout: Layout) -> (*mut u8, Option<Self>) {
        if layout.size() == 0 {
            return (null_mut(), None);
        }
        // SAFETY: the size is not zero.
        match NonNull::new(unsafe { alloc(layout) }) {
            Some(block) => (block.as_ptr(), Some(Self { block, layout })),
            None => handle_alloc_error(layout),
        }
    }

    /// Leaves the block to whoever has its address.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed nowhere else.
        unsafe { dealloc(self.block.as_ptr(), self.layout) }
    }
}

/// Resizes a block of the host's, or makes one.
///
/// # Safety
/// As the canonical ABI has it: `old` is a block of `old_bytes` that came from here, or `old_bytes` is 0; `align` is a power of two.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_bytes: usize, align: usize, new_bytes: usize) -> *mut u8 {
    if new_bytes == 0 && old_bytes == 0 {
        // Any aligned address will do for nothing.
        return align as *mut u8;
    }
    // SAFETY: the caller's promise; no size is zero where it must not be.
    let block = unsafe {
        if old_bytes == 0 {
            alloc(Layout::from_size_align_unchecked(new_bytes, align))
        } else {
            std::alloc::realloc(old, Layout::from_size_align_unchecked(old_bytes, align), new_bytes)
        }
    };
    if block.is_null() {
        // The words of `handle_alloc_error` would be most of what a small policy weighs.
        std::arch::wasm32::unreachable();
    }
    block
}

/// Runs the static constructors, at the first call of an export. The linker would run them before each export otherwise.
#[cfg(target_arch = "wasm32")]
pub fn run_ctors_once() {
    use std::sync::atomic::{AtomicBool, Ordering};

    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.swap(true, Ordering::Relaxed) {
        // SAFETY: the linker makes this function, and it is called once.
        unsafe { __wasm_call_ctors() }
    }
}

/// A set of flags: `flags! { pub struct Shapes: u8 { const VALUE = 1 << 0; } }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __flags {
    (
        $(#[$of_set:meta])*
        $vis:vis struct $name:ident : $bits:ty { $($(#[$of_flag:meta])* const $flag:ident = $value:expr;)* }
    ) => {
        $(#[$of_set])*
        $vis struct $name($bits);

        impl $name {
            $($(#[$of_flag])* $vis const $flag: Self = Self($value);)*

            /// No flag.
            $vis const fn empty() -> Self {
                Self(0)
            }

            /// Every flag.
            $vis const fn all() -> Self {
                Self(0 $(| $value)*)
            }

            /// The flags as bits.
            $vis const fn bits(self) -> $bits {
                self.0
            }

            /// Bits as flags, those without a name too.
            $vis const fn from_bits_retain(bits: $bits) -> Self {
                Self(bits)
            }

            /// Whether all of these flags are in the set.
            $vis const fn contains(self, flags: Self) -> bool {
                self.0 & flags.0 == flags.0
            }
        }

        impl ::core::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl ::core::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }
    };
}

/// Under the name by which the generated bindings call it.
pub use crate::__flags as bitflags;

#[cfg(test)]
mod tests {
    use super::*;

    __flags! {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        struct Some: u8 { const A = 1 << 0; const B = 1 << 1; }
    }

    #[test]
    fn flags_are_a_set() {
        let mut some = Some::A;
        assert!(some.contains(Some::A) && !some.contains(Some::B) && !some.contains(Some::all()));
        some |= Some::B;
        assert_eq!((some, some.bits()), (Some::A | Some::B, 3));
        assert_eq!((Some::all(), Some::empty()), (some, Some::from_bits_retain(0)));
    }

    #[test]
    fn a_block_without_size_is_null() {
        let (block, cleanup) = Cleanup::new(Layout::new::<()>());
        assert!(block.is_null() && cleanup.is_none());
        let (block, cleanup) = Cleanup::new(Layout::new::<u64>());
        assert!(!block.is_null() && cleanup.is_some());
    }
}
