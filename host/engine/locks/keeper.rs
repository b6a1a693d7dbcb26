//! The face of the locks: what callers ask, and how one waits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::guard::Guard;
use super::line::{Lines, Place};
use super::mine::Mine;
use super::span::spanned;
use crate::engine::core::store_error;
use crate::engine::key::KeyRules;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    LOCK_RELEASE_TRIES_MAX, LOCK_RELEASES_INFLIGHT_MAX, LOCK_RETRY_GROWTH_MAX, LOCK_TTL_MS_MAX, LOCK_WAIT_MS_MAX,
    LOCKS_LISTED_MAX,
};
use crate::ports::clock::Clock;
use crate::ports::lock::{
    Ask, Attempt, Found, Freed, Grant, Held, Holder, LockInfo, LockKeys, LockList, LockName, LockOutcome, LockStore,
    Locks, Token, Which, lock_owner,
};
use crate::ports::metrics::Metrics;
use crate::ports::store::{StoreError, StoreResult};
use crate::ports::trace;

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct LockSettings {
    /// How long a lock lives where nobody says, in milliseconds (`CACHE_LOCK_DEFAULT_TTL`).
    pub ttl_ms: u64,
    /// The first pause between two tries, in milliseconds (`CACHE_LOCK_RETRY_DELAY`); the next ones grow.
    pub retry_ms: u64,
    /// How many such pauses a caller waits who does not say how long (`CACHE_LOCK_MAX_RETRIES`).
    pub retries_max: u64,
    /// The label of owners who give none: this host.
    pub node: String,
}

/// The host's locks. Cheap to clone.
#[derive(Clone)]
pub struct LockKeeper(pub(super) Arc<Inner>);

/// What guards and tasks share with the face.
pub(super) struct Inner {
    store: Arc<dyn LockStore>,
    rules: KeyRules,
    pub(super) settings: LockSettings,
    pub(super) clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    lines: Lines,
    mine: Mine,
}

/// An [`Ask`] within its bounds.
struct Checked {
    ttl_ms: u64,
    wait_ms: u64,
    owner: String,
}

/// A try that took the lock.
struct Taken {
    fence: u64,
    /// Monotonic time before the store was asked: the life counts from then.
    asked_ns: u64,
}

/// A lock that may have been taken by a try whose answer is not known. Given back in the background, unless it is settled.
struct Unsettled<'a> {
    inner: &'a Arc<Inner>,
    name: &'a LockName,
    token: &'a Token,
    settled: bool,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.settled, Handle::try_current()) {
            let release = Arc::clone(self.inner).release_later(self.name.clone(), self.token.clone());
            runtime.spawn(trace::here().within(release));
        }
    }
}

impl LockKeeper {
    /// Locks over this store.
    #[must_use]
    pub fn new(
        settings: LockSettings,
        rules: KeyRules,
        store: Arc<dyn LockStore>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (lines, mine) = (Lines::default(), Mine::default());
        Self(Arc::new(Inner { store, rules, settings, clock, metrics, lines, mine }))
    }
}

impl Inner {
    pub(super) fn count(&self, outcome: LockOutcome) {
        self.metrics.lock(outcome);
    }

    /// Counts a failure of the store and says it to the caller.
    fn settle<T>(&self, answer: StoreResult<T>) -> Result<T> {
        answer.map_err(|error| {
            self.count(LockOutcome::StoreFailed);
            store_error(error)
        })
    }

    pub(super) fn check_ttl(&self, ttl_ms: Option<u64>) -> Result<u64> {
        let ttl_ms = ttl_ms.unwrap_or(self.settings.ttl_ms);
        if (1..=LOCK_TTL_MS_MAX).contains(&ttl_ms) {
            return Ok(ttl_ms);
        }
        let message =
            format!("a lock lives for 1 to {LOCK_TTL_MS_MAX} ms, not {ttl_ms} ms; extend it to hold it longer");
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }

