//! SIGHUP: the settings are read again, and what may change while a host runs is taken up.
//!
//! Invariants: settings with an error change nothing at all; what was changed and waits for the next start is named in the log and
//! counted. Certificates and files of secrets are read again even if no setting changed.

use std::sync::Arc;

use anyhow::Result;
use larder::config::Config;
use larder::config::layers::Layers;
use larder::config::table::find;
use larder::config::users::User;
use larder::ports::metrics::Metrics;
use larder::wire::front::Front;
use tokio::signal::unix::Signal;

use super::{ServeArgs, settings};

/// What a SIGHUP changes.
pub(crate) struct Reloader {
    args: ServeArgs,
    /// The settings with which the host was started.
    started: Layers,
    /// Those that were taken up last.
    current: Layers,
    users: Vec<User>,
    front: Arc<Front>,
    metrics: Arc<Metrics>,
}

impl Reloader {
    /// For a host that was started so.
    pub(crate) fn new(
        args: ServeArgs,
        started: Layers,
        users: Vec<User>,
        front: Arc<Front>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let current = started.clone();
        Self { args, started, current, users, front, metrics }
    }

    /// Waits for the signal, for ever.
    pub(crate) async fn run(mut self, mut asked: Signal) {
        while asked.recv().await.is_some() {
            // Files and names of hosts are looked up: not on the thread that accepts.
            let read = tokio::task::spawn_blocking(move || {
                let outcome = self.reload();
                (self, outcome)
            });
            let Ok((reloader, outcome)) = read.await else { return };
            self = reloader;
            if let Err(error) = outcome {
                self.metrics.guard.reloads_failed.increment();
                tracing::error!(
                    error = format!("{error:#}"),
                    "the settings were read again and have an error; nothing changed"
                );
            }
        }
    }

    fn reload(&mut self) -> Result<()> {
        let (layers, config) = settings::read(&self.args)?;
        if let (Some(tls), Some(settings)) = (&self.front.tls, &config.tls) {
            tls.reload(settings)?;
        }
        if let Some(log) = &self.front.log {
            log.set(&config.log_level).map_err(anyhow::Error::msg)?;
        }
        self.front.apply(&config);
        if self.users != config.users {
            self.front.gate.replace(&config.users);
            self.users.clone_from(&config.users);
        }
        let waiting = self.waiting(&layers, &config);
        let taken: Vec<_> = self.current.changes(&layers).into_iter().filter(|name| !waiting.contains(name)).collect();
        self.current = layers;
        self.metrics.guard.reloads.increment();
        self.metrics.guard.settings_waiting.set(waiting.len() as u64);
        tracing::info!(changed = taken.join(" "), "the settings were read again");
        if !waiting.is_empty() {
            tracing::warn!(settings = waiting.join(" "), "these were changed and wait for the next start of the host");
        }
        Ok(())
    }

    /// What was changed since the start and cannot be taken up.
    fn waiting(&self, layers: &Layers, config: &Config) -> Vec<&'static str> {
        let begins_or_ends_tls = self.front.tls.is_some() != config.tls.is_some();
        let changed = self.started.changes(layers).into_iter();
        changed
            .filter(|name| {
                let of_tls = name.starts_with("tls.") && begins_or_ends_tls;
                of_tls || find(name).is_some_and(|setting| !setting.reloads)
            })
            .collect()
    }
}
