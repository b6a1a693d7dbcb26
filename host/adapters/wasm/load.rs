//! From the files of a policy to what can serve: read, checked, compiled, tried.
//!
//! Invariants: nothing here touches what is live; every refusal says what is wrong with which part and what to do about it.
//! All of it blocks, for milliseconds or (Python, the first time) seconds: it runs on threads of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, Linker};

use super::compile::Compiler;
use super::instance::Program;
use super::manifest::{Manifest, PolicyLimits};
use super::policy::WasmPolicy;
use super::refused::{Reason, Refused};
use super::report::Report;
use super::source::{Source, digest_hex};
use super::state::{Context, HostState, LogBudget};
use super::trial::Trial;
use super::workflow::{self, CallState, WorkflowProgram};
use super::{case, contract, imports, wasi};
use crate::ports::clock::Clock;
use crate::ports::hooks::{Abilities, Ability};
use crate::ports::metrics::{Counter, Metrics};
use crate::ports::origin::{Origin, Origins};
use crate::ports::policy::Description;
use crate::ports::table::{OnStoreFailure, Reach};

/// Settings by domain that outrank those of `NAME.toml`: the environment's.
pub type Overrides = BTreeMap<String, BTreeMap<String, String>>;

/// What policies are told of the host among their settings, and what they take for granted if they are not: the contract's words.
pub(super) const KEY_SEPARATOR: &str = "key.separator";
pub(super) const USUAL_SEPARATOR: u8 = b':';

/// A policy that passed its trial. Kept for rollback it holds no instance, only its code.
pub(super) struct Loaded {
    program: Arc<Program>,
    workflow: Option<Arc<WorkflowProgram>>,
    abilities: Abilities,
    /// What it says of itself.
    pub(super) description: Description,
    /// SHA-256 of the component, in hex.
    pub(super) digest: Arc<str>,
    /// SHA-256 over all its files, in hex.
    pub(super) source_digest: String,
    /// Identifies the rules: component, settings, limits, origin.
    pub(super) rules_id: u64,
    /// Where its domain is loaded from.
    pub(super) origin: Option<Arc<dyn Origin>>,
    /// Keys of other domains that its workflow may use.
    pub(super) reach: Arc<[Reach]>,
    /// Share of its calls that may fail, in percent.
    pub(super) fault_percent: u64,
    /// What readers get while the store is away, if it says so.
    pub(super) on_store_failure: Option<OnStoreFailure>,
    /// Whether readers may demand more than the policy says.
    pub(super) obeys_requests: bool,
    /// Size of the component.
    pub(super) size_bytes: u64,
    /// How long it took to compile it, or to load what was compiled before.
    pub(super) load_ms: u64,
}

impl Loaded {
    /// Makes it serve, with no instance yet.
    pub(super) fn policy(&self) -> Arc<WasmPolicy> {
        let (program, workflow) = (Arc::clone(&self.program), self.workflow.clone());
        Arc::new(WasmPolicy::new(program, workflow, &self.description, self.abilities))
    }

    /// Where its failures are counted.
    pub(super) fn faults(&self) -> Arc<Counter> {
        Arc::clone(&self.program.context().faults)
    }
}

/// Loads policies; shared by the threads that do.
pub(super) struct Loader {
    compiler: Compiler,
    linker: Linker<HostState>,
    workflow_linker: Linker<CallState>,
    overrides: Overrides,
    key_separator: u8,
    origins: Arc<dyn Origins>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

impl Loader {
    /// Loads for the engine of `compiler`.
    ///
    /// # Errors
    /// The host functions cannot be linked: a defect of the host.
    pub(super) fn new(
        compiler: Compiler,
        overrides: Overrides,
        key_separator: u8,
        origins: Arc<dyn Origins>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let linker = imports::linker(compiler.engine()).map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let workflow_linker = workflow::linker(compiler.engine()).map_err(|error| anyhow::anyhow!("{error:#}"))?;
        Ok(Self { compiler, linker, workflow_linker, overrides, key_separator, origins, metrics, clock })
    }

    /// Takes a policy up to where it could go live.
    ///
    /// # Errors
    /// Why it may not. The file is named.
    pub(super) fn load(&self, domain: &Arc<str>, log: &Arc<LogBudget>, source: &Source) -> Result<Loaded, Refused> {
        self.load_and_report(domain, log, source, &mut Report::default())
    }

