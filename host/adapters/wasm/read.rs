//! Reading one policy from the folder, on a thread of its own, and what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use super::folder::{self, Files};
use super::keep::{Kept, LastGood};
use super::load::{Loaded, Loader};
use super::quarantine::Quarantine;
use super::refused::{Reason, Refused};
use super::source::{Source, digest_hex};
use super::state::LogBudget;

/// What a reading thread needs to know.
pub(super) struct Reading {
    pub(super) folder: PathBuf,
    pub(super) loader: Arc<Loader>,
    pub(super) last_good: Arc<LastGood>,
    pub(super) domain: Arc<str>,
    pub(super) log: Arc<LogBudget>,
    /// The files as they were when the thread was asked for.
    pub(super) files: Files,
    /// Digest of the source that was seen last: nothing is done for the same again.
    pub(super) known: Option<String>,
    /// What is not to be taken again.
    pub(super) quarantine: Quarantine,
    /// Whether something serves the domain now. If not, what served before the last stop is looked for.
    pub(super) served: bool,
}

/// What came of it.
pub(super) enum Verdict {
    /// It is what was seen last.
    Same,
    /// It changed while it was read.
    Unstable,
    /// It may serve. `earlier` is what served before the last stop, newest first.
    Good { loaded: Box<Loaded>, source: Source, earlier: Vec<Loaded> },
    /// It is what an operator rolled back from before the last stop; this served instead, newest first.
    RolledBack { from: String, kept: Vec<Loaded> },
    /// It may not serve. `kept` is what served last, newest first, if nothing serves now.
    Bad { digest: String, refused: Refused, kept: Vec<Loaded> },
}

impl Reading {
    /// Does it. Blocks. A panic becomes a verdict: one domain's file must not end the care for all others.
    pub(super) fn run(self) -> (Arc<str>, Files, Verdict) {
        let verdict = catch_unwind(AssertUnwindSafe(|| self.verdict())).unwrap_or_else(|_| Verdict::Bad {
            digest: "a defect of the host".to_owned(),
            refused: Refused::new(
                Reason::Host,
                "the host failed while it loaded the policy: a defect; its log says more",
            ),
            kept: Vec::new(),
        });
        (self.domain, self.files, verdict)
    }

    fn verdict(&self) -> Verdict {
        let read = Source::read(&self.folder, &self.domain);
        if folder::files(&self.folder, &self.domain) != Some(self.files) {
            return Verdict::Unstable;
        }
        // What cannot be read is the same as before if it cannot be read for the same reason.
        let digest = read.as_ref().map_or_else(|refused| digest_hex(refused.message.as_bytes()), Source::digest);
        if self.known.as_ref() == Some(&digest) {
            return Verdict::Same;
        }
        let kept = if self.served { None } else { self.last_good.load(&self.domain) };
        if kept.as_ref().is_some_and(|kept| kept.rolled_back_from.as_ref() == Some(&digest)) {
            let kept = self.restore(kept.as_ref(), &digest);
            if !kept.is_empty() {
                return Verdict::RolledBack { from: digest, kept };
            }
        }
        match read.and_then(|source| Ok((self.load(&source)?, source))) {
            Ok((loaded, source)) => {
                Verdict::Good { loaded: Box::new(loaded), source, earlier: self.restore(kept.as_ref(), &digest) }
            }
            Err(refused) => Verdict::Bad { kept: self.restore(kept.as_ref(), &digest), digest, refused },
        }
    }

    /// Takes a policy up, unless it is in quarantine.
    fn load(&self, source: &Source) -> Result<Loaded, Refused> {
        let loaded = self.loader.load(&self.domain, &self.log, source)?;
        match self.quarantine.why(loaded.rules_id) {
            Some(why) => Err(Refused::new(Reason::Quarantined, quarantined(&self.domain, why))),
            None => Ok(loaded),
        }
    }

    /// What served before the last stop, newest first, without what is in the folder.
    fn restore(&self, kept: Option<&Kept>, digest: &str) -> Vec<Loaded> {
        let sources = kept.map_or(&[][..], |kept| &kept.sources);
        let others = sources.iter().filter(|source| source.digest() != digest);
        let load = |source: &Source| {
            let loaded = self.load(source);
            loaded.inspect_err(|refused| {
                let domain = &*self.domain;
                tracing::warn!(target: "larder::policy", domain, "a policy that served before does not load: {refused}");
            })
        };
        others.filter_map(|source| load(source).ok()).collect()
    }
}

/// What an operator is told of a policy in quarantine.
pub(super) fn quarantined(domain: &str, why: &str) -> String {
    format!(
        "{domain}.wasm is in quarantine: {why}; put another file there, or clear the quarantine to try it again \
         (`larder policy unquarantine {domain}`)"
    )
}
