//! The optional interfaces of a policy as the engine sees them: the contract of `wit/hooks.wit` in Rust.
//!
//! The documentation of each item is in the WIT; the names are the same. What does I/O is in [`super::workflow`].

#![expect(missing_docs, reason = "documented in wit/, under the same names")]

use super::origin::{Acceptance, BatchValues, OriginRequest, OriginResponse};
use super::policy::{Fault, PolicyError, Request, Selector};
use super::workflow::Workflow;

/// An interface that a policy may export beside its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ability {
    Revalidation,
    Loading,
    Events,
    Warming,
    Migration,
    Workflow,
}

impl Ability {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 6] =
        [Self::Revalidation, Self::Loading, Self::Events, Self::Warming, Self::Migration, Self::Workflow];

    /// The name of the interface; the word in lists and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revalidation => "revalidation",
            Self::Loading => "loading",
            Self::Events => "events",
            Self::Warming => "warming",
            Self::Migration => "migration",
            Self::Workflow => "workflow",
        }
    }
}

/// Which hook of a policy was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// What the policy says of itself.
    Describe,
    /// Where a key is kept.
    Plan,
    /// The same for many keys.
    PlanBatch,
    /// Whether and for how long a value is stored.
    Admit,
    /// What to do with an entry that is no longer fresh.
    Revalidate,
    /// What to ask the origin for.
    OriginRequestFor,
    /// The same for many keys.
    BatchRequestFor,
    /// What an answer of the origin is worth.
    Accept,
    /// An answer for many keys, taken apart.
    Split,
    /// What an event makes out of date.
    OnEvent,
    /// What to load before anybody asks.
    Keys,
    /// A value of another key version.
    Migrate,
    /// A command of the application.
    OnCommand,
    /// Periodic upkeep.
    OnTick,
}

impl Hook {
    /// How many there are.
    pub const COUNT: usize = 14;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Describe,
        Self::Plan,
        Self::PlanBatch,
        Self::Admit,
        Self::Revalidate,
        Self::OriginRequestFor,
        Self::BatchRequestFor,
        Self::Accept,
        Self::Split,
        Self::OnEvent,
        Self::Keys,
        Self::Migrate,
        Self::OnCommand,
        Self::OnTick,
    ];

    /// The word in logs and metrics: the function of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Plan => "plan",
            Self::PlanBatch => "plan-batch",
            Self::Admit => "admit",
            Self::Revalidate => "revalidate",
            Self::OriginRequestFor => "origin-request-for",
            Self::BatchRequestFor => "batch-request-for",
            Self::Accept => "accept",
            Self::Split => "split",
            Self::OnEvent => "on-event",
            Self::Keys => "keys",
            Self::Migrate => "migrate",
            Self::OnCommand => "on-command",
            Self::OnTick => "on-tick",
        }
    }
}

/// The optional interfaces of a policy as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities(u8);

impl Abilities {
    /// This set with one more.
    #[must_use]
    pub const fn with(self, ability: Ability) -> Self {
        Self(self.0 | 1 << ability as u8)
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(self, ability: Ability) -> bool {
        self.0 & 1 << ability as u8 != 0
    }

    /// Those in the set, in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL.into_iter().filter(move |&ability| self.contains(ability))
    }
}

impl FromIterator<Ability> for Abilities {
    fn from_iter<I: IntoIterator<Item = Ability>>(abilities: I) -> Self {
        abilities.into_iter().fold(Self::default(), Self::with)
    }
}

/// The life of an entry that is no longer fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryStatus {
    Stale,
    StaleIfError,
    Invalidated,
}

/// What the host knows of an entry that is no longer fresh.
#[derive(Clone, Copy, Debug)]
pub struct EntryState<'a> {
    pub request: Request<'a>,
    pub status: EntryStatus,
    pub age_ms: u64,
    pub size_bytes: u32,
    pub load_ms: u32,
    pub origin_healthy: bool,
}

/// What to do with an entry that is no longer fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revalidation {
    AsStamped,
    ServeAndRefresh,
    /// As fresh for so many milliseconds more.
    Extend(u32),
    LoadFirst,
    Drop,
}

/// Something that happened in the application.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub kind: &'a str,
    /// JSON text.
    pub payload: &'a str,
}

/// The optional hooks of a live policy, each as bounded as its rules. Only those of its [`Abilities`] may be called; the others fail.
pub trait Hooks: Send + Sync {
    /// What it exports beside its rules.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// What to do with an entry that is no longer fresh.
    ///
    /// # Errors
    /// A failure of the policy.
    fn revalidate(&self, _entry: &EntryState<'_>) -> Result<Revalidation, PolicyError> {
        Err(absent(Ability::Revalidation))
    }

    /// What to ask the origin for to load one key. Checked: it can be sent as it is.
    ///
    /// # Errors
    /// A refusal, or a failure of the policy.
    fn origin_request(&self, _request: &Request<'_>) -> Result<OriginRequest, PolicyError> {
        Err(absent(Ability::Loading))
    }

    /// What to ask the origin for to load many keys with one request; `None`: they are loaded one by one. Checked.
    ///
    /// # Errors
    /// A failure of the policy.
    fn batch_request(&self, _requests: &[Request<'_>]) -> Result<Option<OriginRequest>, PolicyError> {
        Err(absent(Ability::Loading))
    }

    /// What an answer of the origin is worth.
    ///
    /// # Errors
    /// A failure of the policy.
    fn accept(&self, _request: &Request<'_>, _response: &OriginResponse) -> Result<Acceptance, PolicyError> {
        Err(absent(Ability::Loading))
    }

    /// Takes the answer to a batch request apart: exactly one value for each request, in order, `None` for an absent one; or
    /// why it cannot be, in the policy's words: then the load failed.
    ///
    /// # Errors
    /// A failure of the policy.
    fn split(&self, _requests: &[Request<'_>], _body: &[u8]) -> Result<BatchValues, PolicyError> {
        Err(absent(Ability::Loading))
    }

    /// What is out of date because of an event; or why the policy will not have it, for whoever sent it.
    ///
    /// # Errors
    /// A failure of the policy.
    fn on_event(&self, _event: &Event<'_>) -> Result<Result<Vec<Selector>, String>, PolicyError> {
        Err(absent(Ability::Events))
    }

    /// Keys without the domain that are to be loaded before anybody asks, most important first.
    ///
    /// # Errors
    /// A failure of the policy.
    fn warm_keys(&self) -> Result<Vec<String>, PolicyError> {
        Err(absent(Ability::Warming))
    }

    /// A value that another key version left behind, as this one keeps it; `None`: it is to count as absent.
    ///
    /// # Errors
    /// A failure of the policy.
    fn migrate(&self, _from_version: &str, _key: &str, _value: &[u8]) -> Result<Option<Vec<u8>>, PolicyError> {
        Err(absent(Ability::Migration))
    }

    /// Its commands and its upkeep, if it has any.
    fn workflow(&self) -> Option<&dyn Workflow> {
        None
    }
}

fn absent(ability: Ability) -> PolicyError {
    PolicyError::Failed { fault: Fault::Instance, message: format!("it exports no {}", ability.as_str()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: Abilities = [Ability::Workflow, Ability::Events].into_iter().collect();
        assert_eq!(set.iter().map(Ability::as_str).collect::<Vec<_>>(), ["events", "workflow"]);
        assert_eq!(Abilities::default().iter().count(), 0);
    }
}
