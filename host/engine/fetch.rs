//! Asking the origin for one key, and what its answer is worth: pure but for the one call.
//!
//! A conditional request carries the validators that the held entry came with; the origin's 304 then says that it is still good, and
//! its headers renew the ones that are held (RFC 9111 §4.3). Invariant: what is told to `admit` is also what the envelope keeps, so that
//! other rules can judge it again.

use bytes::Bytes;

use super::core::Engine;
use super::entry::Terms;
use super::found::Found;
use super::judge::{Place, Verdict, policy_error};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::hooks::Ability;
use crate::ports::load::LoadOutcome;
use crate::ports::origin::{Acceptance, Origin, OriginError, OriginRequest, OriginResponse};
use crate::ports::policy::{Candidate, Cause, Operation, PolicyError, Request};
use crate::ports::table::Live;

/// Headers of the origin that every policy sees, and that an entry is revalidated with.
const CHOSEN: [&str; 3] = ["cache-control", "etag", "last-modified"];

/// What a load brought.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    /// The value; empty if there is none.
    pub(super) value: Bytes,
    /// What becomes of it.
    pub(super) verdict: Verdict,
    /// Whether the origin says that what is held is still good.
    pub(super) unchanged: bool,
    /// Whether it said that there is no such value.
    pub(super) absent: bool,
    /// The origin's status.
    pub(super) status: u16,
}

/// Why a load brought nothing.
#[derive(Clone, Debug)]
pub(super) struct NotFetched {
    pub(super) outcome: LoadOutcome,
    pub(super) status: Option<u16>,
    pub(super) error: Error,
}

impl NotFetched {
    /// The policy or the store failed on the way.
    pub(super) const fn broken(error: Error) -> Self {
        let outcome = match error.kind {
            ErrorKind::Refused | ErrorKind::InvalidKey | ErrorKind::InvalidValue | ErrorKind::Unsupported => {
                LoadOutcome::Refused
            }
            _ => LoadOutcome::Broken,
        };
        Self { outcome, status: None, error }
    }

    pub(super) fn origin(live: &Live, error: &OriginError) -> Self {
        let (outcome, kind) = match error {
            OriginError::Refused(_) | OriginError::Busy(_) => (LoadOutcome::Held, ErrorKind::OriginUnavailable),
            OriginError::TimedOut(_) => (LoadOutcome::TimedOut, ErrorKind::OriginTimeout),
            _ => (LoadOutcome::Failed, ErrorKind::OriginFailed),
        };
        let message = format!("the origin of '{}' failed ({}): {error}", live.domain, error.as_str());
        Self { outcome, status: None, error: Error::new(kind, message) }
    }

    pub(super) fn answered(live: &Live, status: u16, why: &str) -> Self {
        let message = format!("the origin of '{}' failed: {why}", live.domain);
        let error = Error::new(ErrorKind::OriginFailed, message);
        Self { outcome: LoadOutcome::Failed, status: Some(status), error }
    }
}

/// Whether an entry can be asked about conditionally.
pub(super) fn has_validators(terms: &Terms) -> bool {
    terms.origin_headers.iter().any(|(name, _)| name == "etag" || name == "last-modified")
}

impl Engine {
    /// Loads a key from its origin, under the condition that `kept` is still good if there is one.
    ///
    /// # Errors
    /// There is no value, and not even the word that there is none.
    pub(super) async fn fetch(
        &self,
        place: &Place<'_>,
        origin: &dyn Origin,
        kept: Option<&Found>,
    ) -> std::result::Result<Fetched, NotFetched> {
        let live = place.live();
        let operation = if kept.is_some() { Operation::Refresh } else { Operation::Load };
        let request = Request { key: &place.key.rest, operation, shape: place.shape };
        let mut ask = origin_request(live, &request).map_err(NotFetched::broken)?;
        let kept = kept.filter(|found| !found.stamps.terms.absent && has_validators(&found.stamps.terms));
        if let Some(found) = kept {
            ask.headers.retain(|(name, _)| !matches!(name.as_str(), "if-none-match" | "if-modified-since"));
            ask.headers.extend(conditions(&found.stamps.terms));
        }
        let began_ns = self.monotonic_ns();
        let response = origin.load(&ask, origin.patience().hard).await;
        let response = response.map_err(|error| NotFetched::origin(live, &error))?;
        let load_ms = u32::try_from(self.monotonic_ns().saturating_sub(began_ns) / 1_000_000).unwrap_or(u32::MAX);
        if let (304, Some(found)) = (response.status, kept) {
            return self.renewed(place, &request, found, &response, load_ms).map_err(NotFetched::broken);
        }
        self.accepted(place, &request, response, load_ms)
    }