    fn check(&self, ask: Ask) -> Result<Checked> {
        let ttl_ms = self.check_ttl(ask.ttl_ms)?;
        let wait_ms = match ask.wait_ms {
            Some(wait_ms) if wait_ms > LOCK_WAIT_MS_MAX => {
                let message =
                    format!("one may wait for a lock for {LOCK_WAIT_MS_MAX} ms, not {wait_ms} ms; ask again instead");
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
            Some(wait_ms) => wait_ms,
            None => self.settings.retry_ms.saturating_mul(self.settings.retries_max).min(LOCK_WAIT_MS_MAX),
        };
        let owner = match ask.owner {
            Some(owner) => lock_owner(owner.as_bytes())?.to_owned(),
            None => self.settings.node.clone(),
        };
        Ok(Checked { ttl_ms, wait_ms, owner })
    }

    async fn take(self: &Arc<Self>, name: &LockName, ask: Ask) -> Result<Option<(Grant, Taken)>> {
        spanned("take", outcome_of_take, self.take_unseen(name, ask)).await
    }

    async fn take_unseen(self: &Arc<Self>, name: &LockName, ask: Ask) -> Result<Option<(Grant, Taken)>> {
        let ask = self.check(ask)?;
        let token = self.clock.secret().map(Token::new).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "the system has no randomness to give, so no token can be made")
        })?;
        if !self.mine.has_room(self.clock.monotonic_ns()) {
            return Err(Error::new(ErrorKind::Overloaded, "this host holds as many locks as it may; release some"));
        }
        let taken = if ask.wait_ms > 0 {
            self.wait(name, &token, &ask).await?
        } else if self.lines.is_waited_for(name) {
            // Somebody else holds it, or is about to: who waits comes before who does not.
            None
        } else {
            self.attempt(name, &self.rules.lock_keys(name), &token, &ask).await?.ok()
        };
        self.count(outcome_of_take(&taken));
        Ok(taken.map(|taken| (Grant { token, fence: taken.fence, ttl_ms: ask.ttl_ms }, taken)))
    }

    /// Stands in line, then tries until the lock is taken or the time is over; at least at its beginning and its end.
    async fn wait(self: &Arc<Self>, name: &LockName, token: &Token, ask: &Checked) -> Result<Option<Taken>> {
        let deadline = Instant::now() + Duration::from_millis(ask.wait_ms);
        let Some(place) = self.lines.enter(name) else {
            return Err(Error::new(ErrorKind::Overloaded, "as many callers wait for locks as may; try again later"));
        };
        let Ok(Some(_turn)) = timeout_at(deadline, place.turn()).await else { return Ok(None) };
        let keys = self.rules.lock_keys(name);
        let mut pause_ms = self.settings.retry_ms.max(1);
        loop {
            let left_ms = match self.attempt(name, &keys, token, ask).await? {
                Ok(taken) => return Ok(Some(taken)),
                Err(left_ms) => left_ms,
            };
            if Instant::now() >= deadline {
                return Ok(None);
            }
            // Between half the pause and all of it, so that the waiters of many hosts do not ask in one moment; not beyond the
            // end of the holder's life.
            let jittered_ms = pause_ms / 2 + self.clock.random() % (pause_ms / 2 + 1);
            let next_ms = jittered_ms.min(left_ms.saturating_add(1)).max(1);
            self.pause(&place, deadline.min(Instant::now() + Duration::from_millis(next_ms))).await;
            pause_ms = (pause_ms * 2).min(self.settings.retry_ms.max(1) * LOCK_RETRY_GROWTH_MAX);
        }
    }

    async fn pause(&self, place: &Place<'_>, until: Instant) {
        tokio::select! {
            () = place.freed() => {}
            () = sleep_until(until) => {}
        }
    }

    /// Asks the store once. The inner error is what is left of the holder's life, in milliseconds.
    async fn attempt(
        self: &Arc<Self>,
        name: &LockName,
        keys: &LockKeys,
        token: &Token,
        ask: &Checked,
    ) -> Result<std::result::Result<Taken, u64>> {
        let asked_ns = self.clock.monotonic_ns();
        let mut unsettled = Unsettled { inner: self, name, token, settled: false };
        let answer = self.store.take(keys, token, &ask.owner, ask.ttl_ms).await;
        unsettled.settled = match &answer {
            Ok(_)
            | Err(
                StoreError::Unavailable(_) | StoreError::Connecting(_) | StoreError::Busy(_) | StoreError::Reply(_),
            ) => true,
            Err(StoreError::Timeout(_) | StoreError::Broken(_) | StoreError::Protocol(_)) => false,
        };
        Ok(match self.settle(answer)? {
            Attempt::HeldFor { ms } => Err(ms),
            Attempt::Taken { fence } => {
                self.mine.add(name, token, until_ns(asked_ns, ask.ttl_ms));
                Ok(Taken { fence, asked_ns })
            }
        })
    }

    /// Begins the life of a lock anew. The monotonic time at which it ends, counted from before the store was asked; `None`:
    /// the token does not hold it.
    pub(super) async fn extend(&self, name: &LockName, token: &Token, ttl_ms: u64) -> Result<Option<u64>> {
        let asked_ns = self.clock.monotonic_ns();
        let keys = self.rules.lock_keys(name);
        let outcome = |held: &bool| if *held { LockOutcome::Extended } else { LockOutcome::NotHeld };
        let ask = async { self.settle(self.store.extend(&keys, token, ttl_ms).await) };
        let held = spanned("extend", outcome, ask).await?;
        let until_ns = until_ns(asked_ns, ttl_ms);
        if held {
            self.mine.extend(name, token, until_ns);
            self.count(LockOutcome::Extended);
        } else {
            self.mine.remove(name, token);
        }
        Ok(held.then_some(until_ns))
    }

    /// Gives a lock back and wakes who waits for it.
    pub(super) async fn release(&self, name: &LockName, token: &Token) -> Result<bool> {
        let keys = self.rules.lock_keys(name);
        let outcome = |held: &bool| if *held { LockOutcome::Released } else { LockOutcome::NotHeld };
        let ask = async { self.settle(self.store.release(&keys, token).await) };
        let held = spanned("release", outcome, ask).await?;
        self.mine.remove(name, token);
        if held {
            self.lines.freed(name);
        }
        self.count(outcome(&held));
        Ok(held)
    }

    /// Gives a lock back for nobody. Where the store fails it tries again; in the end the lock's life is over by itself.
    pub(super) async fn release_later(self: Arc<Self>, name: LockName, token: Token) {
        for tries in 1..=LOCK_RELEASE_TRIES_MAX {
            match self.release(&name, &token).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(lock = name.as_str(), %error, tries, "a lock could not be given back yet");
                }
            }
            sleep(Duration::from_millis(self.settings.retry_ms.max(1) * u64::from(tries))).await;
        }
        tracing::warn!(lock = name.as_str(), "a lock could not be given back; it ends with its life");
    }

    async fn find(&self, prefix: &str) -> Result<Found> {
        self.settle(self.store.find(&self.rules.lock_pattern(prefix), LOCKS_LISTED_MAX).await)
    }

    pub(super) fn lost(&self, name: &LockName, token: &Token) {
        self.mine.remove(name, token);
        self.count(LockOutcome::Lost);
    }
}

