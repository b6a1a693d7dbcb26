//! The trial of a policy: it describes itself, and answers its own cases, before it may serve.
//!
//! Invariants: a case runs under the deadline of a hook, and all together under one more; a failure costs its own case and its
//! instance, as in service. Cases with settings of their own are asked of an instance that was made with these.

use std::collections::BTreeMap;

use super::bindings::types as wit;
use super::case::{Case, Question};
use super::instance::{Instance, Program};
use super::load::KEY_SEPARATOR;
use super::refused::{Reason, Refused};
use super::report::CaseResult;
use super::told::Told;
use super::{answer, convert};
use crate::limits;
use crate::ports::clock::Clock;
use crate::ports::hooks::Abilities;
use crate::ports::policy::{Description, Fault, PolicyError};

type Settings = BTreeMap<String, String>;

/// What a trial needs.
pub(super) struct Trial<'a> {
    /// The domain.
    pub(super) domain: &'a str,
    /// What it exports beside the rules.
    pub(super) abilities: Abilities,
    /// The settings that will serve.
    pub(super) settings: &'a Settings,
    /// Makes a program with some settings.
    pub(super) program: &'a dyn Fn(&Settings) -> Result<Program, Refused>,
    /// Tells when the cases took too long.
    pub(super) clock: &'a dyn Clock,
}

impl Trial<'_> {
    /// Makes the first instance, under its deadline, and lets it describe itself.
    ///
    /// # Errors
    /// Why it may not serve with these settings.
    pub(super) fn describe(&self, settings: &Settings) -> Result<(Program, Instance, Description), Refused> {
        let program = (self.program)(settings)?;
        let (instance, described) = program.instantiate().map_err(|error| match error {
            PolicyError::Failed { fault: Fault::Instance, message } => Refused::new(Reason::Contract, message),
            other => Refused::new(Reason::Trial, format!("failed on trial, in `describe`: {other}")),
        })?;
        let refused = |text| Refused::new(Reason::Trial, format!("will not serve with these settings: {text}"));
        let description = answer::description(described.map_err(refused)?, self.domain, self.abilities)
            .map_err(|error| Refused::new(Reason::Description, format!("describes itself wrongly: {error}")))?;
        Ok((program, instance, description))
    }

    /// Asks all cases; `instance` is one with the settings that will serve. Cases of the same settings follow one another.
    pub(super) fn cases(&self, cases: &[Case], instance: Instance, description: &Description) -> Vec<CaseResult> {
        let began_ns = self.clock.monotonic_ns();
        let mut groups: BTreeMap<Settings, Vec<&Case>> = BTreeMap::new();
        for case in cases {
            let mut settings = self.settings.clone();
            // Authors write keys with `:`; how this host separates them is no matter of theirs.
            settings.remove(KEY_SEPARATOR);
            settings.extend(case.settings.clone());
            groups.entry(settings).or_default().push(case);
        }
        let mut first = Some((instance, description.clone()));
        let mut results = Vec::with_capacity(cases.len());
        for (settings, cases) in groups {
            let mut made = if settings == *self.settings { first.take() } else { None };
            for case in cases {
                let in_time = self.clock.monotonic_ns().saturating_sub(began_ns) < limits::CASES_MS_MAX * 1_000_000;
                let failure = if in_time {
                    self.failure(case, &settings, &mut made)
                } else {
                    Some(format!("not asked: all cases together took longer than {} ms", limits::CASES_MS_MAX))
                };
                results.push(CaseResult { name: case.name.clone(), line: case.line, failure });
            }
        }
        results.sort_by_key(|result| result.line);
        results
    }

    fn failure(&self, case: &Case, settings: &Settings, made: &mut Option<(Instance, Description)>) -> Option<String> {
        let (mut instance, description) = match made.take() {
            Some(made) => made,
            None => match self.describe(settings) {
                Ok((_, instance, description)) => (instance, description),
                Err(refused) => return Some(format!("it {refused}")),
            },
        };
        let (told, is_whole) = ask(&mut instance, &description, &case.question);
        if is_whole {
            *made = Some((instance, description));
        }
        told.differs(&case.expected)
    }
}

/// What the policy answers, and whether its instance is of further use.
fn ask(instance: &mut Instance, description: &Description, question: &Question) -> (Told, bool) {
    if let Some(event) = question.event() {
        return match instance.on_event(&event).and_then(answer::selectors) {
            Ok(said) => (Told::default().event(said), true),
            Err(error) => (Told::default().error(error), false),
        };
    }
    let request = question.request();
    let plan = match instance.plan(convert::request(&request)).and_then(answer::plan) {
        Ok(plan) => plan,
        Err(error) => {
            let is_whole = matches!(error, PolicyError::Refused(_));
            return (Told::default().error(error), is_whole);
        }
    };
    let told = Told::default().plan(plan, request.key);
    let Some((candidate, bytes_known)) = question.candidate() else { return (told, true) };
    let headers: Vec<_> =
        candidate.origin_headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let show_bytes = bytes_known && description.wants_bytes && candidate.bytes.len() <= limits::CANDIDATE_BYTES_MAX;
    let offered: wit::Candidate<'_> = convert::candidate(&candidate, &headers, show_bytes);
    let answered = instance.admit(convert::request(&request), offered);
    match answered.and_then(|said| answer::admission(said, description.encoding)) {
        Ok(admission) => (told.admission(admission), true),
        Err(error) => (told.error(error), false),
    }
}
