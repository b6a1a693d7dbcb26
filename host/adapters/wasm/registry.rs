//! The policies of a folder, as the host starts them and operators see them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::board::Board;
use super::compile::Compiler;
use super::keep::LastGood;
use super::life::{Life, Message, Work};
use super::load::{Loader, Overrides};
use super::watch::FolderWatch;
use super::{engine, exported, folder};
use crate::adapters::prometheus::Source;
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;
use crate::ports::origin::Origins;
use crate::ports::registry::{PolicyStatus, Registry, RegistryError};
use crate::ports::table::Policies;

/// Where policies come from and what the host keeps of them.
#[derive(Clone)]
pub struct RegistryConfig {
    /// The watched folder with `NAME.wasm` and `NAME.toml`.
    pub policies_dir: PathBuf,
    /// The host's own folder: compiled code under `cache`, the last good policies under `last-good`.
    pub state_dir: PathBuf,
    /// Settings by domain that outrank those of `NAME.toml`.
    pub overrides: Overrides,
    /// The program that compiles components, in a process of its own: this host's own binary. `None`: this process compiles, and
    /// nothing bounds how long that takes.
    pub compile_with: Option<PathBuf>,
    /// Between the parts of a key; policies are told where it is not `:`.
    pub key_separator: u8,
    /// Where the origins of domains come from.
    pub origins: Arc<dyn Origins>,
}

/// The policies of a folder. Dropping it ends the care for the folder; what serves goes on serving.
pub struct WasmRegistry {
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    sender: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WasmRegistry {
    /// Loads all policies of the folder into `policies`, then watches it. Blocks until all were tried; what is wrong with one
    /// of them is in its status and the log, and keeps no other from serving.
    ///
    /// # Errors
    /// The folder cannot be read, the state folder not written, or WebAssembly not run here.
    pub fn start(
        config: RegistryConfig,
        policies: Arc<Policies>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Arc<Self>> {
        let RegistryConfig { policies_dir, state_dir, overrides, compile_with, key_separator, origins } = config;
        folder::scan(&policies_dir).with_context(|| {
            format!("the policy folder {} cannot be read; make it, or name another one", policies_dir.display())
        })?;
        let compiler = Compiler::new(engine::serving()?, state_dir.join("cache"), compile_with)?;
        let last_good = Arc::new(LastGood::new(state_dir.join("last-good"))?);
        let loader = Arc::new(Loader::new(
            compiler,
            overrides,
            key_separator,
            origins,
            Arc::clone(&metrics),
            Arc::clone(&clock),
        )?);
        let (sender, inbox) = mpsc::channel();
        let board = Arc::new(Board::default());
        let changed = sender.clone();
        let life = Life {
            watch: FolderWatch::new(policies_dir.clone(), move || drop(changed.send(Message::Changed))),
            folder: policies_dir,
            loader,
            last_good,
            policies,
            metrics: Arc::clone(&metrics),
            clock,
            board: Arc::clone(&board),
            inbox,
            sender: sender.clone(),
            domains: BTreeMap::new(),
            work: Work::default(),
        };
        let (ready, is_ready) = mpsc::channel();
        let run = move || life.run(&ready);
        let thread = thread::Builder::new().name("larder-policies".to_owned()).spawn(run);
        let thread = thread.context("starting the thread that watches the policies")?;
        is_ready.recv().context("the thread that watches the policies ended at its start")?;
        Ok(Arc::new(Self { board, metrics, sender, thread: Mutex::new(Some(thread)) }))
    }

    /// The policies' own metrics, for the exporter.
    pub fn metrics_source(&self) -> Arc<dyn Source> {
        let metrics = Arc::clone(&self.metrics);
        Arc::new(move || exported::series(&metrics))
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, RegistryError>>) -> Message,
    ) -> Result<T, RegistryError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(message(reply)).map_err(|_| RegistryError::Closed)?;
        answer.await.map_err(|_| RegistryError::Closed)?
    }
}

#[async_trait]
impl Registry for WasmRegistry {
    fn list(&self) -> Vec<PolicyStatus> {
        self.board.all()
    }

    fn status(&self, domain: &str) -> Option<PolicyStatus> {
        self.board.one(domain)
    }

    async fn rollback(&self, domain: &str) -> Result<PolicyStatus, RegistryError> {
        self.ask(|reply| Message::RollBack(domain.to_owned(), reply)).await
    }

    async fn remove(&self, domain: &str) -> Result<(), RegistryError> {
        self.ask(|reply| Message::Remove(domain.to_owned(), reply)).await
    }

    async fn unquarantine(&self, domain: &str) -> Result<PolicyStatus, RegistryError> {
        self.ask(|reply| Message::Unquarantine(domain.to_owned(), reply)).await
    }
}

impl Drop for WasmRegistry {
    fn drop(&mut self) {
        let _ = self.sender.send(Message::Stop);
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}
