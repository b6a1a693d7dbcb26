//! What the engine lends the workflow of one domain: the domain's own keys, those of other domains that the operator granted
//! (`[grants] keys`), and nothing else.
//!
//! A name `@{domain}/{name}` is that of another domain's key. Without the grant it is refused, whatever may be there; `@{own domain}/{name}`
//! is the own key `{name}`, for names that begin with `@` themselves.
//!
//! Invariants: a name becomes a storage key through `key.rs` alone, so no workflow leaves what it was lent; a command that may change a
//! key is noted in L1 as any other write is, from before the store is asked until after it has answered, and ends the key's lease.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::core::Engine;
use super::judge::Wanted;
use super::key::KeyRules;
use crate::error::{Blame, Error, ErrorKind};
use crate::limits::{OWN_KEYS_MAX, OWN_SCAN_COUNT_MAX, TTL_MS_MAX};
use crate::ports::breaker::{Mode, Outcome, Permit, State};
use crate::ports::lease::{Ending, LeaseKeys};
use crate::ports::lock::Held;
use crate::ports::policy::{Encoding, KeyScope, Operation};
use crate::ports::store::{Command, Reply, StoreError, StoreKey, StoreResult};
use crate::ports::table::Live;
use crate::ports::workflow::{CallOutcome, CallPermit, CircuitState, HeldLock, HostError, OwnCommand, WorkflowHost};

/// The engine, bound to one domain.
pub(super) struct Lent {
    engine: Arc<Engine>,
    live: Arc<Live>,
}

impl Lent {
    /// Lends `live` what is its own.
    pub(super) const fn new(engine: Arc<Engine>, live: Arc<Live>) -> Self {
        Self { engine, live }
    }

    fn own_key(&self, name: &str) -> Result<Own, HostError> {
        let table = self.engine.policies.table();
        let (live, name) = match elsewhere(name) {
            Some((domain, name)) => (self.granted(domain, name)?, name),
            None => (Arc::clone(&self.live), name),
        };
        let (key, name) = self.engine.keys.own_key(&table, &live, name).map_err(HostError::NotAllowed)?;
        // Raw domains behave as Redis does: nothing of theirs is filled under a lease, but what older key versions have.
        let fenced = live.description.encoding == Encoding::Enveloped || self.engine.migrates(&live);
        let lease = fenced.then(|| KeyRules::lease_keys(&key)).flatten();
        Ok(Own { key, name, lease, live })
    }

    /// Carries over what an older key version has of a key, and leaves nothing of it behind if the key is to be changed. What the policy keeps
    /// under another name than the key's own is not carried over for its workflow, but it does not come back either.
    async fn make_way(&self, own: &Own, writes: bool) -> Result<(), HostError> {
        let engine = &self.engine;
        if !engine.migrates(&own.live) {
            return Ok(());
        }
        let operation = if writes { Operation::Update } else { Operation::Read };
        let place = engine.locate(&own.name, operation, Wanted::Any).ok().filter(|place| place.store_key == own.key);
        engine.arrive(place.iter()).await.map_err(told)?;
        if writes {
            engine.remove_old(&engine.old_keys(&own.live, &own.key)).await.map_err(told)?;
        }
        Ok(())
    }

    /// Does what may change these keys. Their leases end before: a load that began earlier read what is now old.
    async fn changing<T>(
        &self,
        keys: &[Own],
        how: Ending,
        change: impl Future<Output = StoreResult<T>> + Send,
    ) -> Result<T, HostError> {
        let engine = &self.engine;
        let writings: Vec<_> = keys.iter().map(|own| engine.l1.writing(&own.name)).collect();
        let leases: Vec<_> = keys.iter().filter_map(|own| own.lease.clone()).collect();
        let loads = keys.iter().all(|own| own.live.description.encoding == Encoding::Enveloped);
        // What is brought from an older key version is older than any write: there is no doubt to be told of.
        engine.end_found_leases(&leases, if loads { how } else { Ending::Deleted }).await.map_err(told)?;
        let changed = change.await;
        leases.iter().for_each(|keys| engine.fills.overtake_entry(&keys.entry));
        let changed = changed.map_err(failed)?;
        writings.into_iter().for_each(|writing| writing.done(None));
        Ok(changed)
    }

    /// The domain of keys whose names begin so, if this workflow may use them.
    fn granted(&self, domain: &str, name: &str) -> Result<Arc<Live>, HostError> {
        if domain == &*self.live.domain {
            return Ok(Arc::clone(&self.live));
        }
        if !self.live.reach.iter().any(|reach| reach.covers(domain, name)) {
            let own = &self.live.domain;
            return Err(HostError::NotAllowed(format!(
                "'{own}' is not granted the keys '{domain}/{}'; if it may use them, add them to `keys` under [grants] in {own}.toml",
                name.escape_debug()
            )));
        }
        let live = self.engine.policies.table().get(domain).cloned();
        live.ok_or_else(|| HostError::Unavailable(format!("no policy serves the domain '{domain}' now")))
    }
}

