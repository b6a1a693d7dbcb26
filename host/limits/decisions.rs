//! What is remembered of a policy's decisions.

/// Plans, and admissions, that one thread remembers of one policy: some 150 and 250 bytes each.
pub const DECISIONS_REMEMBERED_MAX: u32 = 2_048;
/// Keys whose decisions are remembered, in bytes.
pub const DECISION_KEY_BYTES_MAX: usize = 128;
