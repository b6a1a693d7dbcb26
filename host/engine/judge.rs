//! Asks the policy: where a key is kept, and whether and how long a value lives.
//!
//! What a policy answers is checked here before anything uses it; an answer that breaks the contract is the policy's fault.

use std::sync::Arc;

use super::core::Engine;
use super::demand::Asking;
use super::entry::Terms;
use super::key::{DomainKey, KeyRules};
use super::known::Domain;
pub(super) use super::step::Wanted;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{TAG_BYTES_MAX, TAGS_MAX, TTL_MS_MAX};
use crate::ports::hooks::Ability;
use crate::ports::lease::LeaseKeys;
use crate::ports::policy::{
    Absence, Admission, Candidate, Encoding, Fault, Lifetime, Miss, Operation, Plan, PolicyError, Refusal, Request,
    Shape,
};
use crate::ports::store::StoreKey;
use crate::ports::table::Live;

/// A key with the policy's plan for it.
pub(super) struct Place<'a> {
    /// The key and its domain.
    pub(super) key: DomainKey<'a>,
    /// The key as the application says it.
    pub(super) name: &'a [u8],
    /// What the store calls it.
    pub(super) store_key: StoreKey,
    /// What a read does when it is absent.
    pub(super) miss: Miss,
    /// How long a reader waits for another one's fill, in milliseconds.
    pub(super) collapse_wait_ms: u64,
    /// Whether the policy chose another name than the key's own.
    pub(super) renamed: bool,
    /// The shape that the policy was told.
    pub(super) shape: Shape,
    /// The epoch under which the policy was chosen: what an entry is stamped with.
    pub(super) epoch: u64,
    /// What is known of the domain's generations.
    pub(super) domain: Arc<Domain>,
    /// How many changes of them there were when the operation began: what it stores is no newer than that.
    pub(super) seq: u64,
    /// Whether an older key version may have it.
    pub(super) migrates: bool,
    /// What its reader demands.
    pub(super) asking: Option<&'a Asking>,
}

impl Place<'_> {
    /// The live policy.
    pub(super) fn live(&self) -> &Arc<Live> {
        &self.key.live
    }

    /// Whether values are kept with their stamps.
    pub(super) fn enveloped(&self) -> bool {
        self.key.live.description.encoding == Encoding::Enveloped
    }

    /// Whether its misses are filled under a lease: never in a raw domain, which behaves as Redis does.
    pub(super) fn is_leased(&self) -> bool {
        self.enveloped() && self.miss != Miss::Answer
    }

    /// Whether somebody may fill it: also in a domain without leases, while older key versions are carried over.
    pub(super) fn is_fenced(&self) -> bool {
        self.migrates || self.is_leased()
    }

    /// Where its lease lies, if its misses are filled under one.
    pub(super) fn lease_keys(&self) -> Option<LeaseKeys> {
        self.is_leased().then(|| KeyRules::lease_keys(&self.store_key)).flatten()
    }

    /// Where the lease lies under which somebody may fill it.
    pub(super) fn fence_keys(&self) -> Option<LeaseKeys> {
        self.is_fenced().then(|| KeyRules::lease_keys(&self.store_key)).flatten()
    }

    /// Whether the domain's workflow may change the value under a name from which nobody can tell the key, so that no copy in
    /// memory could be dropped.
    pub(super) fn is_changed_unseen(&self) -> bool {
        self.renamed && self.key.live.policy.abilities().contains(Ability::Workflow)
    }
}

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is stored.
    Store(Terms),
    /// It is not stored, and what was there is out of date. For so many milliseconds nobody waits for another one's load.
    Pass(u32),
}