/// A key that was lent.
struct Own {
    key: StoreKey,
    /// As applications say it.
    name: Bytes,
    /// Where its lease lies, if it may have one.
    lease: Option<LeaseKeys>,
    /// Its domain.
    live: Arc<Live>,
}

/// Domain and name, if a name is that of another domain's key.
fn elsewhere(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix('@')?.split_once('/')
}

/// The store's failure as a workflow is told.
fn failed(error: StoreError) -> HostError {
    match error {
        StoreError::Timeout(_) | StoreError::Broken(_) => HostError::TimedOut,
        StoreError::Unavailable(text) | StoreError::Connecting(text) | StoreError::Busy(text) => {
            HostError::Unavailable(text)
        }
        StoreError::Reply(line) if line.starts_with("WRONGTYPE") => HostError::WrongType,
        StoreError::Reply(line) => HostError::Other(line),
        StoreError::Protocol(text) => HostError::Other(text),
    }
}

fn check_life(ttl_ms: Option<u64>) -> Result<(), HostError> {
    match ttl_ms {
        Some(ms) if ms > TTL_MS_MAX => Err(HostError::Invalid(format!("a life of more than {TTL_MS_MAX} ms"))),
        _ => Ok(()),
    }
}

/// A text as a glob that means itself.
pub(super) fn literal(text: &[u8]) -> Vec<u8> {
    let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^' | b'-');
    text.iter().flat_map(|byte| special(byte).then_some(b'\\').into_iter().chain([*byte])).collect()
}

#[async_trait]
impl WorkflowHost for Lent {
    async fn keys(&self, command: OwnCommand) -> Result<Reply, HostError> {
        if command.keys.len() > OWN_KEYS_MAX {
            return Err(HostError::Invalid(format!(
                "{} keys in one call; {OWN_KEYS_MAX} are allowed",
                command.keys.len()
            )));
        }
        let keys = command.keys.iter().map(|name| self.own_key(name)).collect::<Result<Vec<_>, _>>()?;
        for own in &keys {
            self.make_way(own, command.writes).await?;
        }
        let mut sent = Command::new(command.name);
        sent.args.extend(keys.iter().map(|own| own.key.0.clone()).chain(command.arguments));
        let how = if command.name == "DEL" { Ending::Deleted } else { Ending::Written };
        let call = self.engine.store.call(sent);
        if command.writes { self.changing(&keys, how, call).await } else { call.await.map_err(failed) }
    }

    async fn increment(&self, name: String, delta: i64, ttl_ms: Option<u64>) -> Result<i64, HostError> {
        check_life(ttl_ms)?;
        let own = [self.own_key(&name)?];
        self.make_way(&own[0], true).await?;
        let increment = self.engine.store.increment(&own[0].key, delta, ttl_ms);
        self.changing(&own, Ending::Written, increment).await
    }

    async fn scan(&self, prefix: String, cursor: u64, count: u32) -> Result<(u64, Vec<String>), HostError> {
        let (live, shown, prefix) = match elsewhere(&prefix) {
            Some((domain, prefix)) => {
                let live = self.granted(domain, prefix)?;
                if live.description.key_scope == KeyScope::Verbatim {
                    let message =
                        format!("the keys of '{domain}' lie among those of all others, and cannot be scanned");
                    return Err(HostError::Invalid(message));
                }
                (live, format!("@{domain}/"), prefix)
            }
            None => (Arc::clone(&self.live), String::new(), prefix.as_str()),
        };
        if !prefix.is_empty() {
            let table = self.engine.policies.table();
            self.engine.keys.own_key(&table, &live, prefix).map_err(HostError::NotAllowed)?;
        }
        let all = self.engine.keys.in_domain(&live, "");
        let mut pattern = literal(all.as_bytes());
        pattern.extend(literal(prefix.as_bytes()));
        pattern.push(b'*');
        let command = Command::new("SCAN")
            .arg(cursor.to_string())
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(count.clamp(1, OWN_SCAN_COUNT_MAX).to_string());
        let reply = self.engine.store.call(command).await.map_err(failed)?;
        let (cursor, mut names) = portion(&reply, all.as_bytes())?;
        if !shown.is_empty() {
            names.iter_mut().for_each(|name| name.insert_str(0, &shown));
        }
        Ok((cursor, names))
    }