    fn accepted(
        &self,
        place: &Place<'_>,
        request: &Request<'_>,
        response: OriginResponse,
        load_ms: u32,
    ) -> std::result::Result<Fetched, NotFetched> {
        let acceptance = acceptance(place.live(), request, &response).map_err(NotFetched::broken)?;
        self.judged(place, request, response, acceptance, load_ms)
    }

    /// What becomes of an answer that is worth so much.
    pub(super) fn judged(
        &self,
        place: &Place<'_>,
        request: &Request<'_>,
        response: OriginResponse,
        acceptance: Acceptance,
        load_ms: u32,
    ) -> std::result::Result<Fetched, NotFetched> {
        let (live, status) = (place.live(), response.status);
        let (absent, value) = match acceptance {
            Acceptance::Value => (false, response.body.clone()),
            Acceptance::Absent => (true, Bytes::new()),
            Acceptance::Failed(why) => return Err(NotFetched::answered(live, status, &why)),
        };
        if let Err(error) = self.check_value(&value) {
            return Err(NotFetched { outcome: LoadOutcome::Refused, status: Some(status), error });
        }
        let headers = chosen(live, response.headers);
        let cause = if request.operation == Operation::Refresh { Cause::Refresh } else { Cause::Load };
        let candidate = Candidate {
            cause,
            size_bytes: u32::try_from(value.len()).unwrap_or(u32::MAX),
            asked_ttl_ms: None,
            origin_status: Some(status),
            origin_headers: &headers,
            load_ms,
            bytes: &value,
        };
        let verdict = self.admit(place, request.operation, &candidate).map_err(|error| {
            let NotFetched { outcome, error, .. } = NotFetched::broken(error);
            NotFetched { outcome, status: Some(status), error }
        })?;
        let verdict = if absent { as_absence(verdict) } else { verdict };
        let absent = absent || matches!(&verdict, Verdict::Store(terms) if terms.absent);
        Ok(Fetched { value, verdict, unchanged: false, absent, status })
    }

    /// The held value under the lifetime that it gets now.
    fn renewed(
        &self,
        place: &Place<'_>,
        request: &Request<'_>,
        found: &Found,
        response: &OriginResponse,
        load_ms: u32,
    ) -> Result<Fetched> {
        let mut headers = found.stamps.terms.origin_headers.clone();
        for (name, value) in chosen(place.live(), response.headers.clone()) {
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value));
        }
        let held = found.stamps.terms.candidate(&found.value);
        let candidate = Candidate { cause: Cause::Refresh, origin_headers: &headers, load_ms, ..held };
        let verdict = self.admit(place, request.operation, &candidate)?;
        let absent = matches!(&verdict, Verdict::Store(terms) if terms.absent);
        Ok(Fetched { value: found.value.clone(), verdict, unchanged: true, absent, status: response.status })
    }
}

/// An absence whatever the policy gave it: it has a fresh time and tags, and nothing that only a value has.
fn as_absence(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Store(terms) => Verdict::Store(Terms {
            absent: true,
            stale_while_revalidate_ms: 0,
            stale_if_error_ms: 0,
            keep_ms: 0,
            sliding: false,
            early_refresh_beta: 0.0,
            ..terms
        }),
        Verdict::Pass(marker_ms) => Verdict::Pass(marker_ms),
    }
}

fn origin_request(live: &Live, request: &Request<'_>) -> Result<OriginRequest> {
    if live.policy.abilities().contains(Ability::Loading) {
        return live.policy.origin_request(request).map_err(|error| policy_error(live, error));
    }
    OriginRequest::of_key(request.key).map_err(|refusal| policy_error(live, PolicyError::Refused(refusal)))
}

fn acceptance(live: &Live, request: &Request<'_>, response: &OriginResponse) -> Result<Acceptance> {
    if live.policy.abilities().contains(Ability::Loading) {
        return live.policy.accept(request, response).map_err(|error| policy_error(live, error));
    }
    Ok(Acceptance::of_status(response.status))
}

/// The headers of an answer that the policy sees and the entry keeps.
fn chosen(live: &Live, headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let all = live.description.wants_all_origin_headers;
    headers.into_iter().filter(|(name, _)| all || CHOSEN.contains(&name.as_str())).collect()
}

fn conditions(terms: &Terms) -> impl Iterator<Item = (String, String)> + '_ {
    let of = |header: &str, condition: &str| {
        let found = terms.origin_headers.iter().find(|(name, _)| name == header);
        found.map(|(_, value)| (condition.to_owned(), value.clone()))
    };
    let pairs = [of("etag", "if-none-match"), of("last-modified", "if-modified-since")];
    pairs.into_iter().flatten()
}
