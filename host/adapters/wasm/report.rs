//! What loading a policy found out, for its author: how far it came, and why no further.

use serde::Serialize;

use super::contract::Surface;
use super::manifest::Manifest;
use super::refused::{Reason, Refused};
use crate::ports::policy::Description;

/// How one case of a policy went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// What it shows, in the author's words.
    pub name: String,
    /// Where it stands in `NAME.cases.toml`.
    pub line: usize,
    /// What was expected and what was answered instead; `None`: it passed.
    pub failure: Option<String>,
}

/// What loading a policy found out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Size of the component, in bytes.
    pub size_bytes: u64,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// Those of its imports that must be granted.
    pub grants_needed: Vec<&'static str>,
    /// What `NAME.toml` grants.
    pub grants: Vec<String>,
    /// Deadline of a hook, in milliseconds.
    pub hook_ms: u64,
    /// Memory of one instance, in bytes.
    pub memory_bytes: u64,
    /// How long it took to compile it, or to load what was compiled before, in microseconds; `None`: it did not come so far.
    pub load_us: Option<u64>,
    /// What it says of itself, if it came so far.
    pub description: Option<Description>,
    /// Its cases, in the order of their lines.
    pub cases: Vec<CaseResult>,
}

impl Report {
    pub(super) fn imports_and_exports(&mut self, surface: &Surface) {
        self.imports = surface.imports().to_vec();
        self.exports = surface.exports().to_vec();
        self.grants_needed = surface.grants_needed();
    }

    pub(super) fn bounds(&mut self, manifest: &Manifest) {
        self.grants.clone_from(&manifest.grants);
        self.hook_ms = manifest.limits.hook_ms;
        self.memory_bytes = manifest.limits.memory_bytes;
    }

    /// Whether all cases passed.
    ///
    /// # Errors
    /// The first one that failed, and how many more did.
    pub(super) fn failed_case(&self, domain: &str) -> Result<(), Refused> {
        let mut failed = self.cases.iter().filter_map(|case| Some((case, case.failure.as_ref()?)));
        let Some((case, failure)) = failed.next() else { return Ok(()) };
        let more = match failed.count() {
            0 => String::new(),
            count => format!(" ({count} more of its {} cases failed)", self.cases.len()),
        };
        let message =
            format!("{domain}.cases.toml, line {}: the case \"{}\" failed: {failure}{more}", case.line, case.name);
        Err(Refused::new(Reason::Cases, message))
    }
}
