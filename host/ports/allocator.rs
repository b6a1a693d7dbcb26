//! What the process' allocator has handed out, and what it holds of the system's memory for that.

/// Bytes of the process' allocator, of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What is in use, in the allocator's own sizes.
    pub allocated_bytes: u64,
    /// What it holds for that of the system's memory: more by its own records, by pages of which a part is free, and by free pages that are not
    /// yet given back.
    pub resident_bytes: u64,
}

/// An allocator that says what it holds.
pub trait Allocator: Send + Sync {
    /// What it holds now; `None` if it cannot be asked. Takes microseconds.
    fn held(&self) -> Option<Held>;
}
