//! One domain's policy: what serves, what served before, what was refused, and the history of it.
//!
//! Invariants: the state is derived from the facts, never set; each change of what serves is one new generation; what may be
//! rolled back to holds code but no instances, and did not fail too often when it served. No files and no table are touched here.

use std::collections::VecDeque;
use std::sync::Arc;

use super::folder::Files;
use super::load::Loaded;
use super::probation::{Probation, Rate, Sample};
use super::quarantine::Quarantine;
use super::read::quarantined;
use super::refused::{Reason, Refused};
use super::state::LogBudget;
use crate::limits;
use crate::ports::metrics::{Counter, DomainMetrics};
use crate::ports::registry::{PolicyEvent, PolicyState, PolicyStatus, PolicyStep, Quarantined};
use crate::ports::table::Live;

/// A refusal that is not believed yet: the file may be half written.
pub(super) struct Doubt {
    /// Digest of what was read.
    pub(super) digest: String,
    /// Why it cannot serve.
    pub(super) refused: Refused,
    /// What served last, newest first, if nothing serves now.
    pub(super) kept: Vec<Loaded>,
    /// When it was seen first, monotonic.
    pub(super) since_ns: u64,
}

/// What followed from a look at the failures of what serves.
pub(super) enum Look {
    /// It was replaced by the one before.
    Quarantined(Live),
    /// It fails too often, and there is none before.
    Failing(String),
    /// It fails too often no more.
    Recovered,
}

/// One domain.
pub(super) struct Domain {
    /// Its name.
    pub(super) name: Arc<str>,
    /// What it may log.
    pub(super) log: Arc<LogBudget>,
    metrics: Arc<DomainMetrics>,
    /// Its files as they were last looked at; `None`: there are none.
    pub(super) files: Option<Files>,
    /// Digest of the source that was last taken or refused.
    pub(super) handled: Option<String>,
    /// A refusal in waiting.
    pub(super) doubt: Option<Doubt>,
    /// Whether a thread reads it now, and whether it changed meanwhile.
    pub(super) reading: bool,
    /// Its files changed while a thread read them.
    pub(super) read_again: bool,
    /// Its files are to be read though they did not change.
    pub(super) retry: bool,
    serving: Option<Arc<Loaded>>,
    /// Failures of what serves.
    faults: Arc<Counter>,
    probation: Option<Probation>,
    /// That what serves fails too often, in words.
    failing: Option<String>,
    quarantine: Quarantine,
    /// Whether the file in the folder is in quarantine.
    file_quarantined: bool,
    /// Newest first.
    previous: VecDeque<Arc<Loaded>>,
    /// Digest of the source that was rolled back from.
    rolled_back_from: Option<String>,
    generation: u64,
    live_since_ms: u64,
    last_error: Option<String>,
    history: VecDeque<PolicyEvent>,
}

impl Domain {
    /// A domain whose file was seen for the first time.
    pub(super) fn new(name: Arc<str>, metrics: Arc<DomainMetrics>, quarantine: Quarantine) -> Self {
        Self {
            name,
            log: Arc::default(),
            metrics,
            files: None,
            handled: None,
            doubt: None,
            reading: false,
            read_again: false,
            retry: false,
            serving: None,
            faults: Arc::default(),
            probation: None,
            failing: None,
            quarantine,
            file_quarantined: false,
            previous: VecDeque::new(),
            rolled_back_from: None,
            generation: 0,
            live_since_ms: 0,
            last_error: None,
            history: VecDeque::new(),
        }
    }

    /// What serves.
    pub(super) const fn serving(&self) -> Option<&Arc<Loaded>> {
        self.serving.as_ref()
    }

    /// Whether something ever served, so that its history is worth keeping.
    pub(super) const fn ever_served(&self) -> bool {
        self.generation > 0
    }

    /// The source that was rolled back from.
    pub(super) fn rolled_back_from(&self) -> Option<&str> {
        self.rolled_back_from.as_deref()
    }

    /// The last step of its history, in words.
    pub(super) fn last_step(&self) -> Option<String> {
        self.history.front().map(|step| step.detail.clone())
    }

    /// What is not taken again.
    pub(super) const fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// Digests of the sources that it may be rolled back to.
    pub(super) fn previous_sources(&self) -> Vec<&str> {
        self.previous.iter().map(|it| it.source_digest.as_str()).collect()
    }

    /// Takes the file that is in the folder. The new live policy, or `None` if the same rules serve already.
    pub(super) fn accept(&mut self, loaded: Loaded, earlier: Vec<Loaded>, now_ms: u64) -> Option<Live> {
        self.settled(Some(loaded.source_digest.clone()));
        self.previous.extend(earlier.into_iter().map(Arc::new));
        if self.serving.as_ref().is_some_and(|serving| serving.rules_id == loaded.rules_id) {
            self.serving = Some(Arc::new(loaded));
            return None;
        }
        let detail = format!("version {}, loaded in {} ms", loaded.description.version, loaded.load_ms);
        self.remember(now_ms, PolicyStep::Live, &loaded.digest, detail);
        // What fails too often is nothing to go back to.
        if let Some(old) = self.serving.take().filter(|_| self.failing.is_none()) {
            self.previous.push_front(old);
        }
        Some(self.serve(Arc::new(loaded), now_ms))
    }

