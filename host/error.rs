//! The one error that callers see: what failed, who is to blame, whether to retry.
//!
//! Front ends translate [`ErrorKind`] through one table each; the log gets the whole chain. Errors inside a port have
//! types of their own (`StoreError`, `PolicyError`) and become this one at the engine.

use std::fmt;

/// What failed. Closed: the label of a metric and the code of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The key is empty, too long, holds control characters or does not have the domain's form.
    InvalidKey,
    /// The value is too large or of a wrong form.
    InvalidValue,
    /// An argument is wrong.
    InvalidArgument,
    /// No policy serves this domain, and there is no `default`.
    UnknownDomain,
    /// The domain does not serve this operation or shape.
    Unsupported,
    /// The policy refused, in its own words.
    Refused,
    /// The store answered with an error of its own, in Redis' words (`WRONGTYPE …`).
    StoreReply,
    /// The store cannot be reached.
    StoreUnavailable,
    /// The store did not answer in time; the work may or may not have been done.
    StoreTimeout,
    /// What lies under the key is not of this host.
    StoreData,
    /// The origin cannot be asked now: its breaker is open, it has too many calls, or a load of the key failed just now.
    OriginUnavailable,
    /// The origin failed, or answered what is no value.
    OriginFailed,
    /// The origin did not answer in time.
    OriginTimeout,
    /// The policy trapped, overran its time or memory, or gave an answer that makes no sense.
    PolicyFailed,
    /// The policy could not do it now, in its own words.
    PolicyUnavailable,
    /// A bound of the host is reached.
    Overloaded,
    /// A defect of the host.
    Internal,
}

/// Who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Whoever sent the request.
    Caller,
    /// The author of the domain's policy.
    Policy,
    /// Whoever runs the store.
    Store,
    /// Whoever runs the domain's origin.
    Origin,
    /// Whoever runs this host.
    Host,
}

impl ErrorKind {
    /// The word in logs, metrics and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid-key",
            Self::InvalidValue => "invalid-value",
            Self::InvalidArgument => "invalid-argument",
            Self::UnknownDomain => "unknown-domain",
            Self::Unsupported => "unsupported",
            Self::Refused => "refused",
            Self::StoreReply => "store-reply",
            Self::StoreUnavailable => "store-unavailable",
            Self::StoreTimeout => "store-timeout",
            Self::StoreData => "store-data",
            Self::OriginUnavailable => "origin-unavailable",
            Self::OriginFailed => "origin-failed",
            Self::OriginTimeout => "origin-timeout",
            Self::PolicyFailed => "policy-failed",
            Self::PolicyUnavailable => "policy-unavailable",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }

    /// Who is to blame.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::InvalidKey
            | Self::InvalidValue
            | Self::InvalidArgument
            | Self::UnknownDomain
            | Self::Unsupported
            | Self::Refused
            | Self::StoreReply => Blame::Caller,
            Self::StoreUnavailable | Self::StoreTimeout | Self::StoreData => Blame::Store,
            Self::OriginUnavailable | Self::OriginFailed | Self::OriginTimeout => Blame::Origin,
            Self::PolicyFailed | Self::PolicyUnavailable => Blame::Policy,
            Self::Overloaded | Self::Internal => Blame::Host,
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub const fn retry(self) -> bool {
        matches!(
            self,
            Self::StoreUnavailable
                | Self::StoreTimeout
                | Self::OriginUnavailable
                | Self::OriginFailed
                | Self::OriginTimeout
                | Self::PolicyUnavailable
                | Self::Overloaded
        )
    }
}

impl Blame {
    /// The word in logs and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Policy => "policy",
            Self::Store => "store",
            Self::Origin => "origin",
            Self::Host => "host",
        }
    }
}

/// What failed, in words for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What failed.
    pub kind: ErrorKind,
    /// Words for the caller: what, and what to do. No secrets, no line breaks. For [`ErrorKind::StoreReply`] the store's own
    /// error line with its code.
    pub message: String,
}

/// The result of everything that a caller asks for.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.contains(['\r', '\n']) {
            message = message.replace(['\r', '\n'], " ");
        }
        Self { kind, message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
