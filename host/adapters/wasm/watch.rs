//! Tells that something in the policy folder changed. What changed is not its business: the folder is read again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::folder;

/// Watches one folder, also when it is replaced by another of its name.
pub(super) struct FolderWatch {
    folder: PathBuf,
    tell: Arc<dyn Fn() + Send + Sync>,
    /// Whether a change was told that nobody looked at yet: one is enough.
    told: Arc<AtomicBool>,
    /// The watcher, and the identity of the folder that it watches.
    watching: Option<(RecommendedWatcher, (u64, u64))>,
    complained: bool,
}

impl FolderWatch {
    /// Calls `tell` after changes of `folder`: once, until [`Self::looked`].
    pub(super) fn new(folder: PathBuf, tell: impl Fn() + Send + Sync + 'static) -> Self {
        Self { folder, tell: Arc::new(tell), told: Arc::default(), watching: None, complained: false }
    }

    /// From now on the next change is told again. Before the folder is read, so that no change is missed.
    pub(super) fn looked(&self) {
        self.told.store(false, Ordering::SeqCst);
    }

    /// Watches the folder that has the name now. Without a watcher changes are still found, by reading the folder now and then.
    pub(super) fn renew(&mut self) {
        let now = folder::identity(&self.folder);
        if self.watching.as_ref().map(|(_, identity)| *identity) == now {
            return;
        }
        self.watching = None;
        let Some(identity) = now else { return };
        match self.start() {
            Ok(watcher) => self.watching = Some((watcher, identity)),
            Err(error) if !self.complained => {
                self.complained = true;
                tracing::warn!(
                    target: "larder::policy",
                    folder = %self.folder.display(),
                    "the system does not report changes of the policy folder ({error}); it is read every two seconds"
                );
            }
            Err(_) => {}
        }
    }

    fn start(&self) -> notify::Result<RecommendedWatcher> {
        let (tell, told) = (Arc::clone(&self.tell), Arc::clone(&self.told));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_reading(event.kind)) {
                return;
            }
            if !told.swap(true, Ordering::SeqCst) {
                tell();
            }
        })?;
        watcher.watch(&self.folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }
}

/// Whether a file was only looked at, as this host does itself.
fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}
