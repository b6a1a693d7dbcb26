//! One domain's policy: what serves, what served before, what was refused, and the history of it.
//!
//! Invariants: the state is derived from the facts, never set; each change of what serves is one new generation; what may be
//! rolled back to holds code but no instances. No files and no table are touched here.

use std::collections::VecDeque;
use std::sync::Arc;

use super::folder::Files;
use super::load::Loaded;
use super::refused::Refused;
use super::state::LogBudget;
use crate::limits;
use crate::ports::metrics::DomainMetrics;
use crate::ports::registry::{PolicyEvent, PolicyState, PolicyStatus};
use crate::ports::table::Live;

/// A refusal that is not believed yet: the file may be half written.
pub(super) struct Doubt {
    /// Digest of what was read.
    pub(super) digest: String,
    /// Why it cannot serve.
    pub(super) refused: Refused,
    /// What served last, if nothing serves now.
    pub(super) fallback: Option<Loaded>,
    /// When it was seen first, monotonic.
    pub(super) since_ns: u64,
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
    serving: Option<Arc<Loaded>>,
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
    pub(super) fn new(name: Arc<str>, metrics: Arc<DomainMetrics>) -> Self {
        Self {
            name,
            log: Arc::default(),
            metrics,
            files: None,
            handled: None,
            doubt: None,
            reading: false,
            read_again: false,
            serving: None,
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

    /// Digests of the sources that it may be rolled back to.
    pub(super) fn previous_sources(&self) -> Vec<&str> {
        self.previous.iter().map(|it| it.source_digest.as_str()).collect()
    }

    /// Takes the file that is in the folder. The new live policy, or `None` if the same rules serve already.
    pub(super) fn accept(&mut self, loaded: Loaded, now_ms: u64) -> Option<Live> {
        self.handled = Some(loaded.source_digest.clone());
        self.rolled_back_from = None;
        self.last_error = None;
        if self.serving.as_ref().is_some_and(|serving| serving.rules_id == loaded.rules_id) {
            self.serving = Some(Arc::new(loaded));
            return None;
        }
        let detail = format!("version {}, loaded in {} ms", loaded.description.version, loaded.load_ms);
        self.remember(now_ms, "live", &loaded.digest, detail);
        if let Some(old) = self.serving.take() {
            self.previous.push_front(old);
        }
        Some(self.serve(Arc::new(loaded), now_ms))
    }

    /// Refuses the file that is in the folder, for good; serves `fallback` if nothing else does.
    pub(super) fn refuse(&mut self, doubt: Doubt, now_ms: u64) -> Option<Live> {
        self.metrics.rejections.increment();
        self.handled = Some(doubt.digest);
        self.rolled_back_from = None;
        self.remember(now_ms, "refused", &Arc::from(""), doubt.refused.message.clone());
        self.last_error = Some(doubt.refused.message);
        let fallback = doubt.fallback.filter(|_| self.serving.is_none())?;
        let detail = format!("the last good policy, version {}", fallback.description.version);
        self.remember(now_ms, "live", &fallback.digest, detail);
        Some(self.serve(Arc::new(fallback), now_ms))
    }

    /// Serves what served when an operator rolled back before the last stop; the file in the folder is what was rolled back from.
    pub(super) fn stay_rolled_back(&mut self, kept: Loaded, from: String, now_ms: u64) -> Live {
        self.remember(
            now_ms,
            "rolled-back",
            &kept.digest,
            "before the last stop; the file has not changed since".to_owned(),
        );
        self.handled = Some(from.clone());
        self.rolled_back_from = Some(from);
        self.serve(Arc::new(kept), now_ms)
    }

    /// Goes back to what served before; `None` if nothing did.
    pub(super) fn roll_back(&mut self, now_ms: u64) -> Option<Live> {
        let earlier = self.previous.pop_front()?;
        let from = self.serving.as_ref().map_or("nothing", |it| it.description.version.as_str());
        let detail = format!("from version {from} to {}", earlier.description.version);
        self.remember(now_ms, "rolled-back", &Arc::clone(&earlier.digest), detail);
        self.rolled_back_from.clone_from(&self.handled);
        self.last_error = None;
        Some(self.serve(earlier, now_ms))
    }

    /// Its file is gone.
    pub(super) fn orphan(&mut self, now_ms: u64) {
        self.files = None;
        self.doubt = None;
        if let Some(serving) = &self.serving {
            let digest = Arc::clone(&serving.digest);
            self.remember(now_ms, "orphaned", &digest, "the file is gone; the policy goes on".to_owned());
        }
    }

    /// Takes it out of service.
    pub(super) fn remove(&mut self, now_ms: u64) {
        let digest = self.serving.take().map_or_else(|| Arc::from(""), |it| Arc::clone(&it.digest));
        self.remember(now_ms, "removed", &digest, "by command".to_owned());
        self.previous.clear();
        self.handled = None;
        self.rolled_back_from = None;
        self.last_error = Some("removed by command; a new file brings it back".to_owned());
        self.metrics.generation.set(0);
    }

    fn serve(&mut self, loaded: Arc<Loaded>, now_ms: u64) -> Live {
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
            metrics: Arc::clone(&self.metrics),
        };
        self.serving = Some(loaded);
        live
    }

    fn remember(&mut self, at_ms: u64, event: &'static str, digest: &Arc<str>, detail: String) {
        self.history.truncate(limits::HISTORY_MAX - 1);
        self.history.push_front(PolicyEvent { at_ms, event, digest: Arc::clone(digest), detail });
    }

    fn state(&self) -> PolicyState {
        match &self.serving {
            None => PolicyState::Failed,
            Some(_) if self.files.is_none() => PolicyState::Orphaned,
            Some(_) if self.rolled_back_from.is_some() => PolicyState::RolledBack,
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
            last_error: self.last_error.clone(),
            history: self.history.iter().cloned().collect(),
        }
    }
}
