//! Why a policy file was not taken into service.

use std::fmt;

/// What is wrong, as a closed set: for logs and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// The file's name is not that of a domain.
    Name,
    /// The file cannot be read.
    Unreadable,
    /// The file is larger than a component may be.
    TooLarge,
    /// The file has no bytes.
    Empty,
    /// The bytes are not a WebAssembly component.
    NotComponent,
    /// The bytes end too early.
    Truncated,
    /// The component is malformed, or uses what this host's WebAssembly does not have.
    Invalid,
    /// It takes more to compile than it may.
    Compile,
    /// It speaks another version of the contract, or none.
    Contract,
    /// It imports what it is not granted, or what does not exist.
    Import,
    /// `NAME.toml` is wrong.
    Manifest,
    /// Its origin is none that this host may ask.
    Origin,
    /// `NAME.cases.toml` is wrong, or one of its cases failed.
    Cases,
    /// It failed on trial.
    Trial,
    /// It failed too often when it served.
    Quarantined,
    /// What it says of itself makes no sense.
    Description,
    /// The host could not do its part.
    Host,
}

impl Reason {
    /// The word in logs and tests.
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too-large",
            Self::Empty => "empty",
            Self::NotComponent => "not-component",
            Self::Truncated => "truncated",
            Self::Invalid => "invalid",
            Self::Compile => "compile",
            Self::Contract => "contract",
            Self::Import => "import",
            Self::Manifest => "manifest",
            Self::Origin => "origin",
            Self::Cases => "cases",
            Self::Trial => "trial",
            Self::Quarantined => "quarantined",
            Self::Description => "description",
            Self::Host => "host",
        }
    }
}

/// Why a policy was refused, for the operator: what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// What kind of fault.
    pub(super) reason: Reason,
    /// In words.
    pub(super) message: String,
}

impl Refused {
    /// A refusal for this reason.
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The same, said of this file: the message told what is wrong with it. What is the host's fault stays as it is.
    pub(super) fn in_file(self, name: &str) -> Self {
        match self.reason {
            Reason::Host => self,
            reason => Self { reason, message: format!("{name} {}", self.message) },
        }
    }

    /// Says it in the log.
    pub(super) fn report(&self, domain: &str) {
        let reason = self.reason.as_str();
        tracing::error!(target: "larder::policy", domain, reason, "the policy is refused: {self}");
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}
