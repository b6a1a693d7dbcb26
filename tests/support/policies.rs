//! A policy folder with a registry over it, in this process: the policy runtime without stores and servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::adapters::clock::SystemClock;
use larder::adapters::origin::HttpOrigins;
use larder::adapters::wasm::{Overrides, RegistryConfig, WasmRegistry};
use larder::ports::metrics::{DomainMetrics, Metrics};
use larder::ports::policy::{Operation, Plan, Policy, PolicyError, Request, Shape};
use larder::ports::registry::{PolicyState, PolicyStatus, Registry};
use larder::ports::table::{Live, Policies};
use tempfile::TempDir;

use super::host::{sample, wait_until};

/// Samples in a folder of their own, each guarded by its cases.
pub fn guarded(names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in names {
        let cases = format!("{name}/cases.toml");
        for (file, ending) in
            [(&format!("{name}.wasm"), "wasm"), (&format!("{name}.toml"), "toml"), (&cases, "cases.toml")]
        {
            let from = sample(name).with_file_name(file);
            std::fs::copy(from, folder.path().join(format!("{name}.{ending}"))).unwrap();
        }
    }
    folder
}

/// A folder for policies and one for the host's state; what serves, and what is counted.
pub struct Folder {
    root: TempDir,
    registry: Option<Arc<WasmRegistry>>,
    overrides: Overrides,
    compile_with: Option<PathBuf>,
    pub policies: Arc<Policies>,
    pub metrics: Arc<Metrics>,
}

impl Folder {
    /// Empty, and not watched yet.
    pub fn new() -> Self {
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join("policies")).unwrap();
        Self {
            root,
            registry: None,
            overrides: Overrides::new(),
            compile_with: None,
            policies: Arc::default(),
            metrics: Arc::default(),
        }
    }

    /// With one policy and its settings, watched.
    pub fn serving(domain: &str, component: &Path, toml: &str) -> Self {
        let mut folder = Self::new();
        folder.put(&format!("{domain}.toml"), toml.as_bytes());
        folder.copy(domain, component);
        folder.start();
        folder
    }

    /// A setting that outranks the files'.
    pub fn overriding(mut self, domain: &str, name: &str, value: &str) -> Self {
        self.overrides.entry(domain.into()).or_default().insert(name.into(), value.into());
        self
    }

    /// Compiling in a process of its own.
    pub fn compiling_with(mut self, program: &str) -> Self {
        self.compile_with = Some(program.into());
        self
    }

    pub fn path(&self) -> PathBuf {
        self.root.path().join("policies")
    }

    pub fn state_path(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// Begins to watch, as a host that starts: with nothing in service.
    pub fn start(&mut self) {
        self.try_start().unwrap();
    }

    pub fn try_start(&mut self) -> anyhow::Result<()> {
        self.registry = None;
        self.policies = Arc::default();
        let config = RegistryConfig {
            policies_dir: self.path(),
            state_dir: self.state_path(),
            overrides: self.overrides.clone(),
            compile_with: self.compile_with.clone(),
            key_separator: b':',
            origins: Arc::new(HttpOrigins::for_checks(Arc::new(SystemClock::default()))?),
        };
        let clock = Arc::new(SystemClock::default());
        self.registry = Some(WasmRegistry::start(config, self.policies.clone(), self.metrics.clone(), clock)?);
        Ok(())
    }

    pub fn registry(&self) -> &Arc<WasmRegistry> {
        self.registry.as_ref().expect("the folder is watched")
    }

    /// Writes a file as an author's tool does: beside it, then renamed.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let temporary = self.root.path().join("put");
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(temporary, self.path().join(name)).unwrap();
    }

    pub fn copy(&self, domain: &str, component: &Path) {
        self.put(&format!("{domain}.wasm"), &std::fs::read(component).unwrap());
    }

    pub fn delete(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).unwrap();
    }

    /// What serves a domain.
    pub fn live(&self, domain: &str) -> Option<Arc<Live>> {
        self.policies.table().get(domain).cloned()
    }

    /// Its hooks.
    pub fn policy(&self, domain: &str) -> Arc<dyn Policy> {
        self.live(domain).expect("a policy serves the domain").policy.clone()
    }

    pub fn metrics(&self, domain: &str) -> Arc<DomainMetrics> {
        self.metrics.domain(domain)
    }

    pub fn status(&self, domain: &str) -> PolicyStatus {
        self.registry().status(domain).expect("the domain is known")
    }

    /// The state of a domain, and why its newest file does not serve.
    pub fn state(&self, domain: &str) -> (Option<PolicyState>, String) {
        let status = self.registry().status(domain);
        let error = status.as_ref().and_then(|it| it.last_error.clone()).unwrap_or_default();
        (status.map(|it| it.state), error)
    }

    /// Waits for a state.
    pub fn wait_for(&self, domain: &str, state: PolicyState) {
        wait_until(&format!("{domain} is {}", state.as_str()), || self.state(domain).0 == Some(state));
    }

    /// Waits for a generation.
    pub fn wait_for_generation(&self, domain: &str, generation: u64) {
        wait_until(&format!("{domain} has generation {generation}"), || {
            self.live(domain).is_some_and(|live| live.generation >= generation)
        });
    }
}

/// A read of a value.
pub fn read(key: &str) -> Request<'_> {
    Request { key, operation: Operation::Read, shape: Shape::Value }
}

/// The plan for reading a value.
pub fn plan(policy: &dyn Policy, key: &str) -> Result<Plan, PolicyError> {
    policy.plan(&read(key))
}

/// A component in which every occurrence of a text is another one, of the same length.
pub fn patched(component: &Path, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(component).unwrap();
    let mut found = 0;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{from} is not in {}", component.display());
    bytes
}

/// `[settings]` from pairs, for `NAME.toml`.
pub fn settings(pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold("[settings]\n".to_owned(), |text, (name, value)| format!("{text}{name} = \"{value}\"\n"))
}
