//! What is known of a route: everything that the router, the OpenAPI document and the page at `/` need, as data.

use crate::config::users::Role;
use crate::wire::access::{Need, Of};

/// A method that a route may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    Get,
    Head,
    Put,
    Post,
    Patch,
    Delete,
}

impl Verb {
    /// As it stands in a request.
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    ReadEntry,
    WriteEntry,
    RemoveEntry,
    Batch,
    ExplainEntry,
    Invalidate,
    HotKeys,
    Warm,
    CallCommand,
    TellEvent,
    ListPolicies,
    ShowPolicy,
    RollBackPolicy,
    RemovePolicy,
    ListLocks,
    ForceReleaseLocks,
    AcquireLock,
    ExtendLock,
    ReleaseLock,
    ShowLock,
    ListBreakers,
    ShowBreaker,
    ForceBreaker,
    UnquarantinePolicy,
    ShowLog,
    SetLog,
    Metrics,
    Health,
    Ready,
    OpenApi,
    Status,
    DashboardFile,
    Index,
}

impl Action {
    /// What its caller must be allowed.
    pub(super) const fn need(self) -> Option<Need> {
        Some(match self {
            Self::ReadEntry | Self::ExplainEntry => Need::new(Role::Read, Of::Keys),
            Self::WriteEntry | Self::RemoveEntry => Need::new(Role::Write, Of::Keys),
            Self::Batch => Need::new(Role::Read, Of::Body),
            Self::Warm => Need::new(Role::Admin, Of::Body),
            Self::Invalidate | Self::TellEvent => Need::new(Role::Write, Of::Body),
            Self::CallCommand => Need::new(Role::Write, Of::Domain(3)),
            Self::ShowPolicy => Need::new(Role::Read, Of::Domain(3)),
            Self::RollBackPolicy | Self::RemovePolicy | Self::UnquarantinePolicy => {
                Need::new(Role::Admin, Of::Domain(3))
            }
            Self::AcquireLock | Self::ExtendLock | Self::ReleaseLock => Need::new(Role::Write, Of::Lock(3)),
            Self::ShowLock => Need::new(Role::Read, Of::Lock(3)),
            Self::HotKeys
            | Self::ListPolicies
            | Self::ListLocks
            | Self::ListBreakers
            | Self::ShowBreaker
            | Self::ShowLog
            | Self::Status
            | Self::Metrics => Need::new(Role::Read, Of::Host),
            Self::ForceReleaseLocks | Self::ForceBreaker | Self::SetLog => Need::new(Role::Admin, Of::Host),
            Self::Health | Self::Ready | Self::OpenApi | Self::Index | Self::DashboardFile => return None,
        })
    }

    /// What the query may say, and what it does.
    pub(super) const fn queries(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::ListLocks => &[("prefix", "only locks whose names begin so")],
            _ => &[],
        }
    }

    /// Whether a request without a body makes no sense.
    pub(super) const fn wants_body(self) -> bool {
        matches!(
            self,
            Self::WriteEntry
                | Self::Invalidate
                | Self::TellEvent
                | Self::ExtendLock
                | Self::ReleaseLock
                | Self::ForceReleaseLocks
                | Self::ForceBreaker
                | Self::SetLog
        )
    }

    /// What the request's body carries.
    pub(super) const fn body(self) -> Content {
        match self {
            Self::WriteEntry => Content::Bytes,
            Self::Warm => Content::Schema("Warm"),
            Self::Batch => Content::Schema("Batch"),
            Self::AcquireLock => Content::Schema("LockAsk"),
            Self::ExtendLock => Content::Schema("LockExtension"),
            Self::ReleaseLock => Content::Schema("LockRelease"),
            Self::ForceReleaseLocks => Content::Schema("LockForceRelease"),
            Self::SetLog => Content::Schema("LogLevel"),
            Self::Invalidate => Content::Schema("Invalidation"),
            Self::ForceBreaker => Content::Schema("BreakerForce"),
            Self::CallCommand => Content::Schema("Call"),
            Self::TellEvent => Content::Schema("Event"),
            _ => Content::None,
        }
    }
}

/// What an answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// No body.
    None,
    /// The bytes of a value.
    Bytes,
    /// Text.
    Text,
    /// JSON without a schema of its own.
    Json,
    /// JSON of this schema.
    Schema(&'static str),
}

/// An answer that is no problem, or a problem that means something of its own on this route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    /// The status code.
    pub(super) status: u16,
    /// When it is given.
    pub(super) when: &'static str,
    /// What it carries.
    pub(super) content: Content,
}

/// A route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// The method.
    pub(super) verb: Verb,
    /// The path; `{*key}` takes the rest with its slashes.
    pub(super) path: &'static str,
    /// What it does.
    pub(super) action: Action,
    /// In a few words.
    pub(super) summary: &'static str,
    /// What a caller has to know.
    pub(super) description: &'static str,
    /// Request headers that matter, and what they do.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// Its answers; whatever else goes wrong is a problem document.
    pub(super) replies: &'static [Reply],
}
