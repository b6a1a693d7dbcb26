//! Commands of the application that a policy carries out, and events that it turns into invalidations.

use std::sync::Arc;

use bytes::Bytes;

use super::core::Engine;
use super::judge::policy_error;
use super::lent::Lent;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{WORKFLOWS_MAX, WORKFLOWS_PER_DOMAIN_MAX};
use crate::ports::metrics::Gauge;
use crate::ports::table::Live;
use crate::ports::workflow::{CommandError, CommandReply};

/// A place among the calls that run at the same time; given back when dropped.
struct Turn<'a>(&'a Gauge);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.decrement();
    }
}

impl Engine {
    /// Has the policy of a domain carry out one of its commands.
    ///
    /// # Errors
    /// No such domain or command; arguments that the policy will not have; a failure of the policy; too many calls at once.
    pub async fn command(self: &Arc<Self>, domain: &str, command: &str, arguments: &[Bytes]) -> Result<CommandReply> {
        let live = self.live(domain)?;
        let Some(workflow) = live.policy.workflow() else {
            return Err(Error::new(ErrorKind::Unsupported, format!("the policy of '{domain}' has no commands")));
        };
        let _turn = self.turn(&live)?;
        let host = Arc::new(Lent::new(Arc::clone(self), Arc::clone(&live)));
        let said = workflow.on_command(host, command, arguments).await.map_err(|error| policy_error(&live, error))?;
        said.map_err(|error| refused(&live, command, error))
    }

    /// The live policy of exactly this domain.
    ///
    /// # Errors
    /// No policy serves it.
    pub(super) fn live(&self, domain: &str) -> Result<Arc<Live>> {
        self.policies.table().get(domain).cloned().ok_or_else(|| {
            self.metrics.unknown_domain.increment();
            let message = format!(
                "no policy serves the domain '{}'; `LARDER.POLICY LIST` names those that do",
                domain.escape_debug()
            );
            Error::new(ErrorKind::UnknownDomain, message)
        })
    }

    /// A place among the workflows that run, if the domain and the host have one left.
    fn turn(&self, live: &Live) -> Result<Turn<'_>> {
        let busy = |whose: &str, most: u64| {
            Err(Error::new(ErrorKind::Overloaded, format!("{most} commands of {whose} run already; try again")))
        };
        if live.metrics.workflows_running.get() >= WORKFLOWS_PER_DOMAIN_MAX {
            return busy(&format!("'{}'", live.domain), WORKFLOWS_PER_DOMAIN_MAX);
        }
        self.workflows.increment();
        let turn = Turn(&self.workflows);
        if self.workflows.get() > WORKFLOWS_MAX {
            return busy("policies", WORKFLOWS_MAX);
        }
        Ok(turn)
    }
}

fn refused(live: &Live, command: &str, error: CommandError) -> Error {
    match error {
        CommandError::Unknown => Error::new(
            ErrorKind::Unsupported,
            format!("the policy of '{}' has no command '{}'", live.domain, command.escape_debug()),
        ),
        CommandError::InvalidArguments(text) => Error::new(ErrorKind::InvalidArgument, text),
        CommandError::Unavailable(text) => Error::new(ErrorKind::PolicyUnavailable, text),
        CommandError::Other(text) => Error::new(ErrorKind::Refused, text),
    }
}
