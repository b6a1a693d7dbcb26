//! Events of the application: a policy says what they make out of date, and that is invalidated.

use super::api::EventOutcome;
use super::core::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{EVENT_KIND_BYTES_MAX, EVENT_PAYLOAD_BYTES_MAX};
use crate::ports::hooks::{Ability, Event};
use crate::ports::invalidation::Mode;
use crate::ports::table::Live;

use super::judge::policy_error;

impl Engine {
    /// Tells an event to the policy of a domain, or of every domain that takes events, and invalidates what they say, hard. When it
    /// returns `Ok`, all of that is done. A policy among many that refuses the event is passed over: it is not meant.
    ///
    /// # Errors
    /// An event that is none; a domain that takes no events, or refuses this one; a failure of a policy or of the store. What was
    /// invalidated before the failure stays so; telling the event again does no harm.
    pub async fn event(&self, domain: Option<&str>, event: &Event<'_>) -> Result<Vec<EventOutcome>> {
        check(event)?;
        let lives = match domain {
            Some(domain) => vec![self.live(domain)?],
            None => self.policies.table().iter().cloned().collect(),
        };
        let mut outcomes = Vec::new();
        for live in lives {
            if live.policy.abilities().contains(Ability::Events) {
                self.tell(&live, event, domain.is_none(), &mut outcomes).await?;
            } else if domain.is_some() {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("the policy of '{}' takes no events", live.domain),
                ));
            }
        }
        Ok(outcomes)
    }

    async fn tell(
        &self,
        live: &Live,
        event: &Event<'_>,
        broadcast: bool,
        outcomes: &mut Vec<EventOutcome>,
    ) -> Result<()> {
        let said = live.policy.on_event(event).map_err(|error| policy_error(live, error))?;
        let selectors = match said {
            Ok(selectors) => selectors,
            Err(text) if broadcast => {
                tracing::debug!(
                    domain = &*live.domain,
                    event = event.kind,
                    "the policy will not have the event: {text}"
                );
                return Ok(());
            }
            Err(text) => {
                return Err(Error::new(ErrorKind::Refused, format!("domain '{}': {text}", live.domain)));
            }
        };
        for selector in selectors {
            let keys = self.invalidate(&live.domain, &selector, Mode::Hard).await?.keys;
            outcomes.push(EventOutcome { domain: live.domain.to_string(), selector: selector.kind().as_str(), keys });
        }
        Ok(())
    }
}

fn check(event: &Event<'_>) -> Result<()> {
    let wrong = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    if event.kind.is_empty() || event.kind.len() > EVENT_KIND_BYTES_MAX || event.kind.contains(char::is_control) {
        return wrong(format!("the type of an event is 1 to {EVENT_KIND_BYTES_MAX} bytes without control characters"));
    }
    if event.payload.len() > EVENT_PAYLOAD_BYTES_MAX {
        return wrong(format!("the payload has {} bytes, {EVENT_PAYLOAD_BYTES_MAX} are allowed", event.payload.len()));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(event.payload) {
        Ok(_) => Ok(()),
        Err(error) => wrong(format!("the payload is no JSON: {error}")),
    }
}