/// When a life ends that began at `asked_ns`.
pub(super) const fn until_ns(asked_ns: u64, ttl_ms: u64) -> u64 {
    asked_ns.saturating_add(ttl_ms.saturating_mul(1_000_000))
}

const fn outcome_of_take<T>(taken: &Option<T>) -> LockOutcome {
    if taken.is_some() { LockOutcome::Acquired } else { LockOutcome::Contended }
}

fn info(name: &LockName, holder: Holder) -> LockInfo {
    LockInfo { name: name.as_str().to_owned(), fence: holder.fence, ttl_ms: holder.ttl_ms, owner: holder.owner }
}

#[async_trait]
impl Locks for LockKeeper {
    async fn take(&self, name: &LockName, ask: Ask) -> Result<Option<Grant>> {
        Ok(self.0.take(name, ask).await?.map(|(grant, _)| grant))
    }

    async fn hold(&self, name: &LockName, ask: Ask) -> Result<Option<Held>> {
        let renew = ask.renew;
        let taken = self.0.take(name, ask).await?;
        let guard = |(grant, Taken { asked_ns, .. })| Guard::new(&self.0, name.clone(), &grant, asked_ns, renew);
        Ok(taken.map(|taken| Box::new(guard(taken)) as Held))
    }

    async fn extend(&self, name: &LockName, token: &Token, ttl_ms: Option<u64>) -> Result<Option<u64>> {
        let ttl_ms = self.0.check_ttl(ttl_ms)?;
        let held = self.0.extend(name, token, ttl_ms).await?.is_some();
        if !held {
            self.0.count(LockOutcome::NotHeld);
        }
        Ok(held.then_some(ttl_ms))
    }