    async fn lock(&self, name: String, ttl_ms: u32, wait_ms: u32) -> Result<Option<Box<dyn HeldLock>>, HostError> {
        let domain = &self.live.domain;
        let lock = self.engine.locks().acquire(domain, &name, ttl_ms.into(), wait_ms.into()).await.map_err(told)?;
        Ok(lock.map(|lock| Box::new(LentLock(lock)) as Box<dyn HeldLock>))
    }

    fn circuit(&self, name: &str) -> Result<CircuitState, HostError> {
        let (mode, state) = self.engine.breakers().current(&self.live.domain, name).map_err(told)?;
        Ok(match (mode, state) {
            (Mode::ForcedOpen, _) => CircuitState::ForcedOpen,
            (Mode::ForcedClosed | Mode::MetricsOnly, _) => CircuitState::ForcedClosed,
            (Mode::Auto, State::Closed) => CircuitState::Closed,
            (Mode::Auto, State::Open) => CircuitState::Open,
            (Mode::Auto, State::HalfOpen) => CircuitState::HalfOpen,
        })
    }

    fn permit(&self, name: &str) -> Result<Option<Box<dyn CallPermit>>, HostError> {
        let permit = self.engine.breakers().acquire(&self.live.domain, name).map_err(told)?;
        Ok(permit.map(|permit| Box::new(LentPermit(Some(permit))) as Box<dyn CallPermit>))
    }
}

/// A lock of the host, as a workflow holds it.
struct LentLock(Held);

#[async_trait]
impl HeldLock for LentLock {
    fn fencing_token(&self) -> u64 {
        self.0.fence()
    }

    async fn extend(&mut self, ttl_ms: u32) -> Result<(), HostError> {
        match self.0.extend(ttl_ms.into()).await.map_err(told)? {
            true => Ok(()),
            false => Err(HostError::Other("the lock is lost: its life was over, or it was taken away".to_owned())),
        }
    }

    async fn release(&mut self) -> Result<bool, HostError> {
        self.0.release().await.map_err(told)
    }
}

/// A permit of the host's breaker; the first report is the one that counts.
struct LentPermit(Option<Box<dyn Permit>>);

impl CallPermit for LentPermit {
    fn report(&mut self, outcome: CallOutcome) {
        let outcome = match outcome {
            CallOutcome::Success => Outcome::Success,
            CallOutcome::Failure => Outcome::Failure,
            CallOutcome::Slow => Outcome::Slow,
            CallOutcome::Ignored => Outcome::Ignored,
        };
        if let Some(permit) = self.0.take() {
            permit.report(outcome);
        }
    }
}

/// An error of the host as a workflow is told.
fn told(error: Error) -> HostError {
    match error.kind {
        ErrorKind::StoreTimeout => HostError::TimedOut,
        ErrorKind::StoreUnavailable | ErrorKind::Overloaded => HostError::Unavailable(error.message),
        kind if kind.blame() == Blame::Caller => HostError::Invalid(error.message),
        _ => HostError::Other(error.message),
    }
}

/// A portion of a scan: the next cursor, and the names without what all of them begin with.
fn portion(reply: &Reply, all: &[u8]) -> Result<(u64, Vec<String>), HostError> {
    let odd = || HostError::Other("the store gave an answer to SCAN that makes no sense".to_owned());
    let Reply::Array(parts) = reply else {
        return match reply {
            Reply::Error(line) => Err(HostError::Other(line.clone())),
            _ => Err(odd()),
        };
    };
    let [Reply::Bulk(cursor), Reply::Array(keys)] = parts.as_slice() else { return Err(odd()) };
    let cursor = std::str::from_utf8(cursor).ok().and_then(|cursor| cursor.parse().ok()).ok_or_else(odd)?;
    let name = |key: &Reply| match key {
        // Names that are not UTF-8 were not made by any policy.
        Reply::Bulk(key) => String::from_utf8(key.strip_prefix(all)?.to_vec()).ok(),
        _ => None,
    };
    Ok((cursor, keys.iter().filter_map(name).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_means_itself() {
        assert_eq!(literal(b"a*b[c]\\?"), b"a\\*b\\[c\\]\\\\\\?");
    }

    #[test]
    fn a_portion_tells_the_domains_names() {
        let bulk = |text: &'static str| Reply::Bulk(text.into());
        let reply = Reply::Array(vec![bulk("7"), Reply::Array(vec![bulk("p:v1:d:a:b"), bulk("p:v1:other:c")])]);
        assert_eq!(portion(&reply, b"p:v1:d:"), Ok((7, vec!["a:b".to_owned()])));
        assert_eq!(portion(&Reply::Error("ERR no".into()), b""), Err(HostError::Other("ERR no".to_owned())));
        assert!(portion(&Reply::Nil, b"").is_err());
    }
}