    /// The same, and what was found on the way, however far that is.
    ///
    /// # Errors
    /// Why it may not. The file is named.
    pub(super) fn load_and_report(
        &self,
        domain: &Arc<str>,
        log: &Arc<LogBudget>,
        source: &Source,
        report: &mut Report,
    ) -> Result<Loaded, Refused> {
        let in_file = |refused: Refused| refused.in_file(&format!("{domain}.wasm"));
        report.size_bytes = source.wasm.len() as u64;
        let surface = contract::read(&source.wasm).map_err(in_file)?;
        report.imports_and_exports(&surface);
        let manifest = self.manifest(domain, source)?;
        report.bounds(&manifest);
        surface.check(domain, &manifest.grants).map_err(in_file)?;
        let cases = source.cases.as_deref().map_or_else(|| Ok(Vec::new()), |text| case::parse(domain, text))?;
        let not_allowed = |why: String| Refused::new(Reason::Origin, format!("{domain}.toml: {why}"));
        let origin = manifest.origin_settings();
        origin.as_ref().map_or(Ok(()), |origin| self.origins.check(origin)).map_err(not_allowed)?;
        let abilities = surface.abilities();
        let digest = digest_hex(&source.wasm);
        let rules_id = rules_id(&digest, &manifest);
        let (component, load_us) = self.component(source, &digest).map_err(in_file)?;
        report.load_us = Some(load_us);

        let pre = wasi::linked(&self.linker, &component)
            .and_then(|linker| linker.instantiate_pre(&component))
            .map_err(|error| in_file(does_not_fit(&error)))?;
        let has_runtime = surface.imports().iter().any(|import| import.starts_with("wasi:"));
        let program = |settings: &BTreeMap<String, String>| {
            let context = Context {
                domain: Arc::clone(domain),
                settings: settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
                clock: Arc::clone(&self.clock),
                metrics: self.metrics.domain(domain),
                faults: Arc::default(),
                log: Arc::clone(log),
                has_runtime,
            };
            Program::new(pre.clone(), abilities, Arc::new(context), manifest.limits)
                .map_err(|error| does_not_fit(&error))
        };
        let trial = Trial { domain, abilities, settings: &manifest.settings, program: &program, clock: &*self.clock };
        let (program, instance, description) = trial.describe(&manifest.settings).map_err(in_file)?;
        report.description = Some(description.clone());
        report.cases = trial.cases(&cases, instance, &description);
        report.failed_case(domain)?;
        let context = Arc::clone(program.context());
        let workflow = self.workflow(&component, abilities, context, manifest.limits).map_err(in_file)?;
        let origin = origin.map(|origin| self.origins.open(domain, &origin)).transpose().map_err(not_allowed)?;
        Ok(Loaded {
            origin,
            reach: manifest.reach.into(),
            program: Arc::new(program),
            workflow,
            abilities,
            description,
            digest: digest.into(),
            source_digest: source.digest(),
            rules_id,
            fault_percent: manifest.limits.fault_percent,
            on_store_failure: manifest.limits.on_store_failure,
            obeys_requests: manifest.limits.obeys_requests,
            size_bytes: source.wasm.len() as u64,
            load_ms: load_us / 1_000,
        })
    }

    /// How long it takes to compile a component, or to load what was compiled before, in microseconds.
    ///
    /// # Errors
    /// It does not compile.
    pub(super) fn load_time_us(&self, source: &Source) -> Result<u64, Refused> {
        self.component(source, &digest_hex(&source.wasm)).map(|(_, us)| us)
    }

    fn component(&self, source: &Source, digest: &str) -> Result<(Component, u64), Refused> {
        let began = self.clock.monotonic_ns();
        let component = self.compiler.component(&source.wasm, digest)?;
        Ok((component, self.clock.monotonic_ns().saturating_sub(began) / 1_000))
    }

    fn workflow(
        &self,
        component: &Component,
        abilities: Abilities,
        context: Arc<Context>,
        bounds: PolicyLimits,
    ) -> Result<Option<Arc<WorkflowProgram>>, Refused> {
        if !abilities.contains(Ability::Workflow) {
            return Ok(None);
        }
        let pre = wasi::linked(&self.workflow_linker, component).and_then(|linker| linker.instantiate_pre(component));
        let workflow = pre.and_then(|pre| WorkflowProgram::new(pre, context, bounds));
        workflow.map(|workflow| Some(Arc::new(workflow))).map_err(|error| does_not_fit(&error))
    }

    fn manifest(&self, domain: &str, source: &Source) -> Result<Manifest, Refused> {
        let mut manifest =
            source.toml.as_deref().map_or_else(|| Ok(Manifest::default()), |text| Manifest::parse(domain, text))?;
        if manifest.settings.contains_key(KEY_SEPARATOR) {
            let message = format!("{domain}.toml sets `{KEY_SEPARATOR}`, which is the host's; set CACHE_KEY_SEPARATOR");
            return Err(Refused::new(Reason::Manifest, message));
        }
        if self.key_separator != USUAL_SEPARATOR {
            manifest.settings.insert(KEY_SEPARATOR.to_owned(), char::from(self.key_separator).to_string());
        }
        if let Some(overrides) = self.overrides.get(domain) {
            manifest.settings.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Ok(manifest)
    }
}

fn does_not_fit(error: &wasmtime::Error) -> Refused {
    Refused::new(
        Reason::Contract,
        format!("does not fit the contract larder:policy@0.1.0; was it built against another `wit/`? {error:#}"),
    )
}

/// The first eight bytes of the SHA-256 over everything that decisions depend on; the same on every node.
fn rules_id(digest: &str, manifest: &Manifest) -> u64 {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    part(digest);
    part(manifest.origin.as_deref().unwrap_or_default());
    part(&manifest.limits.hook_ms.to_string());
    part(&manifest.limits.memory_bytes.to_string());
    // What is swapped along with the rules, and so must be seen as others.
    part(&format!("{:?}", manifest.limits.loads));
    manifest.reach.iter().for_each(|reach| part(&reach.to_string()));
    for (name, value) in &manifest.settings {
        part(name);
        part(value);
    }
    let hash = hash.finalize();
    hash.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_told_apart_by_everything_that_decisions_depend_on() {
        let manifest = |text: &str| Manifest::parse("profile", text).expect("a right manifest");
        let ids = [
            rules_id("a", &manifest("")),
            rules_id("b", &manifest("")),
            rules_id("a", &manifest("[settings]\nttl = 1")),
            rules_id("a", &manifest("[settings]\nttl = 2")),
            rules_id("a", &manifest("[limits]\nhook_ms = 6")),
            rules_id("a", &manifest("origin = 'http://a'")),
            rules_id("a", &manifest("[limits]\nload_ms = 7")),
            rules_id("a", &manifest("[grants]\nkeys = ['unread']")),
        ];
        for (i, id) in ids.iter().enumerate() {
            assert!(ids.iter().skip(i + 1).all(|other| other != id));
        }
        assert_eq!(ids[0], rules_id("a", &manifest("[grants]\ninterfaces = ['redis']")));
    }
}
