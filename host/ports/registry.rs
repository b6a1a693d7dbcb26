//! What operators ask of the policies: which are live, since when, what went wrong, roll back, remove.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

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
    /// Serving an earlier component by command or by itself, until the file changes again.
    RolledBack,
    /// Nothing serves the domain: it never came to life, or was removed by command. `last_error` says which.
    Failed,
}

impl PolicyState {
    /// The word in lists, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Refused => "refused",
            Self::Orphaned => "orphaned",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
        }
    }
}

/// One step in the life of a domain's policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyEvent {
    /// Wall time, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// `live`, `refused`, `rolled-back`, `orphaned`, `removed`.
    pub event: &'static str,
    /// SHA-256 of the component concerned, in hex; empty if there is none.
    pub digest: Arc<str>,
    /// In words.
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
    /// Why the newest file does not serve.
    pub last_error: Option<String>,
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
}