impl Engine {
    /// Finds the policy of a key and asks for its plan.
    ///
    /// # Errors
    /// A bad key, an unserved domain or shape, a refusal or a failure of the policy. Counted.
    pub(super) fn locate<'a>(&self, name: &'a [u8], operation: Operation, wanted: Wanted) -> Result<Place<'a>> {
        let (epoch, key) = self.resolve(name)?;
        self.plan(name, epoch, key, operation, wanted).map_err(|(error, live)| {
            live.metrics.answered(operation, Self::state_of(error.kind));
            error
        })
    }

    /// Finds the policy of a key.
    ///
    /// # Errors
    /// A bad key, a domain that nobody serves.
    pub(super) fn resolve<'a>(&self, name: &'a [u8]) -> Result<(u64, DomainKey<'a>)> {
        // The epoch before the table: see `ports::table`.
        let epoch = self.policies.epoch();
        let table = self.policies.table();
        let key = self.keys.resolve(&table, name).inspect_err(|error| {
            if error.kind == ErrorKind::UnknownDomain {
                self.metrics.unknown_domain.increment();
            }
        })?;
        Ok((epoch, key))
    }

    fn plan<'a>(
        &self,
        name: &'a [u8],
        epoch: u64,
        key: DomainKey<'a>,
        operation: Operation,
        wanted: Wanted,
    ) -> std::result::Result<Place<'a>, (Error, Arc<Live>)> {
        let live = Arc::clone(&key.live);
        let fail = |error| (error, Arc::clone(&live));
        let shape = shape_for(&live, wanted).map_err(fail)?;
        let request = Request { key: &key.rest, operation, shape };
        let plan = live.policy.plan(&request).map_err(|error| fail(policy_error(&live, error)))?;
        self.place(name, epoch, key, shape, &plan).map_err(fail)
    }

    /// Makes a place of a policy's plan.
    ///
    /// # Errors
    /// A plan that breaks the contract.
    pub(super) fn place<'a>(
        &self,
        name: &'a [u8],
        epoch: u64,
        key: DomainKey<'a>,
        shape: Shape,
        plan: &Plan,
    ) -> Result<Place<'a>> {
        let store_key =
            self.keys.storage_key(&key, plan.suffix.as_deref()).map_err(|reason| bad_answer(&key.live, &reason))?;
        let domain = self.domains.of(&key.live);
        let seq = domain.seq();
        let (miss, collapse_wait_ms, renamed) = (plan.miss, plan.collapse_wait_ms.into(), plan.suffix.is_some());
        let migrates = self.migrates(&key.live);
        let asking = None;
        Ok(Place { key, name, store_key, miss, collapse_wait_ms, renamed, shape, epoch, domain, seq, migrates, asking })
    }

    /// Asks whether and how long a value lives.
    ///
    /// # Errors
    /// A refusal or a failure of the policy.
    pub(super) fn admit(&self, place: &Place<'_>, operation: Operation, candidate: &Candidate<'_>) -> Result<Verdict> {
        Ok(self.admit_list(place, operation, candidate)?.0)
    }

    /// The same of what may be a list: also how many elements it may hold.
    pub(super) fn admit_list(
        &self,
        place: &Place<'_>,
        operation: Operation,
        candidate: &Candidate<'_>,
    ) -> Result<(Verdict, Option<u32>)> {
        let live = place.live();
        let request = Request { key: &place.key.rest, operation, shape: place.shape };
        let admission = live.policy.admit(&request, candidate).map_err(|error| policy_error(live, error))?;
        match admission {
            Admission::Store(lifetime) => {
                check_lifetime(live, &lifetime)?;
                let list_max = lifetime.list_max;
                Ok((Verdict::Store(self.terms(live, lifetime, candidate)), list_max))
            }
            Admission::Absent(Absence { fresh_ms, tags }) => {
                let lifetime = Lifetime { tags, ..Lifetime::fresh(Some(fresh_ms)) };
                check_lifetime(live, &lifetime)?;
                if !place.enveloped() {
                    return Ok((Verdict::Pass(0), None));
                }
                Ok((Verdict::Store(Terms { absent: true, ..self.terms(live, lifetime, candidate) }), None))
            }
            Admission::Pass(marker_ms) => Ok((Verdict::Pass(marker_ms), None)),
            Admission::Refuse(refusal) => Err(policy_error(live, PolicyError::Refused(refusal))),
        }
    }

    fn terms(&self, live: &Live, lifetime: Lifetime, candidate: &Candidate<'_>) -> Terms {
        Terms {
            rules_id: live.rules_id,
            absent: false,
            uncacheable: false,
            fresh_ms: lifetime.fresh_ms.map(|fresh_ms| self.jittered(fresh_ms, lifetime.jitter_percent)),
            stale_while_revalidate_ms: lifetime.stale_while_revalidate_ms,
            stale_if_error_ms: lifetime.stale_if_error_ms,
            keep_ms: lifetime.keep_ms,
            max_stale_ms: lifetime.max_stale_ms,
            early_refresh_beta: lifetime.early_refresh_beta,
            l1_ms: lifetime.l1_ms,
            sliding: lifetime.sliding,
            weight_percent: lifetime.weight_percent,
            compression: lifetime.compression,
            tags: lifetime.tags,
            cause: candidate.cause.into(),
            asked_ttl_ms: candidate.asked_ttl_ms,
            origin_status: candidate.origin_status,
            origin_headers: candidate.origin_headers.to_vec(),
            load_ms: candidate.load_ms,
        }
    }

    /// The terms of a marker that says that a value is not to be stored.
    pub(super) fn marker_terms(&self, live: &Live, marker_ms: u32) -> Terms {
        let marker_ms = u64::from(marker_ms);
        Terms { absent: true, uncacheable: true, ..Terms::raw(live.rules_id, Some(marker_ms)) }
    }

    fn jittered(&self, fresh_ms: u64, percent: u8) -> u64 {
        let span_ms = fresh_ms / 100 * u64::from(percent);
        if span_ms == 0 { fresh_ms } else { fresh_ms - self.clock.random() % (span_ms + 1) }
    }
}

