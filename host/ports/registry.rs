//! What operators ask of the policies: which are live, since when, what went wrong, roll back, remove.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Where a domain's policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyState {
    /// Serving; the file in the folder is the one that serves.
    Live,
    /// Serving, but the newest file was refused: `last_error` says why.
    Refused,
    /// Serving, though its file is gone from the folder.
    Orphaned,
    /// Serving an earlier component by command, until the file changes again.
    RolledBack,
    /// Serving an earlier component by itself: that in the folder failed too often and is in quarantine, until the file changes
    /// or an operator clears it.
    Quarantined,
    /// Serving, though it fails too often: there is nothing to go back to, and no policy at all would be worse, since the keys
    /// would fall to the rules of another domain.
    Failing,
    /// Nothing serves the domain: it never came to life, or was removed by command. `last_error` says which.
    Failed,
}

impl PolicyState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Live, Self::Refused, Self::Orphaned, Self::RolledBack, Self::Quarantined, Self::Failing, Self::Failed];

    /// The word in lists, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Refused => "refused",
            Self::Orphaned => "orphaned",
            Self::RolledBack => "rolled-back",
            Self::Quarantined => "quarantined",
            Self::Failing => "failing",
            Self::Failed => "failed",
        }
    }
}

/// What happened in the life of a domain's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyStep {
    /// A component began to serve.
    Live,
    /// A file was refused.
    Refused,
    /// An earlier component was put back by command.
    RolledBack,
    /// The file went away.
    Orphaned,
    /// It was taken out of service by command.
    Removed,
    /// It failed too often and was replaced by the one before.
    Quarantined,
    /// It fails too often, and there is none before it.
    Failing,
    /// It no longer fails too often.
    Recovered,
    /// The quarantine was cleared by command.
    Unquarantined,
}

impl PolicyStep {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Live,
        Self::Refused,
        Self::RolledBack,
        Self::Orphaned,
        Self::Removed,
        Self::Quarantined,
        Self::Failing,
        Self::Recovered,
        Self::Unquarantined,
    ];

    /// The word in lists and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Orphaned => "orphaned",
            Self::Removed => "removed",
            Self::Quarantined => "quarantined",
            Self::Failing => "failing",
            Self::Recovered => "recovered",
            Self::Unquarantined => "unquarantined",
        }
    }
}

/// One step in the life of a domain's policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyEvent {
    /// Wall time, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What happened.
    pub event: PolicyStep,
    /// SHA-256 of the component concerned, in hex; empty if there is none.
    pub digest: Arc<str>,
    /// In words.
    pub detail: String,
}

/// A component that is not taken again, because it failed too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Since when: wall time, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// SHA-256 of the component, in hex.
    pub digest: Arc<str>,
    /// How often it failed.
    pub detail: String,
}

/// Everything an operator may want to know about a domain's policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyStatus {
    /// The domain.
    pub domain: Arc<str>,
    /// Where it stands.
    pub state: PolicyState,
    /// Generation that serves; 0 if none.
    pub generation: u64,
    /// SHA-256 of the component that serves, in hex; empty if none.
    pub digest: Arc<str>,
    /// The policy's own version; empty if none serves.
    pub version: String,
    /// Key version; empty if none serves.
    pub key_version: String,
    /// `raw` or `enveloped`; empty if none serves.
    pub encoding: &'static str,
    /// Size of the component in bytes.
    pub size_bytes: u64,
    /// How long the last compilation or cache load took, in milliseconds.
    pub load_ms: u64,
    /// Wall time since which it serves, milliseconds since the Unix epoch.
    pub live_since_ms: u64,
    /// What it may be rolled back to: digests, newest first.
    pub previous: Vec<Arc<str>>,
    /// Why the newest file does not serve, or what is wrong with what serves.
    pub last_error: Option<String>,
    /// Components that are not taken again, newest first.
    pub quarantined: Vec<Quarantined>,
    /// The last steps, newest first.
    pub history: Vec<PolicyEvent>,
}

/// Why an operator's request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is no such domain.
    #[error("no policy serves the domain '{0}'; `LARDER.POLICY LIST` names those that do")]
    UnknownDomain(String),
    /// There is nothing to roll back to.
    #[error("the domain '{0}' has no earlier policy to roll back to")]
    NoPrevious(String),
    /// There is nothing in quarantine.
    #[error("the domain '{0}' has no policy in quarantine")]
    NotQuarantined(String),
    /// The file is still in the folder.
    #[error("the file '{0}' is still in the policy folder; delete it first, or the next change brings it back")]
    FileExists(String),
    /// The host is shutting down.
    #[error("the host is shutting down")]
    Closed,
}

/// The policies as an operator sees them.
#[async_trait]
pub trait Registry: Send + Sync {
    /// All domains that have or had a policy since the start, in order of their names.
    fn list(&self) -> Vec<PolicyStatus>;

    /// One domain.
    fn status(&self, domain: &str) -> Option<PolicyStatus>;

    /// Puts the previous component of a domain back into service, until its file changes again.
    ///
    /// # Errors
    /// An unknown domain; nothing to roll back to.
    async fn rollback(&self, domain: &str) -> Result<PolicyStatus, RegistryError>;

    /// Takes a domain whose file is gone out of service.
    ///
    /// # Errors
    /// An unknown domain; a file that is still there.
    async fn remove(&self, domain: &str) -> Result<(), RegistryError>;

    /// Forgets what is in quarantine for a domain; the file in its folder is tried again at once.
    ///
    /// # Errors
    /// An unknown domain; nothing in quarantine.
    async fn unquarantine(&self, domain: &str) -> Result<PolicyStatus, RegistryError>;
}