    /// Refuses the file that is in the folder, for good; serves `fallback` if nothing else does.
    pub(super) fn refuse(&mut self, doubt: Doubt, now_ms: u64) -> Option<Live> {
        self.metrics.rejections.increment();
        self.settled(Some(doubt.digest));
        self.file_quarantined = doubt.refused.reason == Reason::Quarantined;
        self.remember(now_ms, PolicyStep::Refused, &Arc::from(""), doubt.refused.message.clone());
        self.last_error = Some(doubt.refused.message);
        if self.serving.is_some() {
            return None;
        }
        let fallback = self.restore(doubt.kept)?;
        let detail = format!("the last good policy, version {}", fallback.description.version);
        self.remember(now_ms, PolicyStep::Live, &Arc::clone(&fallback.digest), detail);
        Some(self.serve(fallback, now_ms))
    }

    /// Another file was taken or refused.
    fn settled(&mut self, handled: Option<String>) {
        self.handled = handled;
        self.rolled_back_from = None;
        self.last_error = None;
        self.file_quarantined = false;
    }

    /// Takes up what served before the last stop; the newest of it is to serve.
    fn restore(&mut self, kept: Vec<Loaded>) -> Option<Arc<Loaded>> {
        self.previous.extend(kept.into_iter().map(Arc::new));
        self.previous.pop_front()
    }

    /// Serves what served when an operator rolled back before the last stop; the file in the folder is what was rolled back from.
    pub(super) fn stay_rolled_back(&mut self, kept: Vec<Loaded>, from: String, now_ms: u64) -> Option<Live> {
        let kept = self.restore(kept)?;
        let detail = "before the last stop; the file has not changed since".to_owned();
        self.remember(now_ms, PolicyStep::RolledBack, &Arc::clone(&kept.digest), detail);
        self.handled = Some(from.clone());
        self.rolled_back_from = Some(from);
        Some(self.serve(kept, now_ms))
    }

    /// Goes back to what served before; `None` if nothing did.
    pub(super) fn roll_back(&mut self, now_ms: u64) -> Option<Live> {
        let earlier = self.previous.pop_front()?;
        let from = self.serving.as_ref().map_or("nothing", |it| it.description.version.as_str());
        let detail = format!("from version {from} to {}", earlier.description.version);
        self.remember(now_ms, PolicyStep::RolledBack, &Arc::clone(&earlier.digest), detail);
        self.settled(self.handled.clone());
        self.rolled_back_from.clone_from(&self.handled);
        Some(self.serve(earlier, now_ms))
    }

    /// Its file is gone.
    pub(super) fn orphan(&mut self, now_ms: u64) {
        self.files = None;
        self.doubt = None;
        if let Some(serving) = &self.serving {
            let digest = Arc::clone(&serving.digest);
            self.remember(now_ms, PolicyStep::Orphaned, &digest, "the file is gone; the policy goes on".to_owned());
        }
    }

    /// Takes it out of service.
    pub(super) fn remove(&mut self, now_ms: u64) {
        let digest = self.serving.take().map_or_else(|| Arc::from(""), |it| Arc::clone(&it.digest));
        self.remember(now_ms, PolicyStep::Removed, &digest, "by command".to_owned());
        self.previous.clear();
        self.settled(None);
        self.quarantine.clear();
        self.begin_probation(Arc::default());
        self.probation = None;
        self.last_error = Some("removed by command; a new file brings it back".to_owned());
        self.metrics.generation.set(0);
    }

    /// Looks how many calls failed, and what follows from it.
    pub(super) fn look(&mut self, now_ns: u64, now_ms: u64) -> Option<Look> {
        let serving = Arc::clone(self.serving.as_ref()?);
        let now = self.sample(now_ns);
        let rate = self.probation.as_mut()?.look(now);
        if !rate.exceeds(serving.fault_percent) {
            let recovered = self.failing.is_some() && !rate.exceeds(serving.fault_percent / 2);
            return recovered.then(|| self.recover(&serving, now_ms));
        }
        let Rate { faults, calls } = rate;
        let seconds = limits::PROBATION_WINDOW_MS / 1_000;
        let why =
            format!("{faults} of {calls} calls failed within {seconds} s at most; {} % may", serving.fault_percent);
        if let Some(earlier) = self.previous.pop_front() {
            return Some(Look::Quarantined(self.replace_failing(&serving, earlier, why, now_ms)));
        }
        self.failing.is_none().then(|| {
            let why = format!("{why}; it goes on, since there is no earlier policy to go back to");
            self.remember(now_ms, PolicyStep::Failing, &serving.digest, why.clone());
            self.metrics.failing.set(1);
            self.failing = Some(why.clone());
            Look::Failing(why)
        })
    }