pub(super) fn shape_for(live: &Live, wanted: Wanted) -> Result<Shape> {
    let serves = |shape| live.description.shapes.contains(shape);
    let found = match wanted {
        Wanted::String => [Shape::Value, Shape::Counter].into_iter().find(|&shape| serves(shape)),
        Wanted::Counter => Some(Shape::Counter).filter(|&shape| serves(shape)),
        Wanted::Shape(shape) => Some(shape).filter(|&shape| serves(shape)),
        Wanted::Any => Shape::ALL.into_iter().find(|&shape| serves(shape)),
    };
    found.ok_or_else(|| {
        let served: Vec<_> = Shape::ALL.into_iter().filter(|&shape| serves(shape)).map(Shape::as_str).collect();
        let message = format!("the domain '{}' serves {} only, by its policy", live.domain, served.join(", "));
        Error::new(ErrorKind::Unsupported, message)
    })
}

/// A policy's error as the caller sees it; a failure is counted.
pub(super) fn policy_error(live: &Live, error: PolicyError) -> Error {
    let kind = match &error {
        PolicyError::Refused(Refusal::InvalidKey(_)) => ErrorKind::InvalidKey,
        PolicyError::Refused(Refusal::InvalidValue(_)) => ErrorKind::InvalidValue,
        PolicyError::Refused(Refusal::Unsupported(_)) => ErrorKind::Unsupported,
        PolicyError::Refused(Refusal::Other(_)) => ErrorKind::Refused,
        PolicyError::Failed { .. } => ErrorKind::PolicyFailed,
    };
    Error::new(kind, format!("domain '{}': {error}", live.domain))
}

fn bad_answer(live: &Live, reason: &str) -> Error {
    live.metrics.policy_failed(Fault::BadAnswer, &live.faults);
    policy_error(live, PolicyError::Failed { fault: Fault::BadAnswer, message: reason.to_owned() })
}

fn check_lifetime(live: &Live, lifetime: &Lifetime) -> Result<()> {
    let windows = [
        lifetime.fresh_ms.unwrap_or(1),
        lifetime.stale_while_revalidate_ms,
        lifetime.stale_if_error_ms,
        lifetime.keep_ms,
    ];
    if windows.iter().any(|&window_ms| window_ms > TTL_MS_MAX) {
        return Err(bad_answer(live, &format!("a lifetime is longer than {TTL_MS_MAX} ms")));
    }
    if lifetime.fresh_ms == Some(0) && windows[1..].iter().all(|&window_ms| window_ms == 0) {
        return Err(bad_answer(live, "a lifetime of 0 ms; answer `pass` to store nothing"));
    }
    if lifetime.jitter_percent > 100 {
        return Err(bad_answer(live, "a jitter of more than 100 percent"));
    }
    if lifetime.tags.len() > TAGS_MAX {
        return Err(bad_answer(live, &format!("more than {TAGS_MAX} tags")));
    }
    if let Some(tag) = lifetime.tags.iter().find(|tag| tag.is_empty() || tag.len() > TAG_BYTES_MAX) {
        return Err(bad_answer(live, &format!("a tag of {} bytes, 1 to {TAG_BYTES_MAX} are allowed", tag.len())));
    }
    if live.description.encoding == Encoding::Raw && !lifetime.tags.is_empty() {
        return Err(bad_answer(live, "tags on a raw value; only the enveloped encoding carries them"));
    }
    Ok(())
}
