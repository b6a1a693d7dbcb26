//! A value that is offered to a policy for admission, and why it is.
//!
//! The documentation of each item is in `wit/types.wit`; the names are the same. Deliberately absent: what the policy answers.

#![expect(missing_docs, reason = "documented in wit/, under the same names")]

/// Why a value is offered for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    Write,
    Fill,
    Load,
    Refresh,
}

impl Cause {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 4] = [Self::Write, Self::Fill, Self::Load, Self::Refresh];

    /// The word in explanations and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Fill => "fill",
            Self::Load => "load",
            Self::Refresh => "refresh",
        }
    }
}

/// A value that is offered for admission.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub cause: Cause,
    pub size_bytes: u32,
    pub asked_ttl_ms: Option<u64>,
    pub origin_status: Option<u16>,
    pub origin_headers: &'a [(String, String)],
    pub load_ms: u32,
    /// The adapter passes it on only to a policy that wants it.
    pub bytes: &'a [u8],
}

impl<'a> Candidate<'a> {
    /// A value that an application writes, which asks for no lifetime.
    #[must_use]
    pub fn written(bytes: &'a [u8]) -> Self {
        Self { bytes, ..Self::written_of_size(bytes.len()) }
    }

    /// The same of a value that the policy is not shown: it learns the size in bytes alone.
    #[must_use]
    pub fn written_of_size(size: usize) -> Self {
        Self {
            cause: Cause::Write,
            size_bytes: u32::try_from(size).unwrap_or(u32::MAX),
            asked_ttl_ms: None,
            origin_status: None,
            origin_headers: &[],
            load_ms: 0,
            bytes: &[],
        }
    }
}
