//! The life of all policies: one thread that watches the folder, has changed policies read on threads of their own, and alone
//! decides what serves.
//!
//! Invariants: what to do comes from reading the folder, never from what an event said; nothing but a policy that passed its
//! trial goes live; a refusal is believed only when the file has not changed for a while, since it may be half written.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::board::Board;
use super::domain::{Domain, Doubt, Look};
use super::folder::{self, Files};
use super::keep::LastGood;
use super::load::Loader;
use super::read::{Reading, Verdict};
use super::source::Source;
use super::watch::FolderWatch;
use crate::limits;
use crate::ports::clock::Clock;
use crate::ports::metrics::Metrics;
use crate::ports::registry::{PolicyStatus, RegistryError};
use crate::ports::table::{Live, Policies};

/// What the thread is told.
pub(super) enum Message {
    /// Something in the folder changed.
    Changed,
    /// A policy was read.
    Read(Arc<str>, Files, Box<Verdict>),
    /// Put the previous policy back.
    RollBack(String, oneshot::Sender<Result<PolicyStatus, RegistryError>>),
    /// Take an orphan out of service.
    Remove(String, oneshot::Sender<Result<(), RegistryError>>),
    /// Forget what is in quarantine.
    Unquarantine(String, oneshot::Sender<Result<PolicyStatus, RegistryError>>),
    /// End.
    Stop,
}

/// Everything the thread owns.
pub(super) struct Life {
    pub(super) folder: PathBuf,
    pub(super) watch: FolderWatch,
    pub(super) loader: Arc<Loader>,
    pub(super) last_good: Arc<LastGood>,
    pub(super) policies: Arc<Policies>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) board: Arc<Board>,
    pub(super) inbox: Receiver<Message>,
    pub(super) sender: Sender<Message>,
    pub(super) domains: BTreeMap<Arc<str>, Domain>,
    pub(super) work: Work,
}

/// What is under way.
#[derive(Default)]
pub(super) struct Work {
    /// Domains that wait for a thread.
    queue: VecDeque<Arc<str>>,
    /// Threads that read.
    readers: usize,
    /// When the folder was first disturbed since it was last read.
    pub(super) disturbed_ns: Option<u64>,
    /// How long nothing was told, in milliseconds.
    quiet_ms: u64,
    /// When the failures of the live policies were last looked at.
    looked_ns: u64,
    /// Whether the folder could not be read.
    lost: bool,
}

impl Life {
    /// Loads what is there, tells that it did, and goes on until it is told to stop.
    pub(super) fn run(mut self, ready: &Sender<()>) {
        self.first_round();
        let _ = ready.send(());
        while self.step() {}
    }

    /// All policies that are there; broken ones get the time that any broken file gets.
    fn first_round(&mut self) {
        self.read_folder(false);
        while self.is_reading() && self.step() {}
        if self.domains.values().any(|domain| domain.doubt.is_some()) {
            // Once, and only at the start: a file that never stops changing must not keep the host from starting.
            thread::sleep(Duration::from_millis(limits::WATCH_SETTLE_MS));
            self.read_folder(true);
            while self.is_reading() && self.step() {}
        }
    }

    fn is_reading(&self) -> bool {
        self.work.readers > 0 || !self.work.queue.is_empty()
    }

