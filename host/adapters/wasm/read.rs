//! Reading one policy from the folder, on a thread of its own, and what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use super::folder::{self, Files};
use super::keep::LastGood;
use super::load::{Loaded, Loader};
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
    /// Whether something serves the domain now.
    pub(super) served: bool,
}

/// What came of it.
pub(super) enum Verdict {
    /// It is what was seen last.
    Same,
    /// It changed while it was read.
    Unstable,
    /// It may serve.
    Good { loaded: Loaded, source: Source },
    /// It is what an operator rolled back from before the last stop; this served instead.
    RolledBack { kept: Loaded, from: String },
    /// It may not serve. The fallback is what served last, if nothing serves now.
    Bad { digest: String, refused: Refused, fallback: Option<Loaded> },
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
            fallback: None,
        });
        (self.domain, self.files, verdict)
    }

    fn verdict(&self) -> Verdict {
        let read = Source::read(&folder::wasm(&self.folder, &self.domain), &folder::toml(&self.folder, &self.domain));
        if folder::files(&self.folder, &self.domain) != Some(self.files) {
            return Verdict::Unstable;
        }
        // What cannot be read is the same as before if it cannot be read for the same reason.
        let digest = read.as_ref().map_or_else(|refused| digest_hex(refused.message.as_bytes()), Source::digest);
        if self.known.as_ref() == Some(&digest) {
            return Verdict::Same;
        }
        if let Some(kept) = self.rolled_back(&digest) {
            return Verdict::RolledBack { kept, from: digest };
        }
        match read.and_then(|source| Ok((self.load(&source)?, source))) {
            Ok((loaded, source)) => Verdict::Good { loaded, source },
            Err(refused) => Verdict::Bad { digest, refused, fallback: self.fallback() },
        }
    }

    fn load(&self, source: &Source) -> Result<Loaded, Refused> {
        self.loader.load(&self.domain, &self.log, source)
    }

    fn rolled_back(&self, digest: &str) -> Option<Loaded> {
        if self.served {
            return None;
        }
        let kept = self.last_good.load(&self.domain)?;
        if kept.rolled_back_from.as_deref() != Some(digest) {
            return None;
        }
        self.load(&kept.source).ok()
    }

    fn fallback(&self) -> Option<Loaded> {
        if self.served {
            return None;
        }
        let kept = self.last_good.load(&self.domain)?;
        self.load(&kept.source)
            .inspect_err(|refused| {
                tracing::error!(
                    target: "larder::policy",
                    domain = &*self.domain,
                    "the last good policy does not load either: {refused}"
                );
            })
            .ok()
    }
}
