//! The optional interfaces, one trait each. A policy exports those that it names in `export!(P with …)`.

use crate::{Refusal, Request, Rules, Selector};

pub use crate::bindings::{
    has_events::exports::larder::policy::events::Event,
    has_loading::exports::larder::policy::loading::{Acceptance, OriginRequest, OriginResponse},
    has_revalidation::exports::larder::policy::revalidation::{EntryState, EntryStatus, Verdict},
    has_workflow::exports::larder::policy::workflow::{CommandError, Reply},
};

/// `with revalidation`: decides about an entry that is no longer fresh. Pure.
pub trait Revalidation: Rules {
    /// What to do with it.
    fn revalidate(&self, entry: &EntryState) -> Verdict;
}

/// `with loading`: shapes the load from the origin and judges its answer. Pure.
pub trait Loading: Rules {
    /// How to load one key.
    ///
    /// # Errors
    /// Why it cannot be loaded; the text reaches the caller.
    fn origin_request_for(&self, request: &Request) -> Result<OriginRequest, Refusal>;

    /// How to load many keys with one request; `None`, the default: one by one.
    fn batch_request_for(&self, _requests: &[Request]) -> Option<OriginRequest> {
        None
    }

    /// What an answer is worth. By default 2xx is a value, 404 and 410 say that there is none, the rest is an error.
    fn accept(&self, _request: &Request, response: &OriginResponse) -> Acceptance {
        match response.status {
            200..=299 => Acceptance::Value,
            404 | 410 => Acceptance::Absent,
            status => Acceptance::Failed(format!("the origin answered {status}")),
        }
    }

    /// Takes the answer to a batch request apart: a value for each request, `None` for an absent one.
    ///
    /// # Errors
    /// Why it cannot be taken apart; the load counts as failed.
    fn split(&self, _requests: &[Request], _body: &[u8]) -> Result<Vec<Option<Vec<u8>>>, String> {
        Err("this policy makes no batch requests".into())
    }
}

/// `with events`: turns events of the application into invalidations. Pure.
pub trait Events: Rules {
    /// What is out of date because of the event.
    ///
    /// # Errors
    /// A text for whoever sent the event.
    fn on_event(&self, event: &Event) -> Result<Vec<Selector>, String>;
}

/// `with warming`: what to load before anybody asks. Pure.
pub trait Warming: Rules {
    /// Keys without the domain, most important first.
    fn keys(&self) -> Vec<String>;
}

/// `with migration`: reads what an older key version left behind. Pure.
pub trait Migration: Rules {
    /// The value as this version keeps it, or `None` to treat it as absent.
    fn migrate(&self, from_version: &str, key: &str, value: Vec<u8>) -> Option<Vec<u8>>;
}

/// `with workflow`: commands and upkeep. The only calls in which [`host::redis`](crate::host::redis),
/// [`host::lock`](crate::host::lock) and [`host::breaker`](crate::host::breaker) answer.
pub trait Workflow: Rules {
    /// Answers `LARDER.CALL domain command argument…`.
    ///
    /// # Errors
    /// Told to the caller; [`CommandError::Unknown`] for a command that the policy does not have.
    fn on_command(&self, command: &str, arguments: &[Vec<u8>]) -> Result<Reply, CommandError>;

    /// Upkeep, every `tick_ms` of the description. Returns a line for the log. Nothing by default.
    fn on_tick(&self) -> Option<String> {
        None
    }
}