    fn recover(&mut self, serving: &Loaded, now_ms: u64) -> Look {
        self.failing = None;
        self.metrics.failing.set(0);
        self.remember(now_ms, PolicyStep::Recovered, &serving.digest, "it fails no more, or seldom".to_owned());
        Look::Recovered
    }

    /// Puts what serves into quarantine and goes back to what served before.
    fn replace_failing(&mut self, serving: &Loaded, earlier: Arc<Loaded>, why: String, now_ms: u64) -> Live {
        let detail =
            format!("{why}; back from version {} to {}", serving.description.version, earlier.description.version);
        self.remember(now_ms, PolicyStep::Quarantined, &serving.digest, detail);
        if self.handled.as_ref() == Some(&serving.source_digest) {
            self.last_error = Some(quarantined(&self.name, &why));
            self.file_quarantined = true;
        }
        let held = Quarantined { at_ms: now_ms, digest: Arc::clone(&serving.digest), detail: why };
        self.quarantine.add(serving.rules_id, held);
        self.metrics.quarantines.increment();
        self.serve(earlier, now_ms)
    }

    /// Forgets the quarantine and lets the file in the folder be tried again. Whether there was anything to forget.
    pub(super) fn unquarantine(&mut self, now_ms: u64) -> bool {
        if self.quarantine.is_empty() {
            return false;
        }
        self.quarantine.clear();
        if self.file_quarantined {
            self.settled(None);
            self.retry = true;
        }
        self.remember(now_ms, PolicyStep::Unquarantined, &Arc::from(""), "by command".to_owned());
        true
    }

    fn sample(&self, at_ns: u64) -> Sample {
        Sample::take(at_ns, &self.faults, &self.metrics)
    }

    fn begin_probation(&mut self, faults: Arc<Counter>) {
        self.faults = faults;
        self.probation = Some(Probation::begin(self.sample(0)));
        self.failing = None;
        self.metrics.failing.set(0);
    }

    fn serve(&mut self, loaded: Arc<Loaded>, now_ms: u64) -> Live {
        self.begin_probation(loaded.faults());
        self.previous.retain(|it| it.rules_id != loaded.rules_id);
        self.previous.truncate(limits::ROLLBACK_MAX);
        self.generation += 1;
        self.live_since_ms = now_ms;
        self.metrics.swaps.increment();
        self.metrics.generation.set(self.generation);
        let live = Live {
            domain: Arc::clone(&self.name),
            generation: self.generation,
            rules_id: loaded.rules_id,
            digest: Arc::clone(&loaded.digest),
            description: loaded.description.clone(),
            policy: loaded.policy(),
            origin: loaded.origin.clone(),
            reach: Arc::clone(&loaded.reach),
            metrics: Arc::clone(&self.metrics),
            faults: Arc::clone(&self.faults),
            on_store_failure: loaded.on_store_failure,
            obeys_requests: loaded.obeys_requests,
        };
        self.serving = Some(loaded);
        live
    }

    fn remember(&mut self, at_ms: u64, event: PolicyStep, digest: &Arc<str>, detail: String) {
        self.history.truncate(limits::HISTORY_MAX - 1);
        self.history.push_front(PolicyEvent { at_ms, event, digest: Arc::clone(digest), detail });
    }

    fn state(&self) -> PolicyState {
        match &self.serving {
            None => PolicyState::Failed,
            Some(_) if self.failing.is_some() => PolicyState::Failing,
            Some(_) if self.files.is_none() => PolicyState::Orphaned,
            Some(_) if self.rolled_back_from.is_some() => PolicyState::RolledBack,
            Some(_) if self.file_quarantined => PolicyState::Quarantined,
            Some(_) if self.last_error.is_some() => PolicyState::Refused,
            Some(_) => PolicyState::Live,
        }
    }

    /// All of it, for an operator.
    pub(super) fn status(&self) -> PolicyStatus {
        let serving = self.serving.as_deref();
        PolicyStatus {
            domain: Arc::clone(&self.name),
            state: self.state(),
            generation: serving.map_or(0, |_| self.generation),
            digest: serving.map_or_else(|| Arc::from(""), |it| Arc::clone(&it.digest)),
            version: serving.map(|it| it.description.version.clone()).unwrap_or_default(),
            key_version: serving.map(|it| it.description.key_version.clone()).unwrap_or_default(),
            encoding: serving.map_or("", |it| it.description.encoding.as_str()),
            size_bytes: serving.map_or(0, |it| it.size_bytes),
            load_ms: serving.map_or(0, |it| it.load_ms),
            live_since_ms: serving.map_or(0, |_| self.live_since_ms),
            previous: self.previous.iter().map(|it| Arc::clone(&it.digest)).collect(),
            last_error: self.failing.clone().or_else(|| self.last_error.clone()),
            quarantined: self.quarantine.shown(),
            history: self.history.iter().cloned().collect(),
        }
    }
}