    /// Waits for one thing and does it. Whether to go on.
    fn step(&mut self) -> bool {
        let settling = self.domains.values().any(|domain| domain.doubt.is_some());
        let quiet_ms = match (self.work.disturbed_ns, settling) {
            (Some(_), _) => limits::WATCH_QUIET_MS,
            (None, true) => limits::WATCH_SETTLE_MS,
            (None, false) => limits::WATCH_POLL_MS,
        };
        let wait_ms = quiet_ms.saturating_sub(self.work.quiet_ms).min(limits::PROBATION_STEP_MS);
        let received = self.inbox.recv_timeout(Duration::from_millis(wait_ms));
        self.work.quiet_ms = if received.is_ok() { 0 } else { self.work.quiet_ms + wait_ms };
        match received {
            Ok(Message::Changed) => self.disturbed(),
            Ok(Message::Read(domain, files, verdict)) => self.was_read(&domain, files, *verdict),
            Ok(Message::RollBack(domain, reply)) => drop(reply.send(self.roll_back(&domain))),
            Ok(Message::Remove(domain, reply)) => drop(reply.send(self.remove(&domain))),
            Ok(Message::Unquarantine(domain, reply)) => drop(reply.send(self.unquarantine(&domain))),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) if self.work.quiet_ms < quiet_ms => {}
            Err(RecvTimeoutError::Timeout) => {
                self.work.quiet_ms = 0;
                self.read_folder(self.work.disturbed_ns.is_none());
            }
        }
        self.look_at_failures();
        true
    }

    /// Takes out of service what fails too often.
    fn look_at_failures(&mut self) {
        let (now_ns, now_ms) = (self.clock.monotonic_ns(), self.clock.wall_ms());
        if now_ns.saturating_sub(self.work.looked_ns) < limits::PROBATION_STEP_MS * 1_000_000 {
            return;
        }
        self.work.looked_ns = now_ns;
        let looks = self.domains.values_mut().filter_map(|it| Some((Arc::clone(&it.name), it.look(now_ns, now_ms)?)));
        for (name, look) in looks.collect::<Vec<_>>() {
            let domain = &*name;
            match look {
                Look::Quarantined(live) => {
                    let why = self.domains.get(&name).and_then(Domain::last_step).unwrap_or_default();
                    tracing::error!(target: "larder::policy", domain, "the policy is in quarantine: {why}");
                    self.go_live(live);
                    self.publish(&name);
                    self.keep_quarantine(&name);
                    self.keep(&name, None);
                }
                Look::Failing(why) => tracing::error!(target: "larder::policy", domain, "the policy is failing: {why}"),
                Look::Recovered => {
                    tracing::info!(target: "larder::policy", domain, "the policy recovered");
                }
            }
            self.publish(&name);
        }
    }

    /// Waits for quiet, but not for ever.
    fn disturbed(&mut self) {
        self.watch.looked();
        let now = self.clock.monotonic_ns();
        let since = *self.work.disturbed_ns.get_or_insert(now);
        if now.saturating_sub(since) > limits::WATCH_QUIET_MS_MAX * 1_000_000 {
            self.read_folder(false);
        }
    }

    /// Compares the folder with what is known. `settled`: nothing was told for so long that refusals may be believed.
    fn read_folder(&mut self, settled: bool) {
        self.watch.looked();
        self.watch.renew();
        self.work.disturbed_ns = None;
        let scan = match folder::scan(&self.folder) {
            Ok(scan) => scan,
            Err(error) => return self.folder_lost(&error),
        };
        if std::mem::take(&mut self.work.lost) {
            tracing::info!(target: "larder::policy", folder = %self.folder.display(), "the policy folder is back");
        }
        let gone: Vec<_> = self.domains.keys().filter(|name| !scan.policies.contains_key(*name)).cloned().collect();
        for name in gone {
            self.vanished(&name);
        }
        for (name, files) in scan.policies {
            self.appeared(name, files, settled);
        }
        self.board.show_strays(&scan.strays);
        self.start_readers();
    }

    fn folder_lost(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.work.lost, true) {
            tracing::error!(
                target: "larder::policy",
                folder = %self.folder.display(),
                "the policy folder cannot be read ({error}); all policies go on, and it is looked for again every two seconds"
            );
        }
    }

    /// A policy's file is in the folder: has it read if it is not as it was, or if a refusal waits to be believed.
    fn appeared(&mut self, name: Arc<str>, files: Files, settled: bool) {
        let now = self.clock.monotonic_ns();
        let (metrics, last_good) = (&self.metrics, &self.last_good);
        let domain = self
            .domains
            .entry(name)
            .or_insert_with_key(|name| Domain::new(Arc::clone(name), metrics.domain(name), last_good.quarantine(name)));
        if domain.reading {
            domain.read_again = true;
            return;
        }
        let waited = |doubt: &Doubt| now.saturating_sub(doubt.since_ns) >= limits::WATCH_SETTLE_MS * 1_000_000;
        let due = domain.doubt.as_ref().is_some_and(|doubt| settled || waited(doubt));
        if domain.files != Some(files) || due || std::mem::take(&mut domain.retry) {
            domain.reading = true;
            self.work.queue.push_back(Arc::clone(&domain.name));
        }
    }

    /// A policy's file is not in the folder.
    fn vanished(&mut self, name: &Arc<str>) {
        let now_ms = self.clock.wall_ms();
        let Some(domain) = self.domains.get_mut(name) else { return };
        if domain.reading {
            domain.read_again = true;
            return;
        }
        if !domain.ever_served() {
            self.domains.remove(name);
            self.board.withdraw(name);
            return;
        }
        if domain.files.is_none() {
            return;
        }
        domain.orphan(now_ms);
        if domain.serving().is_some() {
            tracing::warn!(
                target: "larder::policy",
                domain = &**name,
                "the file of the policy is gone; the policy goes on until it is removed (`larder policy remove`) or the host restarts"
            );
        }
        self.publish(name);
    }

    fn start_readers(&mut self) {
        while self.work.readers < limits::LOADS_MAX {
            let Some(name) = self.work.queue.pop_front() else { return };
            let Some(files) = folder::files(&self.folder, &name) else {
                // It went away while it waited; the next look at the folder deals with that.
                if let Some(domain) = self.domains.get_mut(&name) {
                    domain.reading = false;
                    self.work.disturbed_ns.get_or_insert_with(|| self.clock.monotonic_ns());
                }
                continue;
            };
            let Some(domain) = self.domains.get_mut(&name) else { continue };
            let known =
                domain.doubt.as_ref().map_or_else(|| domain.handled.clone(), |doubt| Some(doubt.digest.clone()));
            let reading = Reading {
                folder: self.folder.clone(),
                loader: Arc::clone(&self.loader),
                last_good: Arc::clone(&self.last_good),
                domain: name,
                log: Arc::clone(&domain.log),
                files,
                known,
                quarantine: domain.quarantine().clone(),
                served: domain.serving().is_some(),
            };
            let sender = self.sender.clone();
            let run = move || {
                let (domain, files, verdict) = reading.run();
                let _ = sender.send(Message::Read(domain, files, Box::new(verdict)));
            };
            match thread::Builder::new().name("larder-load".to_owned()).spawn(run) {
                Ok(_) => self.work.readers += 1,
                Err(error) => {
                    tracing::error!(target: "larder::policy", "no thread to load a policy can be started: {error}");
                    domain.reading = false;
                }
            }
        }
    }

    fn was_read(&mut self, name: &Arc<str>, files: Files, verdict: Verdict) {
        self.work.readers -= 1;
        let now_ms = self.clock.wall_ms();
        let now_ns = self.clock.monotonic_ns();
        let Some(domain) = self.domains.get_mut(name) else { return self.start_readers() };
        domain.reading = false;
        let again = std::mem::take(&mut domain.read_again) || matches!(verdict, Verdict::Unstable);
        if !matches!(verdict, Verdict::Unstable) {
            domain.files = Some(files);
        }
        let (live, save) = match verdict {
            Verdict::Unstable => (None, None),
            Verdict::Same => (domain.doubt.take().and_then(|doubt| believe(domain, doubt, now_ms)), None),
            Verdict::Bad { digest, refused, kept } => {
                let doubt = Doubt { digest, refused, kept, since_ns: now_ns };
                match domain.doubt.take() {
                    Some(before) if before.digest == doubt.digest => (believe(domain, doubt, now_ms), None),
                    _ => {
                        domain.doubt = Some(doubt);
                        (None, None)
                    }
                }
            }
            Verdict::RolledBack { from, kept } => (domain.stay_rolled_back(kept, from, now_ms), None),
            Verdict::Good { loaded, source, earlier } => {
                domain.doubt = None;
                (domain.accept(*loaded, earlier, now_ms), Some(source))
            }
        };
        if let Some(live) = live {
            self.go_live(live);
        }
        self.publish(name);
        self.keep(name, save.as_ref());
        if again {
            self.work.disturbed_ns.get_or_insert(now_ns);
        }
        self.start_readers();
    }

    pub(super) fn go_live(&self, live: Live) {
        let live = Arc::new(live);
        tracing::info!(
            target: "larder::policy",
            domain = &*live.domain,
            generation = live.generation,
            digest = &*live.digest,
            version = live.description.version,
            "the policy is live"
        );
        self.policies.replace(|table| table.with(Arc::clone(&live)));
    }

    /// Keeps on disk what serves, for the next start.
    pub(super) fn keep(&self, name: &Arc<str>, new: Option<&Source>) {
        let Some(domain) = self.domains.get(name) else { return };
        let Some(serving) = domain.serving() else { return };
        let saved = new.map_or(Ok(()), |source| self.last_good.save(name, source)).and_then(|()| {
            let others = domain.previous_sources();
            self.last_good.point(name, &serving.source_digest, domain.rolled_back_from(), &others)
        });
        if let Err(error) = saved {
            tracing::warn!(
                target: "larder::policy",
                domain = &**name,
                "the policy could not be kept for the next start: {error:#}"
            );
        }
    }

    /// Keeps on disk what is not to be taken again.
    pub(super) fn keep_quarantine(&self, name: &Arc<str>) {
        let Some(domain) = self.domains.get(name) else { return };
        if let Err(error) = self.last_good.save_quarantine(name, domain.quarantine()) {
            tracing::warn!(target: "larder::policy", domain = &**name, "the quarantine could not be kept: {error:#}");
        }
    }

    pub(super) fn publish(&self, name: &Arc<str>) {
        if let Some(domain) = self.domains.get(name).filter(|domain| domain.doubt.is_none() || domain.ever_served()) {
            self.board.publish(domain.status());
        }
    }
}

/// The file stayed as it is: it is refused.
fn believe(domain: &mut Domain, doubt: Doubt, now_ms: u64) -> Option<Live> {
    doubt.refused.report(&domain.name);
    domain.refuse(doubt, now_ms)
}
