//! A guard on a held lock: renewal while it lives, release when it ends, and the signal that the lock is lost.
//!
//! Invariants: the renewal is a task that is stopped, and waited for, before the release begins: nothing extends a lock that
//! was given back. The guard believes in its lock no longer than its life counted from *before* the store was asked. What is
//! counted is monotonic time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::keeper::{Inner, until_ns};
use crate::error::Result;
use crate::limits::LOCK_RENEWALS_PER_TTL;
use crate::ports::lock::{Grant, HeldLock, LockName, LockOutcome, Token};
use crate::ports::trace::{self, Here};

/// What a guard and its renewal know of the lock's life.
struct Lease {
    inner: Arc<Inner>,
    name: LockName,
    token: Token,
    until_ns: AtomicU64,
    /// Whether it is known not to be held any more.
    over: watch::Sender<bool>,
    /// The request that it was taken for: what is done in the background is below it.
    here: Here,
}

/// A held lock.
pub(super) struct Guard {
    lease: Arc<Lease>,
    fence: u64,
    renewal: Option<JoinHandle<()>>,
    released: bool,
    runtime: Handle,
}

impl Lease {
    fn left(&self) -> Option<Duration> {
        let left_ns = self.until_ns.load(Ordering::Relaxed).checked_sub(self.inner.clock.monotonic_ns())?;
        (left_ns > 0 && !*self.over.borrow()).then(|| Duration::from_nanos(left_ns))
    }

    /// Begins its life anew. Whether it was held.
    async fn extend(&self, ttl_ms: u64) -> Result<bool> {
        match self.inner.extend(&self.name, &self.token, ttl_ms).await? {
            Some(until_ns) => {
                self.until_ns.store(until_ns, Ordering::Relaxed);
                Ok(true)
            }
            None => {
                self.lose();
                Ok(false)
            }
        }
    }

    fn lose(&self) {
        if !self.over.send_replace(true) {
            self.inner.lost(&self.name, &self.token);
        }
    }

    /// Extends it whenever a part of its life is gone, until it is lost.
    async fn renew(self: Arc<Self>, ttl_ms: u64) {
        let regular = Duration::from_millis((ttl_ms / LOCK_RENEWALS_PER_TTL).max(1));
        let hurried = regular.min(Duration::from_millis(self.inner.settings.retry_ms.max(1)));
        let mut pause = regular;
        loop {
            sleep(pause).await;
            pause = match self.extend(ttl_ms).await {
                Ok(true) => regular,
                Ok(false) => return,
                Err(_) if self.left().is_none() => return self.lose(),
                Err(_) => hurried,
            };
        }
    }

    async fn release(&self) -> Result<bool> {
        let held = self.inner.release(&self.name, &self.token).await?;
        self.over.send_replace(true);
        Ok(held)
    }
}

impl Guard {
    /// A guard on a lock that was asked for at `asked_ns`. Must be made within a runtime.
    pub(super) fn new(inner: &Arc<Inner>, name: LockName, grant: &Grant, asked_ns: u64, renew: bool) -> Self {
        let lease = Arc::new(Lease {
            inner: Arc::clone(inner),
            name,
            token: grant.token.clone(),
            until_ns: until_ns(asked_ns, grant.ttl_ms).into(),
            over: watch::channel(false).0,
            here: trace::here(),
        });
        let renewal = renew.then(|| tokio::spawn(lease.here.clone().within(Arc::clone(&lease).renew(grant.ttl_ms))));
        Self { lease, fence: grant.fence, renewal, released: false, runtime: Handle::current() }
    }
}

/// Ends a renewal. After it nothing of it runs; if this is given up, the next call goes on.
async fn end(renewal: &mut Option<JoinHandle<()>>) {
    if let Some(running) = renewal {
        running.abort();
        // It was cancelled, or ended by itself: either way it is over.
        let _ = running.await;
        *renewal = None;
    }
}

#[async_trait]
impl HeldLock for Guard {
    fn fence(&self) -> u64 {
        self.fence
    }

    fn is_lost(&self) -> bool {
        self.lease.left().is_none()
    }

    async fn lost(&self) {
        let mut over = self.lease.over.subscribe();
        while let Some(left) = self.lease.left() {
            // The sender lives in the lease, so a change is the only thing that can come.
            tokio::select! {
                _ = over.changed() => {}
                () = sleep(left) => {}
            }
        }
    }

    async fn extend(&self, ttl_ms: u64) -> Result<bool> {
        self.lease.inner.check_ttl(Some(ttl_ms))?;
        if self.released || *self.lease.over.borrow() {
            self.lease.inner.count(LockOutcome::NotHeld);
            return Ok(false);
        }
        self.lease.extend(ttl_ms).await
    }

    async fn release(&mut self) -> Result<bool> {
        if self.released {
            return Ok(false);
        }
        end(&mut self.renewal).await;
        let held = self.lease.release().await?;
        self.released = true;
        Ok(held)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let (lease, mut renewal) = (Arc::clone(&self.lease), self.renewal.take());
        self.runtime.spawn(lease.here.clone().within(async move {
            end(&mut renewal).await;
            lease.over.send_replace(true);
            Arc::clone(&lease.inner).release_later(lease.name.clone(), lease.token.clone()).await;
        }));
    }
}
