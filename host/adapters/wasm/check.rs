//! Policy files taken up as a host does, without one: for their authors, before anything serves.
//!
//! The way is that of the host to the last step, with a cache of its own: what is accepted here is accepted there. Deliberately
//! absent: going live, and what a host knows of its own folder (its quarantine).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compile::Compiler;
use super::load::{Loader, Overrides, USUAL_SEPARATOR};
use super::refused::{Reason, Refused};
use super::report::Report;
use super::source::{Source, digest_hex};
use super::{engine, folder};
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;
use crate::ports::origin::Origins;

/// Takes policies up.
pub struct Checker {
    loader: Loader,
}

/// How it went with one file.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The domain that it would serve.
    pub domain: String,
    /// SHA-256 of the component, in hex; empty if it cannot be read.
    pub digest: String,
    /// What was found, however far it came.
    pub report: Report,
    /// How long it takes when it was compiled before, in microseconds.
    pub cached_us: Option<u64>,
    /// Why it would not serve: a word for scripts, and the message.
    pub refused: Option<(&'static str, String)>,
}

impl Checker {
    /// With an empty folder for what is compiled, the settings of the environment, the program that compiles, and what judges origins, as in
    /// [`RegistryConfig`](super::RegistryConfig).
    ///
    /// # Errors
    /// The folder cannot be written, or WebAssembly not run here.
    pub fn new(
        cache: &Path,
        overrides: Overrides,
        compile_with: Option<PathBuf>,
        origins: Arc<dyn Origins>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let compiler = Compiler::new(engine::serving()?, cache.to_owned(), compile_with)?;
        let metrics = Arc::new(Metrics::default());
        Ok(Self { loader: Loader::new(compiler, overrides, USUAL_SEPARATOR, origins, metrics, clock)? })
    }

    /// Takes `NAME.wasm` up, with the files beside it.
    #[must_use]
    pub fn check(&self, file: &Path) -> Checked {
        let mut checked = Checked::default();
        if let Err(refused) = self.take_up(file, &mut checked) {
            checked.refused = Some((refused.reason.as_str(), refused.message));
        }
        checked
    }

    fn take_up(&self, file: &Path, checked: &mut Checked) -> Result<(), Refused> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(domain) = name.strip_suffix(".wasm") else {
            return Err(Refused::new(Reason::Name, format!("{name} is not named NAME.wasm")));
        };
        domain.clone_into(&mut checked.domain);
        if !folder::is_domain(domain) {
            return Err(Refused::new(Reason::Name, format!("{name}: {}", folder::misnamed(domain))));
        }
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let source = Source::read(folder, domain)?;
        checked.digest = digest_hex(&source.wasm);
        let (domain, log) = (Arc::from(domain), Arc::default());
        let loaded = self.loader.load_and_report(&domain, &log, &source, &mut checked.report);
        // What was compiled is loaded again, as at the next start of a host.
        if checked.report.load_us.is_some() {
            checked.cached_us = self.loader.load_time_us(&source).ok();
        }
        loaded.map(drop)
    }
}