    async fn release(&self, name: &LockName, token: &Token) -> Result<bool> {
        self.0.release(name, token).await
    }

    async fn info(&self, name: &LockName) -> Result<Option<LockInfo>> {
        let holder = self.0.settle(self.0.store.holder(&self.0.rules.lock_keys(name)).await)?;
        Ok(holder.map(|holder| info(name, holder)))
    }

    async fn list(&self, prefix: &str) -> Result<LockList> {
        let Found { locks, complete } = self.0.find(prefix).await?;
        let named = locks.into_iter().filter_map(|(key, holder)| Some(info(&self.0.rules.lock_name(&key)?, holder)));
        let mut locks: Vec<LockInfo> = named.collect();
        locks.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(LockList { locks, complete })
    }

    async fn force_release(&self, name: &LockName) -> Result<bool> {
        let inner = &self.0;
        let keys = inner.rules.lock_keys(name);
        let outcome = |held: &bool| if *held { LockOutcome::Forced } else { LockOutcome::NotHeld };
        let ask = async { inner.settle(inner.store.force_release(&keys).await) };
        let held = spanned("force-release", outcome, ask).await?;
        inner.mine.forget(name);
        if held {
            inner.lines.freed(name);
            inner.count(LockOutcome::Forced);
        }
        Ok(held)
    }

    async fn force_release_all(&self, which: Which<'_>) -> Result<Freed> {
        let inner = &self.0;
        let (prefix, owner) = match which {
            Which::Prefix(prefix) => (prefix, None),
            Which::Owner(owner) => ("", Some(owner)),
        };
        let Found { locks, complete } = inner.find(prefix).await?;
        let chosen = locks.into_iter().filter(|(_, holder)| owner.is_none_or(|owner| holder.owner == owner));
        let release = |(key, holder): (_, Holder)| async move {
            let Some(name) = inner.rules.lock_name(&key) else { return Ok(0) };
            let held = inner.settle(inner.store.release(&inner.rules.lock_keys(&name), &holder.token).await)?;
            inner.mine.remove(&name, &holder.token);
            if held {
                inner.lines.freed(&name);
                inner.count(LockOutcome::Forced);
            }
            Ok::<u64, Error>(held.into())
        };
        let freed = stream::iter(chosen).map(release).buffer_unordered(LOCK_RELEASES_INFLIGHT_MAX);
        let released = freed.try_fold(0, |sum, one| async move { Ok(sum + one) }).await?;
        Ok(Freed { released, complete })
    }

    fn report(&self) {
        self.0.metrics.active_locks.set(self.0.mine.count(self.0.clock.monotonic_ns()) as u64);
    }
}
